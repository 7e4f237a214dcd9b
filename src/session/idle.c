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
#include "../tree/tree.h"
#include "ending.h"
#include "reaper.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

enum { BUSY_POLL = 100 }; /* ms, for messages that are on their way */

int64_t when_idle(const struct session *s)
{
	if (opt.idle_stop < 0 || s->server != UP || !s->reaper || s->over || s->input_ended ||
	    s->in.buffer || s->out.buffer || has_queued(&s->in) || s->out.out.fd < 0)
		return 0;
	int64_t held = may_be_stopped(), idle = last_activity() + opt.idle_stop;

	if (held < 0)
		return 0;
	if (held > idle)
		idle = held;
	return s->put_off > idle ? s->put_off : idle;
}

void stop_server(struct session *s)
{
	int unread = 0;

	ioctl(s->in.out.fd, FIONREAD, &unread);
	if (unread > 0 || ready(s->in.in.fd, POLLIN | POLLRDHUP) || ready(s->out.in.fd, POLLIN)) {
		s->put_off = now() + BUSY_POLL;
		return;
	}
	s->memory = has_listeners() ? memory_below(s->reaper) : 0;
	s->server = GOING_DOWN;
	s->in.held = true;
	set_phase(LEAVING);
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
	if (!s->called) {
		event("idle-stop memory=%lld", (long long)s->memory * 1024);
		count_idle_stop(s->memory);
		refuse_pending("the server was stopped while idle; this request had waited for "
			       "longer than --idle-request");
		set_phase(UNSERVED);
	} else {
		set_phase(RETURNING);
	}
	prctl(PR_SET_NAME, NAME_IDLE);
	s->server = STOPPED;
	s->in.putting_off = true;
	s->in.held = false; /* the end of input comes behind what was said before it */
	s->status = s->killed_by = 0;
	s->over = 0;
	/* One process is left, and shall be small. */
	forget_buffers();
	forget_notes();
	forget_walks();
}
