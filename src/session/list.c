/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "list.h"

#include "../base/memory.h"
#include "../base/options.h"
#include "../base/say.h"
#include "../base/text.h"
#include "../tree/proc.h"
#include "reaper.h"

#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LINE = 400000 }; /* bytes, of which the command can take the most */

struct process {
	struct proc is;
	dev_t program_dev;
	ino_t program_ino;    /* 0: not ours */
	struct listed *leads; /* whose shim it is */
	struct listed *below; /* whose tree it is and what is below it */
};

struct listed {
	struct process *shim; /* NULL: killed, and the reaper sees to the end */
	struct process *top;
	const char *state;
	size_t processes;
	int64_t memory; /* bytes */
};

/* All that we know of this host. */
static struct {
	struct process *processes; /* by pid */
	size_t nprocesses;
	struct listed *sessions; /* by memory */
	size_t nsessions;
	size_t in_sessions; /* processes, each counted once where sessions are nested */
	int64_t memory;     /* theirs */
} host;

static int by_pid(const void *a, const void *b)
{
	return ((const struct process *)a)->is.pid - ((const struct process *)b)->is.pid;
}

static struct process *process_of(pid_t pid)
{
	struct process key = {.is.pid = pid};

	return bsearch(&key, host.processes, host.nprocesses, sizeof key, by_pid);
}

/* Reads what /proc has on PID, if it is there; OURS is our program's name. */
static bool look_at(pid_t pid, const char *ours, struct process *p)
{
	char path[32];
	struct stat program;

	*p = (struct process){.leads = NULL};
	if (!read_proc(pid, &p->is))
		return false;
	snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
	if (strcmp(program_of(pid), ours) == 0 && stat(path, &program) == 0) {
		p->program_dev = program.st_dev;
		p->program_ino = program.st_ino;
	}
	return true;
}

static void find_processes(void)
{
	char ours[NAME_MAX + 1];
	size_t room = 0;

	snprintf(ours, sizeof ours, "%s", program_of(getpid()));
	DIR *dir = opendir("/proc");
	if (!*ours || !dir)
		fail("/proc");
	for (struct dirent *e; (e = readdir(dir));) {
		if (!isdigit((unsigned char)*e->d_name))
			continue;
		if (host.nprocesses == room) {
			room = room ? 2 * room : 256;
			struct process *more =
				realloc(host.processes, room * sizeof *host.processes);
			if (!more)
				fail("memory");
			host.processes = more;
		}
		if (look_at(atoi(e->d_name), ours, &host.processes[host.nprocesses]))
			host.nprocesses++;
	}
	closedir(dir);
	if (host.nprocesses)
		qsort(host.processes, host.nprocesses, sizeof *host.processes, by_pid);
}

/* What has been forked to become the server is named as the reaper for a moment,
 * but leads nothing. */
static bool is_reaper(const struct process *p)
{
	return p->program_ino && p->is.leader == p->is.pid &&
	       (strcmp(p->is.name, NAME_REAPER) == 0 || strcmp(p->is.name, NAME_ENDING) == 0);
}

/* Whether P is a process of ours that a session is known by; if so, fills S. */
static bool stands_for_session(struct process *p, struct listed *s)
{
	struct process *parent = process_of(p->is.parent);

	*s = (struct listed){.top = p, .state = "ending"};
	if (is_reaper(p)) {
		if (parent && parent->program_ino == p->program_ino &&
		    parent->program_dev == p->program_dev && !is_reaper(parent))
			s->shim = parent;
		if (s->shim && strcmp(p->is.name, NAME_REAPER) == 0)
			s->state = "running";
		return true;
	}
	if (p->program_ino && strcmp(p->is.name, NAME_IDLE) == 0)
		s->state = "idle-stopped";
	else if (!p->program_ino || strcmp(p->is.name, NAME_SWEEP) != 0)
		return false;
	s->shim = p;
	return true;
}

/* Adds P to the sessions that it is in: a shim of its own, and where else those
 * who started it belong. */
static void count_in_sessions(const struct process *p)
{
	const struct process *up = p;
	int64_t memory = -1;

	/* Parents that were read at different times could make a ring. */
	for (size_t steps = 0; up && steps < host.nprocesses; steps++) {
		struct listed *s = up->below ? up->below : up == p ? up->leads : NULL;
		if (s && memory < 0) {
			memory = memory_of(p->is.pid) * 1024;
			host.in_sessions++;
			host.memory += memory;
		}
		if (s) {
			s->processes++;
			s->memory += memory;
		}
		up = process_of(up->is.parent);
	}
}

static int by_memory(const void *a, const void *b)
{
	int64_t difference =
		((const struct listed *)b)->memory - ((const struct listed *)a)->memory;

	return difference < 0 ? -1 : difference > 0;
}

