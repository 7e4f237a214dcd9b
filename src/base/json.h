/* SPDX-License-Identifier: MIT */
/* The reader of JSON: a text as it comes, in whatever pieces, strict as RFC 8259. It knows no
 * member's name. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	JSON_TEXT_MAX = 120,   /* bytes of a string, key or number that are kept */
	JSON_DEPTH_MAX = 1024, /* of objects and arrays */
};

/* What a listener wants of a member's value. */
enum json_want {
	JSON_NOTHING,
	JSON_VALUE, /* its kind and where it is */
	JSON_TEXT,  /* and what a string or number says */
	JSON_HASH,  /* and a hash of all of a string */
};

struct json;

/*
 * Who hears what is read. A kind is '{', '[', '"' (a string), '0' (a number), 't', 'f' or 'n'. The
 * reader's depth is that of what encloses the value; its text is there until the function returns.
 *
 * The text may yet turn out to be no JSON.
 */
struct json_listener {
	/* A member's key is the reader's text. Objects and arrays are told of even when nothing is
	 * wanted. */
	enum json_want (*key)(void *arg, const struct json *j);
	/* A string, a number or a literal has ended: a member's of which it is wanted, or not a
	 * member's. */
	void (*value)(void *arg, const struct json *j, char kind);
	/* Returns whether what is in it is to be told of. */
	bool (*open)(void *arg, const struct json *j, char kind);
	void (*close)(void *arg, const struct json *j);
};

struct json {
	/* The whole text: */
	bool too_deep;  /* why it counts as no JSON */
	bool half_pair; /* half of a surrogate pair is in it: JSON, but jq(1) and others refuse it
			 */
	unsigned deepest;

	/* For the listener: */
	unsigned depth;
	uint64_t start, end; /* of the value, in bytes from where the text begins; at open there is
				no end */
	const char *text;    /* decoded; no more than JSON_TEXT_MAX bytes, and not terminated */
	uint64_t size;       /* of all of it, which may be more */
	uint64_t hash;
	bool text_half_pair;

	/* On the way: */
	unsigned char state;
	bool is_key, keep;
	unsigned char want; /* of the value that comes, or is here */
	unsigned char hex_left, utf8_left, utf8_min, utf8_max;
	unsigned report; /* of what is deeper nothing is told */
	unsigned code, high;
	const char *literal; /* what is left of it */
	const char *piece;
	uint64_t before; /* bytes, in earlier pieces */
	const struct json_listener *listener;
	void *arg;
	uint64_t objects[JSON_DEPTH_MAX / 64]; /* by depth: an object, or an array */
	char kept[JSON_TEXT_MAX];
};

/* A new text begins. */
void json_begin(struct json *j, const struct json_listener *listener, void *arg);

/* Reads the N BYTES that come next. */
void json_read(struct json *j, const char *bytes, size_t n);

/* The text ends: returns whether it is one JSON value, not deeper than JSON_DEPTH_MAX. */
bool json_end(struct json *j);

#endif
