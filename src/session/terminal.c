/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "terminal.h"

#include "../base/fd.h"
#include "client.h"

#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static bool controls_us;

void begin_terminal(void)
{
	/* What a pty's master controls is another session. */
	controls_us = isatty(STDIN_FILENO) && tcgetsid(STDIN_FILENO) == getsid(0);
}

bool would_stop(void)
{
	pid_t foreground = controls_us ? tcgetpgrp(STDIN_FILENO) : -1;

	return foreground > 0 && foreground != getpgrp();
}

static void discard(int sig)
{
	const struct timespec at_once = {0, 0};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	sigtimedwait(&set, NULL, &at_once);
}

bool stop_by(int sig)
{
	sigset_t set;

	if (client_is_dead(false)) {
		discard(sig);
		return false;
	}
	sigemptyset(&set);
	sigaddset(&set, sig);
	sigprocmask(SIG_UNBLOCK, &set, NULL); /* here we stop */
	sigprocmask(SIG_BLOCK, &set, NULL);
	return true;
}

bool stop_job(int signals)
{
	sigset_t ttin;
	bool alive = true;

	sigemptyset(&ttin);
	sigaddset(&ttin, SIGTTIN);
	sigprocmask(SIG_BLOCK, &ttin, NULL);
	kill(0, SIGTTIN);
	if (ready(signals, POLLIN))
		discard(SIGTTIN);
	else
		alive = stop_by(SIGTTIN);
	sigprocmask(SIG_UNBLOCK, &ttin, NULL);
	return alive;
}