static void find_sessions(void)
{
	find_processes();
	host.sessions = calloc(host.nprocesses + 1, sizeof *host.sessions);
	if (!host.sessions)
		fail("memory");
	for (size_t i = 0; i < host.nprocesses; i++) {
		struct listed *s = &host.sessions[host.nsessions];
		if (!stands_for_session(&host.processes[i], s))
			continue;
		host.nsessions++;
		s->top->below = s;
		if (s->shim)
			s->shim->leads = s;
	}
	for (size_t i = 0; i < host.nprocesses; i++)
		count_in_sessions(&host.processes[i]);
	qsort(host.sessions, host.nsessions, sizeof *host.sessions, by_memory);
}

/* Adds the command that the session of P runs: what follows our own options. */
static void add_command(struct text *t, const struct process *p)
{
	struct command_line c;

	read_command_line(p->is.pid, &c);
	int first = find_command(c.argc, c.argv);
	for (int i = first; i < c.argc; i++) {
		if (i > first)
			add(t, opt.json ? "," : " ", 1);
		if (opt.json)
			add_json(t, c.argv[i], strlen(c.argv[i]));
		else
			add(t, c.argv[i], strlen(c.argv[i]));
	}
}

/* Adds a time as two units at most. */
static void add_age(struct text *t, int64_t seconds)
{
	int days = (int)(seconds / 86400), rest = (int)(seconds % 86400);

	if (days)
		addf(t, " %4dd%02dh", days, rest / 3600);
	else if (rest >= 3600)
		addf(t, " %4dh%02dm", rest / 3600, rest / 60 % 60);
	else if (rest >= 60)
		addf(t, " %4dm%02ds", rest / 60, rest % 60);
	else
		addf(t, " %7ds", rest);
}

/* Adds what --list says about S. */
static void add_session(struct text *t, const struct listed *s)
{
	const struct process *p = s->shim ? s->shim : s->top;
	/* Init, or another subreaper, is no client. */
	const struct process *client = s->shim ? process_of(s->shim->is.parent) : NULL;
	struct timespec t_boot;

	clock_gettime(CLOCK_BOOTTIME, &t_boot);
	int64_t age = t_boot.tv_sec - (int64_t)(p->is.start / (uint64_t)sysconf(_SC_CLK_TCK));
	if (opt.json) {
		addf(t, "{\"pid\":%d,\"client\":", (int)p->is.pid);
		if (client) {
			addf(t, "{\"pid\":%d,\"name\":", (int)client->is.pid);
			add_json(t, client->is.name, strlen(client->is.name));
			add(t, "}", 1);
		} else {
			add(t, "null", 4);
		}
		addf(t,
		     ",\"age\":%lld,\"state\":\"%s\",\"processes\":%zu,\"memory\":%lld,\"command\":"
		     "[",
		     (long long)age, s->state, s->processes, (long long)s->memory);
		add_command(t, p);
		add(t, "]}", 2);
		return;
	}
	char name[32] = "-";
	if (client)
		snprintf(name, sizeof name, "%s(%d)", client->is.name, (int)client->is.pid);
	addf(t, "%7d  %-22s", (int)p->is.pid, name);
	add_age(t, age);
	addf(t, "  %-12s %5zu %8.1f MiB  ", s->state, s->processes, (double)s->memory / 1048576);
	add_command(t, p);
	defuse(t->bytes, t->length);
	add(t, "\n", 1);
}

void list_sessions(void)
{
	struct text t = {map_memory(LINE, MAP_PRIVATE), LINE, 0};

	find_sessions();
	if (opt.json)
		print("{\"sessions\":[");
	else if (host.nsessions)
		print("    PID  CLIENT                      AGE  STATE        PROCS       MEMORY  "
		      "COMMAND\n");
	for (size_t i = 0; i < host.nsessions; i++) {
		t.length = 0;
		if (opt.json && i > 0)
			add(&t, ",", 1);
		add_session(&t, &host.sessions[i]);
		print("%.*s", (int)t.length, t.bytes);
	}
	if (opt.json)
		print("],\"processes\":%zu,\"memory\":%lld}\n", host.in_sessions,
		      (long long)host.memory);
	else
		print("%zu session%s, %zu process%s, %.1f MiB\n", host.nsessions,
		      host.nsessions == 1 ? "" : "s", host.in_sessions,
		      host.in_sessions == 1 ? "" : "es", (double)host.memory / 1048576);
	exit(0);
}

const char *state_of_session(pid_t pid)
{
	find_sessions();
	for (size_t i = 0; i < host.nsessions; i++) {
		const struct listed *s = &host.sessions[i];
		if ((s->shim ? s->shim : s->top)->is.pid == pid)
			return s->state;
	}
	return NULL;
}
