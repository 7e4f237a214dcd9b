/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "lane.h"

#include "../base/clock.h"
#include "../base/fd.h"
#include "../base/memory.h"
#include "../base/say.h"
#include "../sight/event.h"
#include "lines.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	CHUNK = 65536,   /* bytes: a pipe's capacity */
	TURN = 16,       /* chunks, before the other direction gets its turn */
	BUFFERS = 3,     /* one a lane, at most */
	PATIENCE = 1000, /* ms, for a stderr that takes nothing */
	/* Bytes: of what is put off, more is not read before it is written; of our own. */
	LATER_MAX = 1 << 20,
	OURS_MAX = 6 << 20,
};

/*
 * Where the bytes of a lane are from its read to its write.  A lane has one only
 * while it holds bytes, so most often all use the first, and one page of it.
 */
struct buffer {
	char *bytes; /* CHUNK of them */
	size_t touched;
	bool in_use;
};

/* Bytes: a page, which is not worth giving back, nor what fits it a splice.  Not less, or a
 * read of a PIPE_BUF would touch two. */
enum { KEPT = PIPE_BUF };

static struct buffer buffers[BUFFERS];

/* There from the start: an ending must not depend on some memory being left then. */
void begin_lanes(void)
{
	char *bytes = map_memory((size_t)BUFFERS * CHUNK, MAP_PRIVATE);

	for (size_t i = 0; i < BUFFERS; i++)
		buffers[i].bytes = bytes + i * CHUNK;
}

static void hold_buffer(struct lane *l)
{
	l->buffer = buffers;
	while (l->buffer->in_use)
		l->buffer++;
	l->buffer->in_use = true;
	l->start = l->cut = l->looked = l->end = 0;
}

static void release_buffer(struct lane *l)
{
	if (l->buffer)
		l->buffer->in_use = false;
	l->buffer = NULL;
}

static bool worth_giving_back(const struct buffer *b)
{
	return !b->in_use && b->touched > KEPT;
}

bool has_memory_to_give_back(void)
{
	for (size_t i = 0; i < BUFFERS; i++)
		if (worth_giving_back(&buffers[i]))
			return true;
	return false;
}

void give_memory_back(void)
{
	for (size_t i = 0; i < BUFFERS; i++) {
		if (!worth_giving_back(&buffers[i]))
			continue;
		buffers[i].touched = 0;
		give_back(buffers[i].bytes, CHUNK);
	}
}

static ssize_t take(const struct end *e, char *buf, size_t size)
{
	if (e->kind == SOCKET)
		return recv(e->fd, buf, size, MSG_DONTWAIT);
	if (e->kind == BLOCKING && !ready(e->fd, POLLIN)) {
		errno = EAGAIN;
		return -1;
	}
	return read(e->fd, buf, size);
}

