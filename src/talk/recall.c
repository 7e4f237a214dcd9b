/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "recall.h"

#include "../base/clock.h"
#include "../base/fd.h"
#include "../base/options.h"
#include "../base/say.h"
#include "../base/text.h"
#include "../sight/event.h"
#include "answers.h"
#include "kept.h"
#include "reply.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	MOMENT = 300,     /* ms after the last answer, when more of them are most likely there */
	SAVING_MAX = 500, /* ms that the end of a session waits for a disk */
};

/* Of our own requests; the digits behind it are the opening's. */
static const char our_id[] = "mcp-reap-";

static struct {
	bool opened, told;
	int64_t changed; /* when an answer came that is not saved; 0: none is */
	unsigned asked;  /* openings, by bits, that we have asked for */
	pid_t saver;     /* 0: none */
} recalled;

/* How much of the line of S is there. */
static size_t seen(const struct lines *s)
{
	return s->line_size < s->part_max ? s->line_size : s->part_max;
}

/* What an answer of ours, MEMBER of SIZE bytes, tells the client of its server. */
static void introduce(enum opening o, const char *member, size_t size)
{
	struct message m = {.over = false};

	read_message(&m, "{", 1);
	read_message(&m, member, size);
	read_message(&m, "}\n", 2);
	if (o == OPEN_INITIALIZE)
		note_answer_to_kept(INITIALIZE, &m, NULL);
	else
		note_discovery(&m);
}

/* What is kept for the client's request, the line of S. */
static const char *look_up(const struct lines *s, size_t *size)
{
	const struct message *m = &s->message;
	const char *why;

	if (!opt.lazy || opening_of(m) == OPENINGS)
		return NULL;
	if (!recalled.opened) {
		recalled.opened = true;
		why = open_answers(m, s->line, seen(s));
		if (why)
			event("lazy-nothing-kept reason=%s", quoted(why));
	}
	return find_answer(m, s->line, seen(s), size);
}

bool recall(struct lane *client, const struct lines *s)
{
	const struct message *m = &s->message;
	enum opening o = opening_of(m);
	size_t size;
	const char *member = look_up(s, &size);

	if (!member || !reply_member(client, &m->id, member, size))
		return false;
	recalled.told = true;
	if (o == OPEN_INITIALIZE || o == OPEN_DISCOVER)
		introduce(o, member, size);
	return true;
}

bool has_recalled(void)
{
	return recalled.told;
}

bool recall_listener(struct lane *client, const struct lines *s)
{
	const struct message *m = &s->message;
	size_t size;
	const char *member = look_up(s, &size);

	if (member && !declared_members())
		introduce(OPEN_LISTEN, member, size);
	if (!declared_members() || !acknowledge(client, &m->id, declared_members() & lists_of(m)))
		return false;
	recalled.told |= member != NULL;
	return true;
}

void expect(const struct lines *s)
{
	if (opt.lazy)
		expect_answer(&s->message, s->line, seen(s));
}

void expect_replayed(const char *line, size_t size)
{
	struct message m = {.over = false};

	if (!opt.lazy || size == 0)
		return;
	read_message(&m, line, size);
	expect_answer(&m, line, size - 1);
}

/* Asks for the opening O, with PARAMS of SIZE bytes. */
static void ask(struct lane *server, const struct told *told)
{
	struct message m = {.over = false};
	size_t size = told->size + 256;
	char *line = malloc(size);
	struct text t = {line, size, 0};

	if (!line)
		return;
	addf(&t, "{\"jsonrpc\":\"2.0\",\"id\":\"%s%d\",\"method\":\"%s\"", our_id,
	     (int)told->opening, opening_methods[told->opening]);
	if (told->size > 0) {
		addf(&t, ",\"params\":");
		add(&t, told->params, told->size);
	}
	addf(&t, "}\n");
	if (put_in(server, line, t.length)) {
		read_message(&m, line, t.length);
		expect_answer(&m, line, t.length - 1);
		recalled.asked |= 1U << told->opening;
	}
	free(line);
}

void ask_again(struct lane *server)
{
	struct told told;

	for (size_t at = 0; next_told(&at, &told);)
		if (told.opening != OPEN_INITIALIZE && told.opening != OPEN_LISTEN &&
		    !(recalled.asked >> told.opening & 1))
			ask(server, &told);
}

/* Which opening M answers that we asked for; OPENINGS: none. */
static enum opening asked_by_us(const struct message *m)
{
	const size_t n = sizeof our_id - 1;

	if (!recalled.asked || !is_answer(m) || m->id.kind != '"' || m->id.size != n + 1 ||
	    memcmp(m->id.bytes, our_id, n) != 0)
		return OPENINGS;
	int o = m->id.bytes[n] - '0';
	return o >= 0 && o < OPENINGS && recalled.asked >> o & 1 ? (enum opening)o : OPENINGS;
}

bool is_asked_by_us(const struct message *m)
{
	return asked_by_us(m) != OPENINGS;
}

void tell_changed(struct lane *client, enum member list)
{
	const struct id *listener;
	int at = LISTEN;

	if (!has_declared(list))
		return;
	if (has_begun_with_handshake())
		notify_changed(client, list, NULL);
	else
		while ((listener = next_listener(&at)))
			notify_changed(client, list, listener);
}

static void tell_of_change(struct lane *client, enum opening o)
{
	static const enum member declared[OPENINGS] = {
		[OPEN_TOOLS] = TOOLS_LIST_CHANGED,
		[OPEN_PROMPTS] = PROMPTS_LIST_CHANGED,
		[OPEN_RESOURCES] = RESOURCES_LIST_CHANGED,
		[OPEN_TEMPLATES] = RESOURCES_LIST_CHANGED,
	};

	if (declared[o])
		tell_changed(client, declared[o]);
}

bool awaits_lists(void)
{
	return recalled.asked;
}

bool hear_opening(struct lane *client, const struct lines *s)
{
	const struct message *m = &s->message;
	enum opening ours = asked_by_us(m);

	if (!opt.lazy)
		return false;
	if (is_notification(m) && note_changed(m))
		recalled.changed = now();
	if (ours != OPENINGS)
		recalled.asked &= ~(1U << ours);
	if (hear_answer(m, s->line, seen(s)) != NOT_AS_KEPT)
		return false;
	recalled.changed = now();
	if (ours != OPENINGS)
		tell_of_change(client, ours);
	return true;
}

void forget_asked(void)
{
	recalled.asked = 0;
}

int64_t saving_due(void)
{
	return recalled.changed && !recalled.saver ? recalled.changed + MOMENT : 0;
}

/* It holds nothing that the client waits for the end of, and dies with us. */
static void save(void)
{
	int none = -1;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close_all_but(0, &none, 0);
	_exit(save_answers() ? 1 : 0);
}

void save_opening(void)
{
	recalled.changed = 0;
	recalled.saver = fork();
	if (recalled.saver == 0)
		save();
	if (recalled.saver < 0)
		recalled.saver = 0;
}

bool has_saved(pid_t pid, int status)
{
	if (!recalled.saver || pid != recalled.saver)
		return false;
	if (status)
		event("lazy-not-kept");
	recalled.saver = 0;
	return true;
}

void finish_saving(void)
{
	int64_t deadline = now() + SAVING_MAX;
	const struct timespec moment = {.tv_nsec = 1000000};

	if (recalled.changed)
		save_opening();
	while (recalled.saver && waitpid(recalled.saver, NULL, WNOHANG) == 0 && now() < deadline)
		nanosleep(&moment, NULL);
}
