/* SPDX-License-Identifier: MIT */
/* Launchers: what only waits for the server that it has started, as npm exec (npx) does. */
#ifndef TREE_LAUNCHER_H
#define TREE_LAUNCHER_H

#include <stdbool.h>
#include <sys/types.h>

/* One that can be let go. */
struct launcher {
	pid_t pid;   /* our own child */
	pid_t child; /* its only one, which stays, and becomes ours */
	bool shell;  /* the child waits for the server, and exits with its status */
};

/* Whether PID is one that starts a program of which nothing but its files is the
 * launcher's: the same program can be started without it. */
bool only_launches(pid_t pid);

/* Whether PID, a shell, was given its command in an argument, as npm does it. */
bool is_shell_with_command(pid_t pid);

/*
 * Whether PID, our own child, is a launcher above a server whose stdin and stdout are
 * the pipes INPUT and OUTPUT, and the server is none the wiser without it: that needs
 * a shell in between, for the server may watch its parent, or ALL.  Returns NULL, or
 * why it is to be kept.
 */
const char *find_launcher(pid_t pid, ino_t input, ino_t output, bool all, struct launcher *l);

/*
 * SIGKILLs it.  Returns whether it was: not if its child has exited before, since then
 * it has the status that the session ends with.
 */
bool end_launcher(const struct launcher *l);

#endif
