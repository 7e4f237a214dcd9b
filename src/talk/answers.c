/* SPDX-License-Identifier: MIT */
#include "answers.h"

#include "../base/cache.h"
#include "../base/digest.h"
#include "../base/json.h"
#include "../base/text.h"
#include "key.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	KEY_MAX = 1 << 18, /* bytes */
	ANSWERS_MAX = 16,
	ASKED_MAX = 16,
	DAY = 24 * 3600, /* s: what is confirmed is younger from then on */
	WEEK = 7 * DAY,  /* s: what is older is not used */
	LINE_MORE =
		128, /* bytes of a line of the file besides its params and its member, at most */
};

/* An answer, or a request that has none yet. */
struct answer {
	enum opening opening;
	char *params; /* see lasting_params() */
	size_t params_size;
	char *member; /* see lasting_member() */
	size_t member_size;
	int64_t time; /* s: when it was said last */
	bool told;
	bool changed; /* since: it is not used, nor written */
	struct id id; /* of a request */
};

static struct {
	char *key; /* the file's first line; NULL: not open */
	size_t key_size;
	char name[DIGEST_SIZE]; /* the file's */
	struct answer *kept;    /* ANSWERS_MAX of them */
	size_t nkept;
	struct answer *asked; /* ASKED_MAX */
	size_t nasked;
	size_t size;  /* bytes of the file */
	bool changed; /* since it was read */
	/* Whether the session's initialize is the one that is kept. */
	enum { NOT_YET, THE_SAME, ANOTHER } initialize;
} answers;

/* ---- What is kept. */

static size_t line_size(const struct answer *a)
{
	return a->params_size + a->member_size + LINE_MORE;
}

static void remove_from(struct answer *all, size_t *n, size_t i)
{
	free(all[i].params);
	free(all[i].member);
	--*n;
	memmove(all + i, all + i + 1, (*n - i) * sizeof *all);
}

static void drop_kept(size_t i)
{
	answers.size -= line_size(&answers.kept[i]);
	answers.changed = true;
	remove_from(answers.kept, &answers.nkept, i);
}

static struct answer *find_kept(enum opening o, const char *params, size_t size)
{
	for (size_t i = 0; i < answers.nkept; i++) {
		struct answer *a = &answers.kept[i];
		if (a->opening == o && a->params_size == size &&
		    memcmp(a->params, params, size) == 0)
			return a;
	}
	return NULL;
}

static bool keeps_any(enum opening o)
{
	for (size_t i = 0; i < answers.nkept; i++)
		if (answers.kept[i].opening == o)
			return true;
	return false;
}

/* Takes over A, unless there is no room for it. */
static void keep(struct answer *a)
{
	if (answers.nkept == ANSWERS_MAX || answers.size + line_size(a) > CACHED_SIZE_MAX) {
		free(a->params);
		free(a->member);
		return;
	}
	answers.size += line_size(a);
	answers.changed = true;
	answers.kept[answers.nkept++] = *a;
}

/* Another initialize than the one that is kept: the lists behind that one are another session's. */
static void begin_another(void)
{
	for (size_t i = answers.nkept; i-- > 0;)
		if (answers.kept[i].opening != OPEN_DISCOVER)
			drop_kept(i);
}

/* ---- The file. */

enum part { METHOD_PART, TIME_PART, PARAMS_PART, RESULT_PART, ERROR_PART, PARTS };

static const char *const part_names[PARTS] = {"method", "time", "params", "result", "error"};

/* A line of the file as it is read. */
struct kept_line {
	enum part part; /* whose value comes */
	bool odd;
	uint64_t start;
	struct span at[PARTS];
	enum opening opening;
	int64_t time;
};

static enum json_want meet_part(void *arg, const struct json *j)
{
	struct kept_line *l = arg;

	for (l->part = METHOD_PART; l->part < PARTS; l->part++)
		if (j->size == strlen(part_names[l->part]) &&
		    memcmp(j->text, part_names[l->part], (size_t)j->size) == 0)
			break;
	if (l->part == PARTS || l->at[l->part].end)
		l->odd = true;
	return l->part > TIME_PART ? JSON_VALUE : JSON_TEXT;
}

