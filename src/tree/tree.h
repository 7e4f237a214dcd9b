/* SPDX-License-Identifier: MIT */
/*
 * The tree: every living descendant of ours, however forked or reparented.
 *
 * The invariant that all killing rests on: the number of a child that we have
 * not waited for cannot be recycled.  SIGKILL by number goes to our own children
 * only; their orphans become our own children; repeat until wait says ECHILD.
 * What is further down is signalled through a pidfd, its parent checked after
 * that was opened.
 */
#ifndef TREE_TREE_H
#define TREE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Reserves the memory of walks, before the fork: an ending must not depend on some being
 * left then. */
void begin_walks(void);

/*
 * Signals the whole tree, each process once, with SIGCONT behind SIG, but for SPARED, a
 * child of ours or 0, which gets SIGCONT alone.  Returns how many took SIG.  A process whose parent
 * exits by itself under the walk may be passed over; if it is still there when the time to SIGKILL
 * is over, it gets that.
 */
size_t signal_tree(int sig, pid_t spared);

/* SIGKILLs our own children. */
void kill_children(void);

/* Whether all that is left, when nobody has died of it for long, may stay for ever: we may
 * not signal it, it waits in the kernel, or its tracer keeps it. */
bool is_stuck(void);

/* Says who that is. */
void name_the_stuck(void);

/* PID's child, if it has exactly one; else 0. */
pid_t only_child(pid_t pid);

/* PID's child whose stdin and stdout are the pipes INPUT and OUTPUT, if there is exactly
 * one; else 0. */
pid_t child_with_pipes(pid_t pid, ino_t input, ino_t output);

/* Sends SIG to the only child of PID, our own child.  Returns whether it took it. */
bool signal_only_child(pid_t pid, int sig);

/* The first of our own children that has the pipes INPUT and OUTPUT as stdin and stdout,
 * or is above one that has; 0: none. */
pid_t heir_with_pipes(ino_t input, ino_t output);

/* Says, and returns, whether a command that runs a container, and was there when the tree was
 * signalled, is about to be killed: the container is no descendant of ours. */
bool warn_of_containers(void);

/* Calls VISIT for each child of PID, or for all below it, until it returns false or the time for a
 * walk is over. */
void each_child(pid_t pid, bool (*visit)(void *arg, pid_t child), void *arg);
void each_below(pid_t pid, bool (*visit)(void *arg, pid_t below), void *arg);

/* The memory of all below PID, KiB. */
int64_t memory_below(pid_t pid);

/* For --stats: looks how large the tree is, with us. */
void sample_tree(void);

/* The shim's children from before it became mcp-reap (sh -c 'x & exec mcp-reap ...'),
 * and whom they have orphaned to us since: not ours to kill.  Notes those that are
 * there.  REAPER is 0 before there is one. */
void note_inherited_children(pid_t reaper);

/* One of them, or another child, has been waited for. */
void forget_inherited(pid_t pid);

/* There are none, in a process just forked. */
void disown_inherited(void);

/* Whether we have children besides the inherited, and the spared. */
bool has_tree(void);

/* For -v: says who of our children is left to live on. */
void name_the_spared(void);

/* Lets go of the memory that walks have used. */
void forget_walks(void);

#endif
