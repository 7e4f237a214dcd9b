/*
 * libFuzzer's target: what the lines of a stream are must not depend on how its bytes are cut, and what is said to be
 * somewhere in a line must be there.
 */
#include "../../src/talk/message.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What there is to know of a line: all that a later one could be mistaken by. */
struct finding {
	bool json, batch, doubt, half_pair, too_deep;
	char first;
	unsigned deepest;
	uint64_t length, messages, said;
	uint64_t seen, set;
	struct id id, request_id;
	char method[NAME_SIZE], version[NAME_SIZE], level[NAME_SIZE], result_type[NAME_SIZE];
	uint64_t uri;
	int error_code;
	struct span id_at, params_at, result_at, capabilities_at, server_info_at;
};

enum { LINES = 64 };

struct findings {
	struct finding line[LINES];
	size_t n;
	bool in_line;
};

static uint64_t said;

/* Sums up what the messages of a line have. */
static void sum_up(void *arg, const struct message *m)
{
	(void)arg;
	said = said * 31 + m->seen + m->set;
}

static void keep_id(struct id *to, const struct id *id)
{
	to->kind = id->kind;
	if (!id->kind)
		return;
	to->size = id->size;
	memcpy(to->bytes, id->bytes, id->size);
}

static void keep_span(struct span *to, const struct message *m, enum member member, const struct span *span)
{
	if (has_member(m, member))
		*to = *span;
}

static void keep_one(struct findings *f, const struct message *m)
{
	struct finding *one;

	if (f->n == LINES)
		return;
	one = &f->line[f->n++];
	one->json = m->json;
	one->first = m->first;
	one->length = m->length;
	one->too_deep = m->reader.too_deep;
	if (!m->json) /* all the rest is worth nothing */
		return;
	one->batch = m->batch;
	one->doubt = m->doubt;
	one->half_pair = m->reader.half_pair;
	one->deepest = m->reader.deepest;
	one->messages = m->messages;
	one->said = said;
	one->seen = m->seen;
	one->set = m->set;
	keep_id(&one->id, &m->id);
	keep_id(&one->request_id, &m->request_id);
	strcpy(one->method, m->method);
	strcpy(one->version, m->version);
	strcpy(one->level, m->level);
	strcpy(one->result_type, m->result_type);
	one->uri = m->uri;
	one->error_code = is_set(m, ERROR_CODE) ? m->error_code : 0;
	keep_span(&one->id_at, m, ID, &m->id_at);
	keep_span(&one->params_at, m, PARAMS, &m->params_at);
	keep_span(&one->result_at, m, RESULT, &m->result_at);
	keep_span(&one->capabilities_at, m, CAPABILITIES, &m->capabilities_at);
	keep_span(&one->server_info_at, m, SERVER_INFO, &m->server_info_at);
}

/* Reads DATA cut into pieces: of one byte (CUT 0), at random (a seed), or in one (SIZE_MAX).  Each piece is in memory
 * of its own size, so that AddressSanitizer sees a byte read too far. */
static void read_all(struct findings *f, const char *data, size_t size, size_t cut)
{
	struct message *m = calloc(1, sizeof *m);
	uint64_t random = cut;

	memset(f, 0, sizeof *f);
	m->each = sum_up;
	said = 0;
	while (size > 0) {
		size_t piece = 1, done = 0;
		char *copy;

		if (cut == SIZE_MAX)
			piece = size;
		else if (cut > 0)
			piece = 1 + (size_t)((random = random * 6364136223846793005u + 1) >> 33) % 24;
		if (piece > size)
			piece = size;
		copy = malloc(piece);
		memcpy(copy, data, piece);
		while (done < piece) {
			size_t n = read_message(m, copy + done, piece - done);

			if (n == 0 || n > piece - done)
				abort();
			done += n;
			if (m->over) {
				keep_one(f, m);
				said = 0;
			} else if (done < piece) {
				abort(); /* it stops behind a newline only */
			}
		}
		free(copy);
		data += piece;
		size -= piece;
	}
	f->in_line = in_line(m);
	free(m);
}

static void count_piece(void *arg, const struct json *j, char kind)
{
	(void)arg;
	(void)j;
	(void)kind;
}

static bool stay_outside(void *arg, const struct json *j, char kind)
{
	(void)arg;
	(void)j;
	(void)kind;
	return false;
}

static void close_piece(void *arg, const struct json *j)
{
	(void)arg;
	(void)j;
}

/* What is AT a place in the LINE must be one JSON value, without a blank around it. */
static void check_span(const char *line, uint64_t length, const struct span *at)
{
	static const struct json_listener deaf = {NULL, count_piece, stay_outside, close_piece};
	struct json j;

	if (at->end == 0)
		return;
	if (at->start >= at->end || at->end > length || strchr(" \t\r", line[at->start]) ||
	    strchr(" \t\r", line[at->end - 1]))
		abort();
	json_begin(&j, &deaf, NULL);
	json_read(&j, line + at->start, at->end - at->start);
	if (!json_end(&j))
		abort();
}

static void check_spans(const struct findings *f, const char *line)
{
	for (size_t i = 0; i < f->n; i++) {
		const struct finding *one = &f->line[i];

		check_span(line, one->length, &one->id_at);
		check_span(line, one->length, &one->params_at);
		check_span(line, one->length, &one->result_at);
		check_span(line, one->length, &one->capabilities_at);
		check_span(line, one->length, &one->server_info_at);
		line += one->length + 1;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct findings whole, bytes, pieces;
	const char *text = (const char *)data;

	read_all(&whole, text, size, SIZE_MAX);
	read_all(&bytes, text, size, 0);
	read_all(&pieces, text, size, 1 + size);
	if (memcmp(&whole, &bytes, sizeof whole) != 0 || memcmp(&whole, &pieces, sizeof whole) != 0)
		abort();
	check_spans(&whole, text);
	return 0;
}
