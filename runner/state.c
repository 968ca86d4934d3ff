/* States: reference counting, sharing of blocks, copying before a shared block or a recurrent state is
 * changed. */
#include "runner/state.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "runner/cpu/kernels.h"
#include "runner/floats.h"

/* Memory kept for use again, in bytes; more goes back to the system. */
enum { KEEP_FREE_BYTES = 256 * 1024 * 1024 };

static CacheBlock *block_new(StatePool *pool, bool passing, Error *error) {
    CacheBlock *block = pool->free_blocks[passing];
    if (block) {
        pool->free_blocks[passing] = block->next_free;
        pool->n_free_blocks[passing]--;
    } else {
        float *data = floats_try_alloc(passing ? pool->layer.cache_floats : pool->block_floats,
                                       "a block of cached tokens", error);
        if (!data)
            return NULL;
        block = mem_alloc(sizeof *block);
        block->data = data;
    }
    block->references = 1;
    block->is_passing = passing;
    block->origin = NULL;
    return block;
}

static void block_release(StatePool *pool, CacheBlock *block) {
    if (--block->references > 0)
        return;
    if (block->origin)
        block_release(pool, block->origin);
    size_t floats = block->is_passing ? pool->layer.cache_floats : pool->block_floats;
    if (pool->n_free_blocks[block->is_passing] < KEEP_FREE_BYTES / sizeof(float) / floats) {
        block->next_free = pool->free_blocks[block->is_passing];
        pool->free_blocks[block->is_passing] = block;
        pool->n_free_blocks[block->is_passing]++;
        return;
    }
    free(block->data);
    free(block);
}

static size_t recurrent_floats(const StatePool *pool, bool passing) {
    return passing ? pool->layer.recurrent_floats : pool->recurrent_floats;
}

static float *recurrent_new(StatePool *pool, bool passing, Error *error) {
    if (pool->n_free_recurrent[passing])
        return pool->free_recurrent[passing][--pool->n_free_recurrent[passing]];
    return floats_try_alloc(recurrent_floats(pool, passing), "a recurrent state", error);
}

static void recurrent_release(StatePool *pool, float *recurrent, bool passing) {
    size_t *n = &pool->n_free_recurrent[passing], *capacity = &pool->free_recurrent_capacity[passing];
    float ***free_ones = &pool->free_recurrent[passing];
    if (!recurrent)
        return;
    if (*n >= KEEP_FREE_BYTES / sizeof(float) / recurrent_floats(pool, passing)) {
        free(recurrent);
        return;
    }
    if (*n == *capacity) {
        *capacity = *capacity * 2 + 8;
        *free_ones = mem_realloc(*free_ones, *capacity * sizeof **free_ones);
    }
    (*free_ones)[(*n)++] = recurrent;
}

void state_pool_free(StatePool *pool) {
    for (int passing = 0; passing < 2; passing++) {
        while (pool->free_blocks[passing]) {
            CacheBlock *block = pool->free_blocks[passing];
            pool->free_blocks[passing] = block->next_free;
            free(block->data);
            free(block);
        }
        while (pool->n_free_recurrent[passing])
            free(pool->free_recurrent[passing][--pool->n_free_recurrent[passing]]);
        free(pool->free_recurrent[passing]);
    }
    memset(pool, 0, sizeof *pool);
}

State *state_retain(State *state) {
    if (state)
        state->references++;
    return state;
}

void state_release(State *state) {
    if (!state || --state->references > 0)
        return;
    for (size_t i = 0; i < state->n_blocks; i++)
        block_release(state->pool, state->blocks[i]);
    free(state->blocks);
    recurrent_release(state->pool, state->recurrent, state->is_passing);
    state_release(state->origin);
    free(state);
}

int64_t state_position(const State *state) {
    return state ? state->position : 0;
}

size_t state_bytes_own(const State *state) {
    if (!state)
        return 0;
    size_t bytes = sizeof *state + state->n_blocks * sizeof *state->blocks;
    for (size_t i = 0; i < state->n_blocks; i++)
        if (state->blocks[i]->references == 1 && !state->blocks[i]->is_passing)
            bytes += state->pool->block_floats * sizeof(float);
    if (state->recurrent)
        bytes += state->pool->recurrent_floats * sizeof(float);
    return bytes;
}

/* A hybrid's recurrent memory is megabytes, and a fork for a continuation of a few tokens copies all of it.
 */
typedef struct RecurrentCopy {
    float *to;
    const float *from; /* NULL: zeros */
    size_t n;
} RecurrentCopy;
enum { COPY_FLOATS = 64 * 1024 };

