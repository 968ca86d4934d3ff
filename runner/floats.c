/* Aligned float arrays. */
#include "runner/floats.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { ALIGNMENT = 64 };

float *floats_try_alloc(size_t n, const char *what, Error *error) {
    size_t bytes;
    void *memory = NULL;
    if (!mem_mul(n ? n : 1, sizeof(float), &bytes) || bytes > PTRDIFF_MAX ||
        posix_memalign(&memory, ALIGNMENT, bytes) != 0) {
        error_set(error, "not enough memory for %s (%zu numbers)", what, n);
        return NULL;
    }
    memset(memory, 0, bytes);
    return memory;
}

float *floats_alloc(size_t n) {
    float *memory = floats_try_alloc(n, "scratch", NULL);
    if (!memory)
        mem_alloc(SIZE_MAX / 2); /* says what happened and ends the program */
    return memory;
}
