/*
 * The reader of JSON alone:
 *
 *	json [-d DEPTH]
 *
 * Each line of stdin is a text. It is read whole, byte by byte and cut in two everywhere, and what
 *is heard has to be the same. A line of output is what it is: json or no, then too-deep and
 *half-pair if so, then with -d what the listener hears who looks into DEPTH levels: KIND@START-END
 *of a value, =TEXT of a key, a string or a number, #HASH of a string whose key is "hash", nothing
 *of a value whose key is "nothing"; a text larger than what is kept has its size in front.
 */
#define _GNU_SOURCE
#include "../../src/base/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static unsigned depth;
static FILE *out;
static bool wanted;

static void print_text(const struct json *j)
{
	size_t n = j->size < JSON_TEXT_MAX ? (size_t)j->size : JSON_TEXT_MAX;

	if (j->size > n)
		fprintf(out, "(%" PRIu64 ")", j->size);
	fputc('=', out);
	fwrite(j->text, 1, n, out);
	if (j->text_half_pair)
		fputs("(half-pair)", out);
}

static enum json_want on_key(void *arg, const struct json *j)
{
	(void)arg;
	fprintf(out, " key");
	print_text(j);
	wanted = true;
	if (j->size == 4 && memcmp(j->text, "hash", 4) == 0)
		return JSON_HASH;
	wanted = !(j->size == 7 && memcmp(j->text, "nothing", 7) == 0);
	return wanted ? JSON_TEXT : JSON_NOTHING;
}

static void on_value(void *arg, const struct json *j, char kind)
{
	(void)arg;
	if (!wanted)
		abort();
	fprintf(out, " %c@%" PRIu64 "-%" PRIu64, kind, j->start, j->end);
	if (j->want >= JSON_TEXT && (kind == '"' || kind == '0'))
		print_text(j);
	if (j->want == JSON_HASH && kind == '"')
		fprintf(out, "#%" PRIx64, j->hash);
}

static bool on_open(void *arg, const struct json *j, char kind)
{
	(void)arg;
	fprintf(out, " %c@%" PRIu64, kind, j->start);
	wanted = true;
	return j->depth < depth;
}

static void on_close(void *arg, const struct json *j)
{
	(void)arg;
	fprintf(out, " close@%" PRIu64, j->end);
	wanted = true;
}

/* Reads TEXT in pieces of FIRST bytes, the rest at once or, if it is 0, byte by byte.  Returns what
 * is printed of it. */
static char *read_cut(const char *text, size_t n, size_t first)
{
	static const struct json_listener listener = {on_key, on_value, on_open, on_close};
	static struct json j;
	char *heard = NULL, *printed;
	size_t size = 0;
	bool json;

	out = open_memstream(&heard, &size);
	wanted = true;
	json_begin(&j, &listener, NULL);
	for (size_t at = 0, piece; at < n; at += piece) {
		char *copy;

		piece = first == 0 ? 1 : at == 0 ? first : n - at;
		copy = malloc(piece);
		memcpy(copy, text + at, piece);
		json_read(&j, copy, piece);
		free(copy);
	}
	json = json_end(&j);
	fclose(out);
	if (asprintf(&printed, "%s%s%s%s\n", json ? "json" : "no", j.too_deep ? " too-deep" : "",
		     json && j.half_pair ? " half-pair" : "", depth ? heard : "") < 0)
		abort();
	free(heard);
	return printed;
}

int main(int argc, char **argv)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t n;

	if (argc > 2 && strcmp(argv[1], "-d") == 0)
		depth = (unsigned)atoi(argv[2]);
	while ((n = getline(&line, &room, stdin)) > 0) {
		size_t size = (size_t)n - (line[n - 1] == '\n');
		char *whole = read_cut(line, size, size ? size : 1);

		for (size_t first = 0; first < size; first++) {
			char *cut = read_cut(line, size, first);

			if (strcmp(whole, cut) != 0) {
				printf("cut at %zu: %s", first, cut);
				return 1;
			}
			free(cut);
			if (size > 4096 && first > 256)
				first += 97;
		}
		fputs(whole, stdout);
		free(whole);
	}
	free(line);
	return 0;
}
