/* Aligned float arrays. */
#include "runner/floats.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/memory.h"

enum { ALIGNMENT = 64, HUGE_PAGE = 2 * 1024 * 1024 };

float *floats_try_alloc(size_t n, const char *what, Error *error) {
    size_t bytes;
    void *memory = NULL;
    if (!mem_mul(n ? n : 1, sizeof(float), &bytes) || bytes > PTRDIFF_MAX ||
        posix_memalign(&memory, bytes < HUGE_PAGE ? ALIGNMENT : HUGE_PAGE, bytes) != 0) {
        error_set(error, "not enough memory for %s (%zu numbers)", what, n);
        return NULL;
    }
    if (bytes >= HUGE_PAGE)
        madvise(memory, bytes / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE); /* no harm where it is not heeded */
    memset(memory, 0, bytes);
    return memory;
}

float *floats_alloc(size_t n) {
    float *memory = floats_try_alloc(n, "scratch", NULL);
    if (!memory)
        mem_alloc(SIZE_MAX / 2); /* says what happened and ends the program */
    return memory;
}
