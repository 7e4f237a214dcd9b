/* SPDX-License-Identifier: MIT */
/*
 * --lazy: what a server said last time when its session was opened.
 *
 * It is kept in a file for each server (key.h) and each first request of a client's: JSON Lines,
 * the first of which is all of that key, and is compared.  The answers in it are those of one
 * opening: a list counts behind the initialize that it was asked for after, and each one with the
 * params that it was asked for with.  Nothing of a call is ever kept.  Whatever is odd about a
 * file: it is as if there were none, and the server is started as ever.
 *
 * Messages come as M, with the first N bytes of their LINE: what is not all there is not kept.
 *
 * Until open_answers nothing takes memory, and all the others find nothing and do nothing.
 */
#ifndef TALK_ANSWERS_H
#define TALK_ANSWERS_H

#include "message.h"
#include "opening.h"

#include <stdbool.h>
#include <stddef.h>

/* Looks for what is kept for the client's first request that opens a session.  Once a session.
 * Returns NULL if there is something, or why there is nothing. */
const char *open_answers(const struct message *m, const char *line, size_t n);

/* What to answer the client's request with: "result":... or "error":..., of SIZE bytes, to stand
 * behind an id.  NULL: that is not kept, or M opens nothing.  It is there until the next call here
 * that is not this one. */
const char *find_answer(const struct message *m, const char *line, size_t n, size_t *size);

/* The request is on its way to a server that runs, the client's or our own: its answer is to be
 * kept. */
void expect_answer(const struct message *m, const char *line, size_t n);

enum heard {
	NOT_EXPECTED, /* or nothing to keep, and nothing was */
	AS_KEPT,
	NOT_AS_KEPT, /* or not kept at all; it is now, if it may be */
};

/* The server has said M. */
enum heard hear_answer(const struct message *m, const char *line, size_t n);

/* A server has said M, a notification: if that is a list_changed, the lists of its kind are as good
 * as not kept, until it answers once more.  Returns whether any were. */
bool note_changed(const struct message *m);

/* What find_answer has answered the client with, for a server that runs to be asked again. */
struct told {
	enum opening opening;
	const char *params; /* empty: none */
	size_t size;
};

/* The next of them behind *AT, which is 0 at first.  Returns false if there are no more. */
bool next_told(size_t *at, struct told *t);

/* Writes what is kept, if it is not as it was read.  It may take its time.  Returns NULL, or why it
 * could not. */
const char *save_answers(void);

/* Lets go of it all; open_answers may begin anew. */
void close_answers(void);

#endif
