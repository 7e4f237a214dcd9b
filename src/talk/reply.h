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

/* A notification without params. */
bool notify(struct lane *to, const char *method);

/* That the request ID is not to be answered any more. */
bool notify_cancelled(struct lane *to, const struct id *id, const char *why);

#endif
