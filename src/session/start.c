/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "start.h"

#include "../base/clock.h"
#include "../base/fd.h"
#include "../base/options.h"
#include "../base/say.h"
#include "../base/self.h"
#include "../sight/event.h"
#include "../talk/talk.h"
#include "client.h"
#include "ending.h"
#include "reaper.h"
#include "server.h"

#include <errno.h>
#include <fcntl.h>

const char *start_server(struct session *s, int client)
{
	struct pipes pipes;
	const char *failed = make_pipes(&pipes);

	if (!failed) {
		s->outlived = s->called || opt.restart;
		s->reaper = fork_process();
		if (s->reaper < 0)
			failed = "fork";
	}
	if (failed) {
		int error = errno;

		s->reaper = 0;
		shut_pipes(&pipes);
		shut(&client);
		errno = error;
		return failed;
	}
	if (s->reaper == 0)
		be_reaper(&pipes, s->signals, client, s->outlived);
	event("start shim=%d reaper=%d client=%d command=%s", (int)self.shim, (int)s->reaper,
	      (int)client_pid(), quoted(*self.command));

	s->status = EXIT_OURS;
	s->killed_by = 0;
	s->over = 0;
	s->server_spoke = false;
	s->spoke = 0;
	s->looked = 0;
	s->crew.n = 0;
	s->started = now();
	s->control = pipes.control[1];
	s->exit = pipes.exit;
	s->in.out = server_end(pipes.input[1]);
	s->in.in_line = false;
	s->out.in = server_end(pipes.output[0]);
	s->out.lines = are_watched(&s->from_server) ? &s->from_server : NULL;
	choose_way(&s->out);
	if (pipes.errors[0] >= 0)
		s->err.in = server_end(pipes.errors[0]);
	s->err.lines = &s->from_stderr;
	shut(&pipes.errors[1]);
	fcntl(s->control, F_SETFL, O_NONBLOCK);
	shut(&client);
	shut(&pipes.control[0]);
	shut(&pipes.input[0]);
	shut(&pipes.output[1]);
	return NULL;
}

void take_down(struct session *s, enum why why)
{
	s->server = GOING_DOWN;
	s->why = why;
	s->in.held = true;
	set_phase(LEAVING);
	s->from_server.whole = true;
	if (s->reaper && !tell(s, CONTROL_INPUT_ENDED))
		shut(&s->control);
	shut(&s->in.out.fd); /* after that: see end() */
	s->over = now();
}
