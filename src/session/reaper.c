/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "reaper.h"

#include "../base/clock.h"
#include "../base/fd.h"
#include "../base/options.h"
#include "../base/say.h"
#include "../base/self.h"
#include "../sight/event.h"
#include "../sight/stats.h"
#include "../sight/trace.h"
#include "../tree/launcher.h"
#include "../tree/proc.h"
#include "../tree/spare.h"
#include "../tree/tree.h"
#include "signals.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	/* ms.  While the client waits, a long grace costs nobody anything: one that
	 * wants less sends a signal.  The other two: the patience of the reference
	 * SDKs, which every server lives with. */
	GRACE_AWAITED = 10000,
	GRACE = 2000,
	KILL_AFTER = 2000,
	/* Before the first output, it may be npx in mid-install: SIGKILL there
	 * leaves a broken cache. */
	KILL_AFTER_SILENT = 10000,
	/* For descendants that we may not signal, or not reap; between two rounds at most. */
	UNKILLABLE_MAX = 5000,
	KILL_ROUND = 10,
	/* After which SIGKILL is said to take long. */
	STORM = 10000,
	SECOND = 1000,
	/* How long the dead are collected in a turn; how many are few. */
	REAP_MAX = 20,
	CALM = 256,
	/* Signals of a turn; deaths of a second that are reported. */
	SIGNALS_MAX = 64,
	REPORTS_MAX = 1000,
};

struct reaper {
	int control; /* -1: none (more) */
	int signals; /* a signalfd */
	int client;  /* a pidfd, the truth; -1: dead, unknown, none of our business */
	int shim;    /* a pidfd; -1: unknown */

	pid_t server;        /* whose exit is the server's: it, or a launcher; 0: reaped */
	pid_t group;         /* the process group that it was started in */
	ino_t input, output; /* the server's pipes */
	pid_t dropped;       /* a launcher that is not reaped yet; 0: none */
	bool behind_shell;   /* the server is the child of a shell, which only waits */
	int status;          /* the server's, once it is reaped */
	int killed_by;       /* the signal that it died of; 0: it did not */
	bool left_container; /* one that had to be killed may have */
	bool outlived;       /* the session may go on without the server */
	bool server_spoke;

	enum phase { RUNNING, ENDING, TERMINATING, KILLING } phase;
	int64_t deadline; /* of ENDING and TERMINATING */
	int64_t killing;  /* KILLING: since when */
	int64_t give_up;  /* ... and when to leave those who do not die; 0: not yet */
	bool progress;    /* somebody has died since the last round */
	bool said_storm;

	size_t reaped;  /* in this turn, */
	bool more_dead; /* and there are more */
	int64_t next_round;
	bool is_storm;     /* many were in the one before */
	int64_t reporting; /* since when deaths are counted: */
	size_t reports, unreported;

	sigset_t sent; /* ending signals that the tree got */
	bool client_died;
};

static void enter(struct reaper *r, enum phase phase)
{
	if (r->phase == RUNNING)
		prctl(PR_SET_NAME, NAME_ENDING);
	r->phase = phase;
	sample_tree();
}

/* Signals the group that the server is in, and was started in.  Its number stays
 * while a member, the server, is not reaped.  Returns whether it was there. */
static bool signal_group(const struct reaper *r, int sig)
{
	return r->server && getpgid(r->server) == r->group && kill(-r->group, sig) == 0;
}

int64_t grace(bool awaited)
{
	return opt.grace >= 0 ? opt.grace : awaited ? GRACE_AWAITED : GRACE;
}

/* The end of input: the server has the grace to exit by itself.  AWAITED: the client
 * waits for that; once it does not, a grace that runs becomes shorter, never longer. */
static void end_session(struct reaper *r, bool awaited)
{
	int64_t deadline = now() + grace(awaited);

	if (r->phase == RUNNING) {
		enter(r, ENDING);
		r->deadline = deadline;
		/* Stopped with its terminal's job, it could not see the end. */
		signal_group(r, SIGCONT);
	} else if (r->phase == ENDING && deadline < r->deadline) {
		r->deadline = deadline;
	}
}

