/* Arrays that grow inside an arena. */
#ifndef ZEVAL_REPORTS_ARRAY_H
#define ZEVAL_REPORTS_ARRAY_H

#include "base/memory.h"

/* The array to put item `n` into, where `items` holds n of them and was grown this way from n = 0: the same,
 * or a copy with room for twice as many. The old one stays behind until the arena goes. */
void *array_grown(Arena *arena, const void *items, size_t n, size_t bytes_each);

#endif
