/* SPDX-License-Identifier: MIT */
/* The shim: the client's side of a session. */
#ifndef SESSION_SHIM_H
#define SESSION_SHIM_H

#include "session.h"

/* The shim's life: until the reaper is gone, and the tree with it, and the
 * client has all output. */
void relay_session(struct session *s);

#endif
