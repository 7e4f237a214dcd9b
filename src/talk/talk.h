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
#include <stdint.h>

/* Where a session is with its server. */
enum phase { SERVED, LEAVING, UNSERVED, RETURNING };

/* The client's lines that a new server must hear before anything else. */
enum kept_line { INITIALIZE, INITIALIZED, SET_LEVEL, KEPT_LINES };

/* The talk tells how the session is served from now on: what each line is good for. */
void set_phase(enum phase phase);

/* When a message passed last that somebody may be at work for. */
int64_t last_activity(void);

/* Answers each request of the client that has no answer by an error that says WHY. */
void refuse_pending(const char *why);

/* What we say to the client in place of its server since the last time; empty: nothing. */
const char *answers_of_ours(size_t *size);

/* They are on their way. */
void forget_answers(void);

/* Whether the client has said something since the server was stopped that takes a new one. */
bool is_server_called(void);

/* The client's lines that were put off are lost. */
void forget_call(void);

/* Has the talk look at the lines of both sides, as far as the options ask for it. */
void begin_talk(struct lines *client, struct lines *server);

/* When the server may be stopped, as far as the messages tell: 0 at once, -1: not before
 * another message. */
int64_t may_be_stopped(void);

/* Whether a whole message has come from the server. */
bool has_server_spoken(void);

/* Another server begins.  Returns false if the one before was cut off in the middle of
 * a line that has been passed on in part. */
bool begin_next_server(void);

/* Whether there is anything that a new server must hear. */
bool has_handshake(void);

/* The client's kept line WHICH, of SIZE bytes, 0 if there was none before the server was stopped.
 * The answer to it is for us. */
const char *kept_line_for(enum kept_line which, size_t *size);

/* Whether the new server has asked what the one before did, and got its answers. */
bool has_asked(void);

/* Whether the replayed initialize has been answered; then WHY says what is not as it was
 * before, or is NULL. */
bool is_answered(const char **why);

/* Lets go of what is not needed while there is no server. */
void forget_notes(void);

#endif
