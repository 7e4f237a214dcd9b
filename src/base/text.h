/* SPDX-License-Identifier: MIT */
/* Text to write, into memory of a fixed size. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stddef.h>

/* What finds no room is left out. */
struct text {
	char *bytes;
	size_t size, length;
};

void add(struct text *t, const char *bytes, size_t n);

__attribute__((format(printf, 2, 3))) void addf(struct text *t, const char *format, ...);

/* Adds the N bytes of S as a JSON string.  Other people's bytes need not be
 * UTF-8, which JSON has to be. */
void add_json(struct text *t, const char *s, size_t n);

/* The N BYTES behind PREFIX, in memory to be freed, with a NUL behind their SIZE; NULL: there is
 * none. */
char *copy_behind(const char *prefix, const char *bytes, size_t n, size_t *size);

/* The length of the UTF-8 character that the N bytes of S begin with; 0: none. */
size_t utf8_length(const char *s, size_t n);

/* Names of files and processes are other people's: what could move a terminal's
 * cursor, begin a line or turn one around becomes '?', and so does what is no UTF-8. */
void defuse(char *s, size_t n);

#endif
