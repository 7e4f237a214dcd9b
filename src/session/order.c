/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "order.h"

#include "../base/fd.h"
#include "../base/memory.h"
#include "../base/options.h"
#include "../base/say.h"
#include "../tree/proc.h"
#include "list.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Bytes; execve(2) takes less than 6 MiB. */
enum { ENVIRONMENT_MAX = 8 << 20 };

__attribute__((noreturn)) static void refuse(pid_t pid, const char *why, int status)
{
	complain("%d: %s", (int)pid, why);
	exit(status);
}

/*
 * The pidfd of the session of PID, and its STATE.
 *
 * No stranger is hit.  The pidfd is opened, and then PID is looked at: either it still is what the
 * pidfd holds, or that is dead, and its signals reach nobody.
 */
static int hold(pid_t pid, const char **state)
{
	int fd = pidfd_open_of(pid);

	if (fd < 0 && errno != ESRCH && errno != EINVAL) /* EINVAL: a thread */
		fail("pidfd_open");
	*state = fd < 0 ? NULL : state_of_session(pid);
	if (!*state)
		refuse(pid, "no session; see mcp-reap --list", EXIT_NO_SESSION);
	return fd;
}

static void send(pid_t pid, int fd, int sig)
{
	if (pidfd_signal(fd, sig) < 0)
		refuse(pid, strerror(errno), errno == ESRCH ? EXIT_NO_SESSION : EXIT_OURS);
}

void stop_session(pid_t pid)
{
	const char *state;
	int fd = hold(pid, &state);

	send(pid, fd, SIGTERM);    /* a reaper that is left alone is ending, and takes no notice */
	pidfd_signal(fd, SIGCONT); /* a stopped job ends, too */
	shut(&fd);
}

/* What PID's environment had as MCP_REAP_OPTIONS when it was started, in ENVIRONMENT_MAX bytes of
 * BUF; NULL: nothing.  Returns false if that may not be seen. */
static bool read_variable(pid_t pid, char *buf, char **value)
{
	const char name[] = OPTIONS_VARIABLE "=";
	ssize_t length = read_proc_file(pid, "environ", buf, ENVIRONMENT_MAX);

	*value = NULL;
	if (length < 0 || length >= ENVIRONMENT_MAX - 1)
		return false;
	for (char *at = buf; !*value && at < buf + length; at += strlen(at) + 1)
		if (strncmp(at, name, sizeof name - 1) == 0)
			*value = at + sizeof name - 1;
	return true;
}

/* Whether the session of PID knows what SIGUSR1 is for.  Another one passes it on to its server,
 * which would die of it. */
static bool takes_restart(pid_t pid)
{
	struct command_line c;
	char *value, *environment = map_memory(ENVIRONMENT_MAX, MAP_PRIVATE);

	read_command_line(pid, &c);
	return c.argc > 0 && read_variable(pid, environment, &value) &&
	       asks_for_restart(c.argc, c.argv, value);
}

void restart_session(pid_t pid)
{
	const char *state;
	int fd = hold(pid, &state);

	if (strcmp(state, "ending") == 0)
		refuse(pid, "it is ending", EXIT_OURS);
	if (!takes_restart(pid))
		refuse(pid, "it was started without --restart, or that cannot be told", EXIT_OURS);
	send(pid, fd, SIGUSR1);
	shut(&fd);
}
