/* SPDX-License-Identifier: MIT */
#include "talk.h"

#include "../base/clock.h"
#include "../base/options.h"
#include "alias.h"
#include "method.h"
#include "opening.h"
#include "pending.h"
#include "recall.h"
#include "reply.h"

#include <string.h>

enum {
	OPENING_MAX = 2000,   /* ms, from a handshake's end to a server's last question of it */
	ANSWER_MAX = 4 << 20, /* bytes of one that may be kept */
};

static struct {
	const struct lines *from[2];
	struct lane *to[2];
	enum phase phase;
	int64_t active; /* ms: see last_activity() */
	int64_t used;   /* ms: see first_use() */
	bool ever_used;
	bool called;       /* a line is put off that takes a server */
	bool losing;       /* the line that the client is writing is lost */
	bool server_spoke; /* a whole message */
	int64_t opened;   /* when this server was told that the client is initialized; 0: not yet */
	bool asks, asked; /* the server before, and this one, had a question in its opening */
	bool lists, had_lists; /* this one, and the one before, said that a list has changed */
} talk;

static void note_use(void)
{
	talk.ever_used = true;
	if (!talk.used)
		talk.used = since_boot();
}

static void note_request(enum side side, const struct message *m)
{
	enum kept_line which;

	if (side == CLIENT && is_called(m, "subscriptions/listen") && is_to_be_kept(m, &which))
		return; /* it is kept, and has no answer for as long as it holds */
	if (!add_pending(side, m, side == CLIENT ? errand_of_client(m) : errand_of_server(m)))
		need_for_good("requests", NULL);
	if (is_set(m, PARAMS_TASK))
		need_for_good("task", m->method);
	if (side == CLIENT && is_called(m, "resources/subscribe"))
		subscribe(m->uri);
	else if (side == CLIENT && is_called(m, "resources/unsubscribe"))
		unsubscribe(m->uri);
	else if (side == SERVER && errand_of_server(m) == WORK)
		note_use();
}

/* Notes the server's request M if it belongs to its opening, and not to something that the client
 * has asked it to do. */
static void note_question(const struct message *m)
{
	bool opens = talk.opened && now() < talk.opened + OPENING_MAX;

	if (talk.phase == RETURNING || (opens && (!talk.used || is_called(m, "roots/list"))))
		talk.asked = true;
}

static void note_notification(enum side side, const struct message *m)
{
	enum errand errand;

	if (side == CLIENT && is_called(m, "notifications/roots/list_changed"))
		forget_roots();
	else if (side == CLIENT && is_called(m, "notifications/initialized"))
		talk.opened = now();
	else if (side == CLIENT && is_called(m, "notifications/cancelled"))
		cancel_pending(&m->request_id);
	else if (is_called(m, "notifications/cancelled"))
		settle(SERVER, &m->request_id, &errand);
	else if (side == SERVER && is_called(m, "notifications/elicitation/complete"))
		end_visit();
	else if (side == SERVER && says_lists_changed(m))
		talk.lists = true;
	else if (side == SERVER && is_acknowledgement(m))
		note_acknowledgement(m);
	else if (side == SERVER && is_push(m) && talk.phase != LEAVING)
		need_for_good("push", m->method);
}

/* A client's answer to the server. */
static void note_client_answer(const struct message *m, const struct lines *s)
{
	enum errand errand;

	if (settle(SERVER, &m->id, &errand) && errand == ROOTS && !m->batch)
		keep_roots(m, s->line, s->line_size);
}

static void note_server_answer(const struct message *m, const struct lines *s)
{
	enum { URL_ELICITATION_REQUIRED = -32042 };
	enum kept_line which;
	enum errand errand;
	bool whole = s->line_size <= s->part_max && !m->batch;

	if (is_kept(&m->id, &which))
		note_answer_to_kept(which, m, whole ? s->line : NULL);
	settle(CLIENT, &m->id, &errand);
	if (strcmp(m->result_type, "task") == 0 || is_set(m, RESULT_TASK))
		need_for_good("task", NULL);
	if (is_set(m, CHANNEL))
		need_for_good("push", "claude/channel");
	if (is_error(m) && is_set(m, ERROR_CODE) && m->error_code == URL_ELICITATION_REQUIRED)
		begin_visit();
}

/* Whether M, a message of SIDE, is a sign that somebody is at work, or about to be. */
static bool is_sign_of_work(enum side side, const struct message *m)
{
	if (is_request(m))
		return is_work(side == CLIENT ? errand_of_client(m) : errand_of_server(m));
	if (is_answer(m))
		return awaits_work(side == CLIENT ? SERVER : CLIENT, &m->id);
	return side == CLIENT || !is_called(m, "notifications/message");
}

