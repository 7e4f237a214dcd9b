/* SPDX-License-Identifier: MIT */
/* --trace: a file with a record, a line of JSON, for every message and event. */
#ifndef SIGHT_TRACE_H
#define SIGHT_TRACE_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of a message that are written. */
enum { TRACED = 65536 };

/* Opens the file that is to be traced to, before the fork.  Without it the session
 * goes on. */
void open_trace(void);

/* Whether there is a trace, still. */
bool is_tracing(void);

/* Its descriptor, which both processes keep; -1: none. */
int trace_descriptor(void);

/* Writes the record of a message, of whose LENGTH bytes S has at least the first
 * TRACED.  FROM: "client", "server" or "stderr"; JSON: whether it is one JSON text;
 * MARK: a member that is true of it, NULL: none. */
void trace_message(const char *from, const char *s, size_t length, bool json, const char *mark);

/* Writes the record of an error of ours, which stderr has as LINE. */
void trace_error(const char *line);

/* Writes the record of an event that -v has as LINE: "event key=value ...". */
void trace_event(const char *line);

#endif
