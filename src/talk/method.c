/* SPDX-License-Identifier: MIT */
#include "method.h"

#include "kept.h"

#include <string.h>

bool is_called(const struct message *m, const char *method)
{
	return strcmp(m->method, method) == 0;
}

static bool is_any_of(const struct message *m, const char *const *methods)
{
	while (*methods && !is_called(m, *methods))
		methods++;
	return *methods;
}

bool is_opening(const struct message *m)
{
	static const char *const methods[] = {
		"initialize",
		"notifications/initialized",
		"ping",
		"server/discover",
		"tools/list",
		"prompts/list",
		"resources/list",
		"resources/templates/list",
		"logging/setLevel",
		"notifications/cancelled",
		"notifications/roots/list_changed",
		NULL,
	};
	enum kept_line which;

	return is_any_of(m, methods) || is_to_be_kept(m, &which);
}

bool says_lists_changed(const struct message *m)
{
	static const char *const methods[] = {
		"notifications/tools/list_changed",
		"notifications/prompts/list_changed",
		"notifications/resources/list_changed",
		NULL,
	};

	return is_any_of(m, methods);
}

bool is_push(const struct message *m)
{
	static const char *const others[] = {
		"notifications/message",
		"notifications/progress",
		"notifications/cancelled",
		"notifications/resources/updated",
		"notifications/subscriptions/acknowledged",
		"notifications/elicitation/complete",
		"notifications/tasks/status",
		NULL,
	};

	return !says_lists_changed(m) && !is_any_of(m, others);
}

enum errand errand_of_server(const struct message *m)
{
	if (is_called(m, "roots/list"))
		return ROOTS;
	return is_called(m, "ping") ? SMALL : WORK;
}

enum errand errand_of_client(const struct message *m)
{
	if (is_called(m, "subscriptions/listen"))
		return WATCH;
	return is_called(m, "ping") ? SMALL : WORK;
}

bool is_work(enum errand errand)
{
	return errand == WORK || errand == WATCH;
}
