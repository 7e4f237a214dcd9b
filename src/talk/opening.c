/* SPDX-License-Identifier: MIT */
#include "opening.h"

#include "../base/json.h"
#include "../base/text.h"

#include <stdlib.h>
#include <string.h>

enum {
	CUTS_MAX = 8,
	METHOD_NOT_FOUND = -32601,
};

const char *const opening_methods[OPENINGS] = {
	[OPEN_INITIALIZE] = "initialize",
	[OPEN_DISCOVER] = "server/discover",
	[OPEN_TOOLS] = "tools/list",
	[OPEN_PROMPTS] = "prompts/list",
	[OPEN_RESOURCES] = "resources/list",
	[OPEN_TEMPLATES] = "resources/templates/list",
	[OPEN_LISTEN] = "subscriptions/listen",
};

/* Of params._meta. */
static const char *const new_each_time[] = {"progressToken", "traceparent", "tracestate",
					    "baggage"};

enum opening opening_of_method(const char *method)
{
	enum opening o = OPEN_INITIALIZE;

	while (o < OPENINGS && strcmp(method, opening_methods[o]) != 0)
		o++;
	return o;
}

bool is_of_lists(const struct message *m)
{
	return has_member(m, NOTIFICATIONS) && !is_set(m, LISTEN_OTHER);
}

uint64_t lists_of(const struct message *m)
{
	return (uint64_t)is_set(m, LISTEN_TOOLS) << TOOLS_LIST_CHANGED |
	       (uint64_t)is_set(m, LISTEN_PROMPTS) << PROMPTS_LIST_CHANGED |
	       (uint64_t)is_set(m, LISTEN_RESOURCES) << RESOURCES_LIST_CHANGED;
}

bool is_acknowledgement(const struct message *m)
{
	return is_notification(m) &&
	       strcmp(m->method, "notifications/subscriptions/acknowledged") == 0;
}

enum opening opening_of(const struct message *m)
{
	if (!is_clear(m) || !is_request(m) || has_member(m, CURSOR))
		return OPENINGS;
	enum opening o = opening_of_method(m->method);
	return o == OPEN_LISTEN && !is_of_lists(m) ? OPENINGS : o;
}

/* What is to be cut from the text of params. */
struct cuts {
	bool in_meta, too_many;
	const char *key; /* of the value that comes */
	size_t n;
	struct {
		const char *key;
		size_t start, end; /* of the value */
	} all[CUTS_MAX];
};

static enum json_want meet_param(void *arg, const struct json *j)
{
	struct cuts *c = arg;

	c->key = NULL;
	if (j->depth == 1) {
		c->in_meta = j->size == 5 && memcmp(j->text, "_meta", 5) == 0;
		return JSON_NOTHING;
	}
	for (size_t i = 0; i < sizeof new_each_time / sizeof *new_each_time; i++)
		if (j->size == strlen(new_each_time[i]) &&
		    memcmp(j->text, new_each_time[i], (size_t)j->size) == 0)
			c->key = new_each_time[i];
	return c->key ? JSON_VALUE : JSON_NOTHING;
}

/* Objects and arrays are none that we know, and stay. */
static void note_cut(void *arg, const struct json *j, char kind)
{
	struct cuts *c = arg;

	(void)kind;
	if (!c->key)
		return;
	if (c->n == CUTS_MAX) {
		c->too_many = true;
		return;
	}
	c->all[c->n].key = c->key;
	c->all[c->n].start = (size_t)j->start;
	c->all[c->n++].end = (size_t)j->end;
	c->key = NULL;
}

static bool enter_params(void *arg, const struct json *j, char kind)
{
	const struct cuts *c = arg;

	return kind == '{' && (j->depth == 0 || (j->depth == 1 && c->in_meta));
}