/* Signals the tree with SIG.  The clock that runs to SIGKILL is started, but
 * never restarted. */
static void terminate(struct reaper *r, int sig)
{
	size_t count;

	sigaddset(&r->sent, sig);
	if (proc_kind() != PROC_NONE) {
		/* A shell would die of it, and nobody had the server's status. */
		bool waits = r->server && r->behind_shell && only_child(r->server);
		count = signal_tree(sig, waits ? r->server : 0);
	} else {
		count = signal_group(r, sig);
		signal_group(r, SIGCONT);
		if (r->phase < TERMINATING)
			complain("/proc: not usable: what has left the server's process group "
				 "may be left running");
	}
	event("signal name=%s processes=%zu", signal_name(sig), count);
	if (r->phase >= TERMINATING)
		return;
	enter(r, TERMINATING);
	int64_t kill_after = r->server_spoke ? KILL_AFTER : KILL_AFTER_SILENT;
	r->deadline = now() + (opt.kill_after >= 0 ? opt.kill_after : kill_after);
}

/* The rounds that follow find each level of a tree by the death of the one
 * above; the walk is for those of many levels, and the group, which most often is
 * all, takes one blow.  --stats wants to name who is hit, before it is. */
static void begin_killing(struct reaper *r)
{
	enter(r, KILLING);
	r->killing = now();
	r->left_container = warn_of_containers();
	if ((!opt.stats && !spares_any()) || proc_kind() == PROC_NONE)
		signal_group(r, SIGKILL);
	if (proc_kind() == PROC_CHILDREN)
		signal_tree(SIGKILL, 0);
	event("signal name=KILL");
}

/* The client does not want to wait. */
static void kill_now(struct reaper *r)
{
	if (r->phase != KILLING)
		begin_killing(r);
}

/* Sends the shim the SIGCONT that tells it to look around. */
static void nudge_shim(const struct reaper *r)
{
	/* Should it have died since we looked, a SIGCONT harms nobody. */
	if (pidfd_signal(r->shim, SIGCONT) < 0 && getppid() == self.shim)
		kill(self.shim, SIGCONT);
}

/* Passes on the client's SIG. */
static void pass_on(struct reaper *r, int sig)
{
	if (!is_ending(sig)) {
		/* Job control is for all of the group, as a terminal does it. */
		if (sig == SIGTSTP || sig == SIGCONT)
			signal_group(r, sig);
		else if (r->server && !(r->behind_shell && signal_only_child(r->server, sig)))
			kill(r->server, sig);
	} else {
		/* npm in mid-install takes a second signal, of any kind, for "now",
		 * and leaves the cache broken that it was about to roll back. */
		if (!sigismember(&r->sent, sig) && (r->phase < TERMINATING || r->server_spoke))
			terminate(r, sig);
		nudge_shim(r); /* to close the server's stdin, now that it has SIG */
	}
}

/* DEAD has the server's status. */
static void note_status(struct reaper *r, const siginfo_t *dead)
{
	r->server = 0;
	r->killed_by = dead->si_code == CLD_EXITED ? 0 : dead->si_status;
	r->status = r->killed_by ? 128 + r->killed_by : dead->si_status;
}

/* Ends the launcher above the server, whose process group stays.  From now on its child
 * is ours, and has the server's status. */
static void drop_launcher(struct reaper *r)
{
	struct launcher found;

	if (r->phase != RUNNING || !r->server || r->dropped)
		return;
	const char *why = find_launcher(r->server, r->input, r->output,
					opt.drop_launcher == DROP_ALL, &found);
	if (!why && !end_launcher(&found))
		why = "exiting";
	if (why) {
		event("launcher-kept pid=%d reason=%s", (int)r->server, why);
		return;
	}
	event("launcher-dropped pid=%d command=%s", (int)found.pid, quoted(command_of(found.pid)));
	count_dropped();
	r->dropped = found.pid;
	r->server = found.child;
	r->behind_shell = found.shell;
}

