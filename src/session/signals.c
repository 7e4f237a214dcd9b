/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "signals.h"

#include "../base/say.h"

#include <signal.h>
#include <stddef.h>
#include <sys/signalfd.h>

static sigset_t ending_signals;

static struct {
	sigset_t mask;
	struct sigaction chld;
} inherited;

bool is_ending(int sig)
{
	return sigismember(&ending_signals, sig) == 1;
}

int take_signals(void)
{
	sigset_t set;
	struct sigaction hup;

	sigemptyset(&ending_signals);
	sigaddset(&ending_signals, SIGINT);
	sigaddset(&ending_signals, SIGQUIT);
	sigaddset(&ending_signals, SIGTERM);
	/* Ignored SIGINT and SIGQUIT are no wish of anybody's: a shell without
	 * job control ignores them for whatever it starts with '&'. */
	if (sigaction(SIGHUP, NULL, &hup) == 0 && hup.sa_handler != SIG_IGN)
		sigaddset(&ending_signals, SIGHUP);

	/* Inherited as ignored, it would leave nobody to be waited for. */
	sigaction(SIGCHLD, &(struct sigaction){.sa_handler = SIG_DFL}, &inherited.chld);

	sigfillset(&set);
	sigdelset(&set, SIGTTIN);
	sigdelset(&set, SIGTTOU);
	sigprocmask(SIG_SETMASK, &set, &inherited.mask);
	sigdelset(&set, SIGPIPE);
	sigdelset(&set, SIGXFSZ);
	if (!is_ending(SIGHUP))
		sigdelset(&set, SIGHUP);
	int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0)
		fail("signalfd");
	return fd;
}

void restore_signals(void)
{
	sigaction(SIGCHLD, &inherited.chld, NULL);
	sigprocmask(SIG_SETMASK, &inherited.mask, NULL);
}
