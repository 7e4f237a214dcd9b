/* SPDX-License-Identifier: MIT */
/* Requests without an answer, of both sides. */
#ifndef TALK_PENDING_H
#define TALK_PENDING_H

#include "message.h"

#include <stdbool.h>
#include <stdint.h>

enum side { CLIENT, SERVER };

/* What a request means to the session. */
enum errand {
	WORK,  /* a server is needed as long as there is no answer, within bounds */
	WATCH, /* and without: what is to come is told before an answer */
	SMALL, /* nobody is at work for it */
	ROOTS, /* nor for this; the answer is worth keeping */
};

/* Notes the request M of SIDE.  Returns false if there is no room. */
bool add_pending(enum side side, const struct message *m, enum errand errand);

/* SIDE's request is answered.  Returns whether there was one; then ERRAND says of what kind. */
bool settle(enum side side, const struct id *id, enum errand *errand);

/* The client does not want its request's answer any more, but the server may be at work on it. */
void cancel_pending(const struct id *id);

/* Whether SIDE has any. */
bool has_pending(enum side side);

bool is_pending(enum side side, const struct id *id);

/* Whether it is, for work. */
bool awaits_work(enum side side, const struct id *id);

/* Until when SIDE's requests for work hold, each for LIMIT ms; 0: none does.  METHOD, of NAME_SIZE
 * bytes, gets that of the last one. */
int64_t held_until(enum side side, int64_t limit, char *method);

/* Calls TELL with WHY for each request of SIDE that still wants an answer, and forgets all. */
void give_up_pending(enum side side, void (*tell)(const char *why, const struct id *id),
		     const char *why);

/* Gives the memory back, if there are none. */
void give_pending_back(void);

#endif
