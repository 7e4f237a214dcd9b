/* SPDX-License-Identifier: MIT */
#include "talk.h"

#include "../base/memory.h"
#include "../base/options.h"
#include "../sight/event.h"

#include <stdalign.h>
#include <string.h>

enum {
	PENDING_MAX = 512,  /* requests of one side without an answer */
	URIS_MAX = 512,     /* subscriptions */
	KEPT_MAX = 1 << 15, /* bytes of a line that we keep */
};

enum side { CLIENT, SERVER };

static const char *const kept_methods[KEPT_LINES] = {
	[INITIALIZE] = "initialize",
	[INITIALIZED] = "notifications/initialized",
	[SET_LEVEL] = "logging/setLevel",
};

/* Pages that are not used cost nothing.  None of these are needed while the server is
 * stopped; of the talk, most often one page. */
static struct {
	alignas(4096) struct id pending[2][PENDING_MAX]; /* by the side that asked */
	uint64_t uris[URIS_MAX];
} notes;

static struct {
	alignas(4096) const struct lines *from[2];
	size_t npending[2], nuris;
	size_t kept_size[KEPT_LINES];
	struct id kept_id[KEPT_LINES];
	char version[NAME_SIZE]; /* of the protocol, in the answer to initialize */
	enum { NOTHING_SAID, STATELESS, INITIALIZING, ANSWERED, HANDSHAKEN } handshake;
	const char *doubt; /* why the server is never to be stopped; NULL: no doubt */

	bool awaited[KEPT_LINES]; /* its answer is for us */
	bool answered;            /* so is that of initialize, and it has come */
	const char *mismatch;     /* and is not what it was; NULL: it is */
	bool server_spoke;        /* a whole message */

	char kept[KEPT_LINES * KEPT_MAX]; /* the client's lines, one after the other */
} talk;

/* Whether the line of M is one message, and nothing in doubt. */
static bool is_clear(const struct message *m)
{
	return m->json && !m->doubt && !m->batch &&
	       (is_request(m) || is_notification(m) || is_answer(m));
}

static void have_doubt(const char *why)
{
	if (talk.doubt || opt.idle_stop < 0)
		return;
	talk.doubt = why;
	event("idle-stop-off reason=%s", why);
}

static void add_pending(enum side side, const struct id *id)
{
	if (talk.npending[side] == PENDING_MAX)
		have_doubt("too-many-requests");
	else
		notes.pending[side][talk.npending[side]++] = *id;
}

static void settle(enum side side, const struct id *id)
{
	struct id *pending = notes.pending[side];

	for (size_t i = 0; i < talk.npending[side]; i++) {
		if (same_id(&pending[i], id)) {
			pending[i] = pending[--talk.npending[side]];
			return;
		}
	}
}

static void subscribe(uint64_t uri)
{
	for (size_t i = 0; i < talk.nuris; i++)
		if (notes.uris[i] == uri)
			return;
	if (talk.nuris == URIS_MAX)
		have_doubt("too-many-subscriptions");
	else
		notes.uris[talk.nuris++] = uri;
}

static void unsubscribe(uint64_t uri)
{
	for (size_t i = 0; i < talk.nuris; i++)
		if (notes.uris[i] == uri)
			notes.uris[i] = notes.uris[--talk.nuris];
}

/* Notes a request or a notification of SIDE, just scanned. */
static void note_call(enum side side, const struct message *m)
{
	bool request = is_request(m);

	if (request)
		add_pending(side, &m->id);
	if (is_set(m, PARAMS_TASK))
		have_doubt("task");
	if (!request && strcmp(m->method, "notifications/cancelled") == 0)
		settle(side, &m->request_id);
	if (side == SERVER)
		return;
	if (request && strcmp(m->method, "initialize") == 0)
		talk.handshake = INITIALIZING;
	else if (talk.handshake == ANSWERED && !request &&
		 strcmp(m->method, kept_methods[INITIALIZED]) == 0)
		talk.handshake = HANDSHAKEN;
	else if (talk.handshake == NOTHING_SAID)
		talk.handshake = STATELESS;
	if (strcmp(m->method, "resources/subscribe") == 0)
		subscribe(m->uri);
	else if (strcmp(m->method, "resources/unsubscribe") == 0)
		unsubscribe(m->uri);
}

/* Notes an answer of SIDE, just scanned. */
static void note_answer(enum side side, const struct message *m)
{
	settle(side == CLIENT ? SERVER : CLIENT, &m->id);
	if (side == SERVER && talk.handshake == INITIALIZING &&
	    same_id(&m->id, &talk.kept_id[INITIALIZE])) {
		talk.handshake = has_member(m, RESULT) ? ANSWERED : NOTHING_SAID;
		memcpy(talk.version, m->version, sizeof talk.version);
	}
}

/* Notes the line of SIDE that is over. */
static void note_line(enum side side)
{
	const struct message *m = &talk.from[side]->message;

	if (!is_clear(m))
		have_doubt(side == CLIENT ? "client-line" : "server-line");
	else if (has_member(m, METHOD))
		note_call(side, m);
	else
		note_answer(side, m);
}

