/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "ending.h"

#include "../base/clock.h"
#include "../base/fd.h"
#include "../base/say.h"
#include "../sight/event.h"
#include "../talk/talk.h"
#include "client.h"
#include "reaper.h"
#include "terminal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

enum {
	/* ms, for a server that has said nothing yet and does not read its input; between
	 * two looks at it. */
	SILENT_MAX = 60000,
	UNREAD_POLL_MAX = 100,
	/* Turns of the lane, for what the client has sent before the end. */
	LAST_TURNS = 16,
};

bool tell(const struct session *s, int what)
{
	unsigned char byte = (unsigned char)what;
	ssize_t n;

	do
		n = write(s->control, &byte, 1);
	while (n < 0 && errno == EINTR);
	return n == 1;
}

/* Passes on what the client has sent, as far as the server's pipe takes it. */
static void pass_input(struct session *s)
{
	for (int i = 0; i < LAST_TURNS && s->in.in.fd >= 0 && s->in.out.fd >= 0; i++)
		if ((!s->in.buffer && would_stop()) || pump(&s->in) >= FLOW_IN_ENDED ||
		    s->in.full || !ready(s->in.in.fd, POLLIN))
			break;
}

void finish_input(struct session *s)
{
	pass_input(s);
	shut(&s->in.in.fd);
	shut(&s->in.out.fd);
}

/* The reaper hears of it first, so as not to think that a server which exits at once has
 * done so by itself. */
void end(struct session *s)
{
	pass_input(s);
	if (!tell(s, s->forced ? CONTROL_CLIENT_GONE : CONTROL_INPUT_ENDED))
		shut(&s->control); /* the end-of-file will do */
	shut(&s->in.in.fd);
	shut(&s->in.out.fd);
	if (!s->over)
		s->over = now();
}

void say_reason(const struct session *s, const char *reason, const char *detail)
{
	bool goes_on = s->reaper || s->server == GOING_DOWN || s->server == STOPPED;

	if (goes_on && !s->forced && !s->relay_failed && !s->input_ended)
		event_end(reason, detail);
}

void note_input_ended(struct session *s)
{
	if (s->input_ended)
		return;
	say_reason(s, "stdin-closed", "");
	s->input_ended = now();
	s->unread_poll = 1;
}

/* Whether the server has read all that LANE had for it, or nobody reads. */
static bool all_read(const struct lane *lane)
{
	int unread = 0;

	if (has_queued(lane))
		return false;
	if (lane->out.fd < 0)
		return true;
	if (lane->in.fd >= 0)
		return false;
	return ready(lane->out.fd, 0) /* POLLERR */ || ioctl(lane->out.fd, FIONREAD, &unread) < 0 ||
	       unread == 0;
}

/*
 * The grace starts when the server has read all of its input: one that is still
 * starting, as npx does, has not seen the end yet.  One that has spoken and does not
 * read may hang.  Its stdin is closed only
 * then, so that we can ask; before that it could not notice.  A server that is still to be
 * brought to where the last one was has bounds of its own for that, and one that goes down
 * while the session goes on is not the one whom the input is for.
 */
void await_reading(struct session *s)
{
	int64_t patience = s->server_spoke ? grace(true) : SILENT_MAX;

	if (s->called || is_server_called() || s->server == GOING_DOWN)
		return;
	if (all_read(&s->in) || now() >= s->input_ended + patience) {
		end(s);
		return;
	}
	s->unread_poll *= 2;
	if (s->unread_poll > UNREAD_POLL_MAX)
		s->unread_poll = UNREAD_POLL_MAX;
}

void lose_client(struct session *s)
{
	say_reason(s, "client-died", "");
	s->forced = true;
	end(s);
}

void lose_output(struct session *s)
{
	if (errno != EPIPE && errno != ECONNRESET) {
		complain("stdout: %s", strerror(errno));
		say_reason(s, "stdout-failed", "");
		s->relay_failed = true;
	}
	say_reason(s, "stdout-closed", "");
	shut(&s->out.in.fd);
	shut(&s->out.out.fd);
	s->forced = true;
	end(s);
}

/* Ends the session by a signal that no server can be told of. */
static void die_of_signal(struct session *s, const struct signalfd_siginfo *info)
{
	int sig = (int)info->ssi_signo;

	say_reason(s, "signal-", signal_name(sig));
	s->status = 128 + sig;
	s->killed_by = sig;
	s->forced = true;
	if (!s->over)
		s->over = now();
}