/* Notes the death of the launcher.  Its child is ours then; else somebody has made the
 * launcher run on and wait for it, and the session is over. */
static void forget_launcher(struct reaper *r, const siginfo_t *dead)
{
	if (dead->si_pid != r->dropped)
		return;
	r->dropped = 0;
	if (r->server && parent_of(r->server) != getpid()) {
		note_status(r, dead);
	}
}

static void read_control(struct reaper *r)
{
	unsigned char bytes[64];
	ssize_t n = read(r->control, bytes, sizeof bytes);

	if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN)) {
		shut(&r->control);
		if (r->phase == RUNNING)
			event_end("shim-died", "");
		end_session(r, false);
	}
	for (ssize_t i = 0; i < n; i++) {
		if (bytes[i] == CONTROL_INPUT_ENDED)
			end_session(r, true);
		else if (bytes[i] == CONTROL_CLIENT_GONE)
			end_session(r, false);
		else if (bytes[i] == CONTROL_SERVER_SPOKE)
			r->server_spoke = true;
		else if (bytes[i] == CONTROL_FIRST_MESSAGE)
			drop_launcher(r);
		else if (bytes[i] == CONTROL_SAMPLE)
			sample_tree();
		else if (bytes[i] == CONTROL_NUDGE)
			nudge_shim(r);
		else if (bytes[i] == CONTROL_KILL_NOW)
			kill_now(r);
		else
			pass_on(r, bytes[i]);
	}
}

/* A signal sent to the reaper itself, by hand or by a service manager. */
static void read_signals(struct reaper *r)
{
	struct signalfd_siginfo info;

	for (int i = 0; i < SIGNALS_MAX && read(r->signals, &info, sizeof info) == sizeof info; i++)
		if (is_ending((int)info.ssi_signo) && r->phase < TERMINATING)
			terminate(r, (int)info.ssi_signo);
}

/* The client's death reaches the reaper directly, too: the shim may be stopped
 * (after the SIGCONT that told it), or deep in a write to a dead disk. */
static void wake_shim(struct reaper *r)
{
	r->client_died = true;
	shut(&r->client);
	nudge_shim(r);
	end_session(r, false);
}

/* Says how many deaths were not reported, once there are few again. */
static void report_the_rest(struct reaper *r)
{
	if (r->unreported && has_listeners())
		event("reaped more=%zu", r->unreported);
	r->unreported = 0;
}

/* Whether the next death is reported.  Reports take longer than dying: of a storm a part is
 * reported, and the number of the others. */
static bool is_reported(struct reaper *r)
{
	if (!opt.verbose && !is_tracing())
		return false;
	if (now() >= r->reporting + SECOND) {
		report_the_rest(r);
		r->reporting = now();
		r->reports = 0;
	}
	return !r->is_storm && r->reports < REPORTS_MAX;
}

/* Word may be on its way that the session is over. */
static void hear_the_news(struct reaper *r)
{
	if (r->phase == RUNNING && r->control >= 0 && ready(r->control, POLLIN))
		read_control(r);
}

/*
 * LAUNCHER, which was the server so far, has exited with 0.  If it leaves a process that
 * has both of the server's pipes, that is the server: the client can talk to it, as it
 * could without us.  It is our child, so its exit will be the server's.
 */
static void find_heir(struct reaper *r, pid_t launcher)
{
	hear_the_news(r);
	if (r->phase != RUNNING)
		return;
	r->server = heir_with_pipes(r->input, r->output);
	if (r->server)
		event("launcher-exited pid=%d server=%d command=%s", (int)launcher, (int)r->server,
		      quoted(command_of(r->server)));
}

static void report_death(const siginfo_t *dead)
{
	int pid = (int)dead->si_pid;

	if (dead->si_code == CLD_EXITED)
		event("reaped pid=%d command=%s exit=%d", pid, quoted(command_of(pid)),
		      dead->si_status);
	else
		event("reaped pid=%d command=%s signal=%s", pid, quoted(command_of(pid)),
		      signal_name(dead->si_status));
}

