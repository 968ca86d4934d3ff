/* Softmax attention of some queries over the cached keys of their sequence, in tiles of ATTEND_KEYS keys at
 * absolute positions: per tile the scores and the weighted sums are small matrix products, and maximum, sum
 * and result are carried from tile to tile. What a query gets depends on its own keys alone: others in its
 * tiles have the weight 0. */
#ifndef ZEVAL_RUNNER_LAYERS_ATTEND_H
#define ZEVAL_RUNNER_LAYERS_ATTEND_H

#include "runner/layers/layer.h"

enum { ATTEND_KEYS = 64, ATTEND_ROWS = 64 };
_Static_assert((int)ATTEND_KEYS % (int)BLOCK_TOKENS == 0, "whole blocks make a tile");

/* Numbers that a four-byte word of the cache holds: one float32, or two bfloat16. */
static inline size_t per_word(Dtype dtype) {
    return dtype == DTYPE_BFLOAT16 ? 2 : 1;
}

/* Up to ATTEND_ROWS queries of one sequence. Both ends of [first_key, n_keys), the keys that count for a
 * query, ascend. */
typedef struct QueryRows {
    size_t n;
    const float *q[ATTEND_ROWS]; /* [key_width] */
    float *out[ATTEND_ROWS];     /* [value_width] */
    size_t first_key[ATTEND_ROWS], n_keys[ATTEND_ROWS];
} QueryRows;

typedef struct Attend {
    const Cpu *cpu;
    size_t key_width, value_width;
    float scale; /* of the scores */
    /* Lays out the n keys from first_key on, a multiple of ATTEND_KEYS, for the kernels (cpu->gemm): the keys
     * as packed inputs, in parts of gemm->rows keys; the values, a row of round_up(value_width, LANES) words
     * for each inputs_per_word keys, zeros for keys from n up to the next multiple of BLOCK_TOKENS. */
    void (*gather)(const void *source, size_t first_key, size_t n, float *keys, float *values);
    const void *source;
} Attend;

/* Scratch floats for attend_rows. */
size_t attend_scratch(size_t key_width, size_t value_width);
/* Writes rows->out, rounded to the arithmetic's dtype. */
void attend_rows(const Attend *attend, const QueryRows *rows, float *scratch);

/* Number i of an array in a cache of this dtype becomes x, which is rounded already. */
static inline void cache_put(float *array, Dtype dtype, size_t i, float x) {
    if (dtype == DTYPE_BFLOAT16) {
        uint16_t half = float_to_bfloat16(x);
        memcpy((uint8_t *)array + 2 * i, &half, sizeof half);
    } else {
        array[i] = x;
    }
}

#endif