static void leave(void *arg, const struct json *j)
{
	(void)arg;
	(void)j;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static size_t back_over_blanks(const char *text, size_t at)
{
	while (is_blank(text[at - 1]))
		at--;
	return at;
}

/* Cuts the member KEY, whose value is in TEXT from START to END, from its SIZE bytes.  Returns
 * false if the key is written in a way of its own. */
static bool cut(char *text, size_t *size, const char *key, size_t start, size_t end)
{
	size_t n = strlen(key), at = back_over_blanks(text, start) - 1; /* the colon's */

	at = back_over_blanks(text, at);
	if (at < n + 2 || memcmp(text + at - n - 1, key, n) != 0)
		return false;
	start = at - n - 2;
	while (is_blank(text[end]))
		end++;
	if (text[end] == ',') {
		while (is_blank(text[++end]))
			;
	} else {
		at = back_over_blanks(text, start);
		if (text[at - 1] == ',')
			start = at - 1;
	}
	memmove(text + start, text + end, *size - end);
	*size -= end - start;
	return true;
}

char *lasting_params(const struct message *m, const char *line, size_t n, size_t *size)
{
	static const struct json_listener listener = {meet_param, note_cut, enter_params, leave};
	const struct span *at = &m->params_at;
	struct cuts c = {.n = 0};
	struct json j;

	if (!has_member(m, PARAMS))
		return copy_behind("", "", 0, size);
	if (at->end > n)
		return NULL;
	char *text = copy_behind("", line + at->start, (size_t)(at->end - at->start), size);
	if (!text)
		return NULL;
	json_begin(&j, &listener, &c);
	json_read(&j, text, *size);
	bool clear = json_end(&j) && !c.too_many && *text == '{';
	while (clear && c.n > 0) { /* the last one first: the others stay where they are */
		c.n--;
		clear = cut(text, size, c.all[c.n].key, c.all[c.n].start, c.all[c.n].end);
	}
	if (!clear) {
		free(text);
		return NULL;
	}
	text[*size] = '\0';
	return text;
}

static enum json_want meet_cursor(void *arg, const struct json *j)
{
	(void)arg;
	return j->depth == 1 && j->size == 10 && memcmp(j->text, "nextCursor", 10) == 0
		       ? JSON_VALUE
		       : JSON_NOTHING;
}

static void note_cursor(void *arg, const struct json *j, char kind)
{
	(void)j;
	*(bool *)arg |= kind != 'n';
}

static bool enter_result(void *arg, const struct json *j, char kind)
{
	(void)arg;
	(void)kind;
	return j->depth == 0;
}

/* Whether RESULT, an object of SIZE bytes, is the first of many pages. */
static bool has_next_page(const char *result, size_t size)
{
	static const struct json_listener listener = {meet_cursor, note_cursor, enter_result,
						      leave};
	bool found = false;
	struct json j;

	json_begin(&j, &listener, &found);
	json_read(&j, result, size);
	return !json_end(&j) || found;
}

/* What M acknowledges. */
static char *acknowledged_lists(const struct message *m, size_t *size)
{
	static const struct {
		enum member list;
		const char *name;
	} lists[] = {{TOOLS_LIST_CHANGED, "tools"},
		     {PROMPTS_LIST_CHANGED, "prompts"},
		     {RESOURCES_LIST_CHANGED, "resources"}};
	char bytes[128];
	struct text t = {bytes, sizeof bytes, 0};

	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		if (lists_of(m) >> lists[i].list & 1)
			addf(&t, "%s\"%s\":{\"listChanged\":true}", t.length > 0 ? "," : "",
			     lists[i].name);
	addf(&t, "}}");
	return copy_behind("\"result\":{\"capabilities\":{", t.bytes, t.length, size);
}

char *lasting_member(enum opening o, const struct message *m, const char *line, size_t n,
		     size_t *size)
{
	const struct span *at = is_error(m) ? &m->error_at : &m->result_at;

	if (o == OPEN_LISTEN)
		return is_clear(m) && is_acknowledgement(m) ? acknowledged_lists(m, size) : NULL;
	if (!is_clear(m) || !is_answer(m) || at->end > n || line[at->start] != '{')
		return NULL;
	line += at->start;
	n = (size_t)(at->end - at->start);
	/* Servers of old have many ways to say that they know nothing of server/discover. */
	if (is_error(m))
		return o == OPEN_DISCOVER || (o != OPEN_INITIALIZE && is_set(m, ERROR_CODE) &&
					      m->error_code == METHOD_NOT_FOUND)
			       ? copy_behind("\"error\":", line, n, size)
			       : NULL;
	if ((*m->result_type && strcmp(m->result_type, "complete") != 0) || has_next_page(line, n))
		return NULL;
	return copy_behind("\"result\":", line, n, size);
}
