/*
 * libFuzzer's target: whatever a file of kept answers has behind its key, what is found in it is a member of an answer, and
 * what is written then is found again; and whatever a request's params are, what is cut out of them leaves JSON.
 */
#include "../../src/base/cache.h"
#include "../../src/base/self.h"
#include "../../src/talk/answers.h"

#include <fcntl.h>
#include <glob.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char *const requests[] = {
	"{\"id\":1,\"method\":\"initialize\",\"params\":{}}",
	"{\"id\":1,\"method\":\"server/discover\"}",
	"{\"id\":1,\"method\":\"tools/list\"}",
	"{\"id\":1,\"method\":\"prompts/list\",\"params\":{\"a\":1}}",
	"{\"id\":1,\"method\":\"resources/list\"}",
	"{\"id\":1,\"method\":\"resources/templates/list\"}",
};

enum { REQUESTS = sizeof requests / sizeof *requests, FOUND_MAX = 1 << 16 };

static char file[4096], key[8192];
static size_t key_size;

static void read_line(struct message *m, const char *line, size_t n)
{
	memset(m, 0, sizeof *m);
	read_message(m, line, n);
	read_message(m, "\n", 1);
}

static void clean_up(void)
{
	unlink(file);
	for (int i = 0; i < 2; i++) {
		*strrchr(file, '/') = '\0';
		rmdir(file);
	}
}

/* Has one file written, and remembers its key. */
static void begin(void)
{
	static char *command[] = {"/bin/true", NULL};
	static struct message m;
	static char directory[] = "/tmp/fuzz-answers-XXXXXX";
	glob_t g;

	self.command = command;
	if (!mkdtemp(directory))
		abort();
	setenv("XDG_CACHE_HOME", directory, 1);
	read_line(&m, requests[0], strlen(requests[0]));
	open_answers(&m, requests[0], strlen(requests[0]));
	expect_answer(&m, requests[0], strlen(requests[0]));
	read_line(&m, "{\"id\":1,\"result\":{}}", 20);
	hear_answer(&m, "{\"id\":1,\"result\":{}}", 20);
	if (save_answers())
		abort();
	close_answers();
	snprintf(file, sizeof file, "%s/mcp-reap/*.jsonl", directory);
	if (glob(file, 0, NULL, &g) != 0)
		abort();
	snprintf(file, sizeof file, "%s", g.gl_pathv[0]);
	globfree(&g);
	atexit(clean_up);
	FILE *f = fopen(file, "r");
	if (!f || !fgets(key, sizeof key, f))
		abort();
	fclose(f);
	key_size = strlen(key);
}

/* What is found, of each request a line. */
static size_t find_all(char found[FOUND_MAX], bool *any)
{
	static struct message m;
	size_t length = 0;

	read_line(&m, requests[0], strlen(requests[0]));
	*any = !open_answers(&m, requests[0], strlen(requests[0]));
	for (size_t i = 0; i < REQUESTS; i++) {
		size_t size;
		read_line(&m, requests[i], strlen(requests[i]));
		const char *member = find_answer(&m, requests[i], strlen(requests[i]), &size);
		if (member && length + size + 1 < FOUND_MAX) {
			memcpy(found + length, member, size);
			length += size;
		}
		found[length++] = '\n';
	}
	return length;
}

/* Each that was found must be one member of an answer. */
static void check_found(const char *found, size_t n)
{
	static struct message m;
	static char line[FOUND_MAX + 32];

	for (const char *at = found; at < found + n;) {
		const char *end = memchr(at, '\n', (size_t)(found + n - at));
		int size = snprintf(line, sizeof line, "{\"id\":1,%.*s}", (int)(end - at), at);
		if (end > at) {
			read_line(&m, line, (size_t)size);
			if (!m.json || m.doubt || !is_answer(&m) || m.messages != 1)
				abort();
		}
		at = end + 1;
	}
}

static void write_file(const uint8_t *data, size_t size)
{
	static const char now_is[] = "NOW";
	int fd = open(file, O_WRONLY | O_TRUNC | O_CREAT, 0600);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");

	if (!f)
		abort();
	fwrite(key, 1, key_size, f);
	for (size_t i = 0; i < size; i++) /* "NOW" is a time that counts */
		if (size - i >= 3 && memcmp(data + i, now_is, 3) == 0)
			i += 2, fprintf(f, "%lld", (long long)time(NULL));
		else
			fputc(data[i], f);
	fclose(f);
}

static void check_params(const uint8_t *data, size_t size)
{
	static struct message m, again;
	char *line = malloc(size + 64), *text = malloc(size + 64);
	int n = sprintf(line, "{\"id\":1,\"method\":\"tools/list\",\"params\":");
	size_t left, twice;

	memcpy(line + n, data, size);
	line[(size_t)n + size] = '}';
	read_line(&m, line, (size_t)n + size + 1);
	if (opening_of(&m) == OPEN_TOOLS && !memchr(data, '\n', size)) {
		char *params = lasting_params(&m, line, (size_t)n + size + 1, &left);
		if (params) {
			n = sprintf(text, "{\"id\":1,\"method\":\"tools/list\",\"params\":");
			memcpy(text + n, params, left);
			text[(size_t)n + left] = '}';
			read_line(&again, text, (size_t)n + left + 1);
			char *same = again.json ? lasting_params(&again, text, (size_t)n + left + 1, &twice) : NULL;
			if (!same || twice != left || memcmp(same, params, left) != 0)
				abort();
			free(same);
			free(params);
		}
	}
	free(line);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char found[FOUND_MAX], again[FOUND_MAX];
	static struct message m;
	bool any;

	if (!key_size)
		begin();
	check_params(data, size);
	write_file(data, size);
	size_t n = find_all(found, &any);
	check_found(found, n);
	if (any) { /* has it written, by something that is not as it was */
		const char *request = "{\"id\":1,\"method\":\"tools/list\",\"params\":{\"new\":1}}";
		read_line(&m, request, strlen(request));
		expect_answer(&m, request, strlen(request));
		read_line(&m, "{\"id\":1,\"result\":{}}", 20);
		hear_answer(&m, "{\"id\":1,\"result\":{}}", 20);
		if (save_answers())
			abort();
		close_answers();
		if (find_all(again, &any) != n || memcmp(found, again, n) != 0)
			abort();
	}
	close_answers();
	return 0;
}
