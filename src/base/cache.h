/* SPDX-License-Identifier: MIT */
/*
 * Small files of ours in the user's cache: $XDG_CACHE_HOME/mcp-reap or ~/.cache/mcp-reap.
 *
 * Whoever can write there can have us believe what they like, so that what is odd about the
 * directory or a file (a link, another owner, writable for others, no regular file) is as if it
 * were not there.
 */
#ifndef BASE_CACHE_H
#define BASE_CACHE_H

#include <stddef.h>

enum {
	CACHED_NAME_LENGTH = 32,  /* of a name: hexadecimal digits */
	CACHED_SIZE_MAX = 4 << 20 /* bytes of a file */
};

/* Reads the file NAME into BUF, of CACHED_SIZE_MAX bytes, and how many there are into N.  Returns
 * NULL, or why there are none, a word. */
const char *read_cached(const char *name, char *buf, size_t *n);

/*
 * Puts the N BYTES, synced, in the place of the file NAME, and removes the oldest files where there
 * are too many.  It may take its time.  Returns NULL, or why it could not: then the old file stays.
 */
const char *write_cached(const char *name, const char *bytes, size_t n);

/* Removes all files of ours.  Exits if that cannot be. */
void clear_cache(void);

#endif
