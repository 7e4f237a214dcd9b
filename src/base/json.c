/* SPDX-License-Identifier: MIT */
#include "json.h"

#include <endian.h>
#include <string.h>

enum state {
	VALUE,
	VALUE_OR_END,
	KEY,
	KEY_OR_END,
	COLON,
	AFTER,
	STRING,
	ESCAPE,
	HEX,
	LITERAL,
	NUMBER,
	MINUS,
	ZERO,
	DIGITS,
	POINT,
	FRACTION,
	EXPONENT,
	SIGN,
	POWER,
	DONE,
	BAD,
};

static const uint64_t hash_basis = 0xcbf29ce484222325; /* FNV-1a */

void json_begin(struct json *j, const struct json_listener *listener, void *arg)
{
	j->too_deep = j->half_pair = false;
	j->deepest = j->depth = j->report = 0;
	j->state = VALUE;
	j->want = JSON_VALUE;
	j->before = 0;
	j->listener = listener;
	j->arg = arg;
}

static uint64_t offset(const struct json *j, const char *at)
{
	return j->before + (uint64_t)(at - j->piece);
}

/* isdigit(3) is a call. */
static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool in_object(const struct json *j)
{
	return j->depth > 0 && j->objects[(j->depth - 1) / 64] >> (j->depth - 1) % 64 & 1;
}

/* ---- The text of a string, a key or a number. */

static void begin_text(struct json *j, bool keep)
{
	j->keep = keep;
	j->text_half_pair = false;
	j->size = 0;
	j->high = 0;
	j->utf8_left = 0;
	j->hash = hash_basis;
}

static void add_to_hash(struct json *j, const char *bytes, size_t n)
{
	if (j->want != JSON_HASH || j->is_key)
		return;
	for (size_t i = 0; i < n; i++)
		j->hash = (j->hash ^ (unsigned char)bytes[i]) * 0x100000001b3;
}

static void put_bytes(struct json *j, const char *bytes, size_t n)
{
	size_t room = j->size < sizeof j->kept ? sizeof j->kept - (size_t)j->size : 0;

	if (!j->keep)
		return;
	memcpy(j->kept + sizeof j->kept - room, bytes, n < room ? n : room);
	j->size += n;
	add_to_hash(j, bytes, n);
}

/* The text ends with the N BYTES.  What has no other part needs no copy. */
static void end_text(struct json *j, const char *bytes, size_t n)
{
	if (!j->keep)
		return;
	if (j->size > 0) {
		put_bytes(j, bytes, n);
		j->text = j->kept;
	} else {
		j->text = bytes;
		j->size = n;
		add_to_hash(j, bytes, n);
	}
}

static void put_utf8(struct json *j, unsigned code)
{
	char c[4];
	size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
	static const unsigned lead[] = {0, 0, 0xc0, 0xe0, 0xf0};

	for (size_t i = n; i-- > 1; code >>= 6)
		c[i] = (char)(0x80 | (code & 0x3f));
	c[0] = (char)(lead[n] | code);
	put_bytes(j, c, n);
}

/* A surrogate that stays alone is kept as what it is. */
static void put_half_pair(struct json *j, unsigned code)
{
	put_utf8(j, code);
	j->high = 0;
	j->half_pair = j->text_half_pair = true;
}

/* A \u escape is whole. */
static void put_escaped(struct json *j, unsigned code)
{
	bool low = code >= 0xdc00 && code < 0xe000;

	if (j->high && low) {
		put_utf8(j, 0x10000 + ((j->high - 0xd800) << 10) + (code - 0xdc00));
		j->high = 0;
		return;
	}
	if (j->high)
		put_half_pair(j, j->high);
	if (low)
		put_half_pair(j, code);
	else if (code >= 0xd800 && code < 0xdc00)
		j->high = code;
	else
		put_utf8(j, code);
}

/* ---- Keys and values: begin and end. */

/* The key of a member or the value that was read ends before AT. */
static void end_key(struct json *j)
{
	j->state = COLON;
	j->want = j->keep ? (unsigned char)j->listener->key(j->arg, j) : JSON_NOTHING;
}

static void end_value(struct json *j, const char *at, char kind)
{
	j->state = j->depth ? AFTER : DONE;
	if (j->want == JSON_NOTHING)
		return;
	j->end = offset(j, at);
	j->listener->value(j->arg, j, kind);
}

/* In an array nobody is asked for each value. */
static void want_elements(struct json *j)
{
	j->want = j->depth <= j->report ? JSON_VALUE : JSON_NOTHING;
}

static void open_container(struct json *j, char c)
{
	uint64_t bit = (uint64_t)1 << j->depth % 64;
	bool inside;

	if (j->depth == JSON_DEPTH_MAX) {
		j->too_deep = true;
		j->state = BAD;
		return;
	}
	inside = j->depth <= j->report && j->listener->open(j->arg, j, c);
	if (c == '{')
		j->objects[j->depth / 64] |= bit;
	else
		j->objects[j->depth / 64] &= ~bit;
	j->depth++;
	if (j->depth > j->deepest)
		j->deepest = j->depth;
	if (inside)
		j->report = j->depth;
	j->state = c == '{' ? KEY_OR_END : VALUE_OR_END;
	if (c == '[')
		want_elements(j);
}

