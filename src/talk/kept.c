/* SPDX-License-Identifier: MIT */
#include "kept.h"

#include "../base/memory.h"
#include "needs.h"
#include "opening.h"

#include <stdalign.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

enum { KEPT_MAX = 1 << 15 }; /* bytes of a line */

static const char *const methods[KEPT_LINES] = {
	[INITIALIZE] = "initialize",
	[INITIALIZED] = "notifications/initialized",
	[SET_LEVEL] = "logging/setLevel",
	[LISTEN... LISTEN_LAST] = "subscriptions/listen",
};

/* What a server says of itself when it answers initialize. */
struct introduction {
	bool given;
	char version[NAME_SIZE]; /* of the protocol */
	uint64_t declared;       /* members, by bits */
	uint64_t hash; /* of capabilities and serverInfo, as they are written; 0: unknown */
};

static struct {
	size_t size[KEPT_LINES];
	struct id id[KEPT_LINES];
	bool replays[KEPT_LINES];      /* a new server is to hear it from us */
	struct id awaited[KEPT_LINES]; /* whose answer is for us; no kind: none's */
	struct introduction client; /* what the client has been told; its hash is the last one's */
	struct introduction latest;
	const char *mismatch; /* of the latest, which the session cannot go on with; NULL: none */
	size_t roots;         /* bytes of the answer about roots; 0: none */
	struct span roots_id;
} kept;

/* There from the first on. */
static struct texts {
	char lines[KEPT_LINES * KEPT_MAX]; /* one after the other */
	alignas(4096) char roots_line[KEPT_MAX];
} * texts;

static void have_texts(void)
{
	if (!texts)
		texts = map_memory(sizeof *texts, MAP_PRIVATE);
}

/* Where the kept line WHICH begins; of KEPT_LINES, where all of them end. */
static char *begin_of(int which)
{
	have_texts();
	char *at = texts->lines;

	for (int i = 0; i < which; i++)
		at += kept.size[i];
	return at;
}

bool is_to_be_kept(const struct message *m, enum kept_line *which)
{
	int i = 0;

	while (i < LISTEN && strcmp(m->method, methods[i]) != 0)
		i++;
	if (i == INITIALIZE && kept.size[INITIALIZE] > 0)
		return false; /* the first one counts, unless it was refused */
	if (i == INITIALIZED && !is_notification(m))
		return false;
	if (i == LISTEN) {
		if (strcmp(m->method, methods[LISTEN]) != 0 || !is_request(m) || !is_of_lists(m))
			return false;
		while (i <= LISTEN_LAST && kept.size[i] > 0)
			i++;
	}
	*which = (enum kept_line)i;
	return i < KEPT_LINES;
}

/* Puts SIZE bytes of LINE, and its end, where WHICH is; none of 0 bytes. */
static void set_line(enum kept_line which, const char *line, size_t size)
{
	char *at = begin_of((int)which), *next = at + kept.size[which];
	size_t whole = size > 0 ? size + 1 : 0;

	memmove(at + whole, next, (size_t)(begin_of(KEPT_LINES) - next));
	if (whole > 0) {
		memcpy(at, line, size);
		at[size] = '\n';
	}
	kept.size[which] = whole;
}

static void drop_line(enum kept_line which)
{
	set_line(which, NULL, 0);
	kept.replays[which] = false;
}

static void keep(enum kept_line which, const struct lines *s)
{
	if (s->line_size >= KEPT_MAX) {
		need_for_good("long-line", s->message.method);
		return;
	}
	set_line(which, s->line, s->line_size);
	kept.id[which] = s->message.id;
	if (s->route == NOWHERE)
		kept.replays[which] = true;
}

void keep_client_line(const struct lines *s)
{
	const struct message *m = &s->message;
	enum kept_line which;

	if (!is_clear(m))
		return;
	if (is_notification(m) && strcmp(m->method, "notifications/cancelled") == 0 &&
	    is_kept(&m->request_id, &which) && which >= LISTEN)
		drop_line(which);
	else if (is_to_be_kept(m, &which))
		keep(which, s);
}

void have_all_replayed(void)
{
	for (int i = 0; i < KEPT_LINES; i++)
		kept.replays[i] = kept.size[i] > 0;
}

const char *line_to_replay(enum kept_line which, size_t *size)
{
	*size = kept.replays[which] ? kept.size[which] : 0;
	kept.awaited[which] = *size > 0 ? kept.id[which] : (struct id){.kind = 0};
	if (which == INITIALIZE) {
		kept.latest.given = false;
		kept.mismatch = NULL;
	}
	return begin_of((int)which);
}

bool has_handshake(void)
{
	return kept.replays[INITIALIZE];
}

