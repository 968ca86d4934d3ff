/* Softmax attention of some queries over the cached keys of their sequence, in tiles of ATTEND_KEYS keys at
 * absolute positions: per tile the scores and the weighted sums are small matrix products, and maximum, sum
 * and result are carried from tile to tile. What a query gets depends on its own keys alone: others in its
 * tiles have the weight 0.
 *
 * Keys and values take the part of a linear layer's weights, queries and softmax weights that of its packed
 * inputs, a query in each lane: so keys are read from where the cache has them, and neither maxima nor sums
 * go across lanes. Up to NARROW_ROWS queries, as in decoding, have keys and values in the lanes instead: the
 * same sums in the same order, without the lanes that nobody would be in. */
#ifndef ZEVAL_RUNNER_LAYERS_ATTEND_H
#define ZEVAL_RUNNER_LAYERS_ATTEND_H

#include "runner/layers/layer.h"

/* ATTEND_GROUP queries, the most that any kernel takes at once, share the scores' memory. */
enum { ATTEND_KEYS = 64, ATTEND_ROWS = 128, ATTEND_GROUP = 64, ATTEND_BLOCKS = ATTEND_KEYS / BLOCK_TOKENS };
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

/* A tile's keys and values, of which n exist, in the cache's dtype. */
typedef struct KeyTile {
    const uint8_t *keys[ATTEND_BLOCKS]; /* rows of key_width numbers, a block's from each address on */
    size_t key_bytes;                   /* from row to row; zeros behind an odd width */
    /* out: [value_width][ATTEND_KEYS] numbers; zeros for keys from n up to the next multiple of BLOCK_TOKENS,
     * whatever it is for those behind */
    float *values;
} KeyTile;

typedef struct Attend {
    const Cpu *cpu;
    Dtype dtype; /* of the cache */
    size_t key_width, value_width;
    float scale; /* of the scores */
    /* Fills in the tile of the n keys from first_key on, a multiple of ATTEND_KEYS. `words` is memory for
     * value_width * ATTEND_KEYS floats. */
    void (*gather)(const void *source, size_t first_key, size_t n, KeyTile *tile, float *words);
    const void *source;
} Attend;

/* Scratch floats for attend_rows. */
size_t attend_scratch(size_t key_width, size_t value_width);
/* Writes rows->out, rounded to the arithmetic's dtype. */
void attend_rows(const Attend *attend, const QueryRows *rows, float *scratch);

/* n numbers in a row, which are rounded already, to the beginning of an array in a cache of this dtype. */
static inline void cache_put_row(const Cpu *cpu, void *array, Dtype dtype, const float *x, size_t n) {
    if (dtype == DTYPE_BFLOAT16)
        cpu->kernels->halve(array, x, n);
    else
        memcpy(array, x, n * sizeof *x);
}

/* Number i of an array in a cache of this dtype becomes x, which is rounded already. */
static inline void cache_put(void *array, Dtype dtype, size_t i, float x) {
    if (dtype == DTYPE_BFLOAT16) {
        uint16_t half = float_to_bfloat16(x);
        memcpy((uint8_t *)array + 2 * i, &half, sizeof half);
    } else {
        memcpy((uint8_t *)array + 4 * i, &x, sizeof x);
    }
}

#endif
