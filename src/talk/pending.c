/* SPDX-License-Identifier: MIT */
#include "pending.h"

#include "../base/clock.h"
#include "../base/memory.h"

#include <string.h>
#include <sys/mman.h>

enum { PENDING_MAX = 512 }; /* of one side */

struct pending {
	struct id id;
	char method[NAME_SIZE];
	enum errand errand;
	bool cancelled;
	int64_t since; /* ms */
};

/* There from the first on; pages that are not used cost nothing. */
static struct notes {
	struct pending of[2][PENDING_MAX];
} * notes;

static size_t n[2];

static struct pending *find(enum side side, const struct id *id)
{
	for (size_t i = 0; i < n[side]; i++)
		if (same_id(&notes->of[side][i].id, id))
			return &notes->of[side][i];
	return NULL;
}

bool add_pending(enum side side, const struct message *m, enum errand errand)
{
	struct pending *p;

	if (n[side] == PENDING_MAX)
		return false;
	if (!notes)
		notes = map_memory(sizeof *notes, MAP_PRIVATE);
	p = &notes->of[side][n[side]];
	*p = (struct pending){.id = m->id, .errand = errand, .since = now()};
	memcpy(p->method, m->method, sizeof p->method);
	n[side]++;
	return true;
}

bool settle(enum side side, const struct id *id, enum errand *errand)
{
	struct pending *p = find(side, id);

	if (!p)
		return false;
	*errand = p->errand;
	*p = notes->of[side][--n[side]];
	return true;
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

bool awaits_work(enum side side, const struct id *id)
{
	const struct pending *p = find(side, id);

	return p && (p->errand == WORK || p->errand == WATCH);
}

int64_t held_until(enum side side, int64_t limit, char *method)
{
	int64_t until = 0;

	for (size_t i = 0; i < n[side]; i++) {
		const struct pending *p = &notes->of[side][i];
		int64_t end = p->errand == WATCH  ? INT64_MAX
			      : p->errand == WORK ? p->since + limit
						  : 0;
		if (end <= until)
			continue;
		until = end;
		memcpy(method, p->method, sizeof p->method);
	}
	return until;
}

void give_up_pending(enum side side, void (*tell)(const char *why, const struct id *id),
		     const char *why)
{
	for (size_t i = 0; i < n[side]; i++)
		if (!notes->of[side][i].cancelled)
			tell(why, &notes->of[side][i].id);
	n[side] = 0;
}

void give_pending_back(void)
{
	if (notes && n[CLIENT] + n[SERVER] == 0)
		give_back(notes, sizeof *notes);
}
