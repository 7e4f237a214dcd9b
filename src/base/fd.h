/* SPDX-License-Identifier: MIT */
/* Descriptors: what they are, what they take without waiting, which of them we keep. */
#ifndef BASE_FD_H
#define BASE_FD_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Whether FD has one of EVENTS, poll(2)'s, or an error, now. */
bool ready(int fd, short events);

/* poll(2), whose errors must not make us spin: -1, and nothing in FDS, for a signal; where
 * it fails (EINVAL: N is more than RLIMIT_NOFILE; ENOMEM) each one is asked alone, a few
 * times a second. */
int wait_for(struct pollfd *fds, size_t n, int timeout);

bool is_pipe(int fd);

/* The inode of what FD is, 0 for none. */
ino_t inode_of(int fd);

/* Whether FD, a pipe, is a FIFO of the file system's. */
bool has_name(int fd);

/* Closes *FD, unless that is -1, which it is then. */
void shut(int *fd);

/* Writes what FD takes of N BYTES without waiting, in one write if it can be.
 * Returns how many, or -1, with EAGAIN if it takes nothing now. */
ssize_t write_now(int fd, const char *bytes, size_t n);

/* Closes every descriptor from FIRST on, but the N of KEEP (-1: none), which
 * it sorts. */
void close_all_but(int first, int keep[], size_t n);

/*
 * Gives FD, a pipe or a terminal, an open file description of our own with
 * O_NONBLOCK: on the one that we were handed the flag would be the client's
 * too.  ACCESS: O_RDONLY or O_WRONLY.  Returns whether FD is such a one now.  A
 * pty's master is left alone: to open it again makes another pty.
 */
bool own_description(int fd, int access);

#endif
