/* SPDX-License-Identifier: MIT */
#include "talk.h"

#include "../base/clock.h"
#include "../base/memory.h"
#include "../base/options.h"
#include "../base/text.h"
#include "../sight/event.h"
#include "pending.h"

#include <stdalign.h>
#include <string.h>

enum {
	URIS_MAX = 512,        /* subscriptions */
	KEPT_MAX = 1 << 15,    /* bytes of a line that we keep */
	ANSWER_MAX = 2048,     /* bytes of an answer of ours: its id, escaped, and a reason */
	ANSWERS_MAX = 1 << 20, /* bytes of all, until they are on their way */
};

static const char *const kept_methods[KEPT_LINES] = {
	[INITIALIZE] = "initialize",
	[INITIALIZED] = "notifications/initialized",
	[SET_LEVEL] = "logging/setLevel",
};

/* Pages that are not used cost nothing.  None of these are needed while the server is
 * stopped; of the talk, most often one page. */
static struct {
	alignas(4096) uint64_t uris[URIS_MAX];
} notes;

static struct {
	alignas(4096) const struct lines *from[2];
	size_t nuris;
	enum phase phase;
	int64_t active; /* ms */
	size_t kept_size[KEPT_LINES];
	struct id kept_id[KEPT_LINES];
	char version[NAME_SIZE]; /* of the protocol, in the answer to initialize */
	bool handshaken;         /* initialize has been answered */
	const char *doubt;       /* why the server is never to be stopped; NULL: no doubt */

	bool replays[KEPT_LINES]; /* heard by the server before */
	bool asks, asked;         /* that server, and this one, had a request of its own */
	bool awaited[KEPT_LINES]; /* its answer is for us */
	bool answered;            /* so is that of initialize, and it has come */
	const char *mismatch;     /* and is not what it was; NULL: it is */
	bool server_spoke;        /* a whole message */

	bool heard;  /* the client has said something */
	bool called; /* a line is put off that takes a server */
	size_t answers_size;

