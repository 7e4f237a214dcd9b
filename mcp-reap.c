/* SPDX-License-Identifier: MIT */
/*
 * mcp-reap - run a stdio server, and leave nothing of it behind
 *
 * The promise: when the session is over, nothing that the server started is
 * left running.  Over means: the client closed the server's stdin, or stopped
 * reading its stdout, or died (however), or sent a signal that ends things, or
 * the server exited.  It holds even when one of our own two processes is
 * killed or stopped, at any time, and the client dies as well.
 *
 *   client -- stdin --> shim -- pipe --> server -+- child
 *          <- stdout -       <- pipe --          '- (double-forked) stray
 *                        | control pipe
 *                        v
 *                      reaper (setsid; subreaper; the server's parent)
 *
 * The shim relays stdio and watches the client.  The reaper owns the tree:
 * every living descendant of its own, however forked or reparented.
 *
 * The control pipe is the trigger.  The shim holds its only write end, so the
 * shim closing it and the shim dying are the same event: a SIGKILLed shim
 * needs no code of its own.  The shim is a subreaper too, so the tree of a
 * SIGKILLed reaper falls to the shim, which sweeps it.
 *
 * The invariant that all killing rests on: the number of a child that we have
 * not waited for cannot be recycled.  SIGKILL by number goes to our own children
 * only; their orphans become our own children; repeat until wait says ECHILD.
 * What is further down is signalled through a pidfd, its parent checked after
 * that was opened.
 *
 * With --idle-stop a session has many servers, one after the other, each with a
 * reaper and pipes of its own, and ended as at the end of a session.  The shim
 * stays, and so do the client's ends.
 *
 * Assumed of the kernel (Linux, with what happens where it is missing):
 *   3.4   PR_SET_CHILD_SUBREAPER, signalfd   exit 125
 *   3.17  /proc/thread-self/children         /proc/PID/stat of all is read
 *   5.3   pidfd_open                         PR_SET_PDEATHSIG stands alone
 *   5.9   close_range                        /proc/self/fd is read
 *         /proc of our own PID namespace     only the server's process group
 *                                            is signalled, and we say so
 */
#define _GNU_SOURCE
#include "src/base/cache.h"
#include "src/base/clock.h"
#include "src/base/fd.h"
#include "src/base/options.h"
#include "src/base/say.h"
#include "src/base/self.h"
#include "src/session/client.h"
#include "src/session/ending.h"
#include "src/session/list.h"
#include "src/session/order.h"
#include "src/session/restart.h"
#include "src/session/restore.h"
#include "src/session/server.h"
#include "src/session/shim.h"
#include "src/session/signals.h"
#include "src/session/start.h"
#include "src/session/terminal.h"
#include "src/sight/event.h"
#include "src/sight/stats.h"
#include "src/sight/trace.h"
#include "src/talk/recall.h"
#include "src/talk/talk.h"
#include "src/tree/tree.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Descriptors 0, 1 and 2 that are closed would be taken by our pipes.  For the
 * server, 2 is closed again: O_CLOEXEC. */
static void reserve_stdio(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR | O_CLOEXEC) < 0)
			fail("/dev/null");
}

/* What is made of packets would lose their bounds, and a part of one for which there is too little
 * room.  A pipe's end to read from does not tell: packets pass whole. */
static void refuse_packets(int fd, const char *what)
{
	int type, flags = fcntl(fd, F_GETFL);
	socklen_t size = sizeof type;

	if (is_pipe(fd) ? flags >= 0 && flags & O_DIRECT
			: getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
				  type != SOCK_STREAM) {
		complain("%s: it is made of packets: a stream is needed", what);
		exit(EXIT_OURS);
	}
}

/* Looks at what passes as far as the options ask for it; else bytes pass unseen. */
static void begin_watching(struct session *s)
{
	if (opt.trace)
		open_trace();
	begin_events();
	begin_stats();
	watch_lines(&s->from_client, "client", client_traffic());
	watch_lines(&s->from_server, "server", server_traffic());
	watch_stderr(&s->from_stderr);
	if (opt.restart || opt.lazy)
		keep_last_words(&s->from_stderr);
	begin_talk(&s->from_client, &s->in, &s->from_server, &s->out);
}

/* What the client handed down besides stdio may be other servers' pipes, whose
 * end-of-file we would hold back. */
static void close_the_rest(const struct session *s)
{
	int kept_stderr = session_outlives_server() ? keep_stderr() : -1;
	int keep[] = {s->signals,   s->control,   s->exit,     s->in.out.fd,
		      s->out.in.fd, s->err.in.fd, kept_stderr, trace_descriptor()};

	close_all_but(STDERR_FILENO + 1, keep, sizeof keep / sizeof *keep);
}

/* The client's ends of both lanes, once the server has got stdio as it was. */
static void take_stdio(struct session *s)
{
	s->in.in = client_end(STDIN_FILENO, O_RDONLY);
	s->in.lines = are_watched(&s->from_client) ? &s->from_client : NULL;
	choose_way(&s->in);
	s->out.out = client_end(STDOUT_FILENO, O_WRONLY);
	if (opt.json_only || relays_stderr())
		s->out.aside = s->err.aside = stderr_end();
	else
		own_description(STDERR_FILENO, O_WRONLY);
}

/* Does what is asked for instead of a session. */
__attribute__((noreturn)) static void act(void)
{
	if (opt.action == LIST)
		list_sessions();
	if (opt.action == FORGET)
		clear_cache();
	if (opt.action == STOP)
		stop_session(opt.session);
	if (opt.action == RESTART)
		restart_session(opt.session);
	exit(0);
}

/* CLIENT is its pidfd. */
static void begin_server(struct session *s, int client)
{
	const char *failed = NULL;

	if (opt.lazy) {
		shut(&client);
		begin_asleep(s);
	} else {
		failed = start_server(s, client);
	}
	if (failed)
		fail(failed);
}

int main(int argc, char **argv)
{
	struct session s = {
		.status = EXIT_OURS,
		.control = -1,
		.exit = -1,
		.in.out.fd = -1,
		.out.in.fd = -1,
		.err.in.fd = -1,
		.err.out.fd = -1,
	};

	self.start = now();
	self.command = parse_options(argc, argv);
	if (opt.action == LIST && fcntl(STDOUT_FILENO, F_GETFD) < 0)
		fail("stdout"); /* not for /dev/null to take */
	reserve_stdio();
	if (opt.action != RUN)
		act();
	refuse_packets(STDIN_FILENO, "stdin");
	refuse_packets(STDOUT_FILENO, "stdout");
	self.shim = getpid();
	begin_walks();
	begin_lanes();
	begin_watching(&s);
	s.signals = take_signals();
	int client = watch_client();
	note_inherited_children(0);
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		fail("subreaper");

	s.in.in.fd = STDIN_FILENO;
	s.out.out.fd = STDOUT_FILENO;
	begin_terminal();
	begin_server(&s, client);
	close_the_rest(&s);
	take_stdio(&s);
	relay_session(&s);

	end_lines(&s.from_client);
	end_lines(&s.from_server);
	end_lines(&s.from_stderr);
	say_loss(&s.out);
	say_loss(&s.err);
	finish_saving();
	event("done status=%d seconds=%.3f", final_status(&s), (double)(now() - self.start) / 1000);
	say_stats(final_status(&s));
	leave(&s);
}
