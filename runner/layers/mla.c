/* Multi-head latent attention: low-rank keys and values, shared by groups of heads or one per head, and one
 * rotary key for all heads.
 *
 * The cache holds one latent and one rotary key per token for all heads. Always computed in the absorbed
 * form: the queries go through the key half of kv_b_proj, so that scores are taken against the latents
 * themselves, and the weighted latents go through its value half. One formula for every length is what keeps
 * a sequence's bits the same however it is cut.
 *
 * A cache block is [BLOCK_TOKENS][stride]: the latent, zeros up to a multiple of LANES, the rotated key. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "runner/layers/layer.h"

enum { HEADS_PER_TASK = 4, ROWS_PER_TASK = SPAN_ROWS * HEADS_PER_TASK };
static const float rank_norm_eps = 1e-6f; /* fixed in the reference, no key for it */

typedef struct Mla {
    LinearLayer q_a, q_b; /* without a query rank, q_b alone maps the input to the queries */
    LinearLayer kv_a, out;
    Weight kv_b;
    void *kv_b_owned;
    Weight *key_up, *value_up; /* [n_kv_heads] views of kv_b: [rank, nope] and [v_width, rank] */
    float *q_norm, *kv_norm;   /* NULL without rank norms */
    size_t n_heads, n_kv_heads, q_rank, rank, nope, rope, v_width;
    size_t latent_width; /* rank rounded up to LANES */
    size_t stride;       /* of a token in the cache: latent_width + rope */
    float scale;
} Mla;

static void mla_free(void *layer) {
    Mla *mla = layer;
    linear_free(&mla->q_a);
    linear_free(&mla->q_b);
    linear_free(&mla->kv_a);
    linear_free(&mla->out);
    free(mla->kv_b_owned);
    free(mla->key_up);
    free(mla->value_up);
    free(mla->q_norm);
    free(mla->kv_norm);
    free(mla);
}

static int load_queries(Mla *mla, const ModelConfig *config, MlaRanks ranks, Checkpoint *checkpoint,
                        const char *prefix, Error *error) {
    const MlaConfig *c = &config->mla;
    char name[256];
    int64_t d = config->hidden_size, width = c->n_heads * (c->nope_width + c->rope_width);
    if (ranks.q == 0)
        return linear_load(&mla->q_b, config, checkpoint, prefix, "q_proj", width, d, false, error);
    if (linear_load(&mla->q_a, config, checkpoint, prefix, "q_a_proj", ranks.q, d, c->bias, error) ||
        linear_load(&mla->q_b, config, checkpoint, prefix, "q_b_proj", width, ranks.q, false, error))
        return -1;
    if (!c->rank_norms)
        return 0;
    return vector_load(&mla->q_norm, config, checkpoint, tensor_name(name, prefix, "q_a_layernorm.weight"),
                       ranks.q, error);
}

static int load_keys_values(Mla *mla, const ModelConfig *config, MlaRanks ranks, Checkpoint *checkpoint,
                            const char *prefix, Error *error) {
    const MlaConfig *c = &config->mla;
    char name[256];
    int64_t d = config->hidden_size, per_head = c->nope_width + c->v_width;
    if (linear_load(&mla->kv_a, config, checkpoint, prefix, "kv_a_proj_with_mqa", ranks.kv + c->rope_width, d,
                    c->bias, error) ||
        matrix_load(&mla->kv_b, &mla->kv_b_owned, config, checkpoint,
                    tensor_name(name, prefix, "kv_b_proj.weight"), c->n_kv_heads * per_head, ranks.kv,
                    error) ||
        linear_load(&mla->out, config, checkpoint, prefix, "out_proj", d, c->n_heads * c->v_width, c->bias,
                    error))
        return -1;
    if (c->rank_norms && vector_load(&mla->kv_norm, config, checkpoint,
                                     tensor_name(name, prefix, "kv_a_layernorm.weight"), ranks.kv, error))
        return -1;
    mla->key_up = mem_alloc(mla->n_kv_heads * sizeof *mla->key_up);
    mla->value_up = mem_alloc(mla->n_kv_heads * sizeof *mla->value_up);
    for (size_t g = 0; g < mla->n_kv_heads; g++) {
        Weight keys = weight_rows(&mla->kv_b, g * (size_t)per_head, mla->nope);
        mla->key_up[g] = weight_transpose(&keys);
        mla->value_up[g] = weight_rows(&mla->kv_b, g * (size_t)per_head + mla->nope, mla->v_width);
    }
    return 0;
}

