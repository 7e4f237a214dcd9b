/*
 * The kept answers, by hand:
 *
 *	answers WORD... -- COMMAND...
 *	answers digest			of stdin
 *
 * The words are open LINE, find LINE, expect LINE, hear LINE, part LINE, changed LINE, told, save and close, LINE a message, as
 * src/talk/answers.h has them for a server that is COMMAND. Each says a line, of what has come of it.
 */
#include "../../src/base/digest.h"
#include "../../src/base/self.h"
#include "../../src/talk/answers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void print_digest(void)
{
	char hex[DIGEST_SIZE], piece[100];
	struct digest d;

	begin_digest(&d);
	for (size_t n; (n = fread(piece, 1, (size_t)(1 + random() % (long)sizeof piece), stdin)) > 0;)
		digest_bytes(&d, piece, n);
	end_digest(&d, hex);
	puts(hex);
}

static void read_line(struct message *m, const char *line)
{
	memset(m, 0, sizeof *m);
	read_message(m, line, strlen(line));
	read_message(m, "\n", 1);
}

static void print_told(void)
{
	struct told t;

	for (size_t at = 0; next_told(&at, &t);)
		printf("%s %.*s\n", opening_methods[t.opening], (int)t.size, t.params);
}

static void print_why(const char *why)
{
	puts(why ? why : "ok");
}

int main(int argc, char **argv)
{
	static const char *const heard[] = {"not expected", "as kept", "not as kept"};
	static struct message m;
	int i = 1;

	if (argc == 2 && strcmp(argv[1], "digest") == 0) {
		print_digest();
		return 0;
	}
	while (i < argc && strcmp(argv[i], "--") != 0)
		i++;
	self.command = argv + i + 1;
	self.shim = getpid();
	for (char **word = argv + 1; strcmp(*word, "--") != 0; word++) {
		if (strcmp(*word, "told") == 0) {
			print_told();
		} else if (strcmp(*word, "save") == 0) {
			print_why(save_answers());
		} else if (strcmp(*word, "close") == 0) {
			close_answers();
		} else {
			const char *what = *word++;
			size_t size = 0;
			read_line(&m, *word);
			if (strcmp(what, "open") == 0) {
				print_why(open_answers(&m, *word, strlen(*word)));
			} else if (strcmp(what, "find") == 0) {
				const char *found = find_answer(&m, *word, strlen(*word), &size);
				printf("%.*s\n", found ? (int)size : 1, found ? found : "-");
			} else if (strcmp(what, "expect") == 0) {
				expect_answer(&m, *word, strlen(*word));
			} else if (strcmp(what, "hear") == 0) {
				puts(heard[hear_answer(&m, *word, strlen(*word))]);
			} else if (strcmp(what, "part") == 0) { /* its end is not there */
				puts(heard[hear_answer(&m, *word, strlen(*word) - 9)]);
			} else if (strcmp(what, "changed") == 0) {
				note_changed(&m);
			}
		}
	}
	return 0;
}
