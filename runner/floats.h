/* Memory for vectors: float arrays that begin on a cache line. */
#ifndef ZEVAL_RUNNER_FLOATS_H
#define ZEVAL_RUNNER_FLOATS_H

#include <stddef.h>

#include "base/error.h"

/* n zeroed floats, aligned to 64 bytes, to be freed with free(); NULL and an Error naming `what` if the
 * memory is not there. */
float *floats_try_alloc(size_t n, const char *what, Error *error);
/* The same, ending the program when there is no memory. */
float *floats_alloc(size_t n);

static inline size_t round_up(size_t n, size_t unit) {
    return (n + unit - 1) / unit * unit;
}

#endif
