/* SPDX-License-Identifier: MIT */
#include "message.h"

#include <limits.h>
#include <string.h>

#define KEY(text) .key = (text), .size = sizeof(text) - 1
#define AT(field) offsetof(struct message, field)

/* Those within the same one stand together: the first is its child. */
static const struct {
	char key[40]; /* "": any other; a pointer would be relocated at each start */
	size_t size;
	enum member within, child;
	enum json_want want;
	size_t name, span; /* where in the message its text and its place are kept; 0: nowhere */
} members[MEMBERS + 1] = {
	[MESSAGE] = {.child = ID},

	[ID] = {KEY("id"), MESSAGE, .want = JSON_TEXT, .span = AT(id_at)},
	[METHOD] = {KEY("method"), MESSAGE, .want = JSON_TEXT, .name = AT(method)},
	[PARAMS] = {KEY("params"), MESSAGE, .child = REQUEST_ID, .want = JSON_VALUE,
		    .span = AT(params_at)},
	[RESULT] = {KEY("result"), MESSAGE, .child = RESULT_TASK, .want = JSON_VALUE,
		    .span = AT(result_at)},
	[ERROR] = {KEY("error"), MESSAGE, .child = ERROR_CODE, .want = JSON_VALUE,
		   .span = AT(error_at)},

	[REQUEST_ID] = {KEY("requestId"), PARAMS, .want = JSON_TEXT},
	[URI] = {KEY("uri"), PARAMS, .want = JSON_HASH},
	[PARAMS_TASK] = {KEY("task"), PARAMS, .want = JSON_VALUE},
	[CURSOR] = {KEY("cursor"), PARAMS, .want = JSON_VALUE},
	[PARAMS_VERSION] = {KEY("protocolVersion"), PARAMS, .want = JSON_TEXT, .name = AT(version)},
	[LEVEL] = {KEY("level"), PARAMS, .want = JSON_TEXT, .name = AT(level)},
	[PARAMS_META] = {KEY("_meta"), PARAMS, .child = META_VERSION, .want = JSON_VALUE},
	[NOTIFICATIONS] = {KEY("notifications"), PARAMS, .child = LISTEN_TOOLS, .want = JSON_VALUE},

	[META_VERSION] = {KEY("io.modelcontextprotocol/protocolVersion"), PARAMS_META,
			  .want = JSON_VALUE},

	[LISTEN_TOOLS] = {KEY("toolsListChanged"), NOTIFICATIONS, .want = JSON_VALUE},
	[LISTEN_PROMPTS] = {KEY("promptsListChanged"), NOTIFICATIONS, .want = JSON_VALUE},
	[LISTEN_RESOURCES] = {KEY("resourcesListChanged"), NOTIFICATIONS, .want = JSON_VALUE},
	[LISTEN_OTHER] = {.within = NOTIFICATIONS, .want = JSON_VALUE},

	[RESULT_TASK] = {KEY("task"), RESULT, .want = JSON_VALUE},
	[RESULT_VERSION] = {KEY("protocolVersion"), RESULT, .want = JSON_TEXT, .name = AT(version)},
	[RESULT_TYPE] = {KEY("resultType"), RESULT, .want = JSON_TEXT, .name = AT(result_type)},
	[CAPABILITIES] = {KEY("capabilities"), RESULT, .child = TOOLS, .want = JSON_VALUE,
			  .span = AT(capabilities_at)},
	[SERVER_INFO] = {KEY("serverInfo"), RESULT, .want = JSON_VALUE, .span = AT(server_info_at)},

	[TOOLS] = {KEY("tools"), CAPABILITIES, .child = TOOLS_LIST_CHANGED, .want = JSON_VALUE},
	[PROMPTS] = {KEY("prompts"), CAPABILITIES, .child = PROMPTS_LIST_CHANGED,
		     .want = JSON_VALUE},
	[RESOURCES] = {KEY("resources"), CAPABILITIES, .child = RESOURCES_LIST_CHANGED,
		       .want = JSON_VALUE},
	[EXPERIMENTAL] = {KEY("experimental"), CAPABILITIES, .child = CHANNEL, .want = JSON_VALUE},
	[LOGGING] = {KEY("logging"), CAPABILITIES, .want = JSON_VALUE},

	[TOOLS_LIST_CHANGED] = {KEY("listChanged"), TOOLS, .want = JSON_VALUE},
	[PROMPTS_LIST_CHANGED] = {KEY("listChanged"), PROMPTS, .want = JSON_VALUE},
	[RESOURCES_LIST_CHANGED] = {KEY("listChanged"), RESOURCES, .want = JSON_VALUE},
	[CHANNEL] = {KEY("claude/channel"), EXPERIMENTAL, .want = JSON_VALUE},

	[ERROR_CODE] = {KEY("code"), ERROR, .want = JSON_TEXT},
};

_Static_assert(MEMBERS <= 64, "a bit for each");

static uint64_t bit(enum member member)
{
	return (uint64_t)1 << member;
}

static void have_doubt(struct message *m, const char *why)
{
	if (!m->doubt)
		m->doubt = why;
}

