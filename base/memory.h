/* Memory: allocation that ends the program when the machine has none left, allocation that reports it, and
 * arenas. Sizes that come from outside (a file, a server) go through the `try` and `mul` forms; sizes that
 * follow from data already held go through the plain ones. */
#ifndef ZEVAL_BASE_MEMORY_H
#define ZEVAL_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Like malloc, calloc, realloc, strdup, strndup; never return NULL. On exhaustion: one line on stderr, abort.
 * A size of 0 gives a pointer that can be freed. */
void *mem_alloc(size_t bytes);
void *mem_alloc_zero(size_t count, size_t bytes_each);
void *mem_realloc(void *pointer, size_t bytes);
char *mem_strdup(const char *text);
char *mem_strndup(const char *text, size_t bytes);

/* Allocates count * bytes_each zeroed bytes; -1 with an Error naming `what` if the product overflows or the
 * memory is not there. Freed with free(). */
int mem_try_alloc(void **out, size_t count, size_t bytes_each, const char *what, Error *error);

/* Gives memory that was freed, but is still the process's, back to the system, where the C library can. */
void mem_trim(void);

/* *out = a * b; false if it does not fit. */
bool mem_mul(size_t a, size_t b, size_t *out);

/* An arena: allocations that all die together. Zero-initialise with {0}. Not thread-safe. */
typedef struct ArenaBlock ArenaBlock;
typedef struct Arena {
    ArenaBlock *head;
} Arena;

/* Zeroed memory aligned to 16 bytes, valid until arena_free or arena_reset. */
void *arena_alloc(Arena *arena, size_t bytes);
/* NUL-terminated copies. */
char *arena_strdup(Arena *arena, const char *text);
char *arena_strndup(Arena *arena, const char *text, size_t bytes);
char *arena_printf(Arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Forgets every allocation but keeps one block for reuse / gives everything back. */
void arena_reset(Arena *arena);
void arena_free(Arena *arena);

#endif
