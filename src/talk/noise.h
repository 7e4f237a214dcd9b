/* SPDX-License-Identifier: MIT */
/* Noise: what a server writes between its messages.  A line's first bytes tell. */
#ifndef TALK_NOISE_H
#define TALK_NOISE_H

#include <stdbool.h>
#include <stddef.h>

/* Of a mark, a byte order mark, the line begins behind it. */
enum sort { UNSORTED, MESSAGE_LINE, NOISE, MARK };

enum { HELD_MAX = 64 }; /* bytes that it may take to tell */

/*
 * What the N BYTES are: the first ones of a line or, WITHIN noise, the next ones of it.
 * FULL: there is no more to come.
 *
 * A message begins, blanks aside, with {" or {} or, in a batch, with [{" or [{}, and blanks may be
 * in between.  Returns the sort, and in SIZE how many bytes are of it at least: noise ends behind
 * its newline, or where a message is glued to it.  UNSORTED: it takes more bytes to tell.
 */
enum sort sort_bytes(const char *bytes, size_t n, bool within, bool full, size_t *size);

#endif
