/* SPDX-License-Identifier: MIT */
/* The relay: both lanes, and what it means for the session when one of them ends. */
#ifndef SESSION_RELAY_H
#define SESSION_RELAY_H

#include "session.h"

/* What to do about poll(2)'s events IN and OUT at the two ends of a lane: a hang-up of
 * an end that is not waited for is news, too. */
void relay_input(struct session *s, int in, int out);
void relay_output(struct session *s, int in, int out);

/* The same for the server's stderr, if it is traced. */
void pump_errors(struct session *s);
void relay_errors(struct session *s, int in, int out);

/* Moves what there is now. */
void pump_input(struct session *s);
void pump_output(struct session *s);

#endif
