/* SPDX-License-Identifier: MIT */
/* Something happened: a line of -v, a record of the trace, and why the session ended. */
#ifndef SIGHT_EVENT_H
#define SIGHT_EVENT_H

#include <stdbool.h>

/* Makes ready what both processes share, before the fork. */
void begin_events(void);

/* Whether anybody asks for events. */
bool has_listeners(void);

/* For -v and the trace: "event key=value ...". */
__attribute__((format(printf, 1, 2))) void event(const char *format, ...);

/* A VALUE for event(), in quotes where it needs some; valid until the next call. */
const char *quoted(const char *value);

/* The session is over, because of REASON and DETAIL.  The first reason of either
 * process counts. */
void event_end(const char *reason, const char *detail);

/* That reason; "": none yet. */
const char *end_reason(void);

#endif
