/* SPDX-License-Identifier: MIT */
/* --idle-stop: when a server is not needed, and how it is stopped. */
#ifndef SESSION_IDLE_H
#define SESSION_IDLE_H

#include "session.h"

/* When it is to be seen whether the server is needed, if nothing passes until then; 0: never. */
int64_t when_idle(const struct session *s);

/* While messages pass: what the tree has used by now, so that a later look tells what it does
 * by itself. */
void note_work(struct session *s);

/*
 * Ends the server, if it is not needed, as at the end of a session, with the client none the wiser.
 * What it says from now on is passed on, but for its requests; what the client says waits in
 * its pipe or socket until the server is gone, so that no message can be lost, or half read.
 */
void stop_if_idle(struct session *s);

/* The server has gone down, and there is none until the client needs one, unless the session's
 * own end has overtaken that. */
void fall_asleep(struct session *s);

#endif