static int mla_load(void **out, const ModelConfig *config, size_t layer, Checkpoint *checkpoint,
                    const char *prefix, Error *error) {
    const MlaConfig *c = &config->mla;
    const MlaRanks ranks = config->ranks[layer];
    Mla *mla = mem_alloc_zero(1, sizeof *mla);
    mla->n_heads = (size_t)c->n_heads;
    mla->n_kv_heads = (size_t)c->n_kv_heads;
    mla->q_rank = (size_t)ranks.q;
    mla->rank = (size_t)ranks.kv;
    mla->nope = (size_t)c->nope_width;
    mla->rope = (size_t)c->rope_width;
    mla->v_width = (size_t)c->v_width;
    mla->latent_width = round_up(mla->rank, LANES);
    mla->stride = mla->latent_width + mla->rope;
    mla->scale =
        (float)(rope_yarn_score_factor(&config->rope) / sqrt((double)(c->nope_width + c->rope_width)));
    if (load_queries(mla, config, ranks, checkpoint, prefix, error) ||
        load_keys_values(mla, config, ranks, checkpoint, prefix, error)) {
        mla_free(mla);
        return -1;
    }
    *out = mla;
    return 0;
}

static size_t mla_cache_floats(const void *layer) {
    return ((const Mla *)layer)->stride;
}

static size_t mla_recurrent_floats(const void *layer) {
    (void)layer;
    return 0;
}

static size_t mla_workspace_floats(const void *layer) {
    const Mla *mla = layer;
    return mla->q_rank + mla->n_heads * (mla->nope + mla->rope) + mla->rank + mla->rope +
           mla->n_heads * (mla->rank + mla->rope) + mla->n_heads * mla->rank + mla->n_heads * mla->v_width;
}

/* Per row of the tile: */
typedef struct MlaRun {
    const Mla *layer;
    const Tile *tile;
    size_t cache;
    float *q_low;    /* [q_rank] */
    float *q;        /* [n_heads, nope + rope] */
    float *kv;       /* [rank + rope] */
    float *absorbed; /* [n_heads, rank + rope]: the query against latents, the rotated query */
    float *latents;  /* [n_heads, rank]: weighted sums of latents */
    float *values;   /* [n_heads, v_width] */
} MlaRun;

static float *cached_token(const MlaRun *run, const CacheBlock *block, size_t slot) {
    return block->data + run->cache + slot * run->layer->stride;
}

/* Pairs (2i, 2i+1) of x go to (i, half + i) of out, then each pair is turned by its angle. */
static void rotate_interleaved(const MlaRun *run, float *out, const float *x, size_t position) {
    const Rope *rope = run->tile->rope;
    for (size_t i = 0; i < rope->half; i++) {
        out[i] = x[2 * i];
        out[rope->half + i] = x[2 * i + 1];
    }
    cpu_rotate(run->tile->cpu, out, rope->cosines + position * rope->half,
               rope->sines + position * rope->half, rope->half);
}

static void norm_queries(void *context, size_t i, int thread) {
    (void)thread;
    const MlaRun *run = context;
    const Span *span = &run->tile->spans[i];
    size_t rank = run->layer->q_rank;
    for (size_t row = span->row; row < span->row + span->n_rows; row++)
        cpu_rms_norm(run->tile->cpu, run->q_low + row * rank, run->q_low + row * rank, run->layer->q_norm,
                     rank, rank_norm_eps, true);
}

/* Rotates a span's queries; norms its latents, rotates its keys and puts both into the cache. */
static void store_latents(void *context, size_t i, int thread) {
    (void)thread;
    const MlaRun *run = context;
    const Mla *mla = run->layer;
    const Span *span = &run->tile->spans[i];
    for (size_t t = 0; t < span->n_rows; t++) {
        size_t row = span->row + t, position = (size_t)span->position + t;
        for (size_t h = 0; h < mla->n_heads; h++)
            rotate_interleaved(
                run, run->absorbed + (row * mla->n_heads + h) * (mla->rank + mla->rope) + mla->rank,
                run->q + (row * mla->n_heads + h) * (mla->nope + mla->rope) + mla->nope, position);
        const float *kv = run->kv + row * (mla->rank + mla->rope);
        float *token =
            cached_token(run, span->piece->state->blocks[position / BLOCK_TOKENS], position % BLOCK_TOKENS);
        if (mla->kv_norm)
            cpu_rms_norm(run->tile->cpu, token, kv, mla->kv_norm, mla->rank, rank_norm_eps, true);
        else
            memcpy(token, kv, mla->rank * sizeof *kv);
        memset(token + mla->rank, 0, (mla->latent_width - mla->rank) * sizeof *token);
        rotate_interleaved(run, token + mla->latent_width, kv + mla->rank, position);
    }
}

