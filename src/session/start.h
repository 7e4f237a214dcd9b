/* SPDX-License-Identifier: MIT */
/* A server's start, as the shim sees it: the reaper, and the ends of the lanes that lead to it. */
#ifndef SESSION_START_H
#define SESSION_START_H

#include "session.h"

/* Runs COMMAND below a reaper, with new pipes.  CLIENT is its pidfd, or -1; it is closed.  Returns
 * NULL, or, with nothing changed that would have to be undone, what failed; errno says why. */
const char *start_server(struct session *s, int client);

/* Ends the server, WHY, as at the end of a session, with the client none the wiser.  What it says
 * from now on is passed on, but for its requests; what the client says waits in its pipe or socket
 * until the server is gone, so that no message can be lost, or half read. */
void take_down(struct session *s, enum why why);

#endif
