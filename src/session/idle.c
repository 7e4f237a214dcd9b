/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "idle.h"

#include "../base/clock.h"
#include "../base/fd.h"
#include "../base/options.h"
#include "../base/say.h"
#include "../sight/event.h"
#include "../sight/stats.h"
#include "../talk/talk.h"
#include "../tree/look.h"
#include "../tree/tree.h"
#include "ending.h"
#include "start.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

enum {
	LOOKS = 10,      /* in a period, at most, while messages pass */
	LOOK_MIN = 1000, /* ms between two */
	/* Of a period, 1 % is work; less than so many ms are a timer's, a collector's or a log's.
	 */
	BUSY_SHARE = 100,
	BUSY_MIN = 50,
};

int64_t when_idle(const struct session *s)
{
	if (opt.idle_stop < 0 || s->server != UP || !s->reaper || s->over || s->input_ended ||
	    s->in.buffer || s->out.buffer || has_queued(&s->in) || has_queued(&s->out) ||
	    s->out.out.fd < 0)
		return 0;
	if (s->put_off && s->put_off_since == last_activity())
		return s->put_off == FOR_EVER ? 0 : s->put_off;
	return last_activity() + opt.idle_stop;
}

/* Each reason is said once a session. */
static bool is_new(const char *reason)
{
	enum { REASONS_MAX = 24 };
	static const char *said[REASONS_MAX];
	size_t i = 0;

	while (i < REASONS_MAX && said[i] && strcmp(said[i], reason) != 0)
		i++;
	if (i == REASONS_MAX || said[i])
		return false;
	said[i] = reason;
	return true;
}

/* The server is needed until then, for a REASON; DETAIL, "" or one that begins with a blank, says
 * more. */
static void put_off(struct session *s, int64_t until, const char *reason, const char *detail)
{
	s->put_off = until;
	s->put_off_since = last_activity();
	if (is_new(reason))
		event("idle-wait reason=%s%s", reason, detail);
}

void note_work(struct session *s)
{
	int64_t period = opt.idle_stop / LOOKS;

	if (opt.idle_stop < 0 || s->server != UP || !s->reaper ||
	    (s->looked && now() < s->looked + (period > LOOK_MIN ? period : LOOK_MIN)))
		return;
	s->looked = now();
	s->cpu = cpu_below(s->reaper);
}

static struct server_pipes pipes_of(const struct session *s)
{
	return (struct server_pipes){inode_of(s->in.out.fd), inode_of(s->out.in.fd)};
}

/* Whether the tree is at work, or has what it had not when the client first asked something of
 * it: then another look is due in a period. */
static bool is_at_work(struct session *s)
{
	int64_t next = now() + opt.idle_stop, busy = opt.idle_stop / BUSY_SHARE;
	int64_t cpu = cpu_below(s->reaper), used = cpu - s->cpu;
	bool first = !s->looked;
	const char *reason = "busy";
	char name[64], detail[128];
	pid_t pid;

	if (cpu < 0)
		return false; /* nobody can look */
	s->looked = now();
	s->cpu = cpu;
	if (first) {
		put_off(s, next, "look", "");
		return true;
	}
	if (used > (busy > BUSY_MIN ? busy : BUSY_MIN)) {
		snprintf(detail, sizeof detail, " cpu=%.3f", (double)used / 1000);
		put_off(s, next, reason, detail);
		return true;
	}
	pid = at_work_below(s->reaper, name, sizeof name);
	if (!pid && first_use()) {
		reason = "children";
		pid = younger_than(s->reaper, first_use(), &s->crew, pipes_of(s), s->spoke, name,
				   sizeof name);
	}
	if (!pid)
		return false;
	snprintf(detail, sizeof detail, " pid=%d command=%s", (int)pid, quoted(name));
	put_off(s, next, reason, detail);
	return true;
}

/* --idle-stop=auto: whether there is more than a server that nobody has used. */
static bool holds_something(struct session *s)
{
	const char *what;

	if (was_used()) {
		put_off(s, FOR_EVER, "used", "");
		return true;
	}
	what = holding(s->reaper, pipes_of(s));
	if (what)
		put_off(s, now() + opt.idle_stop, what, "");
	return what;
}

/* Whether messages are on their way; those that come next put off the stop by themselves. */
static bool has_unread(struct session *s)
{
	int unread = 0;

	ioctl(s->in.out.fd, FIONREAD, &unread);
	if (unread == 0 && !ready(s->in.in.fd, POLLIN | POLLRDHUP) && !ready(s->out.in.fd, POLLIN))
		return false;
	put_off(s, now() + opt.idle_stop, "unread", "");
	return true;
}

void stop_if_idle(struct session *s)
{
	struct need need;
	char detail[128] = "";

	if (is_needed(&need)) {
		int64_t period = now() + opt.idle_stop;
		if (*need.detail)
			snprintf(detail, sizeof detail, " detail=%s", quoted(need.detail));
		put_off(s, need.until > period ? need.until : period, need.reason, detail);
	} else if (!has_unread(s) && !is_at_work(s) && !(opt.idle_auto && holds_something(s))) {
		s->memory = has_listeners() ? memory_below(s->reaper) : 0;
		take_down(s, IDLE);
	}
}

/* For the user, who may wonder where it went. */
static void say_stopped(struct session *s)
{
	bool whole = opt.idle_stop % 1000 == 0;

	if (s->left_container) {
		need_for_good("container", NULL);
		complain("idle-stop: the server had to be killed, and its container may be "
			 "running: it is not stopped again");
	}
	if (!s->has_stopped)
		complain("idle-stop: nothing had passed for %lld %s: the server was stopped, and "
			 "what it had in memory is gone; the next message starts it again",
			 (long long)(whole ? opt.idle_stop / 1000 : opt.idle_stop),
			 whole ? "s" : "ms");
	s->has_stopped = true;
}

void note_idle_stop(struct session *s)
{
	event("idle-stop memory=%lld", (long long)s->memory * 1024);
	count_idle_stop(s->memory);
	say_stopped(s);
	end_server("the server was stopped while idle: this request had waited for longer than "
		   "--idle-request",
		   false);
}
