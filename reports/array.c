#include "reports/array.h"

#include <string.h>

void *array_grown(Arena *arena, const void *items, size_t n, size_t bytes_each) {
    if (n & (n - 1))
        return (void *)items;
    char *out = arena_alloc(arena, (n ? 2 * n : 1) * bytes_each);
    if (n)
        memcpy(out, items, n * bytes_each);
    return out;
}
