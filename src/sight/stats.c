/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "stats.h"

#include "../base/clock.h"
#include "../base/memory.h"
#include "../base/options.h"
#include "../base/say.h"
#include "../base/self.h"
#include "../base/text.h"
#include "event.h"

#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

enum {
	NAMED = 100,         /* processes, which can be named */
	PID_LIMIT = 4194304, /* PID_MAX_LIMIT, proc(5) */
};

/* A set of processes, by number. */
typedef unsigned char pid_set[PID_LIMIT / CHAR_BIT];

/* In memory that both processes share; NULL without --stats.  Pages cost nothing
 * until they are used. */
static struct stats {
	struct traffic from_client, from_server;
	size_t seen_at_once, seen;
	int64_t memory; /* KiB, the most seen at once */
	size_t idle_stops;
	int64_t given_back; /* KiB, by those */
	size_t dropped;     /* launchers */
	struct signalled {
		size_t count;
		struct {
			pid_t pid;
			int sig;
			char name[16];
		} named[NAMED]; /* the first of them */
		pid_set set;
	} asked, killed; /* who got an ending signal, and SIGKILL */
	pid_set seen_set;
	char report[65536];
} * stats;

void begin_stats(void)
{
	if (opt.stats)
		stats = map_memory(sizeof *stats, MAP_SHARED);
}

struct traffic *client_traffic(void)
{
	return stats ? &stats->from_client : NULL;
}

struct traffic *server_traffic(void)
{
	return stats ? &stats->from_server : NULL;
}

/* Returns whether PID is new to SET. */
static bool is_new(pid_set set, pid_t pid)
{
	if (pid <= 0 || pid >= PID_LIMIT || set[pid / CHAR_BIT] >> pid % CHAR_BIT & 1)
		return false;
	set[pid / CHAR_BIT] |= (unsigned char)(1 << pid % CHAR_BIT);
	return true;
}

void count_process(pid_t pid)
{
	if (stats && is_new(stats->seen_set, pid))
		stats->seen++;
}

void count_tree(size_t count, int64_t memory)
{
	if (!stats)
		return;
	if (count > stats->seen_at_once)
		stats->seen_at_once = count;
	if (memory > stats->memory)
		stats->memory = memory;
}

static struct signalled *signalled_by(int sig)
{
	return sig == SIGKILL ? &stats->killed : &stats->asked;
}

bool is_news(pid_t pid, int sig)
{
	return stats && is_new(signalled_by(sig)->set, pid);
}

bool wants_name(int sig)
{
	return signalled_by(sig)->count <= NAMED;
}

void count_signalled(pid_t pid, const char *name, int sig)
{
	struct signalled *who = signalled_by(sig);

	if (++who->count > NAMED)
		return;
	who->named[who->count - 1].pid = pid;
	who->named[who->count - 1].sig = sig;
	snprintf(who->named[who->count - 1].name, sizeof who->named->name, "%s", name);
}

void count_idle_stop(int64_t memory)
{
	if (!stats)
		return;
	stats->idle_stops++;
	stats->given_back += memory;
}

void count_dropped(void)
{
	if (stats)
		stats->dropped++;
}

/* Adds the names of WHO, behind a comma if SEPARATOR is one. */
static void add_named(struct text *t, const struct signalled *who, const char *separator)
{
	size_t n = who->count < NAMED ? who->count : NAMED;

	for (size_t i = 0; i < n; i++) {
		int pid = (int)who->named[i].pid, sig = who->named[i].sig;
		const char *name = who->named[i].name;
		addf(t, "%s", separator);
		if (opt.json) {
			addf(t, "{\"pid\":%d,\"command\":", pid);
			add_json(t, name, strlen(name));
			addf(t, ",\"signal\":\"%s\"}", signal_name(sig));
		} else if (sig == SIGKILL) {
			addf(t, "%s(%d)", name, pid);
		} else {
			addf(t, "%s(%d) %s", name, pid, signal_name(sig));
		}
		separator = opt.json ? "," : ", ";
	}
}

/* Adds a line of the statistics: how many WHO are, and their names. */
static void add_signalled(struct text *t, const char *label, const struct signalled *who)
{
	size_t start = t->length;

	addf(t, "  %-12s %zu", label, who->count);
	add_named(t, who, ": ");
	if (who->count > NAMED)
		addf(t, ", ...");
	defuse(t->bytes + start, t->length - start);
	add(t, "\n", 1);
}

