/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "launcher.h"

#include "../base/fd.h"
#include "../base/memory.h"
#include "proc.h"
#include "tree.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	STOP_MAX = 100,       /* ms, for a launcher to stand still */
	PACKAGE_MAX = 131072, /* bytes of a package.json; what is larger is not known */
};

static const char *const shells[] = {"sh", "dash", "bash", "ash", "busybox", NULL};
static const char *const nodes[] = {"node", "nodejs", NULL};

/* npm says what it does in its process title. */
static const char *const npm_exec[] = {"npm exec ", "npm x ", NULL};
static const char *const npm_run[] = {"npm run ", "npm run-script ", "npm start", NULL};

/* The others are the server's own parent. */
static const struct kind {
	char name[8], command[8]; /* command: its first argument; "": any */
	char keeps[12];           /* why it stays, if it cannot be let go at all; else "" */
	bool only_launches;
} kinds[] = {
	{"bunx", "", "", true},
	{"bun", "x", "", true},
	{"deno", "task", "", false},
	/* A watchdog of its, and the kernel, kill what it has started when it dies. */
	{"pnpm", "dlx", "guards", true},
	{"pnpx", "", "guards", true},
	{"pnpm", "", "guards", false},
	/* Its folder in /tmp, which the server is run from. */
	{"yarn", "dlx", "cleans-up", false},
	/* Perhaps an environment that was made for this run alone. */
	{"uv", "", "cleans-up", false},
	{"uvx", "", "cleans-up", false},
};

/* Whether PID's program is one of NAMES, a list that NULL ends. */
static bool runs(pid_t pid, const char *const names[])
{
	const char *program = program_of(pid);

	for (; *names; names++)
		if (strcmp(program, *names) == 0)
			return true;
	return false;
}

/* What follows the one of PREFIXES, a list that NULL ends, that TEXT begins with. */
static const char *behind(const char *text, const char *const prefixes[])
{
	for (; *prefixes; prefixes++)
		if (strncmp(text, *prefixes, strlen(*prefixes)) == 0)
			return text + strlen(*prefixes);
	return NULL;
}

static const char *base_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Whether FILE is called NAME, but for what may follow it: ".cjs", or what else is in
 * a title. */
static bool is_called(const char *file, const char *name)
{
	size_t length = strlen(name);

	return strncmp(file, name, length) == 0 && strchr(". ", file[length]);
}

/* The kind of PID, if it is one of those that are no npm. */
static const struct kind *kind_of(pid_t pid)
{
	char line[1024];
	ssize_t n = read_proc_file(pid, "cmdline", line, sizeof line - 2);

	if (n <= 0)
		return NULL;
	memset(line + n, '\0', 2); /* ends two words at least */
	const char *word = line, *end = line + n;
	bool by_node = runs(pid, nodes) && is_called(base_of(word), "node");

	if (by_node)
		word += strlen(word) + 1;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		const char *name = base_of(word), *next = word + strlen(word) + 1;

		if (!is_called(name, kinds[i].name))
			continue;
		if (next > end)
			next = "";
		if (!*kinds[i].command || strcmp(next, kinds[i].command) == 0)
			return &kinds[i];
	}
	return NULL;
}

/* The title of PID, an npm that runs a package's program or script; "" for others. */
static const char *npm_title(pid_t pid)
{
	static char title[256];

	if (!runs(pid, nodes) || read_proc_file(pid, "cmdline", title, sizeof title) <= 0 ||
	    (!behind(title, npm_exec) && !behind(title, npm_run)))
		return "";
	return title;
}

bool only_launches(pid_t pid)
{
	const char *package = behind(npm_title(pid), npm_exec);
	const struct kind *kind = kind_of(pid);

	/* Without a package the command is one of the user's (npx -c). */
	return package ? *package : kind && kind->only_launches;
}

bool is_shell_with_command(pid_t pid)
{
	char line[64];
	ssize_t n = read_proc_file(pid, "cmdline", line, sizeof line);
	size_t length = n > 0 ? strlen(line) : 0;

	return runs(pid, shells) && (ssize_t)length + 3 < n && strcmp(line + length + 1, "-c") == 0;
}

/*
 * Whether npm, of this TITLE, has something to run after the script that SHELL, started
 * in the package's folder, runs: "poststart" after "start".
 */
static bool has_post_script(const char *title, pid_t shell)
{
	const char *script = behind(title, npm_run);
	char path[48], key[128];
	bool has = true; /* unless known better */

	if (!script)
		return false;
	if (!*script || *script == ' ')
		script = "start";
	snprintf(key, sizeof key, "\"post%.*s\"", (int)strcspn(script, " "), script);
	snprintf(path, sizeof path, "/proc/%d/cwd/package.json", (int)shell);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return true;
	char *text = map_memory(PACKAGE_MAX, MAP_PRIVATE);
	ssize_t n = read(fd, text, PACKAGE_MAX);
	if (n > 0 && n < PACKAGE_MAX)
		has = memmem(text, (size_t)n, key, strlen(key)) != NULL;
	munmap(text, PACKAGE_MAX);
	close(fd);
	return has;
}

const char *find_launcher(pid_t pid, ino_t input, ino_t output, bool all, struct launcher *l)
{
	if (proc_kind() != PROC_CHILDREN || !has_pipes(pid, input, output))
		return "unknown";
	const char *title = npm_title(pid);
	const struct kind *kind = kind_of(pid);
	if (!*title && !kind)
		return "no-launcher";
	if (kind && *kind->keeps)
		return kind->keeps;

	*l = (struct launcher){.pid = pid, .child = only_child(pid)};
	pid_t server = l->child;
	l->shell = *title && server && is_shell_with_command(server);
	if (l->shell)
		server = only_child(server);
	if (!server)
		return "not-one-child";
	if (!has_pipes(l->child, input, output) || !has_pipes(server, input, output))
		return "other-pipes";
	if (*title && has_post_script(title, l->child))
		return "post-script";
	return l->shell || all ? NULL : "parent";
}

/* Stops PID, our own child.  Returns whether none of its threads runs any more. */
static bool stop(pid_t pid)
{
	kill(pid, SIGSTOP);
	for (int ms = 0; ms < STOP_MAX; ms++) {
		siginfo_t now = {.si_pid = 0};

		/* A stop is reported when the last thread has come to it. */
		waitid(P_PID, (id_t)pid, &now, WSTOPPED | WEXITED | WNOWAIT | WNOHANG);
		if (now.si_pid == pid)
			return now.si_code == CLD_STOPPED;
		poll(NULL, 0, 1);
	}
	return false;
}

/*
 * Why the status is not lost: the launcher is stopped first, so that it can wait for
 * nobody.  A child of its that is there then, be it dead, is ours to wait for after the
 * SIGKILL, which a stopped process takes without another step.
 */
bool end_launcher(const struct launcher *l)
{
	bool ended = stop(l->pid) && parent_of(l->child) == l->pid;

	kill(l->pid, ended ? SIGKILL : SIGCONT);
	return ended;
}