enum sent { FIRST, BY_ANOTHER_WAY, AGAIN };

/*
 * Whether SIG has been sent before.  One event comes by several ways: a terminal's
 * hang-up from the kernel and from the shell, a service manager's stop from it and from
 * the client that it stops, in each of nested sessions anew.  So only who has sent SIG
 * before asks again; all that the kernel sends is one sender's, but a terminal hangs up
 * only once.  What finds no room is nobody's second.
 */
static enum sent note_sender(const struct signalfd_siginfo *info)
{
	enum { SENDERS_MAX = 16 };
	static struct sender {
		uint32_t sig, pid;
		int32_t code;
	} senders[SENDERS_MAX];
	static size_t n;
	enum sent sent = FIRST;

	for (size_t i = 0; i < n; i++) {
		const struct sender *s = &senders[i];
		if (s->sig != info->ssi_signo)
			continue;
		sent = BY_ANOTHER_WAY;
		if (s->pid == info->ssi_pid && s->code == info->ssi_code)
			return s->sig == SIGHUP && s->code == SI_KERNEL ? BY_ANOTHER_WAY : AGAIN;
	}
	if (n < SENDERS_MAX)
		senders[n++] = (struct sender){info->ssi_signo, info->ssi_pid, info->ssi_code};
	return sent;
}

/*
 * Whether a signal is the terminal's to all of its foreground group, the client among
 * them: a client with a prompt stops its answer at Ctrl-C, and lives on.  If it does
 * not, its death ends the session.  A job of our own in a shell is meant itself, and so
 * is what its client has done with.
 */
static bool is_for_the_client(const struct session *s, const struct signalfd_siginfo *info)
{
	return info->ssi_code == SI_KERNEL &&
	       (info->ssi_signo == SIGINT || info->ssi_signo == SIGQUIT) && !s->input_ended &&
	       !s->forced && !isatty(STDIN_FILENO) && client_is_in_our_group();
}

/* The server's stdin stays open until the
 * reaper says that the server has got SIG: the end of input must not be faster,
 * or it could exit as if nothing had happened. */
void end_by_signal(struct session *s, const struct signalfd_siginfo *info)
{
	int sig = (int)info->ssi_signo;

	if (is_for_the_client(s, info))
		return;
	sigaddset(&s->asked, sig);
	if (!s->reaper) { /* it is only output that nobody takes, or a server to come */
		if (s->server == GOING_DOWN || s->server == STOPPED)
			die_of_signal(s, info);
		shut(&s->out.in.fd);
		return;
	}
	say_reason(s, "signal-", signal_name(sig));
	s->forced = true;
	if (!s->over)
		s->over = now();
	switch (note_sender(info)) {
	case FIRST:
		if (!tell(s, sig))
			end(s);
		break;
	case BY_ANOTHER_WAY:
		break;
	case AGAIN:
		if (!tell(s, CONTROL_KILL_NOW))
			end(s);
		break;
	}
}

/* The reaper's means that the server has got its signal.
 * One of somebody else (timeout(1) sends a pair) may have taken its place, as
 * signals of one kind do not queue: then the reaper is asked for it again. */
void take_nudge(struct session *s, const struct signalfd_siginfo *cont)
{
	if ((pid_t)cont->ssi_pid == s->reaper || !s->reaper)
		finish_input(s);
	else if (!tell(s, CONTROL_NUDGE))
		end(s);
}

int final_status(const struct session *s)
{
	return s->relay_failed ? EXIT_OURS : s->status;
}

/* Whether it was our clock that ended the server, and nobody else. */
static bool was_our_doing(const struct session *s)
{
	return s->over && (s->killed_by == SIGTERM || s->killed_by == SIGKILL) &&
	       !sigismember(&s->asked, s->killed_by);
}

/* Without a core file: the server has left one, if any. */
static void die_of(int sig)
{
	sigset_t set;

	prctl(PR_SET_DUMPABLE, 0);
	signal(sig, SIG_DFL);
	kill(getpid(), sig);
	sigemptyset(&set);
	sigaddset(&set, sig);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

__attribute__((noreturn)) void leave(const struct session *s)
{
	if (s->killed_by && !s->relay_failed && !was_our_doing(s))
		die_of(s->killed_by); /* PID 1 of a container does not */
	exit(final_status(s));
}