	char kept[KEPT_LINES * KEPT_MAX]; /* the client's lines, one after the other */
	alignas(4096) char answers[ANSWERS_MAX];
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

static bool is_called(const struct message *m, const char *method)
{
	return strcmp(m->method, method) == 0;
}

/* Whether M, a message of SIDE, is about the connection alone: no sign of work. */
static bool is_idle_talk(enum side side, const struct message *m)
{
	return is_called(m, "ping") || (side == SERVER && is_called(m, "notifications/message"));
}

/* Whether a request of the server is one that a person may be at work on. */
static bool holds_server(const struct message *m)
{
	return !is_called(m, "roots/list") && !is_called(m, "ping");
}

static void note_request(enum side side, const struct message *m)
{
	bool room;

	if (side == CLIENT && is_called(m, "ping") && talk.phase != SERVED)
		return; /* we answer it */
	room = add_pending(side, &m->id, side == CLIENT ? !is_called(m, "ping") : holds_server(m));
	if (!room)
		have_doubt("too-many-requests");
	if (is_set(m, PARAMS_TASK))
		have_doubt("task");
	if (side == SERVER) {
		talk.asked = true;
		return;
	}
	if (is_called(m, "resources/subscribe"))
		subscribe(m->uri);
	else if (is_called(m, "resources/unsubscribe"))
		unsubscribe(m->uri);
}

static void note_notification(enum side side, const struct message *m)
{
	if (!is_called(m, "notifications/cancelled"))
		return;
	if (side == CLIENT)
		settle(CLIENT, &m->request_id);
	else
		settle(SERVER, &m->request_id);
}

/* Notes an answer of SIDE, just read. */
static void note_answer(enum side side, const struct message *m)
{
	settle(side == CLIENT ? SERVER : CLIENT, &m->id);
	if (side == CLIENT)
		return;
	if (strcmp(m->result_type, "task") == 0 || is_set(m, RESULT_TASK))
		have_doubt("task");
	if (is_set(m, CHANNEL))
		have_doubt("push");
	if (!talk.handshaken && talk.kept_size[INITIALIZE] > 0 &&
	    same_id(&m->id, &talk.kept_id[INITIALIZE]) && has_member(m, RESULT)) {
		talk.handshaken = true;
		memcpy(talk.version, m->version, sizeof talk.version);
	}
}

static void note_message(enum side side, const struct message *m)
{
	if (!is_idle_talk(side, m) &&
	    !(is_answer(m) && !is_pending(side == CLIENT ? SERVER : CLIENT, &m->id)))
		talk.active = now();
	if (is_request(m))
		note_request(side, m);
	else if (is_notification(m))
		note_notification(side, m);
	else if (is_answer(m))
		note_answer(side, m);
	else
		have_doubt(side == CLIENT ? "client-line" : "server-line");
}

/* Notes the line of SIDE that is over; a batch's messages are noted as they come. */
static void note_line(enum side side)
{
	const struct message *m = &talk.from[side]->message;

	if (side == SERVER &&
	    (m->first == '\n' || (!m->json && m->first != '[' && m->first != '{')))
		return;
	if (!m->json || m->doubt)
		have_doubt(side == CLIENT ? "client-line" : "server-line");
	else if (!m->batch)
		note_message(side, m);
}

static void hear_each(void *arg, const struct message *m)
{
	if (m->batch)
		note_message(m == &talk.from[CLIENT]->message ? CLIENT : SERVER, m);
	(void)arg;
}

/* Where the kept LINE begins; of KEPT_LINES, where all of them end. */
static char *kept_line(int line)
{
	char *at = talk.kept;

	for (int i = 0; i < line; i++)
		at += talk.kept_size[i];
	return at;
}

const char *kept_line_for(enum kept_line which, size_t *size)
{
	*size = talk.replays[which] ? talk.kept_size[which] : 0;
	talk.awaited[which] = *size > 0 && talk.kept_id[which].kind;
	if (which == INITIALIZE) {
		talk.answered = false;
		talk.mismatch = NULL;
	}
	return kept_line((int)which);
}

/* Keeps the client's LINE of SIZE bytes, just read, if a new server needs it. */
static void keep_line(const struct message *m, const char *line, size_t size)
{
	for (int i = 0; is_clear(m) && i < KEPT_LINES; i++) {
		if (strcmp(m->method, kept_methods[i]) != 0)
			continue;
		if (i == INITIALIZE && talk.handshaken)
			return; /* the first one counts */
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
	talk.heard = true;
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
	else if (talk.handshaken && strcmp(m->version, talk.version) != 0)
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

/* The answers of ours that have not been fetched. */
static struct text ours(void)
{
	return (struct text){talk.answers, sizeof talk.answers, talk.answers_size};
}

static void add_id(struct text *t, const struct id *id)
{
	if (id->kind == '"')
		add_json(t, id->bytes, id->size);
	else
		add(t, id->bytes, id->size);
}

/* Returns false if there is no room. */
static bool answer_ping(const struct id *id)
{
	struct text t = ours();

	if (t.size - t.length < ANSWER_MAX)
		return false;
	addf(&t, "{\"jsonrpc\":\"2.0\",\"id\":");
	add_id(&t, id);
	addf(&t, ",\"result\":{}}\n");
	talk.answers_size = t.length;
	return true;
}

struct refusal {
	struct text text;
	const char *why;
};

static void refuse(void *arg, const struct id *id)
{
	struct refusal *r = arg;

	if (r->text.size - r->text.length < ANSWER_MAX)
		return;
	addf(&r->text, "{\"jsonrpc\":\"2.0\",\"id\":");
	add_id(&r->text, id);
	addf(&r->text, ",\"error\":{\"code\":-32000,\"message\":");
	add_json(&r->text, r->why, strlen(r->why));
	addf(&r->text, "}}\n");
}

void refuse_pending(const char *why)
{
	struct refusal r = {ours(), why};

	give_up_pending(refuse, &r);
	if (talk.answers_size < r.text.length)
		talk.answers_size = r.text.length;
}

const char *answers_of_ours(size_t *size)
{
	*size = talk.answers_size;
	return talk.answers;
}

void forget_answers(void)
{
	talk.answers_size = 0;
	give_back(talk.answers, sizeof talk.answers);
}

/* Where the line goes that the server is writing: an answer that is for us, at its end. */
static enum route judge(struct lines *s, bool full)
{
	const struct message *m = &s->message;

	if (m->over && talk.phase == LEAVING && is_clear(m) && is_request(m))
		return NOWHERE; /* nobody would read its answer */
	if (m->over)
		return answered_line(m) == KEPT_LINES ? ON : NOWHERE;
	if (full) /* long before its end; of ours, only initialize's answer may be so long */
		return talk.awaited[INITIALIZE] && has_member(m, RESULT) ? NOWHERE : ON;
	return s->whole || awaits_any() || talk.phase == LEAVING ? UNDECIDED : ON;
}

/* Puts a line off until there is a server. */
static enum route call_server(void)
{
	talk.called = true;
	return LATER;
}

/* Where the client's line goes. */
static enum route judge_client(struct lines *s, bool full)
{
	const struct message *m = &s->message;

	if (talk.phase == SERVED)
		return ON;
	if (!m->over)
		return full ? call_server() : UNDECIDED;
	if (m->first == '\n')
		return NOWHERE;
	if (!is_clear(m))
		return call_server();
	if (is_answer(m))
		return is_pending(SERVER, &m->id) ? ON : NOWHERE;
	if (is_request(m))
		return is_called(m, "ping") && answer_ping(&m->id) ? NOWHERE : call_server();
	if (is_called(m, "notifications/cancelled"))
		return is_pending(CLIENT, &m->request_id) ? LATER : NOWHERE;
	if (is_called(m, "notifications/roots/list_changed"))
		return LATER; /* time enough when there is a server */
	return call_server();
}

bool is_server_called(void)
{
	return talk.called;
}

void forget_call(void)
{
	talk.called = false;
}

void begin_talk(struct lines *client, struct lines *server)
{
	talk.from[CLIENT] = client;
	talk.from[SERVER] = server;
	if (opt.idle_stop >= 0) {
		talk.active = now();
		keep_parts(client);
		listen_to(client, hear_client);
		client->judge = judge_client;
		client->message.each = server->message.each = hear_each;
	}
	server->noise_aside = opt.json_only;
	if (opt.idle_stop >= 0)
		server->judge = judge;
	if (opt.idle_stop >= 0 || opt.drop_launcher)
		listen_to(server, hear_server);
}

void set_phase(enum phase phase)
{
	talk.phase = phase;
	if (phase == SERVED)
		talk.called = false;
	if (phase == UNSERVED)
		for (int i = 0; i < KEPT_LINES; i++)
			talk.replays[i] = talk.kept_size[i] > 0;
}

int64_t last_activity(void)
{
	return talk.active;
}

int64_t may_be_stopped(void)
{
	if (!talk.heard || talk.doubt || talk.nuris > 0 || in_line(&talk.from[CLIENT]->message) ||
	    in_line(&talk.from[SERVER]->message))
		return -1;
	int64_t client = held_until(CLIENT, opt.idle_request);
	int64_t server = held_until(SERVER, INT64_MAX / 2);
	return client > server ? client : server;
}

bool has_server_spoken(void)
{
	return talk.server_spoke;
}

bool begin_next_server(void)
{
	const struct lines *s = talk.from[SERVER];

	forget_requests_of_server();
	talk.asks |= talk.asked;
	talk.asked = false;
	talk.server_spoke = false;
	memset(talk.awaited, 0, sizeof talk.awaited);
	return s->message.over || s->size == 0 || s->route != ON;
}

bool has_asked(void)
{
	return !talk.asks || (talk.asked && !has_pending(SERVER));
}

bool has_handshake(void)
{
	return talk.replays[INITIALIZE];
}

bool is_answered(const char **why)
{
	*why = talk.mismatch;
	return talk.answered;
}

void forget_notes(void)
{
	if (talk.nuris == 0)
		give_back(&notes, sizeof notes);
	give_pending_back();
}
