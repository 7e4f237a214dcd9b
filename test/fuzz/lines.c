/*
 * What is found in the lines of stdin, a line each, for compare.mjs; or how fast they are read.
 *
 *	lines [-p BYTES]	in pieces of so many bytes (65536); 0: of 1 to 16 at random
 *	lines -t SECONDS	reads stdin, which is kept in memory, again and again for so long, in CPU time; says MB/s
 *
 * A line of output: 0: no JSON; ?: JSON, but in doubt; or its messages, each: ID METHOD REQUEST-ID VERSION LEVEL TYPE
 * CODE SEEN SET SPANS. Ids have their kind in front ('-': none); texts are in hexadecimal.
 */
#include "../../src/talk/message.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* What is to be printed of the line. */
static FILE *out;
static char *found;
static size_t found_size;

static void print_text(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		fprintf(out, "%02x", (unsigned char)text[i]);
}

static void print_id(const struct id *id)
{
	fprintf(out, " %c", id->kind ? id->kind : '-');
	if (id->kind)
		print_text(id->bytes, id->size);
}

static void print_name(const char *name)
{
	fprintf(out, " .");
	print_text(name, strlen(name));
}

static void print_span(const struct message *m, enum member member, const struct span *span)
{
	if (has_member(m, member))
		fprintf(out, " %" PRIu64 "-%" PRIu64, span->start, span->end);
	else
		fprintf(out, " -");
}

static void print_message(void *arg, const struct message *m)
{
	(void)arg;
	print_id(&m->id);
	print_name(m->method);
	print_id(&m->request_id);
	print_name(m->version);
	print_name(m->level);
	print_name(m->result_type);
	fprintf(out, " %d %" PRIx64 " %" PRIx64, is_set(m, ERROR_CODE) ? m->error_code : 0, m->seen, m->set);
	print_span(m, ID, &m->id_at);
	print_span(m, PARAMS, &m->params_at);
	print_span(m, RESULT, &m->result_at);
	print_span(m, CAPABILITIES, &m->capabilities_at);
	print_span(m, SERVER_INFO, &m->server_info_at);
}

static void print_line(const struct message *m)
{
	fflush(out);
	if (!m->json)
		puts("0");
	else if (m->doubt)
		puts("?");
	else
		printf("%s%.*s\n", m->batch ? "b" : "m", (int)ftell(out), found);
	rewind(out);
}

/* Of the processor: others may be busy as well. */
static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Reads the SIZE bytes of TEXT for LIMIT seconds. */
static void measure(const char *text, size_t size, size_t piece, double limit)
{
	static struct message m;
	double begin = seconds(), now_is;
	uint64_t done = 0, lines = 0;

	do {
		for (size_t at = 0; at < size; at += piece) {
			size_t end = at + piece < size ? at + piece : size;

			for (size_t i = at; i < end;) {
				i += read_message(&m, text + i, end - i);
				lines += m.over && m.json;
			}
		}
		done += size;
		now_is = seconds();
	} while (now_is - begin < limit);
	printf("%.0f MB/s, %.0f lines/s\n", (double)done / (now_is - begin) / 1e6, (double)lines / (now_is - begin));
}

int main(int argc, char **argv)
{
	static struct message m = {.each = print_message};
	size_t size = 0, room = 1 << 20, piece = 65536;
	char *text = malloc(room);
	double limit = 0;

	for (int c; (c = getopt(argc, argv, "p:t:")) != -1;) {
		if (c == 'p')
			piece = (size_t)atol(optarg);
		else
			limit = atof(optarg);
	}
	for (size_t n; (n = fread(text + size, 1, room - size, stdin)) > 0;) {
		size += n;
		if (size == room)
			text = realloc(text, room *= 2);
	}
	if (limit > 0) {
		measure(text, size, piece, limit);
		return 0;
	}
	out = open_memstream(&found, &found_size);
	for (size_t at = 0; at < size;) {
		size_t want = piece ? piece : 1 + (size_t)(random() % 16), done = 0;

		if (want > size - at)
			want = size - at;
		while (done < want) {
			done += read_message(&m, text + at + done, want - done);
			if (m.over)
				print_line(&m);
		}
		at += want;
	}
	return 0;
}