static void note_message(enum side side, const struct message *m)
{
	if (is_sign_of_work(side, m))
		talk.active = now();
	if (side == CLIENT && !is_answer(m) && !is_opening(m))
		note_use();
	if (side == SERVER && is_request(m))
		note_question(m);
	if (is_request(m))
		note_request(side, m);
	else if (is_notification(m))
		note_notification(side, m);
	else if (!is_answer(m))
		need_for_good(side == CLIENT ? "client-line" : "server-line", NULL);
	else if (side == CLIENT)
		note_client_answer(m, talk.from[side]);
	else
		note_server_answer(m, talk.from[side]);
}

/* Notes the line of SIDE that is over; a batch's messages are noted as they come. */
static void note_line(enum side side)
{
	const struct message *m = &talk.from[side]->message;

	if (side == SERVER && is_noise(talk.from[SERVER]))
		return;
	if (!m->json || m->doubt)
		need_for_good(side == CLIENT ? "client-line" : "server-line", NULL);
	else if (!m->batch)
		note_message(side, m);
}

/* The server's request M has gone to the client by the id that the server gave it: the next answer
 * by that id is for this one, also if an older one's is owed. */
static void note_own_id(const struct message *m)
{
	if (is_request(m))
		take_owed(&m->id);
}

/* The client's request M did not reach its server whole. */
static void refuse_lost(const struct message *m)
{
	reply_error(talk.to[CLIENT], &m->id, "the server was gone before it had got this request");
}

static void hear_each(void *arg, const struct message *m)
{
	enum side side = m == &talk.from[CLIENT]->message ? CLIENT : SERVER;

	(void)arg;
	if (!m->batch)
		return;
	if (side == CLIENT && talk.losing) {
		if (is_request(m))
			refuse_lost(m);
		return;
	}
	if (side == SERVER)
		note_own_id(m);
	note_message(side, m);
}

/* The server that had got the beginning of the notification, the line of S, is gone: one that is
 * there gets all of it, as none of those that follow would hear of it otherwise. */
static void pass_again(struct lines *s)
{
	note_message(CLIENT, &s->message);
	keep_client_line(s);
	if (talk.phase != SERVED || s->line_size > s->part_max ||
	    !has_room(talk.to[SERVER], s->line_size + 1))
		return;
	put_in(talk.to[SERVER], s->line, s->line_size);
	put_in(talk.to[SERVER], "\n", 1);
}

/* A line of the client's is over. */
static void hear_client(struct lines *s)
{
	const struct message *m = &s->message;

	if (s->ended)
		return;
	if (talk.losing) {
		talk.losing = false;
		if (is_clear(m) && is_request(m))
			refuse_lost(m);
		if (is_clear(m) && is_notification(m))
			pass_again(s);
		return;
	}
	if (s->route != NOWHERE) {
		note_line(CLIENT);
		if (is_clear(m) && is_request(m))
			expect(s);
	}
	keep_client_line(s);
}

/* A line of the server's is over. */
static void hear_server(struct lines *s)
{
	enum kept_line which;
	bool news;

	if (s->ended) {
		/* An answer that lacks no more than its newline, which it gets from us, is one. */
		if (s->route == ON && is_clear(&s->message) && is_answer(&s->message))
			note_server_answer(&s->message, s);
		return;
	}
	if (is_clear(&s->message))
		talk.server_spoke = true;
	news = is_clear(&s->message) && hear_opening(talk.to[CLIENT], s);
	if (s->route == ON && session_outlives_server()) {
		note_own_id(&s->message);
		note_line(SERVER);
	} else if (s->route == NOWHERE && is_clear(&s->message) && is_for_us(&s->message, &which)) {
		talk.had_lists |= news && which == INITIALIZE;
		note_answer_for_us(which, &s->message,
				   s->line_size <= s->part_max ? s->line : NULL);
	}
}

/* Answers a question about the client's roots, if it has answered it before. */
static bool answer_roots(const struct message *m)
{
	const char *head, *tail;
	size_t head_size, tail_size;

	if (talk.phase != RETURNING || !is_called(m, "roots/list") ||
	    !kept_roots(&head, &head_size, &tail, &tail_size))
		return false;
	talk.asked = true;
	return reply_between(talk.to[SERVER], &m->id, head, head_size, tail, tail_size);
}

