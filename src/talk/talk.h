/* SPDX-License-Identifier: MIT */
/*
 * The talk between client and server: where each line goes, what is outstanding, and what we say
 * ourselves while there is no server.  When in doubt (a line that is not one JSON object, or could
 * be read in two ways), nothing is stopped.
 */
#ifndef TALK_TALK_H
#define TALK_TALK_H

#include "kept.h"
#include "lane.h"
#include "lines.h"
#include "needs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where a session is with its server: it has one; that is going; there is none, or none that could
 * be talked to; it is coming. */
enum phase { SERVED, LEAVING, UNSERVED, RETURNING };

/* Has the talk look at the lines of both lanes, as far as the options ask for it. */
void begin_talk(struct lines *client, struct lane *to_server, struct lines *server,
		struct lane *to_client);

/* The session is served so from now on. */
void set_phase(enum phase phase);

/* When a message passed last that somebody may be at work for. */
int64_t last_activity(void);

/* When this server was first asked for more than what it can do, ms of since_boot(); 0: not yet. */
int64_t first_use(void);

/* Whether any server of the session was. */
bool was_used(void);

/* Whether the server is needed, as far as the messages tell. */
bool is_needed(struct need *need);

/* Whether a whole message has come from the server. */
bool has_server_spoken(void);

/* The server is gone: what it was asked is answered by an error that says WHY, what it asked is
 * taken back, and another may begin.  CUT: it was asked things until its end, and a line for it may
 * be lost. */
void end_server(const char *why, bool cut);

/* A server is gone that the client's lines have not been passed to yet: another may begin. */
void end_try(void);

/* Whether the client has said something since then that takes a new one. */
bool is_server_called(void);

/* A new server is called for, whatever the client says. */
void want_server(void);

/* The next server may not have the same lists. */
void expect_changes(void);

/* Asks the new server for the lists that the client has been told of in its place. */
void check_lists(void);

/* The client's lines that were put off are lost; their requests are answered by an error that says
 * WHY. */
void refuse_calls(const char *why);

/* Whether the new server has had a question since it came up. */
bool had_question(void);

/* Whether the new server has asked, if the one before did before it was ready, and has got the
 * answers to what it asked.  What it asks at the end of the handshake comes before its lists. */
bool has_asked(void);

/* Tells the client to ask again for the lists that may not be what they were. */
void tell_of_changes(void);

/* Lets go of what is not needed while there is no server. */
void forget_notes(void);

#endif
