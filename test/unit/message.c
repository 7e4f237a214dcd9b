/*
 * What a line is, alone: each line of stdin is read whole, byte by byte and cut in two everywhere,
 * which has to give the same. A line of output says what it is, and each of its messages, behind a
 * bar, what is known of it.
 */
#define _GNU_SOURCE
#include "../../src/talk/message.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	enum member member;
	const char *name;
} flags[] = {
	{PARAMS, "params"},
	{RESULT, "result"},
	{ERROR, "error"},
	{PARAMS_TASK, "params.task"},
	{CURSOR, "cursor"},
	{PARAMS_VERSION, "params.protocolVersion"},
	{META_VERSION, "meta.protocolVersion"},
	{LISTEN_TOOLS, "listen.tools"},
	{LISTEN_PROMPTS, "listen.prompts"},
	{LISTEN_RESOURCES, "listen.resources"},
	{LISTEN_OTHER, "listen.other"},
	{RESULT_TASK, "result.task"},
	{RESULT_VERSION, "result.protocolVersion"},
	{TOOLS_LIST_CHANGED, "tools.listChanged"},
	{PROMPTS_LIST_CHANGED, "prompts.listChanged"},
	{RESOURCES_LIST_CHANGED, "resources.listChanged"},
	{CHANNEL, "claude/channel"},
};

static void print_id(FILE *out, const char *name, const struct id *id)
{
	if (id->kind)
		fprintf(out, " %s=%c%.*s", name, id->kind, id->size, id->bytes);
}

static void print_name(FILE *out, const char *name, const char *text)
{
	if (text[0])
		fprintf(out, " %s=%s", name, text);
}

static void print_span(FILE *out, const struct message *m, enum member member, const char *name,
		       const struct span *at)
{
	if (has_member(m, member))
		fprintf(out, " %s@%" PRIu64 "-%" PRIu64, name, at->start, at->end);
}

static void print_message(void *arg, const struct message *m)
{
	FILE *out = arg;

	fprintf(out, " |%s%s%s%s", is_request(m) ? " request" : "",
		is_notification(m) ? " notification" : "", is_answer(m) ? " answer" : "",
		is_error(m) ? " is-error" : "");
	print_id(out, "id", &m->id);
	print_id(out, "requestId", &m->request_id);
	print_name(out, "method", m->method);
	print_name(out, "version", m->version);
	print_name(out, "level", m->level);
	print_name(out, "resultType", m->result_type);
	if (has_member(m, URI))
		fprintf(out, " uri=%" PRIx64, m->uri);
	if (is_set(m, ERROR_CODE))
		fprintf(out, " code=%d", m->error_code);
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
		if (has_member(m, flags[i].member))
			fprintf(out, " %s%s",
				is_set(m, flags[i].member) ? "" : "not:", flags[i].name);
	print_span(out, m, ID, "id", &m->id_at);
	print_span(out, m, PARAMS, "params", &m->params_at);
	print_span(out, m, RESULT, "result", &m->result_at);
	print_span(out, m, CAPABILITIES, "capabilities", &m->capabilities_at);
	print_span(out, m, SERVER_INFO, "serverInfo", &m->server_info_at);
}

/* Reads LINE, which ends with a newline: FIRST bytes and then the rest, or byte by byte (0).
 * Returns what is printed. */
static char *read_cut(const char *line, size_t n, size_t first)
{
	static struct message m; /* every line after another */
	char *messages = NULL, *printed;
	size_t size = 0;
	FILE *out = open_memstream(&messages, &size);

	m.each = print_message;
	m.arg = out;
	for (size_t at = 0, piece; at < n; at += piece) {
		char *copy;

		piece = first == 0 ? 1 : at == 0 ? first : n - at;
		copy = malloc(piece);
		memcpy(copy, line + at, piece);
		if (read_message(&m, copy, piece) != piece || m.over != (at + piece == n) ||
		    in_line(&m) == (m.over || !m.first))
			abort();
		free(copy);
	}
	fclose(out);
	if (asprintf(&printed, "%s%s first=%02x length=%" PRIu64 " messages=%" PRIu64 "%s%s%s",
		     m.json ? "json" : "no", m.batch ? " batch" : "", (unsigned char)m.first,
		     m.length, m.json ? m.messages : 0,
		     m.doubt && (m.json || m.reader.too_deep) ? " doubt=" : "",
		     m.doubt && (m.json || m.reader.too_deep) ? m.doubt : "",
		     m.json ? messages : "") < 0)
		abort();
	free(messages);
	return printed;
}

int main(void)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t n;

	while ((n = getline(&line, &room, stdin)) > 0) {
		size_t size = (size_t)n;
		char *whole = read_cut(line, size, size);

		for (size_t first = 0; first < size; first++) {
			char *cut = read_cut(line, size, first);

			if (strcmp(whole, cut) != 0) {
				printf("cut at %zu: %s\nwhole: %s\n", first, cut, whole);
				return 1;
			}
			free(cut);
		}
		puts(whole);
		free(whole);
	}
	free(line);
	return 0;
}