static ssize_t give(const struct end *e, const char *buf, size_t size)
{
	if (e->kind == SOCKET)
		return send(e->fd, buf, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (e->kind == BLOCKING && !ready(e->fd, POLLOUT)) {
		errno = EAGAIN;
		return -1;
	}
	return write(e->fd, buf, e->kind == BLOCKING && size > PIPE_BUF ? PIPE_BUF : size);
}

/* One step from pipe to pipe, without a copy; it never waits.  Whatever it
 * cannot do (seccomp's EPERM, ENOSYS, EINVAL) a copy can.  FIRST: of a turn, which
 * something at one of the ends was the reason for. */
static enum flow splice_step(struct lane *l, bool first)
{
	int unread = 0;
	ssize_t n = splice(l->in.fd, NULL, l->out.fd, NULL, CHUNK, SPLICE_F_NONBLOCK);

	if (n > 0) {
		l->full = false;
		l->large = n >= KEPT;
		return n < CHUNK ? FLOW_WAIT : FLOW_MORE; /* most likely all */
	}
	if (n == 0) {
		errno = 0;
		return FLOW_IN_ENDED;
	}
	if (errno == EPIPE)
		return FLOW_OUT_CLOSED;
	if (errno != EAGAIN && errno != EINTR) {
		l->splice = false;
		return FLOW_MORE;
	}
	ioctl(l->in.fd, FIONREAD, &unread);
	l->full = unread > 0;
	if (unread > 0 || !first)
		return FLOW_WAIT;
	/* Of a full out splice(2) says EAGAIN before it comes to see the end of in: to wait
	 * for that would be to spin.  A read tells. */
	l->large = false;
	return FLOW_MORE;
}

void decide_rest(struct lane *l)
{
	l->to = l->lines && l->lines->whole ? NULL : &l->out;
	l->pending = UNDECIDED;
	for (; l->short_of && l->looked < l->end; l->to = &l->aside)
		l->looked +=
			read_line(l->lines, l->buffer->bytes + l->looked, l->end - l->looked, true);
	l->short_of = false;
	l->cut = l->looked = l->end;
}

static bool is_empty(const struct queue *q)
{
	return q->start == q->end;
}

bool lacks_room(const struct lane *l)
{
	return l->to_later && l->start < l->cut;
}

bool takes_more(const struct lane *l)
{
	return !l->full && !l->held && !lacks_room(l);
}

bool has_queued(const struct lane *l)
{
	return !is_empty(&l->ours) || !is_empty(&l->later);
}

/* Puts what finds room of N BYTES behind what Q has, of SIZE bytes; returns how much. */
static size_t put(struct queue *q, size_t size, const char *bytes, size_t n)
{
	if (!q->bytes) {
		q->bytes = map_memory(size, MAP_PRIVATE);
		q->size = size;
	}
	if (n > q->size - q->end)
		n = q->size - q->end;
	memcpy(q->bytes + q->end, bytes, n);
	q->end += n;
	return n;
}

static void empty(struct queue *q)
{
	q->start = q->end = 0;
	if (q->bytes)
		give_back(q->bytes, q->size);
}

/* One byte is for end_line_of_out(). */
bool has_room(const struct lane *l, size_t n)
{
	return n < OURS_MAX - l->ours.end;
}

bool put_in(struct lane *l, const char *bytes, size_t n)
{
	if (!has_room(l, n))
		return false;
	if (n > 0)
		put(&l->ours, OURS_MAX, bytes, n);
	l->full = l->out.fd >= 0;
	return true;
}

/* A line of our own, where EAGAIN has cut it, ends by itself. */
void end_line_of_out(struct lane *l)
{
	struct queue *q = &l->ours;

	if (!l->in_line || q->start > 0)
		return;
	put(q, OURS_MAX, "\n", 1);
	memmove(q->bytes + 1, q->bytes, q->end - 1);
	q->bytes[0] = '\n';
	l->in_line = false;
	l->full = true;
}

bool abandon(struct lane *l)
{
	struct lines *lines = l->lines;

	empty(&l->later); /* released, it was on its way, too */
	l->start = l->cut;
	if (l->pending == ON)
		l->pending = NOWHERE;
	if (l->start == l->end)
		release_buffer(l);
	l->full = false;
	if (lines->message.over || lines->size == 0 || lines->route != ON)
		return false;
	lines->route = NOWHERE;
	return true;
}

void drop_ours(struct lane *l)
{
	empty(&l->ours);
	l->full = false;
}

/* The rest of a line that was put off goes ON, or NOWHERE, with it.  Returns whether there is one.
 */
static bool reroute(struct lane *l, enum route route)
{
	bool rest = l->lines && !l->lines->message.over && l->lines->route == LATER;

	if (l->pending == LATER)
		l->pending = route;
	if (l->to_later)
		l->to = route == ON ? &l->out : NULL;
	l->to_later = false;
	if (rest)
		l->lines->route = route;
	l->full = has_queued(l) && l->out.fd >= 0;
	return rest;
}

void release_later(struct lane *l)
{
	l->putting_off = false;
	reroute(l, ON);
}

bool drop_later(struct lane *l)
{
	empty(&l->later);
	return reroute(l, NOWHERE);
}

/* Writes what waits in Q.  Returns FLOW_MORE once it is empty. */
static enum flow write_queue(struct lane *l, struct queue *q)
{
	while (!is_empty(q)) {
		ssize_t n = give(&l->out, q->bytes + q->start, q->end - q->start);
		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			l->full = true;
			return FLOW_OUT_CLOSED;
		}
		l->full = n < 0;
		if (n < 0)
			return FLOW_WAIT;
		q->start += (size_t)n;
		l->in_line = q->bytes[q->start - 1] != '\n';
		if (is_empty(q))
			empty(q);
	}
	return FLOW_MORE;
}