/* Passes the server's request on by an alias, if it needs one. */
static bool pass_by_alias(const struct lines *s)
{
	if (!say_by_alias(talk.to[CLIENT], s)) {
		note_own_id(&s->message);
		return false;
	}
	note_message(SERVER, &s->message);
	return true;
}

/* Takes the server's request ID back, if the client knows it by an alias. */
static bool cancel_by_alias(const struct id *id)
{
	enum errand errand;
	struct id alias;

	if (!withdraw_alias(id, &alias))
		return false;
	settle(SERVER, id, &errand);
	notify_cancelled(talk.to[CLIENT], &alias, "the server has taken it back");
	return true;
}

/* The client's answer, the line of S, has an ID of the server's, or is nobody's. */
static bool resolve(const struct lines *s)
{
	struct message original = s->message;

	if (resolve_alias(&s->message.id, &original.id)) {
		if (say_by(talk.to[SERVER], s, &original.id))
			note_message(CLIENT, &original);
		return true;
	}
	if (!is_owed(&original.id))
		return false;
	take_owed(&original.id);
	return true;
}

/* Where the line goes that the server is writing: one that is for us, at its end. */
static enum route judge_server(struct lines *s, bool full)
{
	const struct message *m = &s->message;
	enum kept_line which;

	if (talk.phase == SERVED && !s->whole && !awaits_answers() && !awaits_lists() &&
	    !has_aliases())
		return ON;
	if (!m->over && !full)
		return UNDECIDED;
	if (!m->over && talk.phase == LEAVING)
		return has_pending(CLIENT) ? ON : NOWHERE;
	if (!m->over && talk.phase == RETURNING) /* it has been asked by nobody else */
		return (awaits_answers() || awaits_lists()) && has_member(m, RESULT) ? NOWHERE : ON;
	if (!m->over) /* of which the id may be known */
		return is_asked_by_us(m) || is_for_us(m, &which) ? NOWHERE : ON;
	if (!is_clear(m))
		return ON;
	if (is_for_us(m, &which) || is_asked_by_us(m))
		return NOWHERE;
	if (is_request(m) && (talk.phase == LEAVING || answer_roots(m)))
		return NOWHERE; /* nobody would read its answer */
	if (is_request(m) && pass_by_alias(s))
		return NOWHERE;
	if (is_called(m, "notifications/cancelled") && cancel_by_alias(&m->request_id))
		return NOWHERE;
	if (talk.phase == LEAVING && is_answer(m) && is_kept(&m->id, &which) && which >= LISTEN)
		return NOWHERE; /* the next server listens on */
	return ON;
}

/* Puts a line off until there is a server. */
static enum route call_server(void)
{
	talk.called = true;
	return LATER;
}

/* Whether the request, the line of S, of a session without a server, is one that we can answer. */
static bool answer(const struct lines *s)
{
	const struct message *m = &s->message;
	struct lane *client = talk.to[CLIENT];
	enum kept_line which;

	if (is_called(m, "ping"))
		return reply(client, &m->id, "{}");
	if (is_called(m, "logging/setLevel") && talk.phase == UNSERVED && has_declared(LOGGING))
		return reply(client, &m->id, "{}");
	if (is_called(m, "subscriptions/listen"))
		return talk.phase == UNSERVED && is_to_be_kept(m, &which) &&
		       recall_listener(client, s);
	return talk.phase == UNSERVED && recall(client, s);
}

/* Where the client's line goes. */
static enum route judge_client(struct lines *s, bool full)
{
	const struct message *m = &s->message;
	enum kept_line which;

	if (talk.phase == SERVED && (!has_aliases() || (!m->over && full)))
		return ON;
	if (!m->over)
		return full ? call_server() : UNDECIDED;
	if (is_clear(m) && is_answer(m) && resolve(s))
		return NOWHERE;
	if (talk.phase == SERVED)
		return ON;
	if (m->first == '\n')
		return NOWHERE;
	if (!is_clear(m))
		return call_server();
	if (is_answer(m))
		return is_pending(SERVER, &m->id) ? ON : NOWHERE;
	if (is_request(m))
		return answer(s) ? NOWHERE : call_server();
	if (is_called(m, "notifications/cancelled"))
		return is_pending(CLIENT, &m->request_id) ||
				       (talk.phase == RETURNING && is_kept(&m->request_id, &which))
			       ? LATER
			       : NOWHERE;
	if (is_called(m, "notifications/roots/list_changed"))
		return LATER; /* time enough when there is a server */
	if (is_called(m, "notifications/initialized") && talk.phase == UNSERVED)
		return NOWHERE; /* it is kept */
	return call_server();
}

