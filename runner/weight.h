/* A weight matrix as it lies in a file, and the widening of stored numbers to float32. */
#ifndef ZEVAL_RUNNER_WEIGHT_H
#define ZEVAL_RUNNER_WEIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "runner/runner.h"

/* Element (row, col) is element row * row_stride + col * col_stride of data. A linear layer's weight is
 * [outputs, inputs]. */
typedef struct Weight {
    const uint8_t *data; /* any alignment */
    Dtype dtype;
    size_t rows, cols;
    size_t row_stride, col_stride; /* in elements */
} Weight;

size_t dtype_bytes(Dtype dtype);

/* The n rows from `row` on. */
Weight weight_rows(const Weight *weight, size_t row, size_t n);
/* One row, widened, into out[cols]. */
void weight_read_row(const Weight *weight, size_t row, float *out);

/* Makes the weight bfloat16: where it is stored otherwise, it is rounded into new memory, which *owned then
 * holds (free it); else *owned is NULL. */
int weight_to_bfloat16(Weight *weight, void **owned, const char *what, Error *error);

static inline float float_from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline float bfloat16_to_float(uint16_t bits) {
    return float_from_bits((uint32_t)bits << 16);
}

/* The nearest, ties to even; NaNs stay NaNs. */
static inline uint16_t float_to_bfloat16(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if (x != x)
        return (uint16_t)((bits | 0x400000u) >> 16);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

/* Exact for every input: the exponent is moved by a multiplication, which also normalises subnormals. */
static inline float float16_to_float(uint16_t bits) {
    uint32_t magnitude = bits & 0x7fffu;
    float value = float_from_bits(magnitude << 13) * 0x1p112f;
    uint32_t result;
    memcpy(&result, &value, sizeof result);
    if (magnitude >= 0x7c00u) /* infinity, NaN */
        result = 0x7f800000u | magnitude << 13;
    return float_from_bits(result | (uint32_t)(bits & 0x8000u) << 16);
}

/* Element i of `data`. */
static inline float weight_element(const uint8_t *data, Dtype dtype, size_t i) {
    uint16_t half;
    float value;
    if (dtype == DTYPE_FLOAT32) {
        memcpy(&value, data + 4 * i, sizeof value);
        return value;
    }
    memcpy(&half, data + 2 * i, sizeof half);
    return dtype == DTYPE_BFLOAT16 ? bfloat16_to_float(half) : float16_to_float(half);
}

#endif
