/* SPDX-License-Identifier: MIT */
/* One process: what /proc says of it, and a pidfd to hold it by. */
#ifndef TREE_PROC_H
#define TREE_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* pidfd_open(2) and pidfd_send_signal(2): -1 with ENOSYS where they are missing. */
int pidfd_open_of(pid_t pid);
int pidfd_signal(int pidfd, int sig);

/* What /proc/PID/stat holds; proc(5). */
struct proc {
	pid_t pid, parent, leader; /* leader: of its session */
	char name[16];
	char state;
	int64_t flags, threads;
	uint64_t cpu;   /* clock ticks, with those of its children that it has waited for */
	uint64_t start; /* clock ticks after boot */
};

/* Fills P.  Returns false if there is no such process, or no /proc. */
bool read_proc(pid_t pid, struct proc *p);

/* PID's parent, or -1. */
pid_t parent_of(pid_t pid);

/* Whether P is dead, and only not waited for. */
bool is_zombie(const struct proc *p);

/* Whether P is about to die, or dead. */
bool is_exiting(const struct proc *p);

/* Whether a thread of P has a processor, waits for one, or for a disk. */
bool has_thread_at_work(const struct proc *p);

/* PID's command name as /proc has it, "?" without; valid until the next call. */
const char *command_of(pid_t pid);

/* Who traces PID, as ptrace(2) has it; 0: nobody. */
pid_t tracer_of(pid_t pid);

/* PID's memory in KiB: its share of it, or all if that may not be read; 0: unknown. */
int64_t memory_of(pid_t pid);

/* The file name of the program that PID runs, "" if unknown; valid until the next call. */
const char *program_of(pid_t pid);

/* What /proc/PID/FILE, a pipe, points to: its inode, 0 for none. */
ino_t pipe_of(pid_t pid, const char *file);

/* Whether INPUT and OUTPUT are PID's stdin and stdout; false if that may not be seen. */
bool has_pipes(pid_t pid, ino_t input, ino_t output);

/* Reads the beginning of /proc/PID/FILE, what one read gives, as a string into BUF;
 * returns its length, or -1. */
ssize_t read_proc_file(pid_t pid, const char *file, char *buf, size_t size);

/* How a process was called. */
struct command_line {
	int argc;
	char *argv[256], words[16384];
};

/* Fills C with PID's, as much of it as there is room for. */
void read_command_line(pid_t pid, struct command_line *c);

/* How children can be found here. */
enum proc_kind { PROC_UNKNOWN, PROC_CHILDREN, PROC_STAT, PROC_NONE };
enum proc_kind proc_kind(void);

#endif