/* Waits for one that is dead, and says so.  Returns false, with errno, if there is none. */
static bool reap_one(struct reaper *r, siginfo_t *dead)
{
	bool report = is_reported(r), look_first = report || proc_kind() == PROC_NONE;

	dead->si_pid = 0;
	errno = 0;
	if (waitid(P_ALL, 0, dead, WEXITED | WNOHANG | (look_first ? WNOWAIT : 0)) < 0 ||
	    dead->si_pid == 0)
		return false;
	if (report) {
		report_death(dead);
		r->reports++;
	} else {
		r->unreported++;
	}
	/* Once reaped, its group's number could be anyone's. */
	if (dead->si_pid == r->server && proc_kind() == PROC_NONE)
		signal_group(r, SIGKILL);
	if (look_first)
		waitpid(dead->si_pid, NULL, 0);
	return true;
}

/* Collects the dead, for REAP_MAX at most: a storm of processes that start others and exit
 * must not keep us from clocks and pipes.  Returns whether any of the tree is left. */
static bool reap(struct reaper *r)
{
	int64_t deadline = now() + REAP_MAX;
	siginfo_t dead;

	/* Killing must be faster than forking: reports, which are not, wait. */
	r->is_storm = r->phase == KILLING && r->reaped > CALM;
	for (r->reaped = 0; now() <= deadline; r->reaped++) {
		if (!reap_one(r, &dead)) {
			if (errno == EINTR)
				continue;
			r->more_dead = false;
			return errno != ECHILD && has_tree();
		}
		r->progress = true;
		count_process(dead.si_pid);
		if (dead.si_pid == r->server) {
			note_status(r, &dead);
			if (dead.si_code == CLD_EXITED && dead.si_status == 0)
				find_heir(r, dead.si_pid);
		}
		forget_launcher(r, &dead);
		forget_inherited(dead.si_pid);
	}
	r->more_dead = true;
	return true;
}

/* Whether the shim has been killed.  By what it closes then the whole tree can end
 * while it is still about to die. */
static bool has_lost_shim(void)
{
	struct proc p;

	return (getppid() == self.shim && read_proc(self.shim, &p) && is_exiting(&p)) ||
	       getppid() != self.shim;
}

/* The server has exited: by itself, unless word is on its way that it should. */
static void note_exit(struct reaper *r)
{
	hear_the_news(r);
	if (r->phase == RUNNING && has_listeners() && !*end_reason() && /* it could not be run */
	    !(r->outlived && !has_lost_shim()))
		event_end(has_lost_shim() ? "shim-died" : "server-exited", "");
}

/* SIGKILLs what can be reached now.  Returns false when all that is left has been beyond
 * our kill, or our wait, for too long. */
static bool kill_round(struct reaper *r)
{
	int64_t begun = now();

	/* Where there are very many dead to be listed, at least half of the time is for
	 * them, as they take the numbers that everybody needs. */
	if (begun < r->next_round)
		return true;
	kill_children();
	r->next_round = 2 * now() - begun;
	if (r->progress || r->give_up == 0)
		r->give_up = now() + UNKILLABLE_MAX;
	else if (now() >= r->give_up && is_stuck())
		return false;
	r->progress = false;
	if (!r->said_storm && now() >= r->killing + STORM) {
		r->said_storm = true;
		complain("SIGKILL for %d s, and not over: what is left starts new processes "
			 "faster than they can be killed",
			 STORM / SECOND);
	}
	return true;
}

