/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "restore.h"

#include "../base/clock.h"
#include "../base/fd.h"
#include "../base/say.h"
#include "../base/self.h"
#include "../sight/event.h"
#include "../sight/trace.h"
#include "../talk/recall.h"
#include "../talk/talk.h"
#include "../tree/program.h"
#include "../tree/tree.h"
#include "client.h"
#include "ending.h"
#include "idle.h"
#include "reaper.h"
#include "relay.h"
#include "restart.h"
#include "start.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

enum {
	TRY_MAX = 30000,      /* ms, for a server to answer initialize, and the first one's time */
	TRYING_MAX = 30000,   /* after which no other try is made */
	WAIT_MIN = 500,       /* between the first tries; twice as long each time */
	QUESTIONS_MAX = 2000, /* for what the server asks before it is ready */
	SETTLING = 100,       /* at least, for its work on the answers */
};

/* Tells the new server the client's line WHICH, if the one before has heard it. */
static void replay(struct session *s, enum kept_line which)
{
	size_t size;
	const char *line = line_to_replay(which, &size);

	put_in(&s->in, line, size);
	if (which == INITIALIZE || which >= LISTEN)
		expect_replayed(line, size);
	if (size > 0 && is_tracing())
		trace_message("client", line, size - 1, true, "replayed");
}

static void go_on(struct session *s)
{
	const char *what = s->has_served ? "idle-start" : "lazy-start";

	if (s->spoke)
		muster(s->reaper, &s->crew);
	s->server = UP;
	s->has_served |= s->spoke;
	tell_of_changes();
	set_phase(SERVED);
	s->in.held = false;
	release_later(&s->in);
	s->put_off = 0;
	double seconds = (double)(now() - s->called) / 1000;
	if (noted_program())
		event("%s seconds=%.3f program=%s", what, seconds, quoted(noted_program()));
	else
		event("%s seconds=%.3f", what, seconds);
	s->called = 0;
	if (s->input_ended)
		s->input_ended = now(); /* it can read that only now */
	pump_input(s);
}

/* The server has heard initialize, and what comes behind it follows. */
static void finish_handshake(struct session *s)
{
	for (int line = INITIALIZED; line < KEPT_LINES; line++)
		replay(s, (enum kept_line)line);
	check_lists();
	s->replayed = now();
	s->deadline = now() + QUESTIONS_MAX;
	pump_input(s);
}

/* The new server has had answers to what it asked. */
static void settle_down(struct session *s)
{
	s->settled = true;
	s->deadline = had_question() ? now() + SETTLING : now();
}

/* Whether it is still at work on them; a while more is no loss to a call that has waited for all of
 * the start. */
static bool is_settling(const struct session *s)
{
	char name[64];

	return s->settled && had_question() && now() < s->replayed + QUESTIONS_MAX &&
	       at_work_below(s->reaper, name, sizeof name);
}

static void try_server(struct session *s)
{
	forget_last_words();
	const char *failed = start_server(s, pidfd_of_client());

	if (failed) {
		char why[80];

		snprintf(why, sizeof why, "%s: %s", failed, strerror(errno));
		fail_restoring(s, why);
		return;
	}
	prctl(PR_SET_NAME, NAME_SHIM);
	s->server = COMING_UP;
	set_phase(RETURNING);
	s->replayed = 0;
	s->settled = false;
	s->deadline = now() + s->first_start + TRY_MAX;
	if (has_handshake())
		replay(s, INITIALIZE);
	else
		finish_handshake(s);
}

void fail_restoring(struct session *s, const char *why)
{
	int64_t last = s->called + TRYING_MAX;

	if (s->server == COMING_UP && noted_program()) {
		/* The command may do; it is the next try, at once. */
		event("idle-program-failed program=%s status=%d", quoted(noted_program()),
		      s->status);
		forget_program(true);
		s->retry = now();
	} else {
		s->wait = s->wait ? 2 * s->wait : WAIT_MIN;
		s->retry = now() + s->wait;
		if (s->retry > last)
			s->retry = now() < last ? last : last + 1;
		event("idle-start-failed reason=%s", quoted(why));
	}
	snprintf(s->failure, sizeof s->failure, "%s", why);
	if (s->server != COMING_UP)
		return;
	drop_ours(&s->in);
	take_down(s, FAILED);
}

