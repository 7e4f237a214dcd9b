/* SPDX-License-Identifier: MIT */
/* The program behind a launcher: what it takes to start it again without the launcher. */
#ifndef TREE_PROGRAM_H
#define TREE_PROGRAM_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Takes a note of the server below PID, the reaper, whose stdin and stdout are the pipes
 * INPUT and OUTPUT: its file, arguments, environment and directory, which stay in our
 * memory.  Only below a launcher that does nothing but launch: what is in front of other
 * servers, or no launcher, may have its reasons, and the command is as good.  Returns
 * whether it could be had.
 */
bool note_program(pid_t pid, ino_t input, ino_t output);

/* The noted program's file; NULL: none is noted. */
const char *noted_program(void);

/* The program that is noted did not do: the command is to be run from now on.  UNFIT: and for
 * good; else what that runs is noted again. */
void forget_program(bool unfit);

/* Executes it, in a process forked for that.  Returns, in the directory that it was
 * called in, if that cannot be, or none is noted. */
void exec_program(void);

#endif
