/* SPDX-License-Identifier: MIT */
/* Memory by the page: what is reserved costs nothing until it is used, and can be given back. */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stddef.h>

/* SIZE bytes of zeroes; FLAGS: MAP_SHARED or MAP_PRIVATE.  Exits if there are none. */
void *map_memory(size_t size, int flags);

/* Lets go of what SIZE bytes at AT hold, as far as they are whole pages, which may be
 * larger than the 4 KiB that we count with: the rest stays as it is. */
void give_back(void *at, size_t size);

#endif
