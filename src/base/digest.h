/* SPDX-License-Identifier: MIT */
/* SHA-256 (FIPS 180-4): what stands for text that is not to be written down. */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

struct digest {
	uint32_t state[8];
	uint64_t size; /* bytes that have been added */
	unsigned char block[64];
};

enum { DIGEST_SIZE = 65 }; /* hexadecimal, with the NUL */

void begin_digest(struct digest *d);
void digest_bytes(struct digest *d, const void *bytes, size_t n);
void end_digest(struct digest *d, char hex[DIGEST_SIZE]);

#endif
