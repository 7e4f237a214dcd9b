/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "event.h"

#include "../base/memory.h"
#include "../base/options.h"
#include "../base/say.h"
#include "../base/self.h"
#include "trace.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { REASON_SIZE = 24 };

static char *reason_given; /* REASON_SIZE bytes that both processes share; NULL: nobody asks */

bool has_listeners(void)
{
	return opt.verbose || opt.stats || is_tracing();
}

static void trace_complaint(const char *line)
{
	if (is_tracing())
		trace_error(line);
}

void begin_events(void)
{
	hear_complaints(trace_complaint);
	if (has_listeners())
		reason_given = map_memory(REASON_SIZE, MAP_SHARED);
}

const char *end_reason(void)
{
	return reason_given ? reason_given : "";
}

/* Something that happened, for -v and the trace: "event key=value ...". */
__attribute__((format(printf, 1, 2))) void event(const char *format, ...)
{
	char prefix[32], line[512];
	va_list args;

	if (opt.verbose) {
		snprintf(prefix, sizeof prefix, "mcp-reap[%d]: ", (int)self.shim);
		va_start(args, format);
		say(prefix, format, args);
		va_end(args);
	}
	if (is_tracing()) {
		va_start(args, format);
		vsnprintf(line, sizeof line, format, args);
		va_end(args);
		trace_event(line);
	}
}

const char *quoted(const char *value)
{
	static char text[256];
	size_t n = 0;

	if (*value && !isdigit((unsigned char)*value) && !strpbrk(value, " =\"\\") &&
	    strlen(value) < sizeof text)
		return value;
	text[n++] = '"';
	for (; *value && n < sizeof text - 3; value++) {
		if (*value == '"' || *value == '\\')
			text[n++] = '\\';
		text[n++] = *value;
	}
	text[n++] = '"';
	text[n] = '\0';
	return text;
}

void event_end(const char *reason, const char *detail)
{
	event("end reason=%s%s", reason, detail);
	if (reason_given && !*reason_given)
		snprintf(reason_given, REASON_SIZE, "%s%s", reason, detail);
}
