/* SPDX-License-Identifier: MIT */
/* --lazy: the opening of a session is answered from what the same server said last time, and a
 * server that comes is asked whether it would say the same. */
#ifndef TALK_RECALL_H
#define TALK_RECALL_H

#include "lane.h"
#include "lines.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Answers the client's request, the line of S, a session without a server.  Returns false if that
 * is not kept: a server is needed.  The answers to initialize and to server/discover are noted as
 * what the client knows of its server. */
bool recall(struct lane *client, const struct lines *s);

/* The same for a listener, by what is known of the server, or is kept. */
bool recall_listener(struct lane *client, const struct lines *s);

/* Whether the client has been answered so. */
bool has_recalled(void);

/* The client's request goes to a server. */
void expect(const struct lines *s);

/* The kept LINE of SIZE bytes, initialize or a listener, is replayed to a server. */
void expect_replayed(const char *line, size_t size);

/* Asks the server for the lists that the client has been told of. */
void ask_again(struct lane *server);

/* Whether M is an answer to that. */
bool is_asked_by_us(const struct message *m);

/* Whether such answers are to come. */
bool awaits_lists(void);

/* A line of the server's: what it answers is kept.  What we asked for, and is another answer than
 * the client got, is told to the client.  Returns whether it was one to be kept, and is not what
 * was kept. */
bool hear_opening(struct lane *client, const struct lines *s);

/* The server is gone: it has not answered. */
void forget_asked(void);

/* Tells the client that the list which the server has declared as LIST may have changed, if it has
 * asked to hear of that. */
void tell_changed(struct lane *client, enum member list);

/* When something is to be saved; 0: never. */
int64_t saving_due(void);

/* Saves it, in a process of its own, so that no disk holds up the session.  At its end that is
 * waited for. */
void save_opening(void);

/* Whether PID was that process, which has been waited for; STATUS is 0 if it has been saved. */
bool has_saved(pid_t pid, int status);

void finish_saving(void);

#endif
