/* SPDX-License-Identifier: MIT */
/* The messages of the protocol, JSON-RPC 2.0 in lines: what a line is, and what matters of the
 * messages in it. */
#ifndef TALK_MESSAGE_H
#define TALK_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../base/json.h"

enum {
	ID_MAX = JSON_TEXT_MAX, /* bytes */
	NAME_SIZE = 48, /* bytes of a method, a protocol version and their like, terminated */
};

/* A request's id, decoded, so that what is the same is equal: 1 and 1.0, "a" and "\u0061".  Kind:
 * '"' a string, '0' a number, 'n' null, 0 none. */
struct id {
	char kind;
	unsigned char size;
	char bytes[ID_MAX];
};

/* Where a value is: bytes from the line's first. */
struct span {
	uint64_t start, end;
};

/*
 * The members that matter.  What can be asked for by subscriptions/listen (revision 2026-07-28) is
 * in params.notifications: toolsListChanged, promptsListChanged, resourcesListChanged (true or
 * false) and resourceSubscriptions (an array of URIs), which counts as other as does what later
 * revisions add.
 */
enum member {
	NONE,
	MESSAGE,
	/* Of a message: */
	ID,
	METHOD,
	PARAMS,
	RESULT,
	ERROR,
	/* Of params: */
	REQUEST_ID,
	URI,
	PARAMS_TASK,
	CURSOR,
	PARAMS_VERSION,
	LEVEL,
	PARAMS_META,
	NOTIFICATIONS,
	/* Of params._meta: io.modelcontextprotocol/protocolVersion, which each request has without
	   a handshake */
	META_VERSION,
	/* Of params.notifications: */
	LISTEN_TOOLS,
	LISTEN_PROMPTS,
	LISTEN_RESOURCES,
	LISTEN_OTHER,
	/* Of result: */
	RESULT_TASK,
	RESULT_VERSION,
	RESULT_TYPE,
	CAPABILITIES,
	SERVER_INFO,
	/* Of result.capabilities: */
	TOOLS,
	PROMPTS,
	RESOURCES,
	EXPERIMENTAL,
	LOGGING,
	/* Of the first four: */
	TOOLS_LIST_CHANGED,
	PROMPTS_LIST_CHANGED,
	RESOURCES_LIST_CHANGED,
	CHANNEL, /* claude/channel */
	/* Of error: */
	ERROR_CODE,
	MEMBERS,
};

/*
 * A line as far as it has come.  All zero, it is one that has not begun.
 *
 * What can be read in two ways, or as no message, is in doubt: a member that matters twice, an id
 * that is neither a string nor a number nor null or is too long, a method that is no string, half
 * of a surrogate pair in an id or a method, an element of a batch that is no object, a line without
 * any message, and what is too deep to be read.
 */
struct message {
	/* The line: */
	bool over;
	bool json;         /* once it is over: the line is one JSON value */
	bool batch;        /* an array of messages */
	char first;        /* its first byte that is no blank; 0: none yet; '\n': blank, and over */
	uint64_t length;   /* bytes, without its end */
	uint64_t messages; /* that are whole */
	const char *doubt; /* why; NULL: no doubt */

	/* Called for each message of a line as its object ends, the only one of a line included.
	 * Whether the line is JSON is not known yet.  NULL: no one is. */
	void (*each)(void *arg, const struct message *m);
	void *arg;

	/* The message, or the latest one of a batch: */
	uint64_t seen, set; /* members, by bits: see has_member(), is_set() */
	struct id id, request_id;
	char method[NAME_SIZE];      /* "?": does not fit in, or has a NUL */
	char version[NAME_SIZE];     /* protocolVersion of params or of result */
	char level[NAME_SIZE];       /* of params */
	char result_type[NAME_SIZE]; /* resultType of result */
	uint64_t uri;                /* of params: a hash */
	int error_code;              /* of error, if ERROR_CODE is set */
	/* Of what is set, once it has ended: */
	struct span id_at, params_at, result_at, error_at, capabilities_at, server_info_at;

	/* On the way: */
	enum member member;      /* whose value comes */
	unsigned char within[5]; /* the members that we are in, from the message on */
	struct json reader;
};

/* Reads up to N of BYTES, but not beyond the end of a line, of which m->over tells; returns how
 * many. */
size_t read_message(struct message *m, const char *bytes, size_t n);

/* Forgets the line as far as it has come: the next byte is the first of another. */
void begin_line(struct message *m);

/* Whether a line has begun, blanks aside, and is not over. */
static inline bool in_line(const struct message *m)
{
	return !m->over && m->first;
}

/* Whether the line of M is one message, and nothing in doubt. */
bool is_clear(const struct message *m);

static inline bool has_member(const struct message *m, enum member member)
{
	return m->seen >> member & 1;
}

/* Whether it has the member with a value other than null and false. */
static inline bool is_set(const struct message *m, enum member member)
{
	return m->set >> member & 1;
}

/* Whether a message is a request, a notification or an answer.  One that is nothing of these is in
 * doubt too: a call whose id is null, which may be answered or not, a call that is an answer as
 * well, and what is neither. */
bool is_request(const struct message *m);
bool is_notification(const struct message *m);
bool is_answer(const struct message *m);

/* Whether an answer says error: "error":null beside a result is none. */
static inline bool is_error(const struct message *m)
{
	return is_set(m, ERROR);
}

bool same_id(const struct id *a, const struct id *b);

#endif