/* Writes the queues, when they may be.  One that is cut off by EAGAIN comes first. */
static enum flow write_queues(struct lane *l)
{
	enum flow flow = FLOW_MORE;

	if (l->out.fd < 0)
		return FLOW_MORE;
	if (!is_empty(&l->ours) && (!l->in_line || l->ours.start > 0))
		flow = write_queue(l, &l->ours);
	if (flow == FLOW_MORE && !l->putting_off && !is_empty(&l->later) &&
	    (!l->in_line || l->later.start > 0))
		flow = write_queue(l, &l->later);
	return flow;
}

void drop_held(struct lane *l)
{
	l->splice = false;
	l->full = false;
	empty(&l->ours);
	empty(&l->later);
	release_buffer(l);
}

void choose_way(struct lane *l)
{
	l->splice = !l->lines && is_pipe(l->in.fd) && is_pipe(l->out.fd);
}

void pass_unseen(struct lane *l)
{
	if (l->buffer)
		l->cut = l->looked = l->end;
	l->lines = NULL;
	choose_way(l);
}

const struct end *waited_for(const struct lane *l)
{
	return l->full && l->lines && l->buffer && l->start < l->cut && l->to ? l->to : &l->out;
}

int aside_timeout(const struct lane *l)
{
	return l->full && waited_for(l) == &l->aside ? until(l->aside_until) : -1;
}

void say_loss(struct lane *l)
{
	if (l->lost == 0 || l->loss_said || !ready(l->aside.fd, POLLOUT))
		return;
	l->loss_said = true;
	complain("stderr: it was not read: %llu bytes for it were dropped",
		 (unsigned long long)l->lost);
}

/* Aside takes nothing now of what is cut.  Returns whether that is dropped: noise waits once so
 * long as PATIENCE, and no more until aside has taken some. */
static bool drop_aside(struct lane *l)
{
	if (!l->aside_until)
		l->aside_until = now() + PATIENCE;
	if (!l->aside_stalled && now() < l->aside_until)
		return false;
	if (l->lost == 0)
		event("stderr-stalled");
	l->aside_stalled = true;
	l->lost += l->cut - l->start;
	return true;
}

/* Aside has taken all that was cut. */
static void note_taken_aside(struct lane *l)
{
	l->aside_until = 0;
	l->aside_stalled = false;
	say_loss(l);
}

/* Whether there are lines in the buffer that are still to be looked at, or sent on. */
static bool has_unseen(const struct lane *l)
{
	return l->lines && l->buffer &&
	       ((l->looked < l->end && !l->short_of) || l->pending != UNDECIDED);
}

/* One read behind what the lane holds, of which nothing is decided. */
static enum flow fill(struct lane *l)
{
	/* Small messages are copied even from pipe to pipe: it takes less time.  There is always
	 * room for a PIPE_BUF, or a pipe of packets (O_DIRECT), which the end to read from does
	 * not tell of, would cut one. */
	size_t most = l->splice ? PIPE_BUF : CHUNK;

	if (l->held || l->in.fd < 0)
		return FLOW_WAIT;
	if (!l->buffer)
		hold_buffer(l);
	if (l->start > 0) {
		memmove(l->buffer->bytes, l->buffer->bytes + l->start, l->end - l->start);
		l->end -= l->start;
		l->looked -= l->start;
		l->start = l->cut = 0;
	}
	ssize_t n = take(&l->in, l->buffer->bytes + l->end, most - l->end);
	/* Not the end before that is written, nor half a line in the middle of a handshake. */
	if (n == 0 && (!is_empty(&l->later) || (l->putting_off && l->end > 0 && l->out.fd >= 0))) {
		if (l->end == 0)
			release_buffer(l);
		l->held = true;
		l->full = false;
		return FLOW_WAIT;
	}
	if (n == 0 && l->end > 0) {
		decide_rest(l);
		return FLOW_MORE;
	}
	if (n <= 0) {
		if (l->end == 0)
			release_buffer(l);
		l->full = false;
		if (n == 0)
			errno = 0;
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return FLOW_WAIT;
		int error = errno;
		if (l->lines)
			end_lines(l->lines);
		errno = error;
		return FLOW_IN_ENDED;
	}
	if (l->lines && l->lines->traffic)
		l->lines->traffic->bytes += (uint64_t)n;
	l->end += (size_t)n;
	l->short_of = false;
	l->large = l->end == most;
	if (l->buffer->touched < l->end)
		l->buffer->touched = l->end;
	if (!l->lines)
		l->cut = l->looked = l->end;
	return FLOW_MORE;
}