/* Where the kept LINE begins; of KEPT_LINES, where all of them end. */
static char *kept_line(int line)
{
	char *at = talk.kept;

	for (int i = 0; i < line; i++)
		at += talk.kept_size[i];
	return at;
}

const char *kept_lines(enum kept_line from, enum kept_line to, size_t *size)
{
	*size = (size_t)(kept_line((int)to + 1) - kept_line((int)from));
	for (enum kept_line i = from; i <= to; i++)
		talk.awaited[i] = talk.kept_size[i] > 0 && talk.kept_id[i].kind;
	talk.answered = false;
	return kept_line((int)from);
}

/* Keeps the client's LINE of SIZE bytes, just read, if a new server needs it. */
static void keep_line(const struct message *m, const char *line, size_t size)
{
	for (int i = 0; is_clear(m) && i < KEPT_LINES; i++) {
		if (strcmp(m->method, kept_methods[i]) != 0)
			continue;
		if (size >= KEPT_MAX) {
			have_doubt("long-line");
			return;
		}
		char *at = kept_line(i), *next = at + talk.kept_size[i];
		memmove(at + size + 1, next, (size_t)(kept_line(KEPT_LINES) - next));
		memcpy(at, line, size);
		at[size] = '\n';
		talk.kept_size[i] = size + 1;
		talk.kept_id[i] = m->id;
	}
}

/* A line of the client's is over. */
static void hear_client(struct lines *s, const char *line, size_t size)
{
	if (s->ended)
		return;
	keep_line(&s->message, line, size);
	note_line(CLIENT);
}

/* Compares the answer to the replayed initialize with what it was. */
static void compare_answer(const struct message *m)
{
	talk.answered = true;
	talk.mismatch = NULL;
	if (is_error(m))
		talk.mismatch = "an error";
	else if (strcmp(m->version, talk.version) != 0)
		talk.mismatch = "another protocolVersion";
}

/* Which of our lines M is an answer to; KEPT_LINES: none. */
static enum kept_line answered_line(const struct message *m)
{
	enum kept_line i = INITIALIZE;

	if (!is_clear(m) || !is_answer(m))
		return KEPT_LINES;
	while (i < KEPT_LINES && !(talk.awaited[i] && same_id(&m->id, &talk.kept_id[i])))
		i++;
	return i;
}

/* A line of the server's is over. */
static void hear_server(struct lines *s, const char *line, size_t size)
{
	(void)line;
	(void)size;
	if (s->ended)
		return;
	if (is_clear(&s->message))
		talk.server_spoke = true;
	if (s->route == ON && opt.idle_stop >= 0)
		note_line(SERVER);
	if (s->route != NOWHERE)
		return;
	enum kept_line answered = answered_line(&s->message);
	if (answered == INITIALIZE)
		compare_answer(&s->message);
	talk.awaited[answered == KEPT_LINES ? INITIALIZE : answered] = false;
}

static bool awaits_any(void)
{
	for (int i = 0; i < KEPT_LINES; i++)
		if (talk.awaited[i])
			return true;
	return false;
}

/* Where the line goes that the server is writing: an answer that is for us, at its end. */
static enum route judge(struct lines *s, bool full)
{
	const struct message *m = &s->message;

	if (m->over)
		return answered_line(m) == KEPT_LINES ? ON : NOWHERE;
	if (full) /* long before its end; of ours, only initialize's answer may be so long */
		return talk.awaited[INITIALIZE] && has_member(m, RESULT) ? NOWHERE : ON;
	return s->whole || awaits_any() ? UNDECIDED : ON;
}

void begin_talk(struct lines *client, struct lines *server)
{
	talk.from[CLIENT] = client;
	talk.from[SERVER] = server;
	if (opt.idle_stop >= 0) {
		keep_parts(client);
		listen_to(client, hear_client);
	}
	server->noise_aside = opt.json_only;
	if (opt.idle_stop >= 0)
		server->judge = judge;
	if (opt.idle_stop >= 0 || opt.drop_launcher)
		listen_to(server, hear_server);
}

bool may_be_stopped(void)
{
	return !talk.doubt && (talk.handshake == STATELESS || talk.handshake == HANDSHAKEN) &&
	       talk.npending[CLIENT] + talk.npending[SERVER] + talk.nuris == 0 &&
	       !in_line(&talk.from[CLIENT]->message) && !in_line(&talk.from[SERVER]->message);
}

bool has_server_spoken(void)
{
	return talk.server_spoke;
}

bool begin_next_server(void)
{
	const struct lines *s = talk.from[SERVER];

	talk.npending[SERVER] = 0; /* who has asked is gone */
	talk.server_spoke = false;
	memset(talk.awaited, 0, sizeof talk.awaited);
	return s->message.over || s->size == 0 || s->route != ON;
}

bool has_handshake(void)
{
	return talk.handshake != STATELESS;
}

bool is_answered(const char **why)
{
	*why = talk.mismatch;
	return talk.answered;
}

void forget_notes(void)
{
	give_back(&notes, sizeof notes);
}
