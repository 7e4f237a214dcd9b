/* SPDX-License-Identifier: MIT */
/* Words in a text, as the shell reads them. */
#ifndef BASE_WORDS_H
#define BASE_WORDS_H

/*
 * Splits TEXT, in its own memory, into words as the shell does: at blanks, but
 * for what is quoted by ', " or \.  Nothing is expanded.  Returns how many words
 * there are in WORDS, for which TEXT's length is enough; -1: WHY tells.
 */
int split_words(char *text, char **words, const char **why);

#endif