/* A block's first `count` tokens as keys, [rank + rope][BLOCK_TOKENS]; zeros for tokens that are not there
 * yet. */
static void transpose_block(const MlaRun *run, const CacheBlock *block, size_t count, float *keys) {
    const Mla *mla = run->layer;
    for (size_t j = 0; j < BLOCK_TOKENS; j++) {
        const float *token = cached_token(run, block, j), *rope = token + mla->latent_width;
        for (size_t d = 0; d < mla->rank; d++)
            keys[d * BLOCK_TOKENS + j] = j < count ? token[d] : 0.0f;
        for (size_t d = 0; d < mla->rope; d++)
            keys[(mla->rank + d) * BLOCK_TOKENS + j] = j < count ? rope[d] : 0.0f;
    }
}

/* The queries of a task: some tokens times some heads, tokens outermost, so that n_keys ascends. */
typedef struct QueryRows {
    size_t n;
    const float *q[ROWS_PER_TASK];
    float *out[ROWS_PER_TASK];
    size_t n_keys[ROWS_PER_TASK];
} QueryRows;

static size_t attend_scratch(const Mla *mla, size_t max_keys) {
    return (mla->rank + mla->rope) * BLOCK_TOKENS +
           ROWS_PER_TASK * (round_up(max_keys, BLOCK_TOKENS) + mla->latent_width);
}

static void attend_rows(const MlaRun *run, const State *state, const QueryRows *rows, float *scratch) {
    const Mla *mla = run->layer;
    const Kernels *kernels = run->tile->cpu->kernels;
    size_t most_keys = rows->n_keys[rows->n - 1], n_blocks = (most_keys + BLOCK_TOKENS - 1) / BLOCK_TOKENS;
    size_t stride = n_blocks * BLOCK_TOKENS, counts[ROWS_PER_TASK];
    float *keys = scratch, *scores = keys + (mla->rank + mla->rope) * BLOCK_TOKENS,
          *sums = scores + ROWS_PER_TASK * stride;
    for (size_t b = 0; b < n_blocks; b++) {
        transpose_block(run, state->blocks[b], most_keys - b * BLOCK_TOKENS, keys);
        for (size_t r = 0; r < rows->n; r += ATTEND_ROWS)
            kernels->attend_scores(scores + r * stride + b * BLOCK_TOKENS, stride, rows->q + r,
                                   rows->n - r < ATTEND_ROWS ? rows->n - r : ATTEND_ROWS, keys,
                                   mla->rank + mla->rope, mla->scale);
    }
    float totals[ROWS_PER_TASK] = {0};
    for (size_t r = 0; r < rows->n; r++) {
        totals[r] = kernels->attend_softmax(scores + r * stride, rows->n_keys[r]);
        cpu_round(run->tile->cpu, scores + r * stride, rows->n_keys[r]);
    }
    memset(sums, 0, rows->n * mla->latent_width * sizeof *sums);
    for (size_t b = 0; b < n_blocks; b++) {
        for (size_t r = 0; r < rows->n; r++) {
            size_t before = b * BLOCK_TOKENS, left = rows->n_keys[r] > before ? rows->n_keys[r] - before : 0;
            counts[r] = left < BLOCK_TOKENS ? left : BLOCK_TOKENS;
        }
        kernels->attend_values(sums, mla->latent_width, scores + b * BLOCK_TOKENS, stride, counts, rows->n,
                               cached_token(run, state->blocks[b], 0), mla->stride, mla->latent_width);
    }
    for (size_t r = 0; r < rows->n; r++) {
        for (size_t d = 0; d < mla->rank; d++)
            rows->out[r][d] = sums[r * mla->latent_width + d] * (1.0f / totals[r]);
        cpu_round(run->tile->cpu, rows->out[r], mla->rank);
    }
}

static size_t head_tasks(const Mla *mla) {
    return (mla->n_heads + HEADS_PER_TASK - 1) / HEADS_PER_TASK;
}

