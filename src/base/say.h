/* SPDX-License-Identifier: MIT */
/* What we say: lines on stderr, errors among them, and text on stdout where no session is. */
#ifndef BASE_SAY_H
#define BASE_SAY_H

#include <stdarg.h>
#include <stddef.h>

/* Exit statuses of our own, as env(1) and timeout(1) have them. */
enum { EXIT_OURS = 125, EXIT_CANNOT_INVOKE = 126, EXIT_NOT_FOUND = 127 };

/* Writes to stderr in one write, so that the lines of several processes do not
 * mix.  What cannot be written now is lost: nobody's stderr holds up an ending. */
void write_stderr(const char *bytes, size_t n);

/* A line on stderr: PREFIX, and what FORMAT makes of ARGS. */
__attribute__((format(printf, 2, 0))) void say(const char *prefix, const char *format,
					       va_list args);

/* An error: "mcp-reap: what: why". */
__attribute__((format(printf, 1, 2))) void complain(const char *format, ...);

/* Has errors go to HEAR, too, each as one LINE. */
void hear_complaints(void (*hear)(const char *line));

/* An error of our own, because of errno: exits. */
__attribute__((noreturn)) void fail(const char *what);

/* To stdout, where no session is.  Without stdio, whose buffers would cost each
 * process of a static build a page.  Exits if it cannot be written. */
__attribute__((format(printf, 1, 2))) void print(const char *format, ...);

/* The name of SIG without "SIG", or its number; valid until the next call. */
const char *signal_name(int sig);

#endif