/*
 * Sees the tree through its session and to its end.
 *
 * Why nobody is left: only ECHILD from wait ends the killing, and a process of
 * the tree whose parent dies becomes our child before that parent can be
 * reaped.  Why it cannot hang: after a round, each own child that was listed
 * has SIGKILL on it; its SIGCHLD, and the clock where that came before a round was
 * due, bring the next round, which lists the orphans that it left.  Not everybody's SIGCHLD
 * comes: not another user's, nor that of one which waits for a dead disk, or whose tracer,
 * outside of the tree, does not wait for it or holds it at its exit.  So rounds in which
 * nobody dies are counted in time, and when it is over who is left is named, and left.
 */
static void reap_tree(struct reaper *r)
{
	while (reap(r)) {
		if (!r->server && r->phase < TERMINATING) {
			note_exit(r);
			terminate(r, SIGTERM);
		}
		if (r->phase == KILLING && !kill_round(r)) {
			name_the_stuck();
			break;
		}

		struct pollfd fds[] = {
			{.fd = r->signals, .events = POLLIN},
			{.fd = r->control, .events = POLLIN},
			{.fd = r->client, .events = POLLIN},
		};
		int timeout = -1;
		if (r->phase == ENDING || r->phase == TERMINATING)
			timeout = until(r->deadline);
		else if (r->phase == KILLING)
			timeout = KILL_ROUND;
		if (r->more_dead)
			timeout = 0;
		wait_for(fds, sizeof fds / sizeof *fds, timeout);

		if (fds[0].revents)
			read_signals(r);
		if (fds[1].revents)
			read_control(r);
		if (fds[2].revents)
			wake_shim(r);
		if (r->phase == ENDING && now() >= r->deadline)
			terminate(r, SIGTERM);
		else if (r->phase == TERMINATING && now() >= r->deadline)
			begin_killing(r);
	}
	note_exit(r);
	report_the_rest(r);
}

void sweep_tree(int signals, bool server_spoke)
{
	struct reaper r = {
		.control = -1,
		.signals = signals,
		.client = -1,
		.shim = -1,
		.server_spoke = server_spoke,
		.phase = ENDING,
	};

	prctl(PR_SET_NAME, NAME_SWEEP);
	sigemptyset(&r.sent);
	reap_tree(&r);
	name_the_spared();
}

/* The exit status alone does not tell 143 from SIGTERM, and nothing of containers. */
static void tell_death(int fd, const struct reaper *r)
{
	uint64_t value = (uint64_t)r->killed_by | (r->left_container ? LEFT_CONTAINER : 0);

	if (value && write(fd, &value, sizeof value) < 0)
		complain("eventfd: %s", strerror(errno));
}

void be_reaper(const struct pipes *p, int signals, int client, bool outlived)
{
	/* SIGCONT, should the shim die: it wakes us if we are stopped.  That it
	 * died before is seen on the control pipe. */
	prctl(PR_SET_PDEATHSIG, SIGCONT);
	prctl(PR_SET_NAME, NAME_REAPER);
	if (setsid() < 0)
		fail("setsid");
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		fail("subreaper");
	disown_inherited();

	pid_t server = run_server(p, outlived);
	never_spare(server);
	event("server pid=%d", (int)server);

	int shim = pidfd_open_of(self.shim);
	if (getppid() != self.shim) /* dead, and the number perhaps recycled */
		shut(&shim);
	struct reaper r = {
		.control = p->control[0],
		.signals = signals,
		.client = client,
		.shim = shim,
		.server = server,
		.group = server,
		.input = inode_of(p->input[0]),
		.output = inode_of(p->output[1]),
		.status = EXIT_OURS,
		.outlived = outlived,
	};
	int keep[] = {STDERR_FILENO, r.control, signals, client, shim, p->exit, trace_descriptor()};
	close_all_but(0, keep, sizeof keep / sizeof *keep);
	own_description(STDERR_FILENO, O_WRONLY);

	sigemptyset(&r.sent);
	reap_tree(&r);
	name_the_spared();

	/* Stopped after our first SIGCONT, it would stay so for ever. */
	if (r.client_died)
		nudge_shim(&r);
	if (opt.stats && has_lost_shim())
		say_stats(r.status);
	tell_death(p->exit, &r);
	_exit(r.status);
}