/* How deep in the message that is which J tells of; 0: the message itself. */
static unsigned level(const struct message *m, const struct json *j)
{
	return j->depth - m->batch;
}

static void begin_message(struct message *m)
{
	m->seen = m->set = 0;
	m->id.kind = m->request_id.kind = 0;
	m->method[0] = m->version[0] = m->level[0] = m->result_type[0] = '\0';
	m->uri = 0;
	m->within[0] = MESSAGE;
	m->member = NONE;
}

/* Keeps where a MEMBER's value is, as far as it has come. */
static void keep_span(struct message *m, enum member member, uint64_t start, uint64_t end)
{
	if (members[member].span)
		*(struct span *)((char *)m + members[member].span) = (struct span){start, end};
}

static void keep_name(char name[NAME_SIZE], const struct json *j)
{
	if (j->size < NAME_SIZE && !memchr(j->text, '\0', (size_t)j->size)) {
		memcpy(name, j->text, (size_t)j->size);
		name[j->size] = '\0';
	} else {
		name[0] = '?';
		name[1] = '\0';
	}
}

/* A decimal number: the digits, neither the first nor the last of them 0, times ten to the power.
 */
struct decimal {
	bool negative;
	unsigned n;
	char digits[ID_MAX];
	long power;
};

/* Takes the N bytes of TEXT, a JSON number, apart.  False: its exponent is absurd. */
static bool parse_decimal(struct decimal *d, const char *text, size_t n)
{
	const long most = 100000000;
	size_t i = text[0] == '-';
	bool point = false, minus = false;
	long power = 0;

	d->negative = i;
	d->n = 0;
	d->power = 0;
	for (; i < n && text[i] != 'e' && text[i] != 'E'; i++) {
		point |= text[i] == '.';
		if (text[i] == '.' || (text[i] == '0' && d->n == 0)) {
			d->power -= point && text[i] == '0';
			continue;
		}
		d->digits[d->n++] = text[i];
		d->power -= point;
	}
	for (i++; i < n; i++) {
		minus |= text[i] == '-';
		if (text[i] >= '0' && text[i] <= '9' && power < most)
			power = power * 10 + (text[i] - '0');
	}
	d->power += minus ? -power : power;
	for (; d->n > 0 && d->digits[d->n - 1] == '0'; d->n--)
		d->power++;
	if (d->n == 0) { /* -0 is 0, and so is 0e99 */
		d->negative = false;
		d->power = 0;
	}
	return d->n == 0 || power < most;
}

/* Writes the one form of a number: an integer's digits, as long as they are no more than it is
 * common, or digits and an exponent.  Returns its size; 0: there is no room for it. */
static size_t write_decimal(const struct decimal *d, char text[ID_MAX])
{
	enum { COMMON = 40 };
	long power = d->power;
	char exponent[24];
	size_t size = d->negative, zeros = 0, n = sizeof exponent;

	if (d->n == 0) {
		text[0] = '0';
		return 1;
	}
	if (power >= 0 && (long)d->n + power <= COMMON) {
		zeros = (size_t)power;
	} else if (power != 0) {
		for (long left = power < 0 ? -power : power; left > 0; left /= 10)
			exponent[--n] = (char)('0' + left % 10);
		if (power < 0)
			exponent[--n] = '-';
		exponent[--n] = 'e';
	}
	if (size + d->n + zeros + (sizeof exponent - n) > ID_MAX)
		return 0;
	text[0] = '-';
	memcpy(text + size, d->digits, d->n);
	size += d->n;
	memset(text + size, '0', zeros);
	size += zeros;
	memcpy(text + size, exponent + n, sizeof exponent - n);
	return size + (sizeof exponent - n);
}

static void keep_id(struct message *m, struct id *id, const struct json *j, char kind)
{
	struct decimal d;
	size_t size = 0;

	id->kind = kind;
	if (kind == 'n') {
		/* nothing to keep */
	} else if (kind != '"' && kind != '0') {
		have_doubt(m, "odd-id");
	} else if (j->size > ID_MAX) {
		have_doubt(m, "long-id");
	} else if (kind == '"') {
		size = (size_t)j->size;
		memcpy(id->bytes, j->text, size);
		if (j->text_half_pair)
			have_doubt(m, "half-character");
	} else {
		if (parse_decimal(&d, j->text, (size_t)j->size))
			size = write_decimal(&d, id->bytes);
		if (size == 0)
			have_doubt(m, "long-id");
	}
	id->size = (unsigned char)size;
}

/* Keeps the error's code, if it is an int. */
static bool keep_code(struct message *m, const struct json *j)
{
	struct decimal d;
	long long code = 0;

	if (j->size > ID_MAX || !parse_decimal(&d, j->text, (size_t)j->size) || d.power < 0 ||
	    (long)d.n + d.power > 10)
		return false;
	for (unsigned i = 0; i < d.n + (unsigned)d.power; i++)
		code = code * 10 + (i < d.n ? d.digits[i] - '0' : 0);
	code = d.negative ? -code : code;
	m->error_code = (int)code;
	return code >= INT_MIN && code <= INT_MAX;
}

