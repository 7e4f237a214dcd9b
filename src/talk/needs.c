/* SPDX-License-Identifier: MIT */
#include "needs.h"

#include "../base/clock.h"
#include "../base/memory.h"
#include "../base/options.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { URIS_MAX = 512 }; /* subscriptions */

/* There from the first on. */
static uint64_t *uris;

static struct {
	struct need for_good; /* reason NULL: none */
	size_t nuris;
	int64_t visit; /* since when; 0: none */
} needs;

void need_for_good(const char *reason, const char *detail)
{
	if (needs.for_good.reason)
		return;
	needs.for_good.reason = reason;
	needs.for_good.until = FOR_EVER;
	if (detail)
		snprintf(needs.for_good.detail, sizeof needs.for_good.detail, "%s", detail);
}

static void add_uri(uint64_t uri)
{
	if (!uris)
		uris = map_memory(URIS_MAX * sizeof *uris, MAP_PRIVATE);
	uris[needs.nuris++] = uri;
}

void subscribe(uint64_t uri)
{
	for (size_t i = 0; i < needs.nuris; i++)
		if (uris[i] == uri)
			return;
	if (needs.nuris == URIS_MAX)
		need_for_good("subscriptions", NULL);
	else
		add_uri(uri);
}

void unsubscribe(uint64_t uri)
{
	for (size_t i = 0; i < needs.nuris; i++)
		if (uris[i] == uri)
			uris[i] = uris[--needs.nuris];
}

void begin_visit(void)
{
	needs.visit = now();
}

void end_visit(void)
{
	needs.visit = 0;
}

bool has_need(struct need *need)
{
	*need = needs.for_good;
	if (need->reason)
		return true;
	*need = (struct need){.reason = "subscription", .until = FOR_EVER};
	if (needs.nuris > 0)
		return true;
	need->reason = "elicitation";
	need->until = needs.visit + opt.idle_request;
	return needs.visit > 0 && now() < need->until;
}

void forget_needs(void)
{
	needs.nuris = 0;
	needs.visit = 0;
}

void give_needs_back(void)
{
	if (uris && needs.nuris == 0)
		give_back(uris, URIS_MAX * sizeof *uris);
}
