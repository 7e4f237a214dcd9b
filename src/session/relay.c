/* SPDX-License-Identifier: MIT */
#include "relay.h"

#include "../base/clock.h"
#include "../base/fd.h"
#include "../base/options.h"
#include "../base/say.h"
#include "../base/self.h"
#include "../sight/trace.h"
#include "../talk/talk.h"
#include "../tree/program.h"
#include "ending.h"
#include "reaper.h"
#include "restart.h"
#include "terminal.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

/* The server reads no more.  The client must not wait for it, and we still have
 * to see the end of input: what comes is read and lost. */
static void drop_input(struct session *s)
{
	shut(&s->in.out.fd);
	drop_held(&s->in);
}

void pump_input(struct session *s)
{
	if (!s->in.buffer && would_stop()) {
		if (s->over)
			shut(&s->in.in.fd);
		else if (!ready(s->signals, POLLIN) && !stop_job(s->signals))
			lose_client(s);
		/* That nothing stops us, SIGTTIN being ignored, fails the read. */
		if (s->over || ready(s->signals, POLLIN))
			return;
	}
	switch (pump(&s->in)) {
	case FLOW_IN_ENDED:
		/* EIO: the terminal has hung up.  ECONNRESET: the socket. */
		if (errno && errno != EIO && errno != ECONNRESET) {
			complain("stdin: %s", strerror(errno));
			say_reason(s, "stdin-failed", "");
			s->relay_failed = true;
		}
		shut(&s->in.in.fd);
		note_input_ended(s);
		break;
	case FLOW_OUT_CLOSED:
		if (outlives_death(s)) {
			/* It is dead, or deaf for good: what comes is for another. */
			outlive(s);
			s->in.full = false;
		} else if (s->server == COMING_UP && !s->over) {
			/* So is this one, in the middle of its handshake.  What is put off is for
			 * the next try, which its exit, or its silence, is the reason for. */
			shut(&s->in.out.fd);
			drop_ours(&s->in);
		} else {
			drop_input(s);
		}
		break;
	case FLOW_WAIT:
		if (s->server == STOPPED && s->in.held)
			note_input_ended(s); /* it was read, behind what is put off */
		break;
	case FLOW_MORE:
		break;
	}
}

void pump_output(struct session *s)
{
	if (!s->reaper)
		s->progress = now();
	switch (pump(&s->out)) {
	case FLOW_IN_ENDED:
		if (errno) {
			complain("output: %s", strerror(errno));
			s->relay_failed = true;
		}
		shut(&s->out.in.fd);
		if (outlives_death(s))
			outlive(s);
		else if (s->server != GOING_DOWN && s->server != COMING_UP)
			shut(&s->out.out.fd);
		break;
	case FLOW_OUT_CLOSED:
		lose_output(s);
		break;
	case FLOW_MORE:
		break;
	case FLOW_WAIT:
		/* Someone outside of the tree may hold the pipe open. */
		if (s->reaper || s->out.full || ready(s->out.in.fd, POLLIN))
			break;
		if (s->out.buffer) {
			decide_rest(&s->out);
			pump_output(s);
		} else {
			shut(&s->out.in.fd);
		}
		break;
	}
}

/* A turn is more than a pipe holds: once the tree is gone, what comes after one is not of the
 * server's. */
void pump_errors(struct session *s)
{
	struct lane *l = &s->err;
	enum flow flow = pump(l);

	if (flow != FLOW_IN_ENDED &&
	    (s->reaper || l->buffer || (flow != FLOW_MORE && ready(l->in.fd, POLLIN))))
		return;
	end_lines(&s->from_stderr);
	shut(&l->in.fd);
}

/* For --idle-stop, while its launcher shows what the server is, and for --drop-launcher;
 * with nothing else to look for, the bytes pass unseen. */
static void note_first_message(struct session *s)
{
	if (session_outlives_server() && !noted_program())
		note_program(s->reaper, inode_of(s->in.out.fd), inode_of(s->out.in.fd));
	if (opt.drop_launcher)
		tell(s, CONTROL_FIRST_MESSAGE);
	s->spoke = since_boot();
	/* The client waits for the answer to initialize before it asks for anything. */
	if (opt.idle_stop >= 0 && s->server == UP && !first_use())
		muster(s->reaper, &s->crew);
	s->has_served |= s->server == UP;
	if (!s->first_start)
		s->first_start = now() - s->started + 1;
	if (!s->from_server.judge && !s->from_server.noise_aside && !s->from_server.traffic &&
	    !is_tracing())
		pass_unseen(&s->out);
}

/* That there is something to read is no end: it was looked for before the server, whose turn came
 * first in this round, died or was found to be full. */
void relay_input(struct session *s, int in, int out)
{
	if ((s->in.full || s->in.held || lacks_room(&s->in)) && in & ~POLLIN)
		note_input_ended(s);
	if (s->in.full ? out : in && !s->in.held)
		pump_input(s);
}

void relay_output(struct session *s, int in, int out)
{
	if (in & POLLIN && !s->server_spoke) {
		s->server_spoke = true;
		tell(s, CONTROL_SERVER_SPOKE);
	}
	if (out & (POLLERR | POLLHUP | POLLNVAL) && waited_for(&s->out) == &s->out.out) {
		errno = EPIPE;
		lose_output(s);
	} else if (in || out || aside_timeout(&s->out) == 0) {
		pump_output(s);
	}
	if (!s->spoke && has_server_spoken())
		note_first_message(s);
}

void relay_errors(struct session *s, int in, int out)
{
	if (in || out || aside_timeout(&s->err) == 0)
		pump_errors(s);
}
