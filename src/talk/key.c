/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "key.h"

#include "../base/digest.h"
#include "../base/self.h"

#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * What differs from session to session of one client, and says nothing about the server.  A name
 * that is missing here costs an ordinary start, one too many could give another server's answers:
 * those are here that shells, terminals, ssh and systemd, and the clients of test/clients, were
 * seen to vary.
 */
static const char *const varying[] = {
	"_",
	"OLDPWD",
	"SHLVL",
	"INVOCATION_ID",
	"JOURNAL_STREAM",
	"SYSTEMD_EXEC_PID",
	"SSH_CLIENT",
	"SSH_CONNECTION",
	"SSH_TTY",
	"TERM_SESSION_ID",
	"WINDOWID",
	"XDG_SESSION_ID",
	"CLAUDE_CODE_CHILD_NOTES_DIR",
	"CLAUDE_CODE_LAUNCHED_BY_SESSION_IDS",
	"CLAUDE_CODE_MESSAGING_SOCKET",
	"CLAUDE_CODE_MESSAGING_TOKEN",
	"CLAUDE_CODE_SESSION_ID",
	"OPENCODE_PID",
};

/* In the name of a directory of Codex's that is new in PATH for each session. */
static const char varying_in_path[] = "/codex-arg0";

static bool varies(const char *variable)
{
	size_t n = strcspn(variable, "=");

	for (size_t i = 0; i < sizeof varying / sizeof *varying; i++)
		if (strlen(varying[i]) == n && memcmp(varying[i], variable, n) == 0)
			return true;
	return false;
}

static void digest_word(struct digest *d, const char *word)
{
	digest_bytes(d, word, strlen(word) + 1);
}

static void digest_path(struct digest *d, const char *path)
{
	digest_word(d, "PATH");
	for (bool more = true; more;) {
		size_t n = strcspn(path, ":");
		const char *part = memmem(path, n, varying_in_path, sizeof varying_in_path - 1);
		more = path[n];
		/* It is the last of the directory's name. */
		if (!part || memchr(part + 1, '/', n - (size_t)(part + 1 - path)))
			digest_bytes(d, path, n + more);
		path += n + more;
	}
	digest_word(d, "");
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Adds the environment to D, in whatever order it is. */
static bool digest_environment(struct digest *d)
{
	size_t n = 0;

	while (environ[n])
		n++;
	char **sorted = malloc((n + 1) * sizeof *sorted);
	if (!sorted)
		return false;
	memcpy((void *)sorted, environ, n * sizeof *sorted);
	qsort((void *)sorted, n, sizeof *sorted, by_text);
	for (size_t i = 0; i < n; i++) {
		if (strncmp(sorted[i], "PATH=", 5) == 0)
			digest_path(d, sorted[i] + 5);
		else if (!varies(sorted[i]))
			digest_word(d, sorted[i]);
	}
	free((void *)sorted);
	return true;
}

/* Finds the file that execvp(3) would run for NAME. */
static bool find_program(const char *name, struct stat *st)
{
	const char *path = getenv("PATH");
	char file[PATH_MAX];
	bool more = true;

	if (strchr(name, '/'))
		return stat(name, st) == 0;
	for (path = path ? path : "/bin:/usr/bin"; more; path++) {
		size_t n = strcspn(path, ":");
		int length =
			snprintf(file, sizeof file, "%.*s%s%s", (int)n, path, n ? "/" : "", name);
		if (length < (int)sizeof file && stat(file, st) == 0 && S_ISREG(st->st_mode) &&
		    access(file, X_OK) == 0)
			return true;
		path += n;
		more = *path;
	}
	return false;
}

/*
 * The environment has secrets, which are not ours to write down: a SHA-256 stands for it.  Nobody
 * knows two texts with the same one, so that to compare it is to compare all of the text.  It has
 * the words and the directory in it, too, as they are: what is no UTF-8 is not told apart in JSON,
 * which has the number of words.
 */
const char *add_key(struct text *t)
{
	char directory[PATH_MAX], hex[DIGEST_SIZE];
	struct stat program;
	struct digest d;

	if (!getcwd(directory, sizeof directory))
		return "no-directory";
	if (!find_program(*self.command, &program))
		return "no-program";
	begin_digest(&d);
	addf(t, "\"command\":[");
	for (char **word = self.command; *word; word++) {
		digest_word(&d, *word);
		add(t, ",", word > self.command);
		add_json(t, *word, strlen(*word));
	}
	digest_word(&d, directory);
	if (!digest_environment(&d))
		return "no-memory";
	end_digest(&d, hex);
	addf(t, "],\"directory\":");
	add_json(t, directory, strlen(directory));
	addf(t, ",\"program\":{\"device\":%ju,\"inode\":%ju,\"changed\":%jd.%09ld}",
	     (uintmax_t)program.st_dev, (uintmax_t)program.st_ino, (intmax_t)program.st_ctim.tv_sec,
	     program.st_ctim.tv_nsec);
	addf(t, ",\"digest\":\"%s\"", hex);
	return NULL;
}
