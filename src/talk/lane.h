/* SPDX-License-Identifier: MIT */
/* A lane: one direction, from its read to its write.  Neither ever waits. */
#ifndef TALK_LANE_H
#define TALK_LANE_H

#include "lines.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One end of a lane, and what keeps us from waiting on it. */
struct end {
	int fd; /* -1: closed */
	enum {
		NONBLOCKING, /* O_NONBLOCK on a description of our own */
		SOCKET,      /* MSG_DONTWAIT */
		BLOCKING,    /* poll first; then a PIPE_BUF at most */
	} kind;
};

/* Bytes that wait to be written, in memory that is there when it is used first. */
struct queue {
	char *bytes;
	size_t size, start, end;
};

struct lane {
	struct end in, out;
	bool splice;           /* both are pipes, and nobody looks */
	bool large;            /* so was the last step, and splice(2) pays */
	bool full;             /* wait for out, not for in */
	bool held;             /* nothing is to be read for now */
	struct buffer *buffer; /* NULL: holds nothing */

	/* In the buffer: from start to cut is what is to be written, to end what has
	 * been read.  From cut to looked the lines are still undecided about. */
	size_t start, cut, looked, end;
	bool short_of;        /* to tell where what follows goes takes more of it */
	struct lines *lines;  /* NULL: bytes pass unseen */
	const struct end *to; /* where the lines want it; NULL: nowhere */
	bool to_later;        /* or it is put off */
	enum route pending;   /* of what is looked at, and goes another way than what is cut */
	struct end aside;
	int64_t aside_until; /* ms: how long what is cut waits for aside; 0: it does not */
	bool aside_stalled;  /* it has waited that long */
	uint64_t lost;       /* bytes that aside did not take in time */
	bool loss_said;

	/* Lines that are written as soon as no line of the other side is under way: those of our
	 * own, and those put off, as long as they are not. */
	struct queue ours, later;
	bool putting_off;
	bool in_line; /* what was written last is not the end of a line */
};

/* What a turn of a lane came to.  WAIT: most likely there is nothing to do until
 * poll(2) says so; errno tells why for the last two, 0 being the
 * end of file. */
enum flow { FLOW_MORE, FLOW_WAIT, FLOW_IN_ENDED, FLOW_OUT_CLOSED };

/* Reserves the lanes' memory. */
void begin_lanes(void);

/* Moves what can be moved without waiting, for one turn. */
enum flow pump(struct lane *l);

/* Has N BYTES, whole lines of our own, written as soon as that can be, before anything that is put
 * off.  Returns false if there is no room. */
bool put_in(struct lane *l, const char *bytes, size_t n);

/* Whether there is room for N bytes of our own. */
bool has_room(const struct lane *l, size_t n);

/* Out's reader is gone.  What it has got of the last line is lost, and so is what of it and of
 * lines behind it is still to come, as far as they are on their way.  Returns whether the rest of a
 * line will be lost. */
bool abandon(struct lane *l);

/* In's writer is gone.  If out has got the beginning of a line of its, that ends here. */
void end_line_of_out(struct lane *l);

/* Goes on with what was put off. */
void release_later(struct lane *l);

/* What was put off is lost, and the rest of its last line.  Returns whether that is still to come.
 */
bool drop_later(struct lane *l);

/* Whether there is no room for more of what is to be put off. */
bool lacks_room(const struct lane *l);

/* Lines of our own that are not written yet are lost. */
void drop_ours(struct lane *l);

/* Whether it is to read, as far as it is for the lane to say. */
bool takes_more(const struct lane *l);

/* Whether there are lines of ours, or put off. */
bool has_queued(const struct lane *l);

/* No more is to come: what is undecided is all there is of its line. */
void decide_rest(struct lane *l);

/* What the lane holds is lost. */
void drop_held(struct lane *l);

/* Looks whether L, whose ends and lines are set, can do without a copy. */
void choose_way(struct lane *l);

/* Nobody looks at the bytes any more. */
void pass_unseen(struct lane *l);

/* Where the output that waits is to go. */
const struct end *waited_for(const struct lane *l);

/* ms until what waits for aside is dropped; -1: nothing does. */
int aside_timeout(const struct lane *l);

/* Says once that aside has lost something, as soon as it takes that. */
void say_loss(struct lane *l);

/* The client's end FD of a lane; ACCESS as for own_description. */
struct end client_end(int fd, int access);

/* Stderr likewise. */
struct end stderr_end(void);

/* The server's end FD of a lane: a pipe of ours. */
struct end server_end(int fd);

/* Whether large messages have left memory behind that is not used now. */
bool has_memory_to_give_back(void);

/* A session is idle for most of its life: what large messages took is given
 * back once nothing has passed for a moment. */
void give_memory_back(void);

/* Lets go of all of it, but what lanes hold. */
void forget_buffers(void);

#endif