/* What a string or number of the line says. */
static void note_part(void *arg, const struct json *j, char kind)
{
	struct kept_line *l = arg;
	char text[JSON_TEXT_MAX + 1];

	if (l->part > TIME_PART || j->size > JSON_TEXT_MAX ||
	    kind != (l->part == TIME_PART ? '0' : '"')) {
		l->odd = true;
		return;
	}
	memcpy(text, j->text, (size_t)j->size);
	text[j->size] = '\0';
	l->at[l->part] = (struct span){j->start, j->end};
	if (l->part == METHOD_PART)
		l->opening = opening_of_method(text);
	else if (j->size <= 15 && strspn(text, "0123456789") == j->size)
		l->time = strtoll(text, NULL, 10);
	else
		l->odd = true;
}

static bool enter_part(void *arg, const struct json *j, char kind)
{
	struct kept_line *l = arg;

	if (j->depth == 1) {
		l->start = j->start;
		l->odd |= kind != '{' || l->part <= TIME_PART;
	}
	return j->depth == 0 && kind == '{';
}

static void leave_part(void *arg, const struct json *j)
{
	struct kept_line *l = arg;

	if (j->depth == 1 && l->part < PARTS)
		l->at[l->part] = (struct span){l->start, j->end};
}

static char *copy_part(const char *line, const struct span *at, const char *prefix, size_t *size)
{
	return copy_behind(prefix, line + at->start, (size_t)(at->end - at->start), size);
}

/* Keeps what LINE of the file says, of N bytes.  Returns false if it is not as we write it. */
static bool read_line(const char *line, size_t n, int64_t at)
{
	static const struct json_listener listener = {meet_part, note_part, enter_part, leave_part};
	struct kept_line l = {.opening = OPENINGS};
	struct json j;

	json_begin(&j, &listener, &l);
	json_read(&j, line, n);
	bool error = l.at[ERROR_PART].end;
	if (!json_end(&j) || *line != '{' || l.odd || l.opening == OPENINGS ||
	    !l.at[TIME_PART].end || error == !!l.at[RESULT_PART].end ||
	    (error && l.opening == OPEN_INITIALIZE))
		return false;
	if (l.time > at + DAY || l.time < at - WEEK)
		return true; /* as good as not there */
	struct answer a = {.opening = l.opening, .time = l.time};
	a.params = copy_part(line, &l.at[PARAMS_PART], "", &a.params_size);
	a.member = copy_part(line, &l.at[error ? ERROR_PART : RESULT_PART],
			     error ? "\"error\":" : "\"result\":", &a.member_size);
	bool again = (a.opening == OPEN_INITIALIZE && keeps_any(OPEN_INITIALIZE)) ||
		     (a.params && find_kept(a.opening, a.params, a.params_size));
	if (!a.params || !a.member || again) {
		free(a.params);
		free(a.member);
		return !again;
	}
	keep(&a);
	return true;
}

/* Keeps what the N BYTES of the file say.  Returns NULL, or why that is nothing. */
static const char *read_file(const char *bytes, size_t n)
{
	int64_t at = (int64_t)time(NULL);

	if (n < answers.key_size || memcmp(bytes, answers.key, answers.key_size) != 0)
		return "other-key";
	for (size_t from = answers.key_size; from < n;) {
		const char *end = memchr(bytes + from, '\n', n - from);
		if (!end || !read_line(bytes + from, (size_t)(end - bytes) - from, at))
			return "broken";
		from = (size_t)(end - bytes) + 1;
	}
	return answers.nkept ? NULL : "old";
}

static const char *load(void)
{
	size_t n;
	char *bytes = malloc(CACHED_SIZE_MAX); /* of which what is not used costs nothing */

	if (!bytes)
		return "no-memory";
	const char *why = read_cached(answers.name, bytes, &n);
	if (!why)
		why = read_file(bytes, n);
	free(bytes);
	while (why && answers.nkept > 0)
		drop_kept(answers.nkept - 1);
	answers.changed = false;
	return why;
}

