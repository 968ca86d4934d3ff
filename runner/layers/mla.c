/* Multi-head latent attention: low-rank keys and values, shared by groups of heads or one per head, and one
 * rotary key for all heads.
 *
 * The cache holds one latent and one rotary key per token for all heads. Always computed in the absorbed
 * form: the queries go through the key half of kv_b_proj, so that scores are taken against the latents
 * themselves, and the weighted latents go through its value half. One formula for every length is what keeps
 * a sequence's bits the same however it is cut.
 *
 * A cache block is [BLOCK_TOKENS][stride]: the latent, zeros up to a multiple of LANES, the rotated key, in
 * words that are floats or pairs of bfloat16. Their order in the key half of a score is the same. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "runner/layers/attend.h"

enum { HEADS_PER_TASK = ATTEND_ROWS / SPAN_ROWS };
static const float rank_norm_eps = 1e-6f; /* fixed in the reference, no key for it */

typedef struct Mla {
    LinearLayer q_a, q_b; /* without a query rank, q_b alone maps the input to the queries */
    LinearLayer kv_a, out;
    Weight kv_b;
    void *kv_b_owned;
    Weight *key_up,
        *value_up; /* [n_kv_heads], of kv_b: [rank, nope], turned in key_memory, and [v_width, rank] */
    uint8_t *key_memory;
    float *q_norm, *kv_norm; /* NULL without rank norms */
    size_t n_heads, n_kv_heads, q_rank, rank, nope, rope, v_width;
    size_t latent_width; /* rank rounded up to LANES */
    size_t key_width;    /* latent_width + rope */
    Dtype dtype;         /* of the cache */
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
    free(mla->key_memory);
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

/* The key half of a group's rows of kv_b with rows and columns exchanged, which is how the kernels read it
 * fast; in memory of its own. */
static Weight turned_keys(const Mla *mla, const Weight *rows, uint8_t *memory) {
    size_t bytes = dtype_bytes(rows->dtype);
    for (size_t r = 0; r < mla->nope; r++)
        for (size_t k = 0; k < mla->rank; k++)
            memcpy(memory + (k * mla->nope + r) * bytes,
                   rows->data + (r * rows->row_stride + k * rows->col_stride) * bytes, bytes);
    return (Weight){memory, rows->dtype, mla->rank, mla->nope, mla->nope, 1};
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
    size_t key_bytes = mla->rank * mla->nope * dtype_bytes(mla->kv_b.dtype);
    mla->key_memory = mem_alloc(mla->n_kv_heads * key_bytes);
    for (size_t g = 0; g < mla->n_kv_heads; g++) {
        Weight keys = weight_rows(&mla->kv_b, g * (size_t)per_head, mla->nope);
        mla->key_up[g] = turned_keys(mla, &keys, mla->key_memory + g * key_bytes);
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
    mla->key_width = mla->latent_width + mla->rope;
    mla->dtype = config->dtype;
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
    const Mla *mla = layer;
    return mla->key_width / per_word(mla->dtype);
}

static size_t mla_recurrent_floats(const void *layer) {
    (void)layer;
    return 0;
}

static size_t mla_workspace_floats(const void *layer) {
    const Mla *mla = layer;
    return mla->q_rank + mla->n_heads * (mla->nope + mla->rope) + mla->rank + mla->rope +
           mla->n_heads * (mla->key_width + mla->rank + mla->v_width);
}

/* Per row of the tile: */
typedef struct MlaRun {
    const Mla *layer;
    const Tile *tile;
    size_t cache;
    float *q_low;    /* [q_rank] */
    float *q;        /* [n_heads, nope + rope] */
    float *kv;       /* [rank + rope] */
    float *absorbed; /* [n_heads, key_width]: the query against latents, zeros, the rotated query */
    float *latents;  /* [n_heads, rank]: weighted sums of latents */
    float *values;   /* [n_heads, v_width] */
} MlaRun;

static float *cached_token(const MlaRun *run, const CacheBlock *block, size_t slot) {
    const Mla *mla = run->layer;
    return block_layer(block, run->cache) + slot * mla->key_width / per_word(mla->dtype);
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
    for (size_t row = span->first_output; row < span->first_output + span->n_outputs; row++)
        cpu_rms_norm(run->tile->cpu, run->q_low + row * rank, run->q_low + row * rank, run->layer->q_norm,
                     rank, rank_norm_eps, true);
}

/* Rotates the queries of a span's outputs. */
static void rotate_queries(const MlaRun *run, const Span *span) {
    const Mla *mla = run->layer;
    for (size_t i = span->first_output; i < span->first_output + span->n_outputs; i++)
        for (size_t h = 0; h < mla->n_heads; h++) {
            float *absorbed = run->absorbed + (i * mla->n_heads + h) * mla->key_width;
            memset(absorbed + mla->rank, 0, (mla->latent_width - mla->rank) * sizeof *absorbed);
            rotate_interleaved(run, absorbed + mla->latent_width,
                               run->q + (i * mla->n_heads + h) * (mla->nope + mla->rope) + mla->nope,
                               output_position(run->tile, span, i));
        }
}

/* Rotates a span's queries; norms its latents, rotates its keys and puts both into the cache. `token` has
 * room for a key. */
static void store_latents(void *context, size_t i, int thread) {
    const MlaRun *run = context;
    const Mla *mla = run->layer;
    const Span *span = &run->tile->spans[i];
    float *token = run->tile->cpu->scratch[thread];
    rotate_queries(run, span);
    for (size_t t = 0; t < span->n_rows; t++) {
        size_t row = span->row + t, position = (size_t)span->position + t;
        const float *kv = run->kv + row * (mla->rank + mla->rope);
        if (mla->kv_norm)
            cpu_rms_norm(run->tile->cpu, token, kv, mla->kv_norm, mla->rank, rank_norm_eps, true);
        else
            memcpy(token, kv, mla->rank * sizeof *kv);
        memset(token + mla->rank, 0, (mla->latent_width - mla->rank) * sizeof *token);
        rotate_interleaved(run, token + mla->latent_width, kv + mla->rank, position);
        float *cached =
            cached_token(run, span->piece->state->blocks[position / BLOCK_TOKENS], position % BLOCK_TOKENS);
        cache_put_row(run->tile->cpu, cached, mla->dtype, token, mla->key_width);
    }
}

/* ---- a task's keys and values */

typedef struct LatentCache {
    const MlaRun *run;
    const State *state;
} LatentCache;

/* The latents of a block's first `count` tokens, zeros for its others, as rows of words: of tokens, or of
 * pairs of tokens, whose bfloat16 meet in a word. */
static void put_words(const MlaRun *run, const float *block, size_t count, float *words) {
    const Mla *mla = run->layer;
    size_t n = per_word(mla->dtype), stride = mla->key_width / n;
    for (size_t t = 0; t < BLOCK_TOKENS; t += n, words += mla->rank) {
        const float *tokens = block + t * stride;
        if (t >= count)
            memset(words, 0, mla->rank * sizeof *words);
        else if (n == 1)
            memcpy(words, tokens, mla->rank * sizeof *words);
        else
            run->tile->cpu->kernels->interleave(words, (const void *)tokens, (const void *)(tokens + stride),
                                                mla->rank);
        for (size_t d = 0; n == 2 && t + 1 == count && d < mla->rank; d++)
            cache_put(words, mla->dtype, 2 * d + 1, 0.0f);
    }
}

static void gather_latents(const void *source, size_t first_key, size_t n, KeyTile *tile, float *words) {
    const LatentCache *cache = source;
    const MlaRun *run = cache->run;
    const Mla *mla = run->layer;
    size_t tokens_per_row = per_word(mla->dtype), rows = ATTEND_KEYS / tokens_per_row;
    tile->key_bytes = mla->key_width * dtype_bytes(mla->dtype);
    for (size_t t = 0; t < n; t += BLOCK_TOKENS) {
        const float *block = cached_token(run, cache->state->blocks[(first_key + t) / BLOCK_TOKENS], 0);
        tile->keys[t / BLOCK_TOKENS] = (const uint8_t *)block;
        put_words(run, block, n - t < BLOCK_TOKENS ? n - t : BLOCK_TOKENS,
                  words + t / tokens_per_row * mla->rank);
    }
    run->tile->cpu->gemm->pack_words(tile->values, words, mla->rank, rows, mla->rank);
}

static size_t head_tasks(const Mla *mla) {
    return (mla->n_heads + HEADS_PER_TASK - 1) / HEADS_PER_TASK;
}

/* Some heads' queries of one span. */
static void attend_span(void *context, size_t i, int thread) {
    const MlaRun *run = context;
    const Mla *mla = run->layer;
    const Span *span = &run->tile->spans[i / head_tasks(mla)];
    size_t first = i % head_tasks(mla) * HEADS_PER_TASK;
    size_t end = first + HEADS_PER_TASK < mla->n_heads ? first + HEADS_PER_TASK : mla->n_heads;
    float *scratch = run->tile->cpu->scratch[thread];
    LatentCache cache = {run, span->piece->state};
    Attend attend = {run->tile->cpu, mla->dtype,     mla->key_width, mla->rank,
                     mla->scale,     gather_latents, &cache};
    QueryRows rows = {.n = 0};
    for (size_t o = span->first_output; o < span->first_output + span->n_outputs; o++)
        for (size_t h = first; h < end; h++) {
            size_t head = o * mla->n_heads + h;
            rows.q[rows.n] = run->absorbed + head * mla->key_width;
            rows.out[rows.n] = run->latents + head * mla->rank;
            rows.first_key[rows.n] = 0;
            rows.n_keys[rows.n++] = output_position(run->tile, span, o) + 1;
        }
    if (rows.n > 0)
        attend_rows(&attend, &rows, scratch);
}

/* Both per-head halves of kv_b_proj: nope part of q -> absorbed, and latents -> values. */
static void project_heads(const MlaRun *run, bool queries) {
    const Mla *mla = run->layer;
    size_t per_group = mla->n_heads / mla->n_kv_heads, q_width = mla->nope + mla->rope,
           absorbed_width = mla->key_width;
    enum { AT_ONCE = 16 };
    for (size_t first = 0; first < mla->n_heads; first += AT_ONCE) {
        Linear jobs[AT_ONCE];
        size_t n = mla->n_heads - first < AT_ONCE ? mla->n_heads - first : AT_ONCE;
        for (size_t h = first; h < first + n; h++)
            jobs[h - first] = queries
                                  ? (Linear){&mla->key_up[h / per_group], NULL,
                                             run->q + h * q_width,        run->absorbed + h * absorbed_width,
                                             mla->n_heads * q_width,      mla->n_heads * absorbed_width}
                                  : (Linear){&mla->value_up[h / per_group], NULL,
                                             run->latents + h * mla->rank,  run->values + h * mla->v_width,
                                             mla->n_heads * mla->rank,      mla->n_heads * mla->v_width};
        cpu_linear(run->tile->cpu, jobs, n, run->tile->n_outputs);
    }
}

/* Keys and values of all rows, queries of the outputs, whose inputs go to `inputs` if they are not all. */
static void project_inputs(const MlaRun *run, const float *x, float *inputs) {
    const Mla *mla = run->layer;
    const Tile *tile = run->tile;
    const LinearLayer *query = mla->q_rank ? &mla->q_a : &mla->q_b;
    bool all_wanted = tile->n_outputs == tile->n_rows;
    size_t outputs = tile->n_outputs, d = mla->kv_a.weight.cols, q_width = mla->q_b.weight.rows;
    if (!all_wanted)
        rows_of_outputs(tile, inputs, x, d, d);
    Linear jobs[] = {{&mla->kv_a.weight, mla->kv_a.bias, x, run->kv, d, mla->rank + mla->rope},
                     {&query->weight, query->bias, all_wanted ? x : inputs, mla->q_rank ? run->q_low : run->q,
                      d, query->weight.rows}};
    cpu_linear(tile->cpu, jobs, all_wanted ? 2 : 1, tile->n_rows);
    if (!all_wanted)
        cpu_linear(tile->cpu, jobs + 1, 1, outputs);
    if (mla->q_rank == 0)
        return;
    if (mla->q_norm)
        cpu_parallel(tile->cpu, tile->n_spans, outputs * mla->q_rank * 4, norm_queries, (void *)run);
    cpu_linear(tile->cpu, &(Linear){&mla->q_b.weight, NULL, run->q_low, run->q, mla->q_rank, q_width}, 1,
               outputs);
}

static void mla_forward(const void *opaque, Place place, const Tile *tile, const float *x, float *y) {
    const Mla *mla = opaque;
    size_t rows = tile->n_rows, d = mla->kv_a.weight.cols, value_width = mla->n_heads * mla->v_width;
    MlaRun run = {.layer = mla, .tile = tile, .cache = place.cache, .q_low = tile->workspace};
    run.q = run.q_low + rows * mla->q_rank;
    run.kv = run.q + rows * mla->n_heads * (mla->nope + mla->rope);
    run.absorbed = run.kv + rows * (mla->rank + mla->rope);
    run.latents = run.absorbed + rows * mla->n_heads * mla->key_width;
    run.values = run.latents + rows * mla->n_heads * mla->rank;
    project_inputs(&run, x, y);
    project_heads(&run, true);
    cpu_reserve(tile->cpu, attend_scratch(mla->key_width, mla->rank));
    cpu_parallel(tile->cpu, tile->n_spans, rows * mla->key_width * 4, store_latents, &run);
    cpu_parallel(tile->cpu, tile->n_spans * head_tasks(mla),
                 tile->n_outputs * mla->n_heads * mla->rank * tile->max_keys, attend_span, &run);
    project_heads(&run, false);
    cpu_linear(tile->cpu, &(Linear){&mla->out.weight, mla->out.bias, run.values, y, value_width, d}, 1,
               tile->n_outputs);
}

const MixerType mixer_mla = {.kind = MIXER_MLA,
                             .load = mla_load,
                             .free = mla_free,
                             .cache_floats = mla_cache_floats,
                             .recurrent_floats = mla_recurrent_floats,
                             .workspace_floats = mla_workspace_floats,
                             .forward = mla_forward};
