/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "shim.h"

#include "../base/clock.h"
#include "../base/fd.h"
#include "../base/options.h"
#include "../base/say.h"
#include "../base/self.h"
#include "../sight/event.h"
#include "../talk/lane.h"
#include "../talk/recall.h"
#include "../tree/tree.h"
#include "client.h"
#include "ending.h"
#include "idle.h"
#include "reaper.h"
#include "relay.h"
#include "restart.h"
#include "restore.h"
#include "signals.h"
#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	/* ms, for a client that reads no more, after an end by force. */
	STUCK_MAX = 5000,
	/* After which a large message is over. */
	MOMENT = 100,
	/* Between two looks at the tree. */
	SAMPLE = 200,
	/* Signals, and the dead, of a turn. */
	SIGNALS_MAX = 64,
	REAP_MAX = 256,
};

/* Says why the session ends with the reaper, which has said nothing. */
static void say_reaper(const struct session *s, int status)
{
	if (!WIFEXITED(status) || WEXITSTATUS(status) == EXIT_OURS)
		say_reason(s, "reaper-died", "");
	else
		say_reason(s, s->outlived ? "server-exited" : "reaper-signalled", "");
}

static void fail_by_exit(struct session *s)
{
	char why[WHY_MAX];

	snprintf(why, sizeof why, "it exited with status %d before it was ready%s", s->status,
		 last_words());
	fail_restoring(s, why);
}

static void lose_reaper(struct session *s, int status)
{
	bool failed = s->server == COMING_UP && !s->forced && !s->over && WIFEXITED(status) &&
		      (s->has_served || has_recalled());
	bool outlived = outlives_death(s) && WIFEXITED(status);

	if (!failed && !outlived && (!WIFEXITED(status) || (!s->over && !*end_reason())))
		say_reaper(s, status);
	s->reaper = 0;
	shut(&s->control);
	if (WIFEXITED(status)) {
		uint64_t death;
		s->status = WEXITSTATUS(status);
		if (read(s->exit, &death, sizeof death) == sizeof death) {
			s->killed_by = (int)death & ~LEFT_CONTAINER;
			s->left_container = death & LEFT_CONTAINER;
		}
		/* That late it was not by itself. */
		if (s->over && s->server != GOING_DOWN && now() >= s->over + grace(true))
			s->forced = true;
	} else {
		complain("reaper: killed by signal %s", signal_name(WTERMSIG(status)));
		s->status = EXIT_OURS;
		s->forced = true;
		finish_input(s);
		sweep_tree(s->signals, s->server_spoke);
	}
	shut(&s->exit);
	if (failed)
		fail_by_exit(s);
	if (outlived)
		outlive(s);
	if (s->server != GOING_DOWN)
		finish_input(s);
	if (s->out.in.fd >= 0)
		pump_output(s);
	if (s->err.in.fd >= 0)
		pump_errors(s);
}

/* One of our children is dead, or stopped; returns false if there is none. */
static bool collect_child(struct session *s, bool *inherited_died)
{
	int status;
	pid_t pid = waitpid(-1, &status, WNOHANG | WUNTRACED);

	if (pid < 0 && errno == EINTR)
		return true;
	if (pid <= 0)
		return false;
	if (pid == s->reaper && WIFSTOPPED(status)) {
		/* It never stays so while we live: nobody's SIGSTOP puts off an ending. */
		kill(pid, SIGCONT);
	} else if (pid == s->reaper) {
		lose_reaper(s, status);
	} else if (!WIFSTOPPED(status) && !has_saved(pid, status)) {
		forget_inherited(pid);
		*inherited_died = true;
	}
	return true;
}

static void collect_children(struct session *s)
{
	bool inherited_died = false;
	int n = 0;

	while (n < REAP_MAX && collect_child(s, &inherited_died))
		n++;
	if (n == REAP_MAX)
		raise(SIGCHLD); /* to go on in the next turn */
	if (inherited_died && s->reaper)
		note_inherited_children(s->reaper);
}

/* Ctrl-Z: stops the server's process group, then us as SIGTSTP does by default,
 * and lets the server go on after fg. */
static void suspend(struct session *s)
{
	tell(s, SIGTSTP);
	raise(SIGTSTP);
	if (!stop_by(SIGTSTP))
		lose_client(s);
	tell(s, SIGCONT);
}

static void read_signals(struct session *s)
{
	struct signalfd_siginfo info;

	for (int i = 0; i < SIGNALS_MAX && read(s->signals, &info, sizeof info) == sizeof info;
	     i++) {
		int sig = (int)info.ssi_signo;

		if (sig == SIGCHLD) {
			collect_children(s);
		} else if (sig == SIGCONT) {
			if (client_is_dead(info.ssi_pid == 0))
				lose_client(s);
			else if (s->over && (s->server != GOING_DOWN || s->forced))
				take_nudge(s, &info);
		} else if (sig == SIGUSR1 && opt.restart) {
			restart_now(s);
		} else if (sig == SIGTSTP) {
			suspend(s);
		} else if (is_ending(sig)) {
			end_by_signal(s, &info);
		} else {
			tell(s, sig);
		}
	}
}

/* Whether the session is over, but for output that nobody takes. */
static bool may_give_up(const struct session *s)
{
	return !s->reaper && s->forced;
}

/* Whether the server is gone, its tree with it, and all that it has said has been read. */
static bool has_no_server(const struct session *s)
{
	return !s->reaper && s->out.in.fd < 0 && s->err.in.fd < 0;
}

