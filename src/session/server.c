/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "server.h"

#include "../base/fd.h"
#include "../base/options.h"
#include "../base/say.h"
#include "../base/self.h"
#include "../sight/event.h"
#include "../sight/trace.h"
#include "../tree/program.h"
#include "signals.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#if defined __GLIBC__ && __GLIBC__ == 2 && __GLIBC_MINOR__ < 34
#define _Fork fork
#endif

static int kept_stderr = -1;

bool relays_stderr(void)
{
	return is_tracing() || opt.restart || opt.lazy;
}

const char *make_pipes(struct pipes *p)
{
	*p = (struct pipes){{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}, -1};
	if (pipe2(p->control, O_CLOEXEC) < 0 || pipe2(p->input, O_CLOEXEC) < 0 ||
	    pipe2(p->output, O_CLOEXEC) < 0 || (relays_stderr() && pipe2(p->errors, O_CLOEXEC) < 0))
		return "pipe";
	p->exit = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return p->exit < 0 ? "eventfd" : NULL;
}

void shut_pipes(struct pipes *p)
{
	for (int i = 0; i < 2; i++) {
		shut(&p->control[i]);
		shut(&p->input[i]);
		shut(&p->output[i]);
		shut(&p->errors[i]);
	}
	shut(&p->exit);
}

pid_t fork_process(void)
{
	return _Fork();
}

int keep_stderr(void)
{
	kept_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	return kept_stderr;
}

/* Why the command cannot be run, by errno's WHY.  What most often is wrong is another
 * PATH than in a shell, and a command line as one word. */
static void complain_of_command(int why)
{
	const char *command = *self.command, *path = getenv("PATH");

	if (why == ENOENT && strchr(command, ' ') && !self.command[1])
		complain("%s: not found: it is one word; the command and each argument are words "
			 "of their own",
			 command);
	else if (why != ENOENT || strchr(command, '/'))
		complain("%s: %s", command, strerror(why));
	else if (!path)
		complain("%s: not found, and PATH is not set", command);
	else
		complain("%s: not found in PATH=%s", command, path);
}

__attribute__((noreturn)) static void exec_server(const struct pipes *p, pid_t reaper,
						  bool outlived)
{
	/* The last line of defence; the reaper may be dead already. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != reaper)
		_exit(EXIT_OURS);

	setpgid(0, 0);
	if (dup2(p->input[0], STDIN_FILENO) < 0 || dup2(p->output[1], STDOUT_FILENO) < 0)
		fail("dup2");
	int errors = p->errors[1] >= 0 ? p->errors[1] : kept_stderr;
	if (errors >= 0 && dup2(errors, STDERR_FILENO) < 0)
		fail("dup2");
	if (opt.no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		fail("no-new-privs");
	restore_signals();

	exec_program();
	execvp(*self.command, self.command);
	bool missing = errno == ENOENT;
	complain_of_command(errno);
	if (!outlived && !*end_reason())
		event_end(missing ? "command-not-found" : "command-not-run", "");
	_exit(missing ? EXIT_NOT_FOUND : EXIT_CANNOT_INVOKE);
}

/*
 * Not vfork(2), which would spare 80 us: it returns when the exec is done, and that can
 * wait for a dead network disk in PATH or for a virus scanner.  The reaper would wait
 * along, deaf to the end of the session.
 */
pid_t run_server(const struct pipes *p, bool outlived)
{
	pid_t reaper = getpid(), server = fork_process();

	if (server < 0)
		fail("fork");
	if (server == 0)
		exec_server(p, reaper, outlived);
	setpgid(server, server); /* for whoever comes first, it or our signal */
	return server;
}
