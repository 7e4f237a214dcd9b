/* SPDX-License-Identifier: MIT */
/* --spare: what of the tree is meant to live on. */
#ifndef TREE_SPARE_H
#define TREE_SPARE_H

#include <stdbool.h>
#include <sys/types.h>

/* Whether anything may be spared. */
bool spares_any(void);

/*
 * Whether PID, of the tree, gets no signal, and what is below it neither: the file name
 * of its program, or its command name, is one of those asked for; or it was below such a
 * one, as far as its session tells.  What has made a session of its own, and lost its
 * parent, shows nobody where it came from.
 */
bool is_spared(pid_t pid);

/* PID, the command itself, is ended whatever its name is. */
void never_spare(pid_t pid);

#endif
