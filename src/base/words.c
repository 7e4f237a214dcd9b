/* SPDX-License-Identifier: MIT */
#include "words.h"

#include <stdbool.h>
#include <string.h>

int split_words(char *text, char **words, const char **why)
{
	char *to = text, quote = '\0';
	bool within = false;
	int n = 0;

	for (const char *from = text; *from; from++) {
		if (!quote && strchr(" \t\n", *from)) {
			if (within)
				*to++ = '\0';
			within = false;
			continue;
		}
		if (!within)
			words[n++] = to;
		within = true;
		if (quote && *from == quote) {
			quote = '\0';
		} else if (!quote && (*from == '\'' || *from == '"')) {
			quote = *from;
		} else if (*from == '\\' &&
			   (!quote || (quote == '"' && from[1] && strchr("\"\\$`", from[1])))) {
			if (!*++from) {
				*why = "ends in a backslash";
				return -1;
			}
			*to++ = *from;
		} else {
			*to++ = *from;
		}
	}
	if (quote) {
		*why = quote == '"' ? "\": is not closed" : "': is not closed";
		return -1;
	}
	*to = '\0';
	return n;
}
