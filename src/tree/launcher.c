/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "launcher.h"

#include "../base/fd.h"
#include "proc.h"
#include "tree.h"

#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

/* Whether the shell command is a single program with its arguments, so that
 * nothing comes after it.  Better no than a wrong yes. */
static bool is_plain_command(const char *command)
{
	for (bool quoted = false; *command; command++) {
		if (*command == '\'')
			quoted = !quoted;
		else if (!quoted && strchr(";&|<>()`$\n", *command))
			return false;
	}
	return true;
}

/* Whether PID's program is one of NAMES, a list that NULL ends. */
static bool runs(pid_t pid, const char *const names[])
{
	const char *program = program_of(pid);

	for (; *names; names++)
		if (strcmp(program, *names) == 0)
			return true;
	return false;
}

/* npm says what it does in its process title. */
static bool is_npm_exec(pid_t pid)
{
	static const char *const node[] = {"node", "nodejs", NULL};
	char title[16];

	return runs(pid, node) && read_proc_file(pid, "cmdline", title, sizeof title) > 0 &&
	       strncmp(title, "npm exec ", 9) == 0;
}

static bool is_shell_of_npm(pid_t pid)
{
	static const char *const shells[] = {"sh", "dash", "bash", "ash", "busybox", NULL};
	char line[4096] = "";

	if (!runs(pid, shells) || read_proc_file(pid, "cmdline", line, sizeof line) < 0)
		return false;
	const char *flag = line + strlen(line) + 1;
	/* Cut off, it is not known to its end. */
	return strcmp(flag, "-c") == 0 && is_plain_command(flag + 3) &&
	       (size_t)(flag - line) + 3 + strlen(flag + 3) < sizeof line - 1;
}

const char *find_launchers(pid_t pid, ino_t input, ino_t output, struct launchers *l)
{
	const char *why = NULL;
	int fd = -1; /* of l->server */

	*l = (struct launchers){.server = pid};
	if (proc_kind() != PROC_CHILDREN || !has_pipes(pid, input, output))
		return "unknown";
	while (!why && l->n < LAUNCHERS_MAX &&
	       (l->n == 0 ? is_npm_exec(pid) : is_shell_of_npm(l->server))) {
		pid_t child = only_child(l->server);
		l->pids[l->n] = l->server;
		l->fds[l->n++] = fd;
		fd = child ? pidfd_open_of(child) : -1;
		if (fd < 0 || parent_of(child) != l->server)
			why = "not-one-child";
		else if (!has_pipes(child, input, output))
			why = "other-pipes";
		l->server = child;
	}
	shut(&fd);
	return why ? why : l->n ? NULL : "not-npx";
}

void kill_launcher(const struct launchers *l, size_t i)
{
	if (i == 0)
		kill(l->pids[0], SIGKILL);
	else
		pidfd_signal(l->fds[i], SIGKILL);
}

void release_launchers(struct launchers *l)
{
	for (size_t i = 0; i < l->n; i++)
		shut(&l->fds[i]);
}