/* Looks at what has been read.  Lines that go the same way are cut together. */
static void look(struct lane *l)
{
	enum route way = l->pending;

	if (way != UNDECIDED)
		l->cut = l->looked;
	l->pending = UNDECIDED;
	while (l->looked < l->end && l->pending == UNDECIDED) {
		size_t n = read_line(l->lines, l->buffer->bytes + l->looked, l->end - l->looked,
				     l->cut == l->start && l->end - l->start > CHUNK - PIPE_BUF);
		l->looked += n;
		l->short_of = n == 0;
		if (l->short_of)
			break;
		enum route route = l->lines->route;
		if (route == UNDECIDED)
			break;
		if (way == UNDECIDED)
			way = route;
		if (route == way)
			l->cut = l->looked;
		else
			l->pending = route;
	}
	l->to = way == ON ? &l->out : way == ASIDE ? &l->aside : NULL;
	l->to_later = way == LATER;
}

/* One write, after a read if nothing is there to be written.  To a closed out,
 * bytes are lost as they are in a pipe that nobody reads to its end. */
static enum flow copy_step(struct lane *l)
{
	enum flow queues = write_queues(l);
	if (queues != FLOW_MORE)
		return queues;
	if (!l->buffer || (l->start == l->cut && !has_unseen(l))) {
		enum flow flow = fill(l);
		if (flow != FLOW_MORE)
			return flow;
	}
	if (l->lines && l->start == l->cut) {
		look(l);
		if (l->start == l->cut)
			return l->large ? FLOW_MORE : FLOW_WAIT;
	}
	const struct end *to = l->lines ? l->to : &l->out;
	size_t size = l->cut - l->start;
	ssize_t n = (ssize_t)size;
	if (l->to_later) {
		n = (ssize_t)put(&l->later, LATER_MAX, l->buffer->bytes + l->start, size);
		if (n == 0) {
			l->full = false;
			return FLOW_WAIT;
		}
	} else if (to && to->fd >= 0) {
		n = give(to, l->buffer->bytes + l->start, size);
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		if (to != &l->aside || !drop_aside(l)) {
			l->full = true;
			return FLOW_WAIT;
		}
		n = (ssize_t)size;
	} else if (n == (ssize_t)size && to == &l->aside) {
		note_taken_aside(l);
	}
	if (n < 0) {
		if (to == &l->out) {
			l->full = true;
			return FLOW_OUT_CLOSED;
		}
		n = (ssize_t)size; /* nobody reads our stderr */
	}
	l->start += (size_t)n;
	if (to == &l->out)
		l->in_line = l->buffer->bytes[l->start - 1] != '\n';
	l->full = l->start < l->cut; /* a turn may end here */
	if (l->full || l->start < l->end)
		return FLOW_MORE;
	release_buffer(l);
	return l->large ? FLOW_MORE : FLOW_WAIT;
}

enum flow pump(struct lane *l)
{
	enum flow flow = FLOW_MORE;

	for (int i = 0; flow == FLOW_MORE && (i < TURN || has_unseen(l)); i++)
		flow = l->splice && l->large && !l->buffer ? splice_step(l, i == 0) : copy_step(l);
	return flow;
}

struct end client_end(int fd, int access)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode))
		return (struct end){fd, SOCKET};
	/* A FIFO that is opened again when its writer has gone reports no
	 * hang-up; a pipe without a name does. */
	if ((!is_pipe(fd) || !has_name(fd)) && own_description(fd, access))
		return (struct end){fd, NONBLOCKING};
	return (struct end){fd, BLOCKING};
}

/* Stderr likewise.  It is only written to, so that a name does no harm. */
struct end stderr_end(void)
{
	if (own_description(STDERR_FILENO, O_WRONLY))
		return (struct end){STDERR_FILENO, NONBLOCKING};
	return client_end(STDERR_FILENO, O_WRONLY);
}

struct end server_end(int fd)
{
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return (struct end){fd, NONBLOCKING};
}

void forget_buffers(void)
{
	for (size_t i = 0; i < BUFFERS; i++)
		if (!buffers[i].in_use)
			give_back(buffers[i].bytes, CHUNK);
}