/* The server is not the one that the client has been told of, and there has been no other. */
static void end_mistaken(struct session *s, const char *why)
{
	char text[WHY_MAX];

	snprintf(text, sizeof text, "the server is not what it was last time: %s", why);
	complain("lazy: %s", text);
	say_reason(s, "server-changed", "");
	refuse_calls(text);
	pass_ours(s);
	end(s);
}

/* No server can be had: what waits for one is answered. */
static void give_up(struct session *s)
{
	char why[WHY_MAX + 64];

	snprintf(why, sizeof why, "there is no server, and none comes up: %s", s->failure);
	complain("server: %s", why);
	refuse_calls(why);
	set_phase(UNSERVED);
	s->in.held = false;
	s->called = 0;
	if (s->in.buffer)
		pump_input(s); /* what there was no room for */
}

/* The server is gone.  Returns whether the session goes on. */
static bool part_from_server(struct session *s)
{
	switch (s->why) {
	case IDLE:
		note_idle_stop(s);
		break;
	case FAILED:
		end_try();
		break;
	case DIED:
		return note_death(s);
	case ASKED:
		drop_ours(&s->in);
		end_server("the server was restarted", true);
		want_server();
		break;
	}
	return true;
}

/* There is no server. */
static void sleep_on(struct session *s)
{
	set_phase(s->called ? RETURNING : UNSERVED);
	prctl(PR_SET_NAME, NAME_IDLE);
	s->server = STOPPED;
	s->in.putting_off = true;
	s->in.held = false; /* the end of input comes behind what was said before it */
	s->status = s->killed_by = 0;
	s->over = 0;
}

void begin_asleep(struct session *s)
{
	event("start shim=%d client=%d command=%s", (int)self.shim, (int)client_pid(),
	      quoted(*self.command));
	sleep_on(s);
}

void fall_asleep(struct session *s)
{
	if (s->forced || s->relay_failed || s->out.out.fd < 0 || !part_from_server(s))
		return;
	begin_lines(&s->from_server);
	begin_lines(&s->from_stderr);
	sleep_on(s);
	if (s->in.buffer)
		pump_input(s); /* what had been read before */
	/* One process is left, and shall be small. */
	forget_buffers();
	forget_notes();
	forget_walks();
}

void go_on_restoring(struct session *s)
{
	const char *why = NULL;

	if (s->server == STOPPED && (is_server_called() || lacks_room(&s->in))) {
		if (!s->called) {
			s->called = now();
			s->wait = 0;
			s->retry = s->not_before;
		}
		/* Where none has run there is none that may be away for a moment only: without us
		 * the client would have been told at once. */
		if (s->retry > s->called + TRYING_MAX || (s->retry && !s->has_served))
			give_up(s);
		else if (now() >= s->retry)
			try_server(s);
	}
	if (s->server == STOPPED && s->input_ended && !is_server_called())
		drop_later(&s->in); /* nobody is left whom it would matter to */
	if (s->server != COMING_UP)
		return;
	if (!s->replayed && is_answered(&why) && !why)
		finish_handshake(s);
	if (why && !s->has_served)
		end_mistaken(s, why);
	else if (why)
		fail_restoring(s, why);
	else if (s->replayed && !s->settled && has_asked())
		settle_down(s);
	else if (s->replayed && now() >= s->deadline && is_settling(s))
		s->deadline = now() + SETTLING;
	else if (s->replayed && now() >= s->deadline)
		go_on(s);
	else if (now() >= s->deadline)
		fail_restoring(s, "it does not answer initialize");
}

int64_t restoring_due(const struct session *s)
{
	if (s->server == COMING_UP)
		return s->deadline;
	if (s->server != STOPPED)
		return 0;
	if (s->called)
		return s->retry;
	return is_server_called() && !s->over ? now() : 0; /* by what was read last */
}

void pass_ours(struct session *s)
{
	if (has_queued(&s->out) && s->out.out.fd >= 0)
		pump_output(s);
	if (has_queued(&s->in) && s->server != STOPPED && s->in.out.fd >= 0)
		pump_input(s);
}