/* The sooner of two timeouts of poll(2)'s. */
static int sooner(int a, int b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

/* poll(2)'s timeout: none while nothing ends, but for one after a large message. */
static int session_timeout(const struct session *s)
{
	if (s->server == GOING_DOWN && has_no_server(s))
		return 0;
	if (may_give_up(s))
		return until(s->progress + STUCK_MAX);
	if (s->input_ended && !s->over && !s->called && s->server != GOING_DOWN)
		return s->unread_poll;
	int64_t due = s->server == UP ? when_idle(s) : restoring_due(s), saving = saving_due();
	int timeout = sooner(due > 0 ? until(due) : -1, saving > 0 ? until(saving) : -1);

	return sooner(timeout, has_memory_to_give_back() ? MOMENT : -1);
}

static int shim_timeout(const struct session *s)
{
	return sooner(session_timeout(s), sooner(aside_timeout(&s->out), aside_timeout(&s->err)));
}

/* While messages pass, --stats has a look at the tree now and then. */
static void sample(struct session *s)
{
	if (!opt.stats || now() < s->sampled + SAMPLE || !s->reaper)
		return;
	s->sampled = now();
	tell(s, CONTROL_SAMPLE);
}

/* What poll(2) is to look for at the end of a lane, E, that is waited for or
 * not.  Not waited for, it is watched for a hang-up only. */
static struct pollfd watched(const struct end *e, bool waited_for, short events)
{
	struct pollfd p = {.fd = e->fd};

	if (waited_for)
		p.events = events;
	return p;
}

/* What poll(2) looks at. */
enum { SIGNALS, IN_IN, IN_OUT, OUT_IN, OUT_OUT, ERR_IN, ERR_OUT, N };

/* Each lane gets its turn. */
static void relay(struct session *s, const struct pollfd *fds)
{
	if (s->out.in.fd >= 0)
		relay_output(s, fds[OUT_IN].revents, fds[OUT_OUT].revents);
	if (s->in.in.fd >= 0)
		relay_input(s, fds[IN_IN].revents, fds[IN_OUT].revents);
	if (s->err.in.fd >= 0)
		relay_errors(s, fds[ERR_IN].revents, fds[ERR_OUT].revents);
}

/* The server is stopped: its client has a message for one, or ends the session. */
static void watch_sleep(struct session *s, const struct pollfd *in, const struct pollfd *out)
{
	if (out->revents & (POLLERR | POLLHUP | POLLNVAL)) {
		errno = EPIPE;
		lose_output(s);
		return;
	}
	if (out->revents)
		pump_output(s);
	if (in->revents && s->in.in.fd >= 0 && takes_more(&s->in))
		pump_input(s);
	else if (in->revents)
		note_input_ended(s); /* a hang-up is all that was looked for */
}

/* Whether input is read, or looked at for a message that starts a server. */
static bool reads_input(const struct session *s)
{
	return takes_more(&s->in);
}

static bool is_over(const struct session *s)
{
	/* What goes down may be gone by the last thing a turn does: whether that is all is for the
	 * next turn to say. */
	if (s->server == GOING_DOWN)
		return false;
	if (s->server == STOPPED) /* the client, if it waits for them, gets our last answers */
		return s->over && (s->forced || s->relay_failed || !has_queued(&s->out));
	return has_no_server(s);
}

void relay_session(struct session *s)
{
	while (!is_over(s)) {
		struct pollfd fds[N] = {
			[SIGNALS] = {.fd = s->signals, .events = POLLIN},
			[IN_IN] = watched(&s->in.in, reads_input(s), POLLIN),
			[IN_OUT] = watched(&s->in.out, s->in.full, POLLOUT),
			[OUT_IN] = watched(&s->out.in, !s->out.full, POLLIN),
			[OUT_OUT] = watched(waited_for(&s->out), s->out.full, POLLOUT),
			[ERR_IN] = watched(&s->err.in, true, POLLIN),
			[ERR_OUT] = watched(&s->err.aside, true, POLLOUT),
		};
		/* A hang-up that is known, or will be when its turn comes, must
		 * not wake us again and again. */
		fds[IN_IN].events |= POLLRDHUP;
		if (!reads_input(s) && s->input_ended)
			fds[IN_IN].fd = -1;
		if (!s->in.full)
			fds[IN_OUT].fd = -1;
		if (s->out.full)
			fds[OUT_IN].fd = -1;
		fds[s->err.full ? ERR_IN : ERR_OUT].fd = -1;

		int n = wait_for(fds, N, shim_timeout(s));
		if (n < 0)
			continue;
		if (n == 0)
			give_memory_back();

		if (s->server == STOPPED)
			watch_sleep(s, &fds[IN_IN], &fds[OUT_OUT]);
		else
			relay(s, fds);
		if (fds[OUT_IN].revents) {
			sample(s);
			note_work(s);
		}
		if (fds[SIGNALS].revents)
			read_signals(s);

		if (s->input_ended && !s->over)
			await_reading(s);
		int64_t saving = saving_due();
		if (saving > 0 && now() >= saving)
			save_opening();
		int64_t idle = when_idle(s);
		if (idle > 0 && now() >= idle)
			stop_if_idle(s);
		if (may_give_up(s) && now() >= s->progress + STUCK_MAX)
			break;
		if (s->server == GOING_DOWN && has_no_server(s)) {
			fall_asleep(s);
			if (s->server != STOPPED)
				break;
		}
		if (!s->over)
			go_on_restoring(s);
		pass_ours(s);
	}
}
