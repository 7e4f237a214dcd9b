/* SPDX-License-Identifier: MIT */
/* What methods mean to a session: revisions that come add to these tables. */
#ifndef TALK_METHOD_H
#define TALK_METHOD_H

#include "message.h"
#include "pending.h"

#include <stdbool.h>

bool is_called(const struct message *m, const char *method);

/* Whether M, a request or a notification of the client, only asks what the server is and can do: it
 * makes no state in it that a new one would not have. */
bool is_opening(const struct message *m);

bool says_lists_changed(const struct message *m);

/* Whether a notification of the server's is one that only waits to be told: not about a request, a
 * subscription or itself. */
bool is_push(const struct message *m);

/* What a request of either side means: a person or a model may be at work on the server's. */
enum errand errand_of_server(const struct message *m);
enum errand errand_of_client(const struct message *m);

/* Whether somebody is at work for it. */
bool is_work(enum errand errand);

#endif
