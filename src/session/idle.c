/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "idle.h"

#include "../base/clock.h"
#include "../base/fd.h"
#include "../base/options.h"
#include "../base/say.h"
#include "../sight/event.h"
#include "../sight/stats.h"
#include "../sight/trace.h"
#include "../talk/talk.h"
#include "../tree/program.h"
#include "../tree/tree.h"
#include "ending.h"
#include "reaper.h"

#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>

enum { BUSY_POLL = 100 }; /* ms, for messages that are on their way */

bool awaits_idleness(const struct session *s)
{
	return opt.idle_stop >= 0 && s->server == UP && s->reaper && !s->over && !s->input_ended &&
	       !s->in.buffer && !s->out.buffer && s->out.out.fd >= 0 && may_be_stopped();
}

void stop_server(struct session *s)
{
	int unread = 0;

	ioctl(s->in.out.fd, FIONREAD, &unread);
	if (unread > 0 || ready(s->in.in.fd, POLLIN | POLLRDHUP) || ready(s->out.in.fd, POLLIN)) {
		s->active = now() + BUSY_POLL;
		return;
	}
	s->memory = has_listeners() ? memory_below(s->reaper) : 0;
	s->server = GOING_DOWN;
	s->in.held = true;
	s->from_server.whole = true;
	if (!tell(s, CONTROL_INPUT_ENDED))
		shut(&s->control);
	shut(&s->in.out.fd); /* after that: see end() */
	s->over = now();
}

void fall_asleep(struct session *s)
{
	if (s->forced || s->relay_failed || s->out.out.fd < 0)
		return;
	if (!begin_next_server()) {
		complain("idle-stop: the server was stopped in the middle of a long line");
		say_reason(s, "not-restored", "");
		return;
	}
	begin_lines(&s->from_server);
	begin_lines(&s->from_stderr);
	event("idle-stop memory=%lld", (long long)s->memory * 1024);
	count_idle_stop(s->memory);
	prctl(PR_SET_NAME, NAME_IDLE);
	s->server = STOPPED;
	s->status = s->killed_by = 0;
	s->over = 0;
	/* One process is left, and shall be small. */
	forget_buffers();
	forget_notes();
	forget_walks();
}

bool has_message(const struct session *s, short revents)
{
	char byte;

	if (s->in.in.kind == SOCKET)
		return recv(s->in.in.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
	return revents & POLLIN;
}

/* Puts the client's kept lines FROM to TO in front of what it sends next. */
static void replay(struct session *s, enum kept_line from, enum kept_line to)
{
	size_t size;
	const char *lines = kept_lines(from, to, &size);

	put_in_front(&s->in, lines, size);
	for (const char *line = lines, *end; is_tracing() && line < lines + size; line = end + 1) {
		end = memchr(line, '\n', (size_t)(lines + size - line));
		trace_message("client", line, (size_t)(end - line), true, "replayed");
	}
}

static void go_on(struct session *s)
{
	s->server = UP;
	s->in.held = false;
	s->active = now();
	double seconds = (double)(s->active - s->called) / 1000;
	if (noted_program())
		event("idle-start seconds=%.3f program=%s", seconds, quoted(noted_program()));
	else
		event("idle-start seconds=%.3f", seconds);
}

void restore(struct session *s)
{
	prctl(PR_SET_NAME, NAME_SHIM);
	if (!has_handshake()) {
		go_on(s);
		return;
	}
	s->server = COMING_UP;
	replay(s, INITIALIZE, INITIALIZE);
}

bool may_run_command(const struct session *s)
{
	return s->server == COMING_UP && noted_program() && !s->over && !s->out.buffer;
}

bool run_command_instead(struct session *s)
{
	if (!may_run_command(s) || !begin_next_server())
		return false;
	event("idle-program-failed program=%s status=%d", quoted(noted_program()), s->status);
	forget_program();
	begin_lines(&s->from_server);
	drop_held(&s->in);
	shut(&s->in.out.fd);
	shut(&s->out.in.fd);
	return true;
}

const char *go_on_restoring(struct session *s)
{
	const char *why;

	/* It need not have read all. */
	if (s->server != COMING_UP || s->in.buffer || !is_answered(&why))
		return NULL;
	if (why)
		return why;
	replay(s, INITIALIZED, SET_LEVEL);
	go_on(s);
	return NULL;
}
