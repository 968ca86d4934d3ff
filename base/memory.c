/* Allocation and arenas; see memory.h. */
#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

/* The one place below cli that prints: there is no memory left to report an error with. */
static void *or_abort(void *pointer, size_t bytes) {
    if (pointer)
        return pointer;
    fprintf(stderr, "zeval: out of memory: %zu more bytes were needed\n", bytes);
    abort();
}

void *mem_alloc(size_t bytes) {
    return or_abort(malloc(bytes ? bytes : 1), bytes);
}

void *mem_alloc_zero(size_t count, size_t bytes_each) {
    return or_abort(count && bytes_each ? calloc(count, bytes_each) : calloc(1, 1), count * bytes_each);
}

void *mem_realloc(void *pointer, size_t bytes) {
    return or_abort(realloc(pointer, bytes ? bytes : 1), bytes);
}

char *mem_strndup(const char *text, size_t bytes) {
    char *copy = mem_alloc(bytes + 1);
    if (bytes)
        memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    return copy;
}

char *mem_strdup(const char *text) {
    return mem_strndup(text, strlen(text));
}

void mem_trim(void) {
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

bool mem_mul(size_t a, size_t b, size_t *out) {
    return !__builtin_mul_overflow(a, b, out);
}

int mem_try_alloc(void **out, size_t count, size_t bytes_each, const char *what, Error *error) {
    size_t bytes;
    *out = NULL;
    if (!mem_mul(count, bytes_each, &bytes))
        return error_set(error, "%s: %zu times %zu bytes is more than a machine can address", what, count,
                         bytes_each);
    *out = calloc(bytes ? bytes : 1, 1);
    if (!*out)
        return error_set(error, "%s: no memory for %zu bytes", what, bytes);
    return 0;
}

/* Blocks grow geometrically; the newest is at the head and is the only one that is filled further. */
struct ArenaBlock {
    ArenaBlock *next;
    size_t used, capacity;
    _Alignas(16) unsigned char data[];
};

enum { ARENA_FIRST_BLOCK = 4096, ARENA_LARGEST_BLOCK = 1 << 20 };

static ArenaBlock *new_block(ArenaBlock *next, size_t needed) {
    size_t capacity = next ? next->capacity * 2 : ARENA_FIRST_BLOCK;
    if (capacity > ARENA_LARGEST_BLOCK)
        capacity = ARENA_LARGEST_BLOCK;
    if (capacity < needed)
        capacity = needed;
    ArenaBlock *block = mem_alloc(sizeof *block + capacity);
    *block = (ArenaBlock){.next = next, .capacity = capacity};
    return block;
}

void *arena_alloc(Arena *arena, size_t bytes) {
    size_t needed = (bytes + 15) & ~(size_t)15;
    if (!arena->head || arena->head->capacity - arena->head->used < needed)
        arena->head = new_block(arena->head, needed);
    void *memory = arena->head->data + arena->head->used;
    arena->head->used += needed;
    return bytes ? memset(memory, 0, bytes) : memory;
}

char *arena_strndup(Arena *arena, const char *text, size_t bytes) {
    char *copy = arena_alloc(arena, bytes + 1);
    if (bytes)
        memcpy(copy, text, bytes);
    return copy;
}

char *arena_strdup(Arena *arena, const char *text) {
    return arena_strndup(arena, text, strlen(text));
}

char *arena_printf(Arena *arena, const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *text = arena_alloc(arena, length < 0 ? 1 : (size_t)length + 1);
    if (length > 0)
        vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

void arena_reset(Arena *arena) {
    if (!arena->head)
        return;
    ArenaBlock *kept = arena->head;
    for (ArenaBlock *block = kept->next; block;) {
        ArenaBlock *next = block->next;
        free(block);
        block = next;
    }
    kept->next = NULL;
    kept->used = 0;
}

void arena_free(Arena *arena) {
    arena_reset(arena);
    free(arena->head);
    arena->head = NULL;
}
