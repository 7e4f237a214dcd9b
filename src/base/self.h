/* SPDX-License-Identifier: MIT */
/* Who we are: the session's identity, which both processes know.  Read-only once main has begun. */
#ifndef BASE_SELF_H
#define BASE_SELF_H

#include <stdint.h>
#include <sys/types.h>

extern struct self {
	pid_t shim;     /* its pid names the session */
	char **command; /* the server's, NULL behind the last word */
	int64_t start;  /* when */
} self;

#endif
