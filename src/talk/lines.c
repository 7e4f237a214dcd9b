/* SPDX-License-Identifier: MIT */
#include "lines.h"

#include "../base/memory.h"
#include "../sight/trace.h"

#include <string.h>
#include <sys/mman.h>

/* Called before the first line comes. */
void keep_parts(struct lines *s, size_t size)
{
	if (s->part && s->part_max < size) {
		munmap(s->part, s->part_max);
		s->part = NULL;
	}
	if (s->part)
		return;
	s->part = map_memory(size, MAP_PRIVATE);
	s->part_max = size;
}

void listen_to(struct lines *s, void (*listener)(struct lines *))
{
	size_t i = 0;

	while (s->listeners[i])
		i++;
	s->listeners[i] = listener;
}

/* Has the trace write each line.  What some readers of JSON stumble over, so that they would
 * read no further in the file, is written as a string. */
static void trace_line(struct lines *s)
{
	const unsigned deep = 256; /* jq(1)'s */
	const struct json *j = &s->message.reader;

	trace_message(s->from, s->line, s->line_size,
		      !s->text && s->message.json && !j->half_pair && j->deepest <= deep,
		      s->route == NOWHERE ? "swallowed" : NULL);
}

void watch_lines(struct lines *s, const char *from, struct traffic *traffic)
{
	s->from = from;
	s->traffic = traffic;
	if (is_tracing()) {
		keep_parts(s, PART_MAX);
		listen_to(s, trace_line);
	}
}

static enum route send_aside(struct lines *s, bool full)
{
	(void)s;
	(void)full;
	return ASIDE;
}

void watch_stderr(struct lines *s)
{
	watch_lines(s, "stderr", NULL);
	s->text = true;
	s->judge = send_aside;
}

bool are_watched(const struct lines *s)
{
	return s->traffic || s->judge || s->noise_aside || s->listeners[0];
}

/* Adds the N BYTES of a line that is not over, or was not. */
static void add_part(struct lines *s, const char *bytes, size_t n)
{
	size_t kept = s->size < s->part_max ? s->size : s->part_max;
	size_t room = s->part_max - kept;

	if (s->part)
		memcpy(s->part + kept, bytes, n < room ? n : room);
	s->size += n;
}

/* The line is over, the last N bytes of which are BYTES. */
static void end_line(struct lines *s, const char *bytes, size_t n)
{
	bool in_parts = s->size > 0;

	if (in_parts)
		add_part(s, bytes, n);
	s->line = in_parts ? s->part : bytes;
	s->line_size = in_parts ? s->size : n;
	if (s->traffic)
		s->traffic->messages++;
}

static void tell_listeners(struct lines *s)
{
	const size_t large = 16384; /* bytes, given back until the next large line */

	for (size_t i = 0; i < LISTENERS_MAX && s->listeners[i]; i++)
		s->listeners[i](s);
	if (s->part && s->size > large)
		give_back(s->part, s->part_max);
	s->size = 0;
}

/* The line is over where something else begins. */
static void cut_line(struct lines *s)
{
	read_message(&s->message, "\n", 1);
	end_line(s, "", 0);
	tell_listeners(s);
	s->route = UNDECIDED;
}

/* Sorts the N BYTES that come next, as read_line() does.  Returns how many are of that sort. */
static size_t sort_next(struct lines *s, const char *bytes, size_t n, bool full)
{
	size_t size;
	bool within = s->sort == NOISE;

	s->sort = sort_bytes(bytes, n, within, full, &size);
	if (s->sort == UNSORTED) {
		s->sort = within ? NOISE : UNSORTED;
		return 0;
	}
	if (within && s->sort == MESSAGE_LINE)
		cut_line(s);
	if (s->sort != MESSAGE_LINE)
		s->route = ASIDE;
	return size;
}

size_t read_line(struct lines *s, const char *bytes, size_t n, bool full)
{
	if (s->message.over || s->sort == MARK) {
		s->route = UNDECIDED;
		s->sort = UNSORTED;
	}
	if (s->noise_aside && s->sort != MESSAGE_LINE) {
		n = sort_next(s, bytes, n, full);
		if (n == 0 || s->sort == MARK)
			return n;
	}
	size_t read = read_message(&s->message, bytes, n);
	if (s->message.over)
		end_line(s, bytes, read - 1);
	else
		add_part(s, bytes, read);
	if (s->route == UNDECIDED)
		s->route = s->judge ? s->judge(s, full) : ON;
	if (s->message.over)
		tell_listeners(s);
	return read;
}

void end_lines(struct lines *s)
{
	if (s->size == 0)
		return;
	s->ended = true;
	read_message(&s->message, "\n", 1);
	end_line(s, "", 0);
	tell_listeners(s);
}

void begin_lines(struct lines *s)
{
	begin_line(&s->message);
	s->size = 0;
	s->route = UNDECIDED;
	s->sort = UNSORTED;
	s->whole = s->ended = false;
}

bool begins_as_message(const struct lines *s)
{
	const struct message *m = &s->message;
	const char *bytes = m->over ? s->line : s->part;
	size_t n = m->over ? s->line_size : s->size, size;
	enum sort sort = sort_bytes(bytes, n < PART_MAX ? n : PART_MAX, false, m->over, &size);

	return m->first != '\n' && (sort == MESSAGE_LINE || sort == UNSORTED);
}

bool is_noise(const struct lines *s)
{
	static const enum member essential[] = {ID, METHOD, RESULT, ERROR};
	const struct message *m = &s->message;

	if (!m->json || m->messages == 0)
		return !begins_as_message(s);
	for (size_t i = 0; i < sizeof essential / sizeof *essential; i++)
		if (has_member(m, essential[i]))
			return false;
	return !m->batch;
}
