/* SPDX-License-Identifier: MIT */
/* --idle-stop: when a server is not needed, and how a new one is brought to where it was. */
#ifndef SESSION_IDLE_H
#define SESSION_IDLE_H

#include "session.h"

/* Whether all that keeps the server from being stopped is time. */
bool awaits_idleness(const struct session *s);

/*
 * Ends the server as at the end of a session, with the client none the wiser.
 * What it sends from now on stays in its pipe or socket until there is a server
 * again, so no message can be lost, or half read by one that is going.
 */
void stop_server(struct session *s);

/* The server has gone down: sleeps until the client has a message, unless the session's
 * own end has overtaken that. */
void fall_asleep(struct session *s);

/* Whether the client has sent something, by REVENTS of poll(2), and not just the end. */
bool has_message(const struct session *s, short revents);

/* Begins to make the new server what the one before was. */
void restore(struct session *s);

/* Whether the program that was noted is coming up, and the command can be run instead. */
bool may_run_command(const struct session *s);

/* That program has exited before it answered.  Makes ready for the command in its place;
 * returns whether it could. */
bool run_command_instead(struct session *s);

/* The new server may have answered what it was sent by us.  Returns why it is not what
 * the one before was; NULL: as far as is known, it is. */
const char *go_on_restoring(struct session *s);

#endif
