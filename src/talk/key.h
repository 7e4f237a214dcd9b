/* SPDX-License-Identifier: MIT */
/*
 * What makes a server the same server as last time: the command's words, the directory, the
 * program's file, and the environment but for what clients vary from session to session.
 */
#ifndef TALK_KEY_H
#define TALK_KEY_H

#include "../base/text.h"

/* Adds to T what does, as members of a JSON object.  Returns NULL, or why it is not known. */
const char *add_key(struct text *t);

#endif
