/* SPDX-License-Identifier: MIT */
/* The lines of a lane, as they pass: one splitter, those who listen, and one who says where
 * a line goes. */
#ifndef TALK_LINES_H
#define TALK_LINES_H

#include "../sight/stats.h"
#include "message.h"
#include "noise.h"

#include <stdbool.h>
#include <stddef.h>

enum route { UNDECIDED, ON, ASIDE, LATER, NOWHERE }; /* aside: to stderr */

enum { LISTENERS_MAX = 2 };

struct lines {
	struct message message;  /* the line that we are in, or that is just over */
	const char *from;        /* whose they are */
	struct traffic *traffic; /* NULL: not counted */
	char *part;              /* for a line that is not over; NULL: not kept */
	size_t part_max;         /* bytes of it */
	size_t size;             /* of such a line, which may be larger */
	enum route route;        /* of the line, as far as it is known */
	bool text;               /* no messages, whatever they look like */
	bool noise_aside;        /* what is no message goes aside, whatever the judge says */
	enum sort sort;          /* of the line, if so */
	bool whole;              /* half a line at the end goes nowhere */
	bool ended;              /* so is the line that is just over, without an end of its own */

	/* The line that is over, of LINE_SIZE bytes, of which the first part_max at least are
	 * there, if parts are kept. */
	const char *line;
	size_t line_size;

	/* Where the line goes, as soon as that can be told; FULL: there is no room for
	 * more of it, and what has been seen must do.  NULL: on. */
	enum route (*judge)(struct lines *s, bool full);

	/* They are told of each line that is over, when it is known where it goes. */
	void (*listeners[LISTENERS_MAX])(struct lines *s);
};

enum { PART_MAX = 65536 };

/* Begins with the lines FROM a side: has them traced, and counted in TRAFFIC. */
void watch_lines(struct lines *s, const char *from, struct traffic *traffic);

/* Begins with the lines of the server's stderr, which all go aside: has them traced. */
void watch_stderr(struct lines *s);

/* Whether anybody looks at them. */
bool are_watched(const struct lines *s);

/* Keeps the parts of lines from now on, SIZE bytes of each at least. */
void keep_parts(struct lines *s, size_t size);

/* Has LISTENER told of each line. */
void listen_to(struct lines *s, void (*listener)(struct lines *));

/* Reads on in N BYTES, up to the end of a line at most, and says in s->route where that
 * goes.  FULL: there is no room for more.  Returns how many bytes it read; 0: it takes
 * more to tell where they go. */
size_t read_line(struct lines *s, const char *bytes, size_t n, bool full);

/* There is no more to come: what has been read of a line is all there is. */
void end_lines(struct lines *s);

/* Whether the line begins as messages do, or may go on to. */
bool begins_as_message(const struct lines *s);

/* Whether a line of the server's, which is over, is none to any reader: a banner, say, or a log,
 * be it of JSON. */
bool is_noise(const struct lines *s);

/* Another server begins. */
void begin_lines(struct lines *s);

#endif
