/* SPDX-License-Identifier: MIT */
#include "alias.h"

#include <stdio.h>
#include <string.h>

enum { IDS_MAX = 16 }; /* more are rare: the oldest is forgotten, and no alias made */

static struct {
	struct id owed[IDS_MAX];
	size_t nowed;
	struct {
		struct id id, alias;
	} of[IDS_MAX];
	size_t n;
	unsigned long count;
} aliases;

static size_t find_owed(const struct id *id)
{
	size_t i = 0;

	while (i < aliases.nowed && !same_id(&aliases.owed[i], id))
		i++;
	return i;
}

void owe_answer(const struct id *id)
{
	if (aliases.nowed == IDS_MAX)
		take_owed(&aliases.owed[0]);
	aliases.owed[aliases.nowed++] = *id;
}

bool is_owed(const struct id *id)
{
	return find_owed(id) < aliases.nowed;
}

void take_owed(const struct id *id)
{
	size_t i = find_owed(id);

	if (i == aliases.nowed)
		return;
	aliases.nowed--;
	memmove(&aliases.owed[i], &aliases.owed[i + 1],
		(aliases.nowed - i) * sizeof aliases.owed[0]);
}

const struct id *alias_of(const struct id *id)
{
	struct id *alias;

	if (aliases.n == IDS_MAX)
		return NULL;
	alias = &aliases.of[aliases.n].alias;
	aliases.of[aliases.n++].id = *id;
	*alias = (struct id){.kind = '"'};
	alias->size = (unsigned char)snprintf(alias->bytes, sizeof alias->bytes,
					      "mcp-reap-asks-%lu", ++aliases.count);
	return alias;
}

static void drop(size_t i)
{
	aliases.of[i] = aliases.of[--aliases.n];
}

bool resolve_alias(const struct id *alias, struct id *id)
{
	for (size_t i = 0; i < aliases.n; i++)
		if (same_id(&aliases.of[i].alias, alias)) {
			*id = aliases.of[i].id;
			drop(i);
			return true;
		}
	return false;
}

bool withdraw_alias(const struct id *id, struct id *alias)
{
	for (size_t i = 0; i < aliases.n; i++)
		if (same_id(&aliases.of[i].id, id)) {
			*alias = aliases.of[i].alias;
			drop(i);
			return true;
		}
	return false;
}

bool has_aliases(void)
{
	return aliases.nowed + aliases.n > 0;
}
