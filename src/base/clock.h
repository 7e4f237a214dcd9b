/* SPDX-License-Identifier: MIT */
/* Time, in milliseconds throughout. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <limits.h>
#include <stdint.h>
#include <time.h>

static inline int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* On the clock of processes' starts, which goes on in suspend: a time of now()'s cannot be told
 * in it later. */
static inline int64_t since_boot(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* poll(2)'s timeout for a DEADLINE; a very far one is looked at again. */
static inline int until(int64_t deadline)
{
	int64_t left = deadline - now();

	return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

#endif