/* The file's first line, for a session whose client opens with O and PARAMS.  Returns NULL, or why
 * there is none. */
static const char *make_key(enum opening o, const char *params, size_t size)
{
	char *bytes = malloc(KEY_MAX);
	struct text t = {bytes, KEY_MAX, 0};
	struct digest d;

	if (!bytes)
		return "no-memory";
	add(&t, "{", 1);
	const char *why = add_key(&t);
	addf(&t, ",\"opening\":{\"method\":\"%s\"", opening_methods[o]);
	if (size > 0)
		addf(&t, ",\"params\":");
	add(&t, params, size);
	add(&t, "}}\n", 3);
	if (!why && t.length >= KEY_MAX - 1)
		why = "long-key";
	if (why) {
		free(bytes);
		return why;
	}
	answers.key = bytes;
	answers.key_size = answers.size = t.length;
	begin_digest(&d);
	digest_bytes(&d, bytes, t.length);
	end_digest(&d, answers.name);
	answers.name[CACHED_NAME_LENGTH] = '\0';
	return NULL;
}

const char *open_answers(const struct message *m, const char *line, size_t n)
{
	enum opening o = opening_of(m);
	size_t size;
	char *params = o == OPENINGS ? NULL : lasting_params(m, line, n, &size);

	if (!params)
		return "other-opening";
	answers.kept = calloc(ANSWERS_MAX, sizeof *answers.kept);
	answers.asked = calloc(ASKED_MAX, sizeof *answers.asked);
	const char *why = answers.kept && answers.asked ? make_key(o, params, size) : "no-memory";
	free(params);
	return why ? why : load();
}

const char *save_answers(void)
{
	if (!answers.key || !answers.changed)
		return NULL;
	char *bytes = malloc(answers.size);
	if (!bytes)
		return "no memory";
	struct text t = {bytes, answers.size, 0};
	add(&t, answers.key, answers.key_size);
	for (size_t i = 0; i < answers.nkept; i++) {
		const struct answer *a = &answers.kept[i];
		if (a->changed)
			continue;
		addf(&t, "{\"time\":%lld,\"method\":\"%s\"", (long long)a->time,
		     opening_methods[a->opening]);
		if (a->params_size > 0)
			addf(&t, ",\"params\":");
		add(&t, a->params, a->params_size);
		add(&t, ",", 1);
		add(&t, a->member, a->member_size);
		add(&t, "}\n", 2);
	}
	const char *why = write_cached(answers.name, bytes, t.length);
	free(bytes);
	answers.changed = why != NULL;
	return why;
}

void close_answers(void)
{
	while (answers.nkept > 0)
		remove_from(answers.kept, &answers.nkept, answers.nkept - 1);
	while (answers.nasked > 0)
		remove_from(answers.asked, &answers.nasked, answers.nasked - 1);
	free(answers.kept);
	free(answers.asked);
	free(answers.key);
	memset(&answers, 0, sizeof answers);
}

/* ---- The session. */

const char *find_answer(const struct message *m, const char *line, size_t n, size_t *size)
{
	enum opening o = opening_of(m);
	size_t params_size;
	char *params =
		!answers.key || o == OPENINGS ? NULL : lasting_params(m, line, n, &params_size);

	if (!params)
		return NULL;
	struct answer *a = find_kept(o, params, params_size);
	free(params);
	if (o == OPEN_INITIALIZE)
		answers.initialize = a ? THE_SAME : ANOTHER;
	else if (o != OPEN_DISCOVER && answers.initialize != THE_SAME &&
		 (answers.initialize == ANOTHER || keeps_any(OPEN_INITIALIZE)))
		return NULL;
	if (!a || a->changed)
		return NULL;
	a->told = true;
	*size = a->member_size;
	return a->member;
}

bool next_told(size_t *at, struct told *t)
{
	while (*at < answers.nkept) {
		const struct answer *a = &answers.kept[(*at)++];
		if (!a->told)
			continue;
		*t = (struct told){a->opening, a->params, a->params_size};
		return true;
	}
	return false;
}