bool is_kept(const struct id *id, enum kept_line *which)
{
	for (int i = 0; i < KEPT_LINES; i++)
		if (kept.size[i] > 0 && kept.id[i].kind && same_id(id, &kept.id[i])) {
			*which = (enum kept_line)i;
			return true;
		}
	return false;
}

bool is_for_us(const struct message *m, enum kept_line *which)
{
	bool acknowledges = is_acknowledgement(m);

	for (int i = 0; i < KEPT_LINES; i++)
		if (kept.awaited[i].kind &&
		    (i >= LISTEN ? acknowledges
				 : is_answer(m) && same_id(&m->id, &kept.awaited[i]))) {
			*which = (enum kept_line)i;
			return true;
		}
	return false;
}

bool awaits_answers(void)
{
	for (int i = 0; i < KEPT_LINES; i++)
		if (kept.awaited[i].kind)
			return true;
	return false;
}

void await_none(void)
{
	memset(kept.awaited, 0, sizeof kept.awaited);
}

/* FNV-1a, on from HASH. */
static uint64_t hash_on(uint64_t hash, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		hash = (hash ^ (unsigned char)bytes[i]) * 1099511628211U;
	return hash;
}

static uint64_t hash_span(uint64_t hash, const char *line, struct span at)
{
	return line ? hash_on(hash, line + at.start, (size_t)(at.end - at.start)) : 0;
}

/* What the answer to initialize says.  LINE is NULL where there is too much of it. */
static struct introduction read_introduction(const struct message *m, const char *line)
{
	struct introduction i = {.given = true, .declared = m->set};

	i.hash = line ? 14695981039346656037U : 0;

	memcpy(i.version, m->version, sizeof i.version);
	if (has_member(m, CAPABILITIES))
		i.hash = hash_span(i.hash, line, m->capabilities_at);
	if (has_member(m, SERVER_INFO))
		i.hash = hash_span(i.hash, line, m->server_info_at);
	return i;
}

void note_answer_to_kept(enum kept_line which, const struct message *m, const char *line)
{
	if (which >= LISTEN && which <= LISTEN_LAST) { /* it is over */
		drop_line(which);
		kept.awaited[which].kind = 0;
	}
	if (which != INITIALIZE || kept.client.given)
		return;
	if (is_error(m))
		drop_line(INITIALIZE); /* there was none */
	else if (has_member(m, RESULT))
		kept.client = read_introduction(m, line);
}

void note_answer_for_us(enum kept_line which, const struct message *m, const char *line)
{
	kept.awaited[which].kind = 0;
	if (which != INITIALIZE)
		return;
	kept.latest = read_introduction(m, line);
	kept.mismatch = NULL;
	if (is_error(m))
		kept.mismatch = "it answers initialize with an error";
	else if (kept.client.given && strcmp(kept.latest.version, kept.client.version) != 0)
		kept.mismatch = "it has another protocolVersion";
}

bool is_answered(const char **why)
{
	*why = kept.mismatch;
	return kept.latest.given;
}

bool is_another(void)
{
	return has_handshake() && kept.latest.hash && kept.client.hash &&
	       kept.latest.hash != kept.client.hash;
}

bool has_begun_with_handshake(void)
{
	return kept.client.given;
}

void note_discovery(const struct message *m)
{
	if (!kept.client.given)
		kept.client.declared = m->set;
}

void note_acknowledgement(const struct message *m)
{
	if (!kept.client.given)
		kept.client.declared |= lists_of(m);
}

uint64_t declared_members(void)
{
	return kept.client.declared;
}

const struct id *next_listener(int *at)
{
	while (*at <= LISTEN_LAST && kept.size[*at] == 0)
		++*at;
	return *at <= LISTEN_LAST ? &kept.id[(*at)++] : NULL;
}

void have_introduced(void)
{
	kept.client.hash = kept.latest.hash;
}

void drop_refused(const struct id *id)
{
	enum kept_line which;

	if (is_kept(id, &which) && which == INITIALIZE && !kept.client.given)
		drop_line(INITIALIZE);
}

bool has_declared(enum member capability)
{
	return kept.client.declared >> capability & 1;
}

void keep_roots(const struct message *m, const char *line, size_t size)
{
	kept.roots = 0;
	if (size > KEPT_MAX || !has_member(m, RESULT) || is_error(m))
		return;
	have_texts();
	memcpy(texts->roots_line, line, size);
	kept.roots = size;
	kept.roots_id = m->id_at;
}

void forget_roots(void)
{
	kept.roots = 0;
}

bool kept_roots(const char **head, size_t *head_size, const char **tail, size_t *tail_size)
{
	if (kept.roots == 0)
		return false;
	*head = texts->roots_line;
	*head_size = (size_t)kept.roots_id.start;
	*tail = texts->roots_line + kept.roots_id.end;
	*tail_size = kept.roots - (size_t)kept.roots_id.end;
	return true;
}
