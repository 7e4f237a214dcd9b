/* SPDX-License-Identifier: MIT */
#include "text.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void add(struct text *t, const char *bytes, size_t n)
{
	if (n > t->size - t->length)
		n = t->size - t->length;
	memcpy(t->bytes + t->length, bytes, n);
	t->length += n;
}

__attribute__((format(printf, 2, 3))) void addf(struct text *t, const char *format, ...)
{
	va_list args;
	size_t room = t->size - t->length;

	va_start(args, format);
	int n = vsnprintf(t->bytes + t->length, room, format, args);
	va_end(args);
	if (n > 0 && room > 0)
		t->length += (size_t)n < room ? (size_t)n : room - 1;
}

char *copy_behind(const char *prefix, const char *bytes, size_t n, size_t *size)
{
	size_t before = strlen(prefix);
	char *to = malloc(before + n + 1);

	if (!to)
		return NULL;
	memcpy(to, prefix, before);
	memcpy(to + before, bytes, n);
	*size = before + n;
	to[*size] = '\0';
	return to;
}

size_t utf8_length(const char *s, size_t n)
{
	const unsigned char *u = (const unsigned char *)s;
	size_t length = u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : 4;

	if (u[0] < 0x80)
		return 1;
	if (u[0] < 0xc2 || u[0] > 0xf4 || n < length)
		return 0;
	for (size_t i = 1; i < length; i++)
		if ((u[i] & 0xc0) != 0x80)
			return 0;
	/* Overlong, surrogates, beyond U+10FFFF. */
	if ((u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xed && u[1] > 0x9f) ||
	    (u[0] == 0xf0 && u[1] < 0x90) || (u[0] == 0xf4 && u[1] > 0x8f))
		return 0;
	return length;
}

void add_json(struct text *t, const char *s, size_t n)
{
	add(t, "\"", 1);
	for (size_t i = 0, length; i < n; i += length ? length : 1) {
		length = utf8_length(s + i, n - i);
		if (length == 0) {
			add(t, "\\ufffd", 6);
		} else if (s[i] == '"' || s[i] == '\\') {
			add(t, "\\", 1);
			add(t, s + i, 1);
		} else if ((unsigned char)s[i] < ' ') {
			addf(t, "\\u%04x", (unsigned)s[i]);
		} else {
			add(t, s + i, length);
		}
	}
	add(t, "\"", 1);
}

/* Whether the character C of LENGTH bytes is a control or turns the direction of text: C0,
 * U+0080 to 9F, 061C, 200E and F, 202A to E, 2066 to 9. */
static bool is_dangerous(const unsigned char *c, size_t length)
{
	if (length == 1)
		return iscntrl(*c);
	if (length == 2)
		return (c[0] == 0xc2 && c[1] < 0xa0) || (c[0] == 0xd8 && c[1] == 0x9c);
	return length == 3 && c[0] == 0xe2 &&
	       ((c[1] == 0x80 &&
		 (c[2] == 0x8e || c[2] == 0x8f || (c[2] >= 0xaa && c[2] <= 0xae))) ||
		(c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9));
}

void defuse(char *s, size_t n)
{
	for (size_t i = 0, length; i < n; i += length) {
		length = utf8_length(s + i, n - i);
		if (length > 0 && !is_dangerous((const unsigned char *)s + i, length))
			continue;
		if (length == 0)
			length = 1;
		memset(s + i, '?', length);
	}
}
