/* SPDX-License-Identifier: MIT */
/* --restart: a server that dies is not the end of its session. */
#ifndef SESSION_RESTART_H
#define SESSION_RESTART_H

#include "session.h"

/* Whether the session goes on if its server dies, or closes its stdout, now. */
bool outlives_death(const struct session *s);

/* The server has died, or closed its stdout: what is left of it is ended, and the client's side
 * stays.  The client's lines wait until all of it is gone. */
void outlive(struct session *s);

/* It is gone.  What it was asked is answered by an error.  Returns false if that was once too
 * often: the session ends as it would have without --restart. */
bool note_death(struct session *s);

/* Somebody wants another server, now. */
void restart_now(struct session *s);

/* Has the last lines of the server's stderr kept, for errors. */
void keep_last_words(struct lines *errors);

/* Another server begins. */
void forget_last_words(void);

/* They, in one line behind ": "; "" if there are none.  Valid until the next one is heard. */
const char *last_words(void);

#endif
