/* SPDX-License-Identifier: MIT */
/*
 * Servers count their requests from the same number on.  One that is gone may still get its answer
 * from the client, and another must not take that for its own: a request by an id that is owed an
 * answer goes to the client by an id of ours.
 */
#ifndef TALK_ALIAS_H
#define TALK_ALIAS_H

#include "lane.h"
#include "lines.h"

#include <stdbool.h>

/* The server that has asked by ID is gone, and the client may answer. */
void owe_answer(const struct id *id);

/* Whether that is so. */
bool is_owed(const struct id *id);

/* The answer has come. */
void take_owed(const struct id *id);

/* Says the server's request, the line of S, to the CLIENT by an alias, if its id is owed an answer.
 * Returns false if it is not, or there is no room: it is to go by its own. */
bool say_by_alias(struct lane *client, const struct lines *s);

/* Says the line of S with ID in place of its own.  Returns false if there is too much of it. */
bool say_by(struct lane *to, const struct lines *s, const struct id *id);

/* Whether ALIAS stands for a request, whose ID it was: it does so no more. */
bool resolve_alias(const struct id *alias, struct id *id);

/* Whether the client knows the server's request ID by an ALIAS: it stands for nothing any more. */
bool withdraw_alias(const struct id *id, struct id *alias);

/* Whether there is anything of this. */
bool has_aliases(void);

#endif