/* C at AT closes what is open, if that is of its kind. */
static void close_container(struct json *j, const char *at, char c)
{
	if (j->depth == 0 || in_object(j) != (c == '}')) {
		j->state = BAD;
		return;
	}
	j->depth--;
	j->state = j->depth ? AFTER : DONE;
	if (j->report > j->depth)
		j->report = j->depth;
	if (j->depth > j->report)
		return;
	j->end = offset(j, at + 1);
	j->listener->close(j->arg, j);
}

/* A value begins at AT.  Returns what is to be read next. */
static const char *begin_value(struct json *j, const char *at)
{
	char c = *at;

	j->start = offset(j, at);
	switch (c) {
	case '{':
	case '[':
		open_container(j, c);
		break;
	case '"':
		j->is_key = false;
		begin_text(j, j->want >= JSON_TEXT);
		j->state = STRING;
		break;
	case 't':
	case 'f':
	case 'n':
		j->literal = c == 't' ? "true" : c == 'f' ? "false" : "null";
		j->code = (unsigned char)c;
		j->literal++;
		j->state = LITERAL;
		break;
	default:
		j->is_key = false;
		begin_text(j, j->want >= JSON_TEXT);
		j->state = NUMBER;
		return at;
	}
	return at + 1;
}

/* ---- Reading.  Each returns what is to be read next, and has read something or changed the state.
 */

/* Which of the eight BYTES in a string need care: the first one's lowest set bit is right, what is
 * above it need not be. */
static uint64_t needing_care(const char *bytes)
{
	const uint64_t ones = 0x0101010101010101, high = ones << 7;
	uint64_t x, quote, backslash;

	memcpy(&x, bytes, sizeof x);
	x = le64toh(x);
	quote = x ^ ones * '"';
	backslash = x ^ ones * '\\';
	return ((x - ones * 0x20) | (quote - ones) | (backslash - ones) | x) & high;
}

/* The first byte in a string, from AT on, that needs care; END: none. */
static const char *skip_plain(const char *at, const char *end)
{
	for (; end - at >= 8; at += 8) {
		uint64_t care = needing_care(at);

		if (care)
			return at + __builtin_ctzll(care) / 8;
	}
	while (at < end && *at != '"' && *at != '\\' && (unsigned char)*at >= 0x20 &&
	       (unsigned char)*at < 0x80)
		at++;
	return at;
}

/* The first byte of a character beyond ASCII: how many follow, and what the next may be, so that
 * nothing is overlong, a surrogate or beyond U+10FFFF (table 3-7 of the Unicode standard). */
static bool begin_utf8(struct json *j, unsigned char c)
{
	j->utf8_min = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
	j->utf8_max = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
	j->utf8_left = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
	return c >= 0xc2 && c <= 0xf4;
}

/* Characters beyond ASCII. */
static const char *read_utf8(struct json *j, const char *at, const char *end)
{
	for (; at < end; at++) {
		unsigned char c = (unsigned char)*at;

		if (j->utf8_left == 0) {
			if (c < 0x80)
				break;
			if (!begin_utf8(j, c)) {
				j->state = BAD;
				break;
			}
		} else {
			if (c < j->utf8_min || c > j->utf8_max) {
				j->state = BAD;
				break;
			}
			j->utf8_left--;
			j->utf8_min = 0x80;
			j->utf8_max = 0xbf;
		}
	}
	return at;
}

/* The character that an escape with C stands for; 0: none. */
static char escaped(char c)
{
	switch (c) {
	case '"':
	case '\\':
	case '/':
		return c;
	case 'b':
		return '\b';
	case 'f':
		return '\f';
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case 't':
		return '\t';
	default:
		return 0;
	}
}

static const char *read_string(struct json *j, const char *at, const char *end)
{
	const char *from = at;

	if (j->high && *at != '\\')
		put_half_pair(j, j->high);
	for (;;) {
		if (j->utf8_left == 0)
			at = skip_plain(at, end);
		if (at == end)
			break;
		if (j->utf8_left > 0 || (unsigned char)*at >= 0x80) {
			at = read_utf8(j, at, end);
			if (j->state == BAD)
				return at;
		} else if (*at == '\\' && !j->keep && !j->high && end - at > 1 && escaped(at[1])) {
			at += 2;
		} else {
			break;
		}
	}
	if (at == end) {
		put_bytes(j, from, (size_t)(at - from));
	} else if (*at == '"') {
		end_text(j, from, (size_t)(at - from));
		if (j->is_key)
			end_key(j);
		else
			end_value(j, at + 1, '"');
		at++;
	} else if (*at == '\\') {
		put_bytes(j, from, (size_t)(at - from));
		j->state = ESCAPE;
		at++;
	} else {
		j->state = BAD; /* a control character */
	}
	return at;
}

