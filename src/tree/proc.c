/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "proc.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Headers older than the system call: as if the kernel were (ENOSYS). */
#ifndef SYS_pidfd_open
#define SYS_pidfd_open -1
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal -1
#endif

int pidfd_open_of(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

int pidfd_signal(int pidfd, int sig)
{
	return (int)syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0);
}

ssize_t read_proc_file(pid_t pid, const char *file, char *buf, size_t size)
{
	char path[48];

	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ssize_t n = read(fd, buf, size - 1);
	close(fd);
	if (n >= 0)
		buf[n] = '\0';
	return n;
}

void read_command_line(pid_t pid, struct command_line *c)
{
	ssize_t length = read_proc_file(pid, "cmdline", c->words, sizeof c->words);

	c->argc = 0;
	for (char *w = c->words; w < c->words + length && c->argc < 255; w += strlen(w) + 1)
		c->argv[c->argc++] = w;
	c->argv[c->argc] = NULL;
}

bool read_proc(pid_t pid, struct proc *p)
{
	char stat[1024];
	int64_t fields[23] = {0};

	if (read_proc_file(pid, "stat", stat, sizeof stat) < 0)
		return false;
	/* The second field is the command in parentheses, and may hold some. */
	char *name = strchr(stat, '('), *after = strrchr(stat, ')');
	if (!name || !after || after[1] != ' ')
		return false;
	char *at = after + 2;
	*p = (struct proc){.pid = pid, .state = *at};
	for (size_t i = 4; i < sizeof fields / sizeof *fields; i++) {
		at = strchr(at, ' ');
		if (!at)
			return false;
		fields[i] = strtoll(at, &at, 10);
	}
	p->parent = (pid_t)fields[4];
	p->leader = (pid_t)fields[6];
	p->flags = fields[9];
	for (size_t i = 14; i <= 17; i++)
		p->cpu += (uint64_t)fields[i];
	p->threads = fields[20];
	p->start = (uint64_t)fields[22];
	snprintf(p->name, sizeof p->name, "%.*s", (int)(after - name - 1), name + 1);
	return true;
}

pid_t parent_of(pid_t pid)
{
	struct proc p;

	return read_proc(pid, &p) ? p.parent : -1;
}

bool is_zombie(const struct proc *p)
{
	/* A first thread that has exited before the others is one by its state alone. */
	return (p->state == 'Z' || p->state == 'X') && p->threads <= 1;
}

bool is_exiting(const struct proc *p)
{
	enum { EXITING = 4 }; /* the kernel's PF_EXITING, set before it closes anything */

	return p->flags & EXITING;
}

static bool is_at_work(char state)
{
	return state == 'R' || state == 'D';
}

bool has_thread_at_work(const struct proc *p)
{
	char path[32], file[32], stat[512];
	bool found = is_at_work(p->state);

	if (found || p->threads <= 1)
		return found;
	snprintf(path, sizeof path, "/proc/%d/task", (int)p->pid);
	DIR *dir = opendir(path);
	if (!dir) /* it has ended, or cannot be looked at: the CPU that it has used has to do */
		return false;
	for (struct dirent *e; !found && (e = readdir(dir));) {
		snprintf(file, sizeof file, "task/%.10s/stat", e->d_name);
		if (read_proc_file(p->pid, file, stat, sizeof stat) < 0)
			continue; /* . and .., or it has ended */
		const char *after = strrchr(stat, ')');
		found = after && after[1] == ' ' && is_at_work(after[2]);
	}
	closedir(dir);
	return found;
}

const char *command_of(pid_t pid)
{
	static char name[64];

	if (read_proc_file(pid, "comm", name, sizeof name) < 0)
		return "?";
	name[strcspn(name, "\n")] = '\0';
	return name;
}

/* The number behind FIELD in TEXT, lines of /proc; -1: none. */
static int64_t field_of(const char *text, const char *field)
{
	size_t length = strlen(field);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, field, length) == 0)
			return strtoll(line + length, NULL, 10);
	}
	return -1;
}

pid_t tracer_of(pid_t pid)
{
	char text[2048];

	if (read_proc_file(pid, "status", text, sizeof text) < 0)
		return 0;
	int64_t tracer = field_of(text, "TracerPid:");
	return tracer > 0 ? (pid_t)tracer : 0;
}

int64_t memory_of(pid_t pid)
{
	static const struct {
		const char *file, *field;
	} sources[] = {{"smaps_rollup", "Pss:"}, {"status", "VmRSS:"}};
	char text[2048];

	for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
		if (read_proc_file(pid, sources[i].file, text, sizeof text) < 0)
			continue;
		int64_t memory = field_of(text, sources[i].field);
		if (memory >= 0)
			return memory;
	}
	return 0;
}

const char *program_of(pid_t pid)
{
	static char name[NAME_MAX + 1];
	char path[32], exe[PATH_MAX];

	snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
	ssize_t n = readlink(path, exe, sizeof exe - 1);
	if (n <= 0)
		return "";
	exe[n] = '\0';
	char *suffix = strrchr(exe, ' ');
	if (suffix && strcmp(suffix, " (deleted)") == 0) /* by an update, say */
		*suffix = '\0';
	const char *base = strrchr(exe, '/');
	snprintf(name, sizeof name, "%.*s", NAME_MAX, base ? base + 1 : exe);
	return name;
}

ino_t pipe_of(pid_t pid, const char *file)
{
	char path[48];
	struct stat st;

	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
	return stat(path, &st) == 0 && S_ISFIFO(st.st_mode) ? st.st_ino : 0;
}

bool has_pipes(pid_t pid, ino_t input, ino_t output)
{
	return pipe_of(pid, "fd/0") == input && pipe_of(pid, "fd/1") == output;
}

enum proc_kind proc_kind(void)
{
	static enum proc_kind kind;
	char own[16];

	if (kind != PROC_UNKNOWN)
		return kind;
	/* The /proc of another PID namespace has other numbers than kill(2). */
	ssize_t n = readlink("/proc/self", own, sizeof own - 1);
	if (n < 0) /* no /proc, or no memory for it just now: ask again */
		return PROC_NONE;
	own[n] = '\0';
	if (atoi(own) != getpid())
		kind = PROC_NONE;
	else if (access("/proc/thread-self/children", R_OK) == 0)
		kind = PROC_CHILDREN;
	else
		kind = PROC_STAT;
	return kind;
}
