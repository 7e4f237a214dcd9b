/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "program.h"

#include "../base/memory.h"
#include "launcher.h"
#include "proc.h"
#include "tree.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	NOTE_MAX = 256 * 1024, /* bytes; a larger environment is rare, and not noted */
	WORDS_MAX = 8192,      /* arguments, and variables */
	DEPTH_MAX = 8,         /* of launchers */
};

/* Strings behind each other, as /proc has them: all that it takes of memory. */
static struct note {
	size_t file, arguments, variables, end; /* where they begin; 0: nothing is noted */
	bool unfit;                             /* it did not do: no other note is taken */
	char bytes[NOTE_MAX];                   /* the directory first */
} * note;

/* Whether both are the same file. */
static bool is_same_file(const char *path, const char *other)
{
	struct stat a, b;

	return stat(path, &a) == 0 && stat(other, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

/* Appends all of /proc/PID/FILE, strings.  Returns false unless it was had to its end
 * and none is empty: padding is what a program leaves that writes a title there. */
static bool note_strings(pid_t pid, const char *file)
{
	char path[48];
	size_t from = note->end;
	ssize_t n;

	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	while ((n = read(fd, note->bytes + note->end, NOTE_MAX - note->end)) > 0)
		note->end += (size_t)n;
	close(fd);
	if (n < 0 || note->end == NOTE_MAX || note->end == from || note->bytes[note->end - 1])
		return false;
	for (size_t i = from; i < note->end; i += strlen(note->bytes + i) + 1)
		if (!note->bytes[i])
			return false;
	return true;
}

static bool note_string(const char *s)
{
	size_t size = strlen(s) + 1;

	if (size > NOTE_MAX - note->end)
		return false;
	memcpy(note->bytes + note->end, s, size);
	note->end += size;
	return true;
}

/* The value of NAME in the environment that is noted; NULL: none. */
static const char *variable(const char *name)
{
	size_t length = strlen(name);

	for (size_t i = note->variables; i < note->end; i += strlen(note->bytes + i) + 1)
		if (strncmp(note->bytes + i, name, length) == 0 && note->bytes[i + length] == '=')
			return note->bytes + i + length + 1;
	return NULL;
}

/*
 * Finds by what PATH, of SIZE bytes, PID's program was called: the one that its first
 * argument means, if that is the program.  Not /proc/PID/exe, in which a link is
 * resolved, as python is of a virtual environment, which that path decides.  And a
 * program that has overwritten its arguments is found out here.
 */
static bool find_file(pid_t pid, char *path, size_t size)
{
	const char *name = note->bytes + note->arguments, *dirs = variable("PATH");
	char exe[32];

	snprintf(exe, sizeof exe, "/proc/%d/exe", (int)pid);
	if (strchr(name, '/')) {
		const char *directory = *name == '/' ? "" : note->bytes;
		int n = snprintf(path, size, "%s/%s", directory, name + (*name == '/'));
		return n > 0 && (size_t)n < size && is_same_file(path, exe);
	}
	while (dirs && *dirs) {
		int length = (int)strcspn(dirs, ":");
		int n = snprintf(path, size, "%.*s/%s", length, dirs, name);
		if (*dirs == '/' && n > 0 && (size_t)n < size && access(path, X_OK) == 0)
			return is_same_file(path, exe); /* the first is what was called */
		dirs += length + (dirs[length] == ':');
	}
	return false;
}

/* Whether SERVER and LAUNCHER have the same LINE of their status. */
static bool have_same(const char *line, const char *server, const char *launcher)
{
	const char *a = strstr(server, line), *b = strstr(launcher, line);

	if (!a || !b)
		return a == b;
	size_t length = strcspn(a + 1, "\n") + 1; /* the newline in front of it is of both */

	return strncmp(a, b, length) == 0 && strcspn(b + 1, "\n") + 1 == length;
}

/* Whether SERVER has the rights and the view of the system that LAUNCHER has: else
 * something in between has taken some away, and must not be left out. */
static bool has_same_rights(pid_t server, pid_t launcher)
{
	static const char *const lines[] = {
		"\nUmask:",  "\nUid:",    "\nGid:",        "\nGroups:",
		"\nCapEff:", "\nCapBnd:", "\nNoNewPrivs:", "\nSeccomp:"};
	static const char *const views[] = {"root",   "ns/user", "ns/mnt",
					    "ns/net", "ns/pid",  "ns/ipc"};
	char server_status[4096], launcher_status[4096], of_server[48], of_launcher[48];

	if (read_proc_file(server, "status", server_status, sizeof server_status) <= 0 ||
	    read_proc_file(launcher, "status", launcher_status, sizeof launcher_status) <= 0)
		return false;
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
		if (!have_same(lines[i], server_status, launcher_status))
			return false;
	for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
		snprintf(of_server, sizeof of_server, "/proc/%d/%s", (int)server, views[i]);
		snprintf(of_launcher, sizeof of_launcher, "/proc/%d/%s", (int)launcher, views[i]);
		if (access(of_launcher, F_OK) == 0 && !is_same_file(of_server, of_launcher))
			return false;
	}
	return true;
}

static bool note_process(pid_t pid)
{
	char link[32], path[PATH_MAX];

	note->end = 0;
	snprintf(link, sizeof link, "/proc/%d/cwd", (int)pid);
	ssize_t n = readlink(link, path, sizeof path - 1);
	if (n <= 0)
		return false;
	path[n] = '\0';
	if (!is_same_file(path, link) || !note_string(path)) /* perhaps removed */
		return false;
	note->arguments = note->end;
	if (!note_strings(pid, "cmdline"))
		return false;
	note->variables = note->end;
	if (!note_strings(pid, "environ") || !find_file(pid, path, sizeof path))
		return false;
	note->file = note->end;
	return note_string(path);
}

static void forget(void)
{
	note->file = 0;
	give_back(note->bytes, sizeof note->bytes);
}

bool note_program(pid_t pid, ino_t input, ino_t output)
{
	pid_t launcher = child_with_pipes(pid, input, output), server = launcher;

	if (!note)
		note = map_memory(sizeof *note, MAP_PRIVATE);
	if (note->unfit)
		return false;
	for (int i = 0; i < DEPTH_MAX && server && only_launches(server); i++) {
		server = child_with_pipes(server, input, output);
		if (server && is_shell_with_command(server))
			server = child_with_pipes(server, input, output);
	}
	if (!server || server == launcher || !has_same_rights(server, launcher) ||
	    !note_process(server))
		forget();
	return note->file;
}

const char *noted_program(void)
{
	return note && note->file ? note->bytes + note->file : NULL;
}

void forget_program(bool unfit)
{
	if (!note)
		return;
	forget();
	note->unfit = unfit;
}

/* Lists the strings FROM to TO in WORDS, WORDS_MAX of them with a NULL behind them.
 * Returns whether there was room. */
static bool list(char **words, size_t from, size_t to)
{
	size_t n = 0;

	for (; from < to && n < WORDS_MAX - 1; from += strlen(note->bytes + from) + 1)
		words[n++] = note->bytes + from;
	words[n] = NULL;
	return from >= to;
}

void exec_program(void)
{
	if (!noted_program())
		return;
	/* Only here: the shim, which sleeps, need not hold them. */
	char **arguments = map_memory(sizeof *arguments * 2 * WORDS_MAX, MAP_PRIVATE);
	char **variables = arguments + WORDS_MAX;
	if (!list(arguments, note->arguments, note->variables) ||
	    !list(variables, note->variables, note->file))
		return;
	int here = open(".", O_PATH | O_CLOEXEC);
	if (here >= 0 && chdir(note->bytes) == 0)
		execve(noted_program(), arguments, variables);
	if (here >= 0 && fchdir(here) < 0)
		_exit(EXIT_FAILURE);
}
