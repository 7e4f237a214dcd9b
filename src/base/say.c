/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "say.h"

#include "fd.h"
#include "text.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void write_stderr(const char *bytes, size_t n)
{
	ssize_t sent;

	while (n > 0 && (sent = write_now(STDERR_FILENO, bytes, n)) > 0) {
		bytes += sent;
		n -= (size_t)sent;
	}
}

__attribute__((format(printf, 2, 0))) void say(const char *prefix, const char *format, va_list args)
{
	char line[512];
	int start = snprintf(line, sizeof line, "%s", prefix);
	int n = vsnprintf(line + start, sizeof line - (size_t)start, format, args);
	if (n < 0)
		return;
	size_t len = (size_t)start + (size_t)n;
	if (len > sizeof line - 1)
		len = sizeof line - 1;
	defuse(line, len);
	line[len++] = '\n';
	write_stderr(line, len);
}

static void (*listener)(const char *line);

void hear_complaints(void (*hear)(const char *line))
{
	listener = hear;
}

__attribute__((format(printf, 1, 2))) void complain(const char *format, ...)
{
	char line[512];
	va_list args;

	va_start(args, format);
	say("mcp-reap: ", format, args);
	va_end(args);
	if (!listener)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	listener(line);
}

__attribute__((noreturn)) void fail(const char *what)
{
	complain("%s: %s", what, strerror(errno));
	exit(EXIT_OURS);
}

__attribute__((format(printf, 1, 2))) void print(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (vdprintf(STDOUT_FILENO, format, args) < 0)
		fail("stdout");
	va_end(args);
}

const char *signal_name(int sig)
{
	static const char *const names[] = {
		[SIGHUP] = "HUP",   [SIGINT] = "INT",   [SIGQUIT] = "QUIT", [SIGILL] = "ILL",
		[SIGTRAP] = "TRAP", [SIGABRT] = "ABRT", [SIGBUS] = "BUS",   [SIGFPE] = "FPE",
		[SIGKILL] = "KILL", [SIGUSR1] = "USR1", [SIGSEGV] = "SEGV", [SIGUSR2] = "USR2",
		[SIGPIPE] = "PIPE", [SIGALRM] = "ALRM", [SIGTERM] = "TERM",
	};
	static char number[12];

	if (sig > 0 && (size_t)sig < sizeof names / sizeof *names && names[sig])
		return names[sig];
	snprintf(number, sizeof number, "%d", sig);
	return number;
}
