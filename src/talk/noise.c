/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "noise.h"

#include <string.h>

/* How messages begin when text is glued to them: the SDKs put one of these first (TypeScript's
 * answers and requests do not begin with "jsonrpc").  No brace but the first. */
static const char *const beginnings[] = {"{\"jsonrpc\"", "{\"result\":", "{\"method\":\""};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Whether the N BYTES begin with TEXT, or may: there are too few of them. */
static bool may_begin(const char *bytes, size_t n, const char *text)
{
	size_t length = strlen(text);

	return memcmp(bytes, text, n < length ? n : length) == 0;
}

/* Whether the N BYTES begin a message that text is glued to, or may. */
static bool may_be_glued(const char *bytes, size_t n, bool *sure)
{
	for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++) {
		if (may_begin(bytes, n, beginnings[i])) {
			*sure = n >= strlen(beginnings[i]);
			return true;
		}
	}
	return false;
}

/* In SIZE, how many of the N BYTES, within a line that is noise, are of it.  Returns what comes
 * first: more of it, a message, or what may be either. */
static enum sort sort_noise(const char *bytes, size_t n, bool full, size_t *size)
{
	const char *newline = memchr(bytes, '\n', n);
	const char *end = newline ? newline + 1 : bytes + n;
	const char *brace = bytes;
	bool sure;

	for (*size = (size_t)(end - bytes); (brace = memchr(brace, '{', (size_t)(end - brace)));
	     brace++) {
		if (!may_be_glued(brace, (size_t)(end - brace), &sure) || (full && !sure))
			continue;
		*size = (size_t)(brace - bytes);
		if (*size > 0)
			break;
		*size = n;
		return sure ? MESSAGE_LINE : UNSORTED;
	}
	return NOISE;
}

/* The sort of the line that begins with the N BYTES. */
static enum sort sort_line(const char *bytes, size_t n, bool full)
{
	size_t i = 0, most = n < HELD_MAX ? n : HELD_MAX;
	const char *next = "[{"; /* what may come now, blanks aside */

	for (; i < most; i++) {
		if (is_blank(bytes[i]))
			continue;
		if (!bytes[i] || !strchr(next, bytes[i]))
			return NOISE;
		if (*next == '"')
			return MESSAGE_LINE;
		next = bytes[i] == '[' ? "{" : "\"}";
	}
	return full || i == HELD_MAX ? NOISE : UNSORTED;
}

enum sort sort_bytes(const char *bytes, size_t n, bool within, bool full, size_t *size)
{
	static const char mark[] = "\xef\xbb\xbf";

	*size = n;
	if (within)
		return sort_noise(bytes, n, full, size);
	if (may_begin(bytes, n, mark)) {
		if (n < strlen(mark))
			return full ? NOISE : UNSORTED;
		*size = strlen(mark);
		return MARK;
	}
	enum sort sort = sort_line(bytes, n, full);
	return sort == NOISE ? sort_noise(bytes, n, full, size) : sort;
}