static void attend_span(void *context, size_t i, int thread) {
    const MlaRun *run = context;
    const Mla *mla = run->layer;
    const Span *span = &run->tile->spans[i / head_tasks(mla)];
    size_t first = i % head_tasks(mla) * HEADS_PER_TASK;
    size_t end = first + HEADS_PER_TASK < mla->n_heads ? first + HEADS_PER_TASK : mla->n_heads;
    QueryRows rows = {.n = 0};
    for (size_t t = 0; t < span->n_rows; t++)
        for (size_t h = first; h < end; h++) {
            size_t head = (span->row + t) * mla->n_heads + h;
            rows.q[rows.n] = run->absorbed + head * (mla->rank + mla->rope);
            rows.out[rows.n] = run->latents + head * mla->rank;
            rows.n_keys[rows.n++] = (size_t)span->position + t + 1;
        }
    attend_rows(run, span->piece->state, &rows, run->tile->cpu->scratch[thread]);
}

/* Both per-head halves of kv_b_proj: nope part of q -> absorbed, and latents -> values. */
static void project_heads(const MlaRun *run, bool queries) {
    const Mla *mla = run->layer;
    size_t per_group = mla->n_heads / mla->n_kv_heads, q_width = mla->nope + mla->rope,
           absorbed_width = mla->rank + mla->rope;
    Linear *jobs = mem_alloc(mla->n_heads * sizeof *jobs);
    for (size_t h = 0; h < mla->n_heads; h++)
        jobs[h] = queries ? (Linear){&mla->key_up[h / per_group], NULL,
                                     run->q + h * q_width,        run->absorbed + h * absorbed_width,
                                     mla->n_heads * q_width,      mla->n_heads * absorbed_width}
                          : (Linear){&mla->value_up[h / per_group], NULL,
                                     run->latents + h * mla->rank,  run->values + h * mla->v_width,
                                     mla->n_heads * mla->rank,      mla->n_heads * mla->v_width};
    cpu_linear(run->tile->cpu, jobs, mla->n_heads, run->tile->n_rows);
    free(jobs);
}

static void project_inputs(const MlaRun *run, const float *x) {
    const Mla *mla = run->layer;
    Cpu *cpu = run->tile->cpu;
    size_t rows = run->tile->n_rows, d = mla->kv_a.weight.cols, q_width = mla->q_b.weight.rows;
    Linear kv = {&mla->kv_a.weight, mla->kv_a.bias, x, run->kv, d, mla->rank + mla->rope};
    if (mla->q_rank == 0) {
        cpu_linear(cpu, (Linear[]){kv, {&mla->q_b.weight, NULL, x, run->q, d, q_width}}, 2, rows);
        return;
    }
    cpu_linear(cpu, (Linear[]){kv, {&mla->q_a.weight, mla->q_a.bias, x, run->q_low, d, mla->q_rank}}, 2,
               rows);
    if (mla->q_norm)
        cpu_parallel(cpu, run->tile->n_spans, rows * mla->q_rank * 4, norm_queries, (void *)run);
    cpu_linear(cpu, &(Linear){&mla->q_b.weight, NULL, run->q_low, run->q, mla->q_rank, q_width}, 1, rows);
}

static void mla_forward(const void *opaque, Place place, const Tile *tile, const float *x, float *y) {
    const Mla *mla = opaque;
    size_t rows = tile->n_rows, d = mla->kv_a.weight.cols, value_width = mla->n_heads * mla->v_width;
    MlaRun run = {.layer = mla, .tile = tile, .cache = place.cache, .q_low = tile->workspace};
    run.q = run.q_low + rows * mla->q_rank;
    run.kv = run.q + rows * mla->n_heads * (mla->nope + mla->rope);
    run.absorbed = run.kv + rows * (mla->rank + mla->rope);
    run.latents = run.absorbed + rows * mla->n_heads * (mla->rank + mla->rope);
    run.values = run.latents + rows * mla->n_heads * mla->rank;
    project_inputs(&run, x);
    project_heads(&run, true);
    cpu_parallel(tile->cpu, tile->n_spans, rows * mla->stride * 4, store_latents, &run);
    cpu_reserve(tile->cpu, attend_scratch(mla, tile->max_keys));
    cpu_parallel(tile->cpu, tile->n_spans * head_tasks(mla), rows * mla->n_heads * mla->rank * tile->max_keys,
                 attend_span, &run);
    project_heads(&run, false);
    cpu_linear(tile->cpu, &(Linear){&mla->out.weight, mla->out.bias, run.values, y, value_width, d}, 1, rows);
}

const MixerType mixer_mla = {.kind = MIXER_MLA,
                             .load = mla_load,
                             .free = mla_free,
                             .cache_floats = mla_cache_floats,
                             .recurrent_floats = mla_recurrent_floats,
                             .workspace_floats = mla_workspace_floats,
                             .forward = mla_forward};