static void copy_part(void *context, size_t i, int thread) {
    (void)thread;
    const RecurrentCopy *copy = context;
    size_t first = i * COPY_FLOATS, n = copy->n - first < COPY_FLOATS ? copy->n - first : COPY_FLOATS;
    if (copy->from)
        memcpy(copy->to + first, copy->from + first, n * sizeof *copy->to);
    else
        memset(copy->to + first, 0, n * sizeof *copy->to);
}

static int fork_recurrent(State *state, State *parent, Error *error) {
    StatePool *pool = state->pool;
    state->recurrent = recurrent_new(pool, state->is_passing, error);
    if (!state->recurrent)
        return -1;
    if (state->is_passing) {
        state->origin = state_retain(parent);
        return 0;
    }
    RecurrentCopy copy = {state->recurrent, parent ? parent->recurrent : NULL, pool->recurrent_floats};
    thread_pool_run(pool->threads, (copy.n + COPY_FLOATS - 1) / COPY_FLOATS, copy_part, &copy);
    return 0;
}

/* A snapshot of parent with its full blocks shared; the partly filled last one comes with own_last_block. */
static int state_fork(State **out, StatePool *pool, State *parent, bool passing, Error *error) {
    State *state = mem_alloc_zero(1, sizeof *state);
    state->references = 1;
    state->pool = pool;
    state->is_passing = passing;
    if (parent) {
        state->position = parent->position;
        state->n_blocks = parent->n_blocks;
        state->blocks = mem_alloc(parent->n_blocks * sizeof *state->blocks);
        for (size_t i = 0; i < parent->n_blocks; i++) {
            state->blocks[i] = parent->blocks[i];
            state->blocks[i]->references++;
        }
    }
    if (pool->recurrent_floats && fork_recurrent(state, parent, error)) {
        state_release(state);
        return -1;
    }
    *out = state;
    return 0;
}

/* Takes a block for the last one if that is going to be written and somebody else holds it and has claimed
 * its rest: a copy, or a passing one, which always is one, since it is needed for so short a time. */
static int own_last_block(State *state, bool passing, Error *error) {
    size_t filled = (size_t)state->position % BLOCK_TOKENS;
    if (filled == 0 || state->n_blocks == 0)
        return 0;
    CacheBlock **last = &state->blocks[state->n_blocks - 1];
    if ((*last)->references == 1 || (!passing && (*last)->n_claimed == filled))
        return 0;
    CacheBlock *own = block_new(state->pool, passing, error);
    if (!own)
        return -1;
    if (passing) {
        own->origin = *last;
    } else {
        memcpy(own->data, (*last)->data, state->pool->block_floats * sizeof(float));
        block_release(state->pool, *last);
    }
    *last = own;
    return 0;
}

static int add_blocks(State *state, bool passing, size_t n_tokens, Error *error) {
    if (state->pool->block_floats == 0)
        return 0;
    size_t n = ((size_t)state->position + n_tokens + BLOCK_TOKENS - 1) / BLOCK_TOKENS;
    state->blocks = mem_realloc(state->blocks, n * sizeof *state->blocks);
    while (state->n_blocks < n) {
        CacheBlock *block = block_new(state->pool, passing, error);
        if (!block)
            return -1;
        state->blocks[state->n_blocks++] = block;
    }
    return 0;
}

static void claim_blocks(State *state, size_t n_tokens) {
    size_t end = (size_t)state->position + n_tokens;
    for (size_t i = (size_t)state->position / BLOCK_TOKENS; i < state->n_blocks; i++) {
        size_t n = end - i * BLOCK_TOKENS;
        state->blocks[i]->n_claimed = n < BLOCK_TOKENS ? n : BLOCK_TOKENS;
    }
}

int state_begin(State **out, StatePool *pool, State *parent, bool take, bool passing, size_t n_tokens,
                Error *error) {
    State *state = parent;
    *out = NULL;
    if (!take || !parent || parent->references > 1) {
        int status = state_fork(&state, pool, parent, passing, error);
        if (take)
            state_release(parent);
        if (status)
            return -1;
    }
    if (own_last_block(state, passing, error) || add_blocks(state, passing, n_tokens, error)) {
        state_release(state);
        return -1;
    }
    claim_blocks(state, n_tokens);
    *out = state;
    return 0;
}

void state_begin_layer(State *state, const Place *place) {
    size_t block = (size_t)state->position / BLOCK_TOKENS, bytes = place->recurrent_floats * sizeof(float);
    if (block < state->n_blocks && state->blocks[block]->origin)
        memcpy(state->blocks[block]->data, block_layer(state->blocks[block]->origin, place->cache),
               place->cache_floats * sizeof(float));
    if (!state->is_passing || bytes == 0)
        return;
    if (state->origin)
        memcpy(state->recurrent, state->origin->recurrent + place->recurrent, bytes);
    else
        memset(state->recurrent, 0, bytes);
}
