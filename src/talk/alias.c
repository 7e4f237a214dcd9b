/* SPDX-License-Identifier: MIT */
#include "alias.h"

#include "../base/memory.h"
#include "reply.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { IDS_MAX = 16 }; /* more are rare: the oldest is forgotten, and no alias made */

struct aliases {
	struct id owed[IDS_MAX];
	size_t nowed;
	struct {
		struct id id, alias;
	} of[IDS_MAX];
	size_t n;
	unsigned long count;
};

static struct aliases *aliases; /* NULL: none so far */

static void begin_aliases(void)
{
	if (!aliases)
		aliases = map_memory(sizeof *aliases, MAP_PRIVATE);
}

static size_t find_owed(const struct id *id)
{
	size_t i = 0;

	while (i < aliases->nowed && !same_id(&aliases->owed[i], id))
		i++;
	return i;
}

void owe_answer(const struct id *id)
{
	begin_aliases();
	if (aliases->nowed == IDS_MAX)
		take_owed(&aliases->owed[0]);
	aliases->owed[aliases->nowed++] = *id;
}

bool is_owed(const struct id *id)
{
	return aliases && find_owed(id) < aliases->nowed;
}

void take_owed(const struct id *id)
{
	if (!is_owed(id))
		return;
	size_t i = find_owed(id);
	aliases->nowed--;
	memmove(&aliases->owed[i], &aliases->owed[i + 1],
		(aliases->nowed - i) * sizeof aliases->owed[0]);
}

bool say_by(struct lane *to, const struct lines *s, const struct id *id)
{
	const struct span *at = &s->message.id_at;

	return s->line_size <= s->part_max &&
	       reply_between(to, id, s->line, (size_t)at->start, s->line + at->end,
			     s->line_size - (size_t)at->end);
}

bool say_by_alias(struct lane *client, const struct lines *s)
{
	struct id alias = {.kind = '"'};

	if (!is_owed(&s->message.id) || aliases->n == IDS_MAX)
		return false;
	alias.size = (unsigned char)snprintf(alias.bytes, sizeof alias.bytes, "mcp-reap-asks-%lu",
					     ++aliases->count);
	if (!say_by(client, s, &alias))
		return false;
	aliases->of[aliases->n].id = s->message.id;
	aliases->of[aliases->n++].alias = alias;
	return true;
}

static void drop(size_t i)
{
	aliases->of[i] = aliases->of[--aliases->n];
}

bool resolve_alias(const struct id *alias, struct id *id)
{
	for (size_t i = 0; aliases && i < aliases->n; i++)
		if (same_id(&aliases->of[i].alias, alias)) {
			*id = aliases->of[i].id;
			drop(i);
			return true;
		}
	return false;
}

bool withdraw_alias(const struct id *id, struct id *alias)
{
	for (size_t i = 0; aliases && i < aliases->n; i++)
		if (same_id(&aliases->of[i].id, id)) {
			*alias = aliases->of[i].alias;
			drop(i);
			return true;
		}
	return false;
}

bool has_aliases(void)
{
	return aliases && aliases->nowed + aliases->n > 0;
}