static double seconds_of(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void add_stats_json(struct text *t, int status, double seconds, const struct rusage *used)
{
	const struct traffic *client = &stats->from_client, *server = &stats->from_server;

	addf(t, "{\"pid\":%d,\"command\":[", (int)self.shim);
	for (char **word = self.command; *word && t->length < t->size / 2; word++) {
		if (word > self.command)
			add(t, ",", 1);
		add_json(t, *word, strnlen(*word, 1024));
	}
	addf(t, "],\"reason\":\"%s\",\"status\":%d,\"seconds\":%.3f", end_reason(), status,
	     seconds);
	addf(t, ",\"from_client\":{\"messages\":%" PRIu64 ",\"bytes\":%" PRIu64 "}",
	     client->messages, client->bytes);
	addf(t, ",\"from_server\":{\"messages\":%" PRIu64 ",\"bytes\":%" PRIu64 "}",
	     server->messages, server->bytes);
	addf(t, ",\"processes\":%zu,\"processes_at_once\":%zu,\"memory\":%" PRId64, stats->seen,
	     stats->seen_at_once, stats->memory * 1024);
	addf(t, ",\"largest_process\":%lld,\"cpu_user\":%.3f,\"cpu_system\":%.3f",
	     (long long)used->ru_maxrss * 1024, seconds_of(used->ru_utime),
	     seconds_of(used->ru_stime));
	addf(t, ",\"idle_stops\":%zu,\"memory_given_back\":%" PRId64 ",\"launchers_dropped\":%zu",
	     stats->idle_stops, stats->given_back * 1024, stats->dropped);
	addf(t, ",\"signalled\":%zu,\"killed\":%zu,\"signals\":[", stats->asked.count,
	     stats->killed.count);
	add_named(t, &stats->asked, "");
	add_named(t, &stats->killed, stats->asked.count ? "," : "");
	addf(t, "]}\n");
}

static void add_stats_text(struct text *t, int status, double seconds, const struct rusage *used)
{
	const struct traffic *client = &stats->from_client, *server = &stats->from_server;

	addf(t, "mcp-reap[%d]:", (int)self.shim);
	for (char **word = self.command; *word && t->length < t->size / 2; word++)
		addf(t, " %.200s", *word);
	defuse(t->bytes, t->length);
	addf(t, "\n  ended        %s, exit status %d, after %.3f s\n", end_reason(), status,
	     seconds);
	addf(t, "  from client  %" PRIu64 " message%s, %" PRIu64 " bytes\n", client->messages,
	     client->messages == 1 ? "" : "s", client->bytes);
	addf(t, "  from server  %" PRIu64 " message%s, %" PRIu64 " bytes\n", server->messages,
	     server->messages == 1 ? "" : "s", server->bytes);
	addf(t, "  processes    %zu seen, %zu at once\n", stats->seen, stats->seen_at_once);
	addf(t, "  memory       %.1f MiB at once, %.1f MiB the largest process\n",
	     (double)stats->memory / 1024, (double)used->ru_maxrss / 1024);
	addf(t, "  CPU time     %.3f s user, %.3f s system\n", seconds_of(used->ru_utime),
	     seconds_of(used->ru_stime));
	if (stats->idle_stops)
		addf(t, "  idle stops   %zu, %.1f MiB given back\n", stats->idle_stops,
		     (double)stats->given_back / 1024);
	if (stats->dropped)
		addf(t, "  launchers    %zu dropped\n", stats->dropped);
	add_signalled(t, "signalled", &stats->asked);
	add_signalled(t, "killed", &stats->killed);
}

void say_stats(int status)
{
	struct rusage used;

	if (!stats)
		return;
	struct text t = {stats->report, sizeof stats->report, 0};
	/* The shim's children are the reapers, and all that those have waited for. */
	getrusage(RUSAGE_CHILDREN, &used);
	double seconds = (double)(now() - self.start) / 1000;
	if (stats->seen_at_once == 0)
		stats->seen_at_once = stats->seen > 0;
	if (opt.json)
		add_stats_json(&t, status, seconds, &used);
	else
		add_stats_text(&t, status, seconds, &used);
	write_stderr(t.bytes, t.length);
}