static void read_escape(struct json *j, char c)
{
	char stands_for = escaped(c);

	j->state = STRING;
	if (c == 'u') {
		j->state = HEX;
		j->hex_left = 4;
		j->code = 0;
	} else if (!stands_for) {
		j->state = BAD;
	} else {
		if (j->high)
			put_half_pair(j, j->high);
		put_bytes(j, &stands_for, 1);
	}
}

static void read_hex(struct json *j, char c)
{
	char lower = (char)(c | 0x20);

	if (is_digit(c)) {
		j->code = j->code << 4 | (unsigned)(c - '0');
	} else if (lower >= 'a' && lower <= 'f') {
		j->code = j->code << 4 | (unsigned)(lower - 'a' + 10);
	} else {
		j->state = BAD;
		return;
	}
	if (--j->hex_left > 0)
		return;
	j->state = STRING;
	put_escaped(j, j->code);
}

/* The state within a number that follows STATE when C comes; BAD: C does not belong there. */
static enum state after_digit(enum state state, char c)
{
	bool digit = is_digit(c);

	switch (state) {
	case NUMBER:
		if (c == '-')
			return MINUS;
		/* fall through */
	case MINUS:
		return c == '0' ? ZERO : digit ? DIGITS : BAD;
	case ZERO:
	case DIGITS:
		if (digit && state == DIGITS)
			return DIGITS;
		return c == '.' ? POINT : c == 'e' || c == 'E' ? EXPONENT : BAD;
	case POINT:
		return digit ? FRACTION : BAD;
	case FRACTION:
		return digit ? FRACTION : c == 'e' || c == 'E' ? EXPONENT : BAD;
	case EXPONENT:
		return c == '+' || c == '-' ? SIGN : digit ? POWER : BAD;
	default: /* SIGN, POWER */
		return digit ? POWER : BAD;
	}
}

/* Whether a number can end in STATE. */
static bool is_number(enum state state)
{
	return state == ZERO || state == DIGITS || state == FRACTION || state == POWER;
}

/* A number ends where something follows that is not of it. */
static const char *read_number(struct json *j, const char *at, const char *end)
{
	const char *from = at;
	enum state state = j->state;

	for (; at < end; at++) {
		enum state next = after_digit(state, *at);

		if (next == BAD) {
			if (is_number(state)) {
				end_text(j, from, (size_t)(at - from));
				end_value(j, at, '0');
			} else {
				j->state = BAD;
			}
			return at;
		}
		state = next;
	}
	j->state = (unsigned char)state;
	put_bytes(j, from, (size_t)(at - from));
	return at;
}

static const char *read_literal(struct json *j, const char *at)
{
	if (*at != *j->literal)
		j->state = BAD;
	else if (!*++j->literal)
		end_value(j, at + 1, (char)j->code);
	return at + 1;
}

/* Where a value, a key, or what is between them is to come. */
static const char *read_structure(struct json *j, const char *at)
{
	char c = *at;

	if (is_blank(c))
		return at + 1;
	switch ((enum state)j->state) {
	case VALUE_OR_END:
		if (c == ']')
			break;
		/* fall through */
	case VALUE:
		return begin_value(j, at);
	case KEY_OR_END:
		if (c == '}')
			break;
		/* fall through */
	case KEY:
		j->is_key = true;
		begin_text(j, j->depth <= j->report);
		j->state = c == '"' ? STRING : BAD;
		return at + 1;
	case COLON:
		j->state = c == ':' ? VALUE : BAD;
		return at + 1;
	case AFTER:
		if (c != ',')
			break;
		j->state = in_object(j) ? KEY : VALUE;
		if (j->state == VALUE)
			want_elements(j);
		return at + 1;
	default: /* DONE: nothing may follow */
		j->state = BAD;
		return at;
	}
	if (c == '}' || c == ']')
		close_container(j, at, c);
	else
		j->state = BAD;
	return at + 1;
}

void json_read(struct json *j, const char *bytes, size_t n)
{
	const char *at = bytes, *end = bytes + n;

	j->piece = bytes;
	while (at < end && j->state != BAD) {
		switch ((enum state)j->state) {
		case STRING:
			at = read_string(j, at, end);
			break;
		case ESCAPE:
			read_escape(j, *at++);
			break;
		case HEX:
			read_hex(j, *at++);
			break;
		case LITERAL:
			at = read_literal(j, at);
			break;
		case VALUE:
		case VALUE_OR_END:
		case KEY:
		case KEY_OR_END:
		case COLON:
		case AFTER:
		case DONE:
			at = read_structure(j, at);
			break;
		default:
			at = read_number(j, at, end);
		}
	}
	j->before += n;
}

bool json_end(struct json *j)
{
	json_read(j, " ", 1); /* what ends a number */
	return j->state == DONE;
}
