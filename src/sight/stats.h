/* SPDX-License-Identifier: MIT */
/* --stats: what the session was.  Without it nothing here does anything. */
#ifndef SIGHT_STATS_H
#define SIGHT_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What has come from one side. */
struct traffic {
	uint64_t messages, bytes;
};

/* Makes ready what both processes share, before the fork. */
void begin_stats(void);

/* What is counted for the client, or the server; NULL: nothing is. */
struct traffic *client_traffic(void);
struct traffic *server_traffic(void);

/* PID was seen in the tree. */
void count_process(pid_t pid);

/* The tree was COUNT processes, and MEMORY KiB with us. */
void count_tree(size_t count, int64_t memory);

/* Whether SIG, which goes to PID, is the first of its kind that does. */
bool is_news(pid_t pid, int sig);

/* Whether more are to be named who got SIG. */
bool wants_name(int sig);

/* It is, and PID, of that NAME, may need it. */
void count_signalled(pid_t pid, const char *name, int sig);

/* The server was stopped for being idle, and MEMORY KiB with it. */
void count_idle_stop(int64_t memory);

/* A launcher was dropped. */
void count_dropped(void);

/* Says what the session was that ended with STATUS. */
void say_stats(int status);

#endif
