/* What the layers remember of a sequence. Invariants: the last block of a State may be partly filled, all
 * others are full; tokens of a block that any State has are never written, but the first one that goes on
 * from a partly filled block that others hold too writes behind them and so claims the rest, while the next
 * ones copy it; recurrent memory belongs to one State.
 *
 * A State that nobody wants after the tile that it is fed in is passing: its recurrent memory and the blocks
 * that it adds hold the tokens of one layer at a time, the next layer's over them. Most segments of a tree
 * are leaves, so that the memory of most of a batch's tokens is a layer's and not the model's, and stays in
 * the caches. */
#ifndef ZEVAL_RUNNER_STATE_H
#define ZEVAL_RUNNER_STATE_H

#include "base/threads.h"
#include "runner/runner.h"

/* A layer's part of a State's memory, in floats. */
typedef struct Place {
    size_t cache, cache_floats;         /* in a CacheBlock's data */
    size_t recurrent, recurrent_floats; /* in State.recurrent */
} Place;

/* BLOCK_TOKENS tokens of every layer's cache, or, passing, of one layer's. */
typedef struct CacheBlock {
    size_t references;
    size_t n_claimed; /* tokens from its beginning that are some State's; those behind them are free */
    bool is_passing;
    struct CacheBlock
        *origin; /* of a passing block: the one whose tokens it begins with, layer by layer; or NULL */
    struct CacheBlock *next_free;
    float *data; /* [StatePool.block_floats], passing [StatePool.layer.cache_floats] */
} CacheBlock;

/* A layer's part of a block; `place`: where it begins among all layers'. */
static inline float *block_layer(const CacheBlock *block, size_t place) {
    return block->data + (block->is_passing ? 0 : place);
}

/* Shapes of the states of one engine, and memory given back by them for use again. */
typedef struct StatePool {
    size_t block_floats, recurrent_floats; /* 0: the model has no such layer */
    Place layer;                           /* the most floats of each that one layer has */
    ThreadPool *threads;                   /* that copy recurrent memory */
    CacheBlock *free_blocks[2];            /* whole ones, passing ones */
    size_t n_free_blocks[2];
    float **free_recurrent[2];
    size_t n_free_recurrent[2], free_recurrent_capacity[2];
} StatePool;

void state_pool_free(StatePool *pool);

struct State {
    size_t references;
    StatePool *pool;
    int64_t position;
    CacheBlock **blocks;
    size_t n_blocks;
    float *recurrent;     /* NULL if recurrent_floats is 0 */
    bool is_passing;      /* recurrent memory is one layer's */
    struct State *origin; /* then, where it begins, layer by layer; NULL: zeros */
};

/* A layer's recurrent memory; `place`: where it begins among all layers'. */
static inline float *recurrent_layer(const State *state, size_t place) {
    return state->recurrent + (state->is_passing ? 0 : place);
}

/* A State to be written to: the sequence of `parent` (NULL: empty) with room for n_tokens more, its position
 * still the parent's. With `take`, the caller's reference to parent is used up, also on failure, and parent
 * itself is extended if nobody else holds it. With `passing` the State is for these tokens only, fed in one
 * tile, and let go after it. */
int state_begin(State **out, StatePool *pool, State *parent, bool take, bool passing, size_t n_tokens,
                Error *error);

/* Before a layer is run over a passing State's tokens: takes what the layer has from the parent. */
void state_begin_layer(State *state, const Place *place);

#endif
