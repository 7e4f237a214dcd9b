/* SPDX-License-Identifier: MIT */
#include "pending.h"

#include "../base/clock.h"
#include "../base/memory.h"

#include <stdalign.h>

enum { PENDING_MAX = 512 }; /* of one side */

struct pending {
	struct id id;
	bool holds, cancelled;
	int64_t since; /* ms */
};

/* Pages that are not used cost nothing. */
static struct {
	alignas(4096) struct pending of[2][PENDING_MAX];
} notes;

static alignas(64) size_t n[2];

static struct pending *find(enum side side, const struct id *id)
{
	for (size_t i = 0; i < n[side]; i++)
		if (same_id(&notes.of[side][i].id, id))
			return &notes.of[side][i];
	return NULL;
}

bool add_pending(enum side side, const struct id *id, bool holds)
{
	if (n[side] == PENDING_MAX)
		return false;
	notes.of[side][n[side]++] = (struct pending){.id = *id, .holds = holds, .since = now()};
	return true;
}

bool settle(enum side side, const struct id *id)
{
	struct pending *p = find(side, id);

	if (p)
		*p = notes.of[side][--n[side]];
	return p;
}

void cancel_pending(const struct id *id)
{
	struct pending *p = find(CLIENT, id);

	if (p)
		p->cancelled = true;
}

bool has_pending(enum side side)
{
	return n[side] > 0;
}

bool is_pending(enum side side, const struct id *id)
{
	return find(side, id);
}

int64_t held_until(enum side side, int64_t limit)
{
	int64_t until = 0;

	for (size_t i = 0; i < n[side]; i++) {
		const struct pending *p = &notes.of[side][i];
		if (p->holds && p->since + limit > until)
			until = p->since + limit;
	}
	return until;
}

void give_up_pending(void (*tell)(void *arg, const struct id *id), void *arg)
{
	for (size_t i = 0; i < n[CLIENT]; i++)
		if (!notes.of[CLIENT][i].cancelled)
			tell(arg, &notes.of[CLIENT][i].id);
	n[CLIENT] = 0;
}

void forget_requests_of_server(void)
{
	n[SERVER] = 0;
}

void give_pending_back(void)
{
	if (n[CLIENT] + n[SERVER] == 0)
		give_back(&notes, sizeof notes);
}
