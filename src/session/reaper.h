/* SPDX-License-Identifier: MIT */
/* The reaper: the tree's side of a session, from the server's start to the tree's end. */
#ifndef SESSION_REAPER_H
#define SESSION_REAPER_H

#include "server.h"

#include <stdbool.h>
#include <stdint.h>

/* What ps(1) and --list know our processes by, at most 15 bytes.  The shim's
 * name is the program's own, but for a while. */
#define NAME_SHIM "mcp-reap"
#define NAME_REAPER "mcp-reap-reaper"
#define NAME_ENDING "mcp-reap-ending" /* the reaper, once the session is over */
#define NAME_SWEEP "mcp-reap-sweep"   /* the shim, having lost its reaper */
#define NAME_IDLE "mcp-reap-idle"     /* the shim, while the server is stopped */

/* What comes through the control pipe besides numbers of signals to pass on, which go
 * up to 127 (MIPS).  End-of-file there means: the shim is gone, end the session. */
enum {
	CONTROL_INPUT_ENDED = 200,
	CONTROL_CLIENT_GONE, /* dead, or takes no more output */
	CONTROL_SERVER_SPOKE,
	CONTROL_FIRST_MESSAGE,
	CONTROL_SAMPLE,
	CONTROL_NUDGE,
	CONTROL_KILL_NOW,
};

/* What comes through the eventfd: the signal that the server died of, and this. */
enum { LEFT_CONTAINER = 256 };

/* The grace, in ms, of a server whose end the client waits for, or not. */
int64_t grace(bool awaited);

/* The reaper's life: from the fork to the exit with the server's status.  SIGNALS is a
 * signalfd; CLIENT the client's pidfd, or -1; OUTLIVED: it is for the shim to say whether the
 * session is over when the server exits by itself. */
__attribute__((noreturn)) void be_reaper(const struct pipes *p, int signals, int client,
					 bool outlived);

/* Ends the tree of a reaper that was killed, which took the server along
 * (PR_SET_PDEATHSIG); the rest of the tree is ours now. */
void sweep_tree(int signals, bool server_spoke);

#endif
