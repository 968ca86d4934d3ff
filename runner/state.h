/* What the layers remember of a sequence. Invariants: a block that more than one State holds is never
 * written; the last block of a State may be partly filled, all others are full; recurrent memory belongs to
 * one State. */
#ifndef ZEVAL_RUNNER_STATE_H
#define ZEVAL_RUNNER_STATE_H

#include "base/threads.h"
#include "runner/runner.h"

/* BLOCK_TOKENS tokens of every layer's cache. */
typedef struct CacheBlock {
    size_t references;
    struct CacheBlock *next_free;
    float *data; /* [StatePool.block_floats] */
} CacheBlock;

/* Shapes of the states of one engine, and memory given back by them for use again. */
typedef struct StatePool {
    size_t block_floats, recurrent_floats; /* 0: the model has no such layer */
    ThreadPool *threads;                   /* that copy recurrent memory */
    CacheBlock *free_blocks;
    float **free_recurrent;
    size_t n_free_blocks, n_free_recurrent, free_recurrent_capacity;
} StatePool;

void state_pool_free(StatePool *pool);

struct State {
    size_t references;
    StatePool *pool;
    int64_t position;
    CacheBlock **blocks;
    size_t n_blocks;
    float *recurrent; /* NULL if recurrent_floats is 0 */
};

/* A State to be written to: the sequence of `parent` (NULL: empty) with room for n_tokens more, its position
 * still the parent's. With `take`, the caller's reference to parent is used up, also on failure, and parent
 * itself is extended if nobody else holds it. */
int state_begin(State **out, StatePool *pool, State *parent, bool take, size_t n_tokens, Error *error);

#endif
