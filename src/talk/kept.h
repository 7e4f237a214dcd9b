/* SPDX-License-Identifier: MIT */
/* What a new server has to hear: the client's lines that made the one before what it was, and what
 * that answered to them. */
#ifndef TALK_KEPT_H
#define TALK_KEPT_H

#include "lines.h"
#include "message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The client's lines that are kept, in the order of their replay. */
enum kept_line {
	INITIALIZE,
	INITIALIZED,
	SET_LEVEL,
	LISTEN, /* subscriptions/listen for changes of lists alone, up to LISTEN_LAST */
	LISTEN_LAST = LISTEN + 3,
	KEPT_LINES
};

/* Whether M, a whole line of the client's, is to be kept, as WHICH. */
bool is_to_be_kept(const struct message *m, enum kept_line *which);

/* The client's line S is over: keeps it, if a new server needs it, and forgets the listener that it
 * takes back.  What is kept while there is no server, and is not put off, a new one is to hear with
 * what was before. */
void keep_client_line(const struct lines *s);

/* All that is kept has been heard by the server, which is gone. */
void have_all_replayed(void);

/* The line WHICH for a new server; its SIZE is 0 if it is not to hear one.  The answer is for us.
 */
const char *line_to_replay(enum kept_line which, size_t *size);

/* Whether there is a handshake to be replayed. */
bool has_handshake(void);

/* Whether M, of the server's, is an answer that is for us, to WHICH; a listener's is a
 * notification, and what ends it is for the client. */
bool is_for_us(const struct message *m, enum kept_line *which);

/* Whether some are to come. */
bool awaits_answers(void);

/* No more are. */
void await_none(void);

/* M is the answer, to the line WHICH, the text of which is LINE: of a server that the client heard
 * itself, or for us. */
void note_answer_to_kept(enum kept_line which, const struct message *m, const char *line);
void note_answer_for_us(enum kept_line which, const struct message *m, const char *line);

/* Whether a kept line is the request ID. */
bool is_kept(const struct id *id, enum kept_line *which);

/* Whether the replayed initialize has been answered; then WHY says what is not as it was before, or
 * is NULL. */
bool is_answered(const char **why);

/* Whether the new server says of itself what the one before did not. */
bool is_another(void);

/* It is the one that the next is compared with. */
void have_introduced(void);

/* The client's request ID was answered by an error of ours: it begins no session. */
void drop_refused(const struct id *id);

/* Whether the client's session has begun with one. */
bool has_begun_with_handshake(void);

/* The answer M to server/discover, of the revision without a handshake, says what the server can.
 */
void note_discovery(const struct message *m);

/* Without a handshake M, its acknowledgement of a listener, says that too. */
void note_acknowledgement(const struct message *m);

/* What the server has declared to the client, by bits; 0: nothing yet. */
uint64_t declared_members(void);

bool has_declared(enum member capability);

/* The next request of the client for changes of lists alone behind *AT, which is LISTEN at first;
 * NULL: there are no more. */
const struct id *next_listener(int *at);

/* The client's answer about its roots, M, which is LINE of SIZE bytes.  What is too long is not
 * kept. */
void keep_roots(const struct message *m, const char *line, size_t size);

/* They have changed. */
void forget_roots(void);

/* The kept answer, cut where its id is, for the request with another id.  Returns false if there is
 * none. */
bool kept_roots(const char **head, size_t *head_size, const char **tail, size_t *tail_size);

#endif
