/* SPDX-License-Identifier: MIT */
/* Messages of our own, in place of the other side.  Each returns false if there is no room for it.
 */
#ifndef TALK_REPLY_H
#define TALK_REPLY_H

#include "lane.h"
#include "message.h"

/* The answer to the request ID: a RESULT, or an error that says WHY. */
bool reply(struct lane *to, const struct id *id, const char *result);
bool reply_error(struct lane *to, const struct id *id, const char *why);

/* HEAD, the id, and TAIL, an answer without its id. */
bool reply_between(struct lane *to, const struct id *id, const char *head, size_t head_size,
		   const char *tail, size_t tail_size);

/* The answer that has the MEMBER of N bytes, "result":... or "error":.... */
bool reply_member(struct lane *to, const struct id *id, const char *member, size_t n);

/* That the list which the server has declared as LIST, TOOLS_LIST_CHANGED or another, has changed:
 * to a client with a SUBSCRIPTION, its request for it, or NULL. */
bool notify_changed(struct lane *to, enum member list, const struct id *subscription);

/* That the request SUBSCRIPTION, for changes of lists alone, is heard: of those that are DECLARED,
 * by bits. */
bool acknowledge(struct lane *to, const struct id *subscription, uint64_t declared);

/* That the request ID is not to be answered any more. */
bool notify_cancelled(struct lane *to, const struct id *id, const char *why);

#endif