static enum json_want on_key(void *arg, const struct json *j)
{
	struct message *m = arg;
	enum member parent = m->within[level(m, j) - 1], i = members[parent].child;

	while (members[i].within == parent && members[i].size &&
	       (members[i].size != j->size ||
		memcmp(members[i].key, j->text, members[i].size) != 0))
		i++;
	m->member = members[i].within == parent ? i : NONE;
	if (m->member == NONE)
		return JSON_NOTHING;
	if (m->seen & bit(i) && i != LISTEN_OTHER)
		have_doubt(m, "member-twice"); /* who knows which one counts */
	m->seen |= bit(i);
	return members[i].want;
}

static void on_value(void *arg, const struct json *j, char kind)
{
	struct message *m = arg;
	enum member member = m->member;
	bool set = kind != 'n' && kind != 'f';

	if (level(m, j) == 0) {
		have_doubt(m, "no-object");
		return;
	}
	keep_span(m, member, j->start, j->end);
	if (member == ID || member == REQUEST_ID)
		keep_id(m, member == ID ? &m->id : &m->request_id, j, kind);
	else if (members[member].name && kind == '"')
		keep_name((char *)m + members[member].name, j);
	else if (member == URI && kind == '"')
		m->uri = j->hash;
	else if (member == ERROR_CODE)
		set = kind == '0' && keep_code(m, j);
	if (member == METHOD && kind != '"')
		have_doubt(m, "odd-method");
	else if (member == METHOD && j->text_half_pair)
		have_doubt(m, "half-character");
	if (set)
		m->set |= bit(member);
	else if (member != LISTEN_OTHER) /* which are several */
		m->set &= ~bit(member);
}

static bool on_open(void *arg, const struct json *j, char kind)
{
	struct message *m = arg;
	enum member member = m->member;

	if (j->depth == 0 && kind == '[') {
		m->batch = true;
		return true;
	}
	if (level(m, j) == 0) {
		if (kind == '{')
			begin_message(m);
		else
			have_doubt(m, "no-object");
		return kind == '{';
	}
	m->within[level(m, j)] = (unsigned char)member;
	m->member = NONE;
	if (member == NONE)
		return false;
	m->set |= bit(member);
	keep_span(m, member, j->start, 0);
	if (member == ID || member == REQUEST_ID)
		have_doubt(m, "odd-id");
	else if (member == METHOD)
		have_doubt(m, "odd-method");
	else if (member == ERROR_CODE)
		m->set &= ~bit(member);
	return kind == '{' && members[member].child;
}

static void on_close(void *arg, const struct json *j)
{
	struct message *m = arg;
	enum member member;

	if (m->batch && j->depth == 0)
		return;
	member = m->within[level(m, j)];
	if (level(m, j) > 0) {
		size_t span = members[member].span;

		if (span)
			((struct span *)((char *)m + span))->end = j->end;
		return;
	}
	m->messages++;
	if (m->each)
		m->each(m->arg, m);
}

static const struct json_listener listener = {on_key, on_value, on_open, on_close};

void begin_line(struct message *m)
{
	m->over = m->json = m->batch = false;
	m->first = 0;
	m->length = m->messages = 0;
	m->doubt = NULL;
	begin_message(m);
	json_begin(&m->reader, &listener, m);
}

static void end_line(struct message *m)
{
	m->over = true;
	m->json = json_end(&m->reader);
	if (!m->first)
		m->first = '\n';
	if (m->reader.too_deep)
		have_doubt(m, "too-deep");
	else if (m->json && m->messages == 0)
		have_doubt(m, "no-message");
}

size_t read_message(struct message *m, const char *bytes, size_t n)
{
	const char *end = n ? memchr(bytes, '\n', n) : NULL;
	size_t size = end ? (size_t)(end - bytes) : n;

	if (m->over || !m->reader.listener)
		begin_line(m);
	for (size_t i = 0; i < size && !m->first; i++)
		if (bytes[i] != ' ' && bytes[i] != '\t' && bytes[i] != '\r')
			m->first = bytes[i];
	json_read(&m->reader, bytes, size);
	m->length += size;
	if (end)
		end_line(m);
	return size + (end != NULL);
}

bool is_request(const struct message *m)
{
	return has_member(m, METHOD) && !has_member(m, RESULT) && !is_error(m) &&
	       (m->id.kind == '"' || m->id.kind == '0');
}

bool is_notification(const struct message *m)
{
	return has_member(m, METHOD) && !has_member(m, RESULT) && !is_error(m) &&
	       !has_member(m, ID);
}

bool is_answer(const struct message *m)
{
	return !has_member(m, METHOD) && has_member(m, ID) &&
	       (has_member(m, RESULT) || is_error(m));
}

bool same_id(const struct id *a, const struct id *b)
{
	return a->kind == b->kind && a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
}

bool is_clear(const struct message *m)
{
	return m->json && !m->doubt && !m->batch &&
	       (is_request(m) || is_notification(m) || is_answer(m));
}