void expect_answer(const struct message *m, const char *line, size_t n)
{
	struct answer a = {.opening = opening_of(m), .id = m->id};

	if (!answers.key || a.opening == OPENINGS)
		return;
	for (size_t i = answers.nasked; i-- > 0;) /* an id that is used again */
		if (same_id(&answers.asked[i].id, &m->id))
			remove_from(answers.asked, &answers.nasked, i);
	a.params = lasting_params(m, line, n, &a.params_size);
	if (a.opening == OPEN_INITIALIZE &&
	    !(a.params && find_kept(OPEN_INITIALIZE, a.params, a.params_size))) {
		answers.initialize = ANOTHER;
		begin_another();
	}
	if (!a.params)
		return;
	if (answers.nasked == ASKED_MAX) /* it was cancelled, or never answered */
		remove_from(answers.asked, &answers.nasked, 0);
	answers.asked[answers.nasked++] = a;
}

/* Keeps A, which was asked for and has been answered with what is its member now.  Returns whether
 * that was kept already. */
static bool keep_heard(struct answer *a)
{
	struct answer *old = find_kept(a->opening, a->params, a->params_size);
	bool same = old && old->member_size == a->member_size &&
		    memcmp(old->member, a->member, a->member_size) == 0;

	a->time = (int64_t)time(NULL);
	if (same && !old->changed && a->time - old->time < DAY && old->time <= a->time) {
		free(a->params);
		free(a->member);
		return true;
	}
	a->told = old && old->told;
	if (old)
		drop_kept((size_t)(old - answers.kept));
	keep(a);
	return same;
}

/* An acknowledgement is the first listener's: servers give them in order. */
static bool is_answered_by(const struct answer *asked, const struct message *m)
{
	return is_answer(m) ? same_id(&asked->id, &m->id) : asked->opening == OPEN_LISTEN;
}

enum heard hear_answer(const struct message *m, const char *line, size_t n)
{
	size_t i = 0;

	if (!is_answer(m) && !is_acknowledgement(m))
		return NOT_EXPECTED;
	while (i < answers.nasked && !is_answered_by(&answers.asked[i], m))
		i++;
	if (i == answers.nasked)
		return NOT_EXPECTED;
	struct answer a = answers.asked[i];
	answers.asked[i].params = NULL; /* A has them */
	remove_from(answers.asked, &answers.nasked, i);
	a.member = lasting_member(a.opening, m, line, n, &a.member_size);
	if (!a.member) {
		struct answer *old = find_kept(a.opening, a.params, a.params_size);
		free(a.params);
		if (!old)
			return NOT_EXPECTED;
		drop_kept((size_t)(old - answers.kept));
		return NOT_AS_KEPT;
	}
	if (a.opening == OPEN_INITIALIZE)
		answers.initialize = THE_SAME;
	return keep_heard(&a) ? AS_KEPT : NOT_AS_KEPT;
}

/* What the server has been asked for and answers behind it is newer than that: servers that change
 * their tools at the end of the handshake would else have nothing kept. */
bool note_changed(const struct message *m)
{
	static const struct {
		const char *method;
		enum opening one, another;
	} changes[] = {
		{"notifications/tools/list_changed", OPEN_TOOLS, OPEN_TOOLS},
		{"notifications/prompts/list_changed", OPEN_PROMPTS, OPEN_PROMPTS},
		{"notifications/resources/list_changed", OPEN_RESOURCES, OPEN_TEMPLATES},
	};
	enum opening one = OPENINGS, another = OPENINGS;

	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++)
		if (strcmp(m->method, changes[i].method) == 0) {
			one = changes[i].one;
			another = changes[i].another;
		}
	bool any = false;
	for (size_t i = 0; i < answers.nkept; i++) {
		struct answer *a = &answers.kept[i];
		if (!a->changed && (a->opening == one || a->opening == another))
			a->changed = answers.changed = any = true;
	}
	return any;
}
