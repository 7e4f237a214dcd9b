/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "restart.h"

#include "../base/clock.h"
#include "../base/options.h"
#include "../base/say.h"
#include "../base/text.h"
#include "../sight/event.h"
#include "../talk/talk.h"
#include "../tree/program.h"
#include "ending.h"
#include "start.h"

#include <stdio.h>
#include <string.h>

enum {
	EARLY = 60000,  /* ms after its start a death is one of a server that cannot live */
	EARLY_MAX = 5,  /* such deaths behind each other */
	WAIT_MIN = 500, /* ms from the second of them to the next start; twice as long each time */
	WORDS = 3,      /* lines that are kept */
	WORDS_MAX = 200 /* bytes of each */
};

static struct {
	char line[WORDS][WORDS_MAX + 1];
	size_t next;
} words;

/* Without a handshake a new server has nothing to answer before it is asked: one that dies without
 * a word has not come up. */
static bool was_brought_up_in_vain(const struct session *s)
{
	return s->outlived && !s->spoke;
}

/* What has never spoken can be brought back to nothing, and most often cannot be started. */
bool outlives_death(const struct session *s)
{
	return (opt.restart || was_brought_up_in_vain(s)) && s->server == UP && !s->over &&
	       !s->forced && !s->relay_failed && !s->input_ended && s->has_served &&
	       s->out.out.fd >= 0;
}

void outlive(struct session *s)
{
	take_down(s, DIED);
}

/* How the server ended, into WHY. */
static void say_how(const struct session *s, char *why, size_t size)
{
	if (s->killed_by)
		snprintf(why, size, "the server was killed by signal %s%s",
			 signal_name(s->killed_by), last_words());
	else
		snprintf(why, size, "the server exited with status %d%s", s->status, last_words());
}

bool note_death(struct session *s)
{
	char why[WHY_MAX];

	s->deaths = now() < s->started + EARLY ? s->deaths + 1 : 1;
	if (s->deaths == EARLY_MAX && opt.restart) {
		complain(
			"restart: the server has died %d times, each time within %d s of its start",
			EARLY_MAX, EARLY / 1000);
		say_reason(s, "server-exited", "");
		s->over = 0;
		return false;
	}
	if (s->deaths > 1)
		s->not_before =
			now() + (WAIT_MIN << ((s->deaths < EARLY_MAX ? s->deaths : EARLY_MAX) - 2));
	event("server-died status=%d deaths=%d", s->status, s->deaths);
	say_how(s, why, sizeof why);
	drop_ours(&s->in);
	end_server(why, true);
	return true;
}

void restart_now(struct session *s)
{
	forget_program(false); /* it may not be what the command starts now */
	expect_changes();
	if (s->server == UP && outlives_death(s))
		take_down(s, ASKED);
	else if (s->server == GOING_DOWN && s->why == IDLE)
		s->why = ASKED; /* what goes down anyway is followed by another at once */
	else if (s->server == STOPPED)
		want_server();
}

static void keep_words(struct lines *s)
{
	size_t n = s->line_size < WORDS_MAX ? s->line_size : WORDS_MAX;

	if (n == 0)
		return;
	memcpy(words.line[words.next], s->line, n);
	words.line[words.next][n] = '\0';
	defuse(words.line[words.next], n);
	words.next = (words.next + 1) % WORDS;
}

void keep_last_words(struct lines *errors)
{
	keep_parts(errors, PART_MAX);
	listen_to(errors, keep_words);
}

void forget_last_words(void)
{
	memset(&words, 0, sizeof words);
}

const char *last_words(void)
{
	static char all[WORDS * (WORDS_MAX + 2) + 1];
	struct text t = {all, sizeof all - 1, 0};

	for (size_t i = 0; i < WORDS; i++) {
		const char *line = words.line[(words.next + i) % WORDS];
		if (*line)
			addf(&t, "%s%s", t.length > 0 ? "; " : ": ", line);
	}
	all[t.length] = '\0';
	return all;
}
