/* SPDX-License-Identifier: MIT */
/*
 * The talk between client and server: what is outstanding, and which lines a new server
 * must hear.  When in doubt (a line that is not one JSON object, or could be read in two
 * ways), nothing is stopped.
 */
#ifndef TALK_TALK_H
#define TALK_TALK_H

#include "lines.h"

#include <stdbool.h>
#include <stddef.h>

/* The client's lines that a new server must hear before anything else. */
enum kept_line { INITIALIZE, INITIALIZED, SET_LEVEL, KEPT_LINES };

/* Has the talk look at the lines of both sides, as far as the options ask for it. */
void begin_talk(struct lines *client, struct lines *server);

/* Whether nothing is awaited by anybody, as far as the messages tell. */
bool may_be_stopped(void);

/* Whether a whole message has come from the server. */
bool has_server_spoken(void);

/* Another server begins.  Returns false if the one before was cut off in the middle of
 * a line that has been passed on in part. */
bool begin_next_server(void);

/* Whether there is anything that a new server must hear. */
bool has_handshake(void);

/* The client's kept lines FROM to TO, of SIZE bytes.  Answers to them are for us. */
const char *kept_lines(enum kept_line from, enum kept_line to, size_t *size);

/* Whether the replayed initialize has been answered; then WHY says what is not as it was
 * before, or is NULL. */
bool is_answered(const char **why);

/* Lets go of what is not needed while there is no server. */
void forget_notes(void);

#endif