void begin_talk(struct lines *client, struct lane *to_server, struct lines *server,
		struct lane *to_client)
{
	talk.from[CLIENT] = client;
	talk.from[SERVER] = server;
	talk.to[CLIENT] = to_client;
	talk.to[SERVER] = to_server;
	talk.active = now();
	server->noise_aside = opt.json_only;
	if (session_outlives_server()) {
		keep_parts(client, PART_MAX);
		keep_parts(server, opt.lazy ? ANSWER_MAX : PART_MAX);
		listen_to(client, hear_client);
		client->judge = judge_client;
		server->judge = judge_server;
		client->message.each = server->message.each = hear_each;
	}
	if (session_outlives_server() || opt.drop_launcher)
		listen_to(server, hear_server);
}

void set_phase(enum phase phase)
{
	talk.phase = phase;
	if (phase != SERVED)
		return;
	talk.called = false;
	talk.asks &= talk.asked; /* the latest server's ways count */
	if (talk.used)
		talk.used = since_boot(); /* what is there by now has come by itself */
}

int64_t last_activity(void)
{
	return talk.active;
}

int64_t first_use(void)
{
	return talk.used;
}

bool was_used(void)
{
	return talk.ever_used;
}

bool is_needed(struct need *need)
{
	if (has_need(need))
		return true;
	*need = (struct need){.reason = "message", .until = FOR_EVER};
	/* Of a line that the server has got the blanks of, the rest would be lost, too. */
	if ((!talk.from[CLIENT]->message.over && talk.from[CLIENT]->message.length > 0) ||
	    (in_line(&talk.from[SERVER]->message) && begins_as_message(talk.from[SERVER])))
		return true;
	need->reason = "question";
	need->until = held_until(SERVER, FOR_EVER / 2, need->detail);
	if (need->until > 0)
		return true;
	need->reason = "request";
	need->until = held_until(CLIENT, opt.idle_request, need->detail);
	return need->until > now();
}

bool has_server_spoken(void)
{
	return talk.server_spoke;
}

static void refuse(const char *why, const struct id *id)
{
	reply_error(talk.to[CLIENT], id, why);
	drop_refused(id);
}

/* An answer to an alias reaches nobody by itself. */
static void take_back(const char *why, const struct id *id)
{
	struct id alias;

	if (withdraw_alias(id, &alias)) {
		notify_cancelled(talk.to[CLIENT], &alias, why);
		return;
	}
	owe_answer(id);
	notify_cancelled(talk.to[CLIENT], id, why);
}

void end_try(void)
{
	end_line_of_out(talk.to[CLIENT]);
	give_up_pending(SERVER, take_back, "the server that asked is gone");
	await_none();
	forget_asked();
	talk.asks |= talk.asked;
	talk.asked = talk.server_spoke = false;
	talk.opened = 0;
}

void end_server(const char *why, bool cut)
{
	if (cut)
		talk.losing |= abandon(talk.to[SERVER]); /* by a server before, maybe */
	end_try();
	give_up_pending(CLIENT, refuse, why);
	forget_needs();
	have_all_replayed();
	talk.had_lists = talk.lists;
	talk.lists = talk.called = false;
	talk.used = 0;
}

bool is_server_called(void)
{
	return talk.called;
}

void want_server(void)
{
	talk.called = true;
}

void expect_changes(void)
{
	talk.lists = talk.had_lists = true;
}

void check_lists(void)
{
	ask_again(talk.to[SERVER]);
}

void refuse_calls(const char *why)
{
	/* A line that is larger than what is put off has begun to be lost before its request was
	 * known as one: it is answered at its end. */
	if (drop_later(talk.to[SERVER]))
		talk.losing = true;
	give_up_pending(CLIENT, refuse, why);
	forget_needs();
	have_all_replayed();
	talk.called = false;
}

bool had_question(void)
{
	return talk.asked;
}

bool has_asked(void)
{
	return !awaits_lists() && (talk.asked ? !has_pending(SERVER) : !talk.asks);
}

void tell_of_changes(void)
{
	if (!talk.had_lists && !is_another())
		return;
	talk.had_lists = false;
	have_introduced();
	tell_changed(talk.to[CLIENT], TOOLS_LIST_CHANGED);
	tell_changed(talk.to[CLIENT], PROMPTS_LIST_CHANGED);
	tell_changed(talk.to[CLIENT], RESOURCES_LIST_CHANGED);
}

void forget_notes(void)
{
	give_needs_back();
	give_pending_back();
}
