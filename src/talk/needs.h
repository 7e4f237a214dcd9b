/* SPDX-License-Identifier: MIT */
/* Why a server is needed though no message passes, as far as the messages tell. */
#ifndef TALK_NEEDS_H
#define TALK_NEEDS_H

#include "message.h"

#include <stdbool.h>
#include <stdint.h>

/* FOR_EVER: until something else passes, or for good. */
#define FOR_EVER INT64_MAX

struct need {
	const char *reason;
	char detail[NAME_SIZE]; /* "": none */
	int64_t until;          /* ms */
};

/* From now on, and for good; the first REASON counts.  DETAIL may be NULL. */
void need_for_good(const char *reason, const char *detail);

/* A resource that changes are told of. */
void subscribe(uint64_t uri);
void unsubscribe(uint64_t uri);

/* A person has been asked to go to a page, and is there until the server says that it is over, or
 * for as long as a request holds. */
void begin_visit(void);
void end_visit(void);

/* Whether there is such a need. */
bool has_need(struct need *need);

/* The server is gone, and what it was needed for, but for what is for good. */
void forget_needs(void);

/* Gives memory back, if it is not used. */
void give_needs_back(void);

#endif
