/* SPDX-License-Identifier: MIT */
#include "reply.h"

#include "../base/text.h"
#include "../sight/trace.h"

#include <string.h>

/* Bytes of a message of ours: an id, escaped, and a reason. */
enum { REPLY_MAX = 8192 };

static void add_id(struct text *t, const struct id *id)
{
	if (id->kind == '"')
		add_json(t, id->bytes, id->size);
	else
		add(t, id->bytes, id->size);
}

/* What does not fit into T is cut: then it is not said. */
static bool say(struct lane *to, struct text *t)
{
	add(t, "\n", 1);
	if (t->length == t->size || !put_in(to, t->bytes, t->length))
		return false;
	if (is_tracing())
		trace_message("server", t->bytes, t->length - 1, true, "ours");
	return true;
}

bool reply(struct lane *to, const struct id *id, const char *result)
{
	char bytes[REPLY_MAX];
	struct text t = {bytes, sizeof bytes, 0};

	addf(&t, "{\"jsonrpc\":\"2.0\",\"id\":");
	add_id(&t, id);
	addf(&t, ",\"result\":%s}", result);
	return say(to, &t);
}

bool reply_error(struct lane *to, const struct id *id, const char *why)
{
	char bytes[REPLY_MAX];
	struct text t = {bytes, sizeof bytes, 0};

	addf(&t, "{\"jsonrpc\":\"2.0\",\"id\":");
	add_id(&t, id);
	addf(&t, ",\"error\":{\"code\":-32000,\"message\":");
	add_json(&t, why, strlen(why));
	addf(&t, "}}");
	return say(to, &t);
}

bool reply_between(struct lane *to, const struct id *id, const char *head, size_t head_size,
		   const char *tail, size_t tail_size)
{
	char bytes[REPLY_MAX];
	struct text t = {bytes, sizeof bytes, 0};

	add_id(&t, id);
	return t.length < t.size && has_room(to, head_size + t.length + tail_size + 1) &&
	       put_in(to, head, head_size) && put_in(to, t.bytes, t.length) &&
	       put_in(to, tail, tail_size) && put_in(to, "\n", 1);
}

bool reply_member(struct lane *to, const struct id *id, const char *member, size_t n)
{
	char bytes[REPLY_MAX];
	struct text t = {bytes, sizeof bytes, 0};

	addf(&t, "{\"jsonrpc\":\"2.0\",\"id\":");
	add_id(&t, id);
	addf(&t, ",");
	return t.length < t.size && has_room(to, t.length + n + 2) &&
	       put_in(to, t.bytes, t.length) && put_in(to, member, n) && put_in(to, "}\n", 2);
}

static const struct {
	enum member list;
	const char *name, *filter;
} lists[] = {
	{TOOLS_LIST_CHANGED, "tools", "toolsListChanged"},
	{PROMPTS_LIST_CHANGED, "prompts", "promptsListChanged"},
	{RESOURCES_LIST_CHANGED, "resources", "resourcesListChanged"},
};

enum { LISTS = sizeof lists / sizeof *lists };

static void add_subscription(struct text *t, const struct id *subscription)
{
	addf(t, "\"_meta\":{\"io.modelcontextprotocol/subscriptionId\":");
	add_id(t, subscription);
	addf(t, "}");
}

bool notify_changed(struct lane *to, enum member list, const struct id *subscription)
{
	char bytes[REPLY_MAX];
	struct text t = {bytes, sizeof bytes, 0};
	size_t i = 0;

	while (lists[i].list != list)
		i++;
	addf(&t, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/%s/list_changed\"",
	     lists[i].name);
	if (subscription) {
		addf(&t, ",\"params\":{");
		add_subscription(&t, subscription);
		addf(&t, "}");
	}
	addf(&t, "}");
	return say(to, &t);
}

bool acknowledge(struct lane *to, const struct id *subscription, uint64_t declared)
{
	char bytes[REPLY_MAX];
	struct text t = {bytes, sizeof bytes, 0};
	bool any = false;

	addf(&t, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/subscriptions/acknowledged\","
		 "\"params\":{\"notifications\":{");
	for (size_t i = 0; i < LISTS; i++) {
		if (!(declared >> lists[i].list & 1))
			continue;
		addf(&t, "%s\"%s\":true", any ? "," : "", lists[i].filter);
		any = true;
	}
	addf(&t, "},");
	add_subscription(&t, subscription);
	addf(&t, "}}");
	return say(to, &t);
}

bool notify_cancelled(struct lane *to, const struct id *id, const char *why)
{
	char bytes[REPLY_MAX];
	struct text t = {bytes, sizeof bytes, 0};

	addf(&t, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\","
		 "\"params\":{\"requestId\":");
	add_id(&t, id);
	addf(&t, ",\"reason\":");
	add_json(&t, why, strlen(why));
	addf(&t, "}}");
	return say(to, &t);
}
