/* SPDX-License-Identifier: MIT */
/* The requests that open a session, and what of them and their answers outlasts it. */
#ifndef TALK_OPENING_H
#define TALK_OPENING_H

#include "message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum opening {
	OPEN_INITIALIZE,
	OPEN_DISCOVER,
	OPEN_TOOLS,
	OPEN_PROMPTS,
	OPEN_RESOURCES,
	OPEN_TEMPLATES,
	OPEN_LISTEN, /* subscriptions/listen for changes of lists, and of nothing else */
	OPENINGS,    /* none of them */
};

extern const char *const opening_methods[OPENINGS];

/* Which one METHOD is. */
enum opening opening_of_method(const char *method);

/* Whether M, subscriptions/listen or its acknowledgement, is about changes of lists alone. */
bool is_of_lists(const struct message *m);

/* Those lists, as the bits of the members that servers declare them by. */
uint64_t lists_of(const struct message *m);

/* Whether M is the acknowledgement. */
bool is_acknowledgement(const struct message *m);

/* Which one the request M is; one for a later page is none. */
enum opening opening_of(const struct message *m);

/*
 * What of the params of the request M, of whose text LINE has the first N bytes, has a say in its
 * answer: all of their text but what of _meta is new for each request, its progress token and its
 * trace.  The revision of 2026-07-28 has the client there.  Empty without params.  Returns memory
 * to be freed, of SIZE bytes; NULL: there is none, it is not clear, or not all of it is there.
 */
char *lasting_params(const struct message *m, const char *line, size_t n, size_t *size);

/*
 * The member of the answer M to the opening O, of whose text LINE has the first N bytes, that may
 * be said again in another session: "result":... or "error":....  Not the first of many pages,
 * whose cursor the next server does not know, and no error that may be gone by then.  For a
 * listener M is its acknowledgement, which is said as capabilities.  Returns memory as above; NULL:
 * none.
 */
char *lasting_member(enum opening o, const struct message *m, const char *line, size_t n,
		     size_t *size);

#endif
