/* SPDX-License-Identifier: MIT */
/* How a session comes to its end, on the client's side. */
#ifndef SESSION_ENDING_H
#define SESSION_ENDING_H

#include "session.h"

#include <sys/signalfd.h>

/* Tells the reaper WHAT: a signal to pass on, or a CONTROL_.  Returns whether it
 * will hear of it: the pipe may be full (64 KiB of signals behind a stopped
 * reaper), or closed behind a dead one. */
bool tell(const struct session *s, int what);

/* Says why the session ends, if this is the first that we know of. */
void say_reason(const struct session *s, const char *reason, const char *detail);

/* Passes on what the client has sent, as far as the server's pipe takes it, and closes
 * the server's stdin. */
void finish_input(struct session *s);

/* Ends the session as by the end of input. */
void end(struct session *s);

/* The client has closed our stdin, or its death did; some may be unread. */
void note_input_ended(struct session *s);

/* After that: ends the session once the server has read all. */
void await_reading(struct session *s);

/* The client is dead. */
void lose_client(struct session *s);

/* The client takes no more output, because of errno: the server's next write
 * shall fail, as it would without us. */
void lose_output(struct session *s);

/* Passes an ending signal on, and ends the session. */
void end_by_signal(struct session *s, const struct signalfd_siginfo *info);

/* A SIGCONT in an ending. */
void take_nudge(struct session *s, const struct signalfd_siginfo *cont);

/* The status that we exit with. */
int final_status(const struct session *s);

/* Makes what a client sees of us what it would see of the server: if that died of a
 * signal, we do.  A Ctrl-C, say, ends the script around it only then, as bash(1) waits.
 * Not if it was we who ended the server: then there is nothing that would be the same. */
__attribute__((noreturn)) void leave(const struct session *s);

#endif
