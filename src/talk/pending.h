/* SPDX-License-Identifier: MIT */
/* Requests without an answer, of both sides. */
#ifndef TALK_PENDING_H
#define TALK_PENDING_H

#include "message.h"

#include <stdbool.h>
#include <stdint.h>

enum side { CLIENT, SERVER };

/* Notes a request of SIDE; HOLDS: a server is needed as long as it is not answered.  Returns
 * false if there is no room. */
bool add_pending(enum side side, const struct id *id, bool holds);

/* The request is answered.  Returns whether there was one. */
bool settle(enum side side, const struct id *id);

/* The client does not want its request's answer any more, but the server may be at work on it. */
void cancel_pending(const struct id *id);

/* Whether SIDE has any. */
bool has_pending(enum side side);

bool is_pending(enum side side, const struct id *id);

/* Until when SIDE's requests hold, each for LIMIT ms; 0: none does. */
int64_t held_until(enum side side, int64_t limit);

/* Calls TELL for each request of the client that still wants an answer, and forgets all. */
void give_up_pending(void (*tell)(void *arg, const struct id *id), void *arg);

/* Who has asked is gone: all of the server's. */
void forget_requests_of_server(void);

/* Gives the memory back, if there are none. */
void give_pending_back(void);

#endif
