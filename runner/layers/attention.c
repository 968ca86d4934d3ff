/* Causal attention with grouped heads (MHA, GQA, MQA), half-split rotary embedding on the head's first
 * channels or all of them, a sliding window where the layer has one. The state-spaces library keeps the three
 * projections in one matrix and convolves what comes out of it as a Mamba layer does its inputs.
 *
 * A cache block holds, per key/value head, the keys transposed [head_dim][BLOCK_TOKENS], so that one vector
 * load gives one channel of 16 keys, and then the values [BLOCK_TOKENS][value_stride]. A query's scores over
 * all the keys it sees are kept, so the softmax needs no rescaling and its sums run in the order of absolute
 * positions, from the block of the first such key on. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "runner/layers/convolution.h"

typedef struct Attention {
    LinearLayer q, k, v, o;
    LinearLayer in;          /* in place of q, k and v: their rows one after the other */
    Convolution convolution; /* of all of `in`'s outputs; no channels: none */
    float *q_norm, *k_norm;  /* [head_dim], or NULL */
    float norm_eps;
    size_t window; /* keys that a query sees, 0: all */
    size_t n_heads, n_kv_heads, head_dim;
    size_t value_stride; /* head_dim rounded up to LANES */
    float scale;
} Attention;

static void attention_free(void *layer) {
    Attention *attention = layer;
    linear_free(&attention->q);
    linear_free(&attention->k);
    linear_free(&attention->v);
    linear_free(&attention->o);
    linear_free(&attention->in);
    convolution_free(&attention->convolution);
    free(attention->q_norm);
    free(attention->k_norm);
    free(attention);
}

static int load_norms(Attention *attention, const ModelConfig *config, Checkpoint *checkpoint,
                      const char *prefix, Error *error) {
    char name[256];
    attention->norm_eps = (float)config->norm_eps;
    if (!config->attention.qk_norms)
        return 0;
    return vector_load(&attention->q_norm, config, checkpoint, tensor_name(name, prefix, "q_norm.weight"),
                       config->attention.head_dim, error) ||
                   vector_load(&attention->k_norm, config, checkpoint,
                               tensor_name(name, prefix, "k_norm.weight"), config->attention.head_dim, error)
               ? -1
               : 0;
}

static int load_projections(Attention *attention, const ModelConfig *config, Checkpoint *checkpoint,
                            const char *prefix, Error *error) {
    const AttentionConfig *c = &config->attention;
    int64_t d = config->hidden_size, q = c->n_heads * c->head_dim, kv = c->n_kv_heads * c->head_dim;
    if (!c->fused)
        return linear_load(&attention->q, config, checkpoint, prefix, "q_proj", q, d, c->qkv_bias, error) ||
                       linear_load(&attention->k, config, checkpoint, prefix, "k_proj", kv, d, c->qkv_bias,
                                   error) ||
                       linear_load(&attention->v, config, checkpoint, prefix, "v_proj", kv, d, c->qkv_bias,
                                   error) ||
                       linear_load(&attention->o, config, checkpoint, prefix, "o_proj", d, q, c->o_bias,
                                   error)
                   ? -1
                   : 0;
    if (linear_load(&attention->in, config, checkpoint, prefix, "in_proj", q + 2 * kv, d, c->qkv_bias,
                    error) ||
        linear_load(&attention->o, config, checkpoint, prefix, "out_proj", d, q, c->o_bias, error))
        return -1;
    return c->convolution ? convolution_load(&attention->convolution, config, (size_t)(q + 2 * kv), false,
                                             checkpoint, prefix, error)
                          : 0;
}

static int attention_load(void **out, const ModelConfig *config, size_t layer, Checkpoint *checkpoint,
                          const char *prefix, Error *error) {
    const AttentionConfig *c = &config->attention;
    Attention *attention = mem_alloc_zero(1, sizeof *attention);
    attention->n_heads = (size_t)c->n_heads;
    attention->n_kv_heads = (size_t)c->n_kv_heads;
    attention->head_dim = (size_t)c->head_dim;
    attention->value_stride = round_up(attention->head_dim, LANES);
    attention->scale = (float)(1.0 / sqrt((double)c->head_dim));
    if (layer >= (size_t)c->window_layers)
        attention->window = (size_t)c->window;
    if (load_projections(attention, config, checkpoint, prefix, error) ||
        load_norms(attention, config, checkpoint, prefix, error)) {
        attention_free(attention);
        return -1;
    }
    *out = attention;
    return 0;
}

static size_t attention_cache_floats(const void *layer) {
    const Attention *attention = layer;
    return attention->n_kv_heads * (attention->head_dim + attention->value_stride);
}

static size_t attention_recurrent_floats(const void *layer) {
    return convolution_window_floats(&((const Attention *)layer)->convolution);
}

static size_t query_width(const Attention *attention) {
    return attention->n_heads * attention->head_dim;
}

/* Of queries, keys and values together. */
static size_t all_width(const Attention *attention) {
    return query_width(attention) + 2 * attention->n_kv_heads * attention->head_dim;
}

static size_t attention_workspace_floats(const void *layer) {
    const Attention *attention = layer;
    return query_width(attention) + all_width(attention) + attention->convolution.channels;
}

typedef struct AttentionRun {
    const Attention *layer;
    const Tile *tile;
    size_t cache;     /* where this layer's part of a block begins */
    float *q, *k, *v; /* a row's lie q_stride, kv_stride and kv_stride from the last row's */
    size_t q_stride, kv_stride;
    float *out; /* [n_rows, n_heads, head_dim] */
} AttentionRun;

static float *keys_of(const AttentionRun *run, const CacheBlock *block, size_t kv_head) {
    return block->data + run->cache + kv_head * run->layer->head_dim * BLOCK_TOKENS;
}

static float *values_of(const AttentionRun *run, const CacheBlock *block, size_t kv_head) {
    const Attention *layer = run->layer;
    return block->data + run->cache +
           (layer->n_kv_heads * layer->head_dim + kv_head * layer->value_stride) * BLOCK_TOKENS;
}

/* A head's query or key: normed where the model does that, then rotated. */
static void prepare_head(const AttentionRun *run, float *head, const float *norm, size_t position) {
    const Cpu *cpu = run->tile->cpu;
    const Rope *rope = run->tile->rope;
    if (norm)
        cpu_rms_norm(cpu, head, head, norm, run->layer->head_dim, run->layer->norm_eps, true);
    cpu_rotate(cpu, head, rope->cosines + position * rope->half, rope->sines + position * rope->half,
               rope->half);
}

/* Prepares a span's queries and keys and puts its keys and values into the cache. */
static void store_span(void *context, size_t i, int thread) {
    (void)thread;
    const AttentionRun *run = context;
    const Attention *layer = run->layer;
    const Span *span = &run->tile->spans[i];
    size_t dim = layer->head_dim;
    for (size_t t = 0; t < span->n_rows; t++) {
        size_t row = span->row + t, position = (size_t)span->position + t, slot = position % BLOCK_TOKENS;
        const CacheBlock *block = span->piece->state->blocks[position / BLOCK_TOKENS];
        for (size_t h = 0; h < layer->n_heads; h++)
            prepare_head(run, run->q + row * run->q_stride + h * dim, layer->q_norm, position);
        for (size_t h = 0; h < layer->n_kv_heads; h++) {
            float *k = run->k + row * run->kv_stride + h * dim;
            const float *v = run->v + row * run->kv_stride + h * dim;
            prepare_head(run, k, layer->k_norm, position);
            float *keys = keys_of(run, block, h) + slot;
            for (size_t d = 0; d < dim; d++)
                keys[d * BLOCK_TOKENS] = k[d];
            float *values = values_of(run, block, h) + slot * layer->value_stride;
            memcpy(values, v, dim * sizeof *v);
            memset(values + dim, 0, (layer->value_stride - dim) * sizeof *v);
        }
    }
}

/* Up to ATTEND_ROWS queries of one sequence and one key/value head. */
typedef struct QueryGroup {
    size_t n;
    const float *q[ATTEND_ROWS];
    float *out[ATTEND_ROWS];
    size_t first_key[ATTEND_ROWS], n_keys[ATTEND_ROWS]; /* ascending; keys [first_key, n_keys) count */
} QueryGroup;

static size_t attend_scratch(const Attention *layer, size_t max_keys) {
    return ATTEND_ROWS * (round_up(max_keys, BLOCK_TOKENS) + layer->value_stride);
}

/* The softmax of scores [before, n), in place; the scores before them become 0. Their sum, which depends on
 * `before` below BLOCK_TOKENS and n - before alone. */
static float softmax_from(const Kernels *kernels, float *scores, size_t before, size_t n) {
    for (size_t j = 0; j < before; j++)
        scores[j] = -INFINITY;
    float total = kernels->attend_softmax(scores, n);
    for (size_t j = 0; j < before; j++)
        scores[j] = 0.0f;
    return total;
}

static void attend_group(const AttentionRun *run, const State *state, size_t kv_head, const QueryGroup *group,
                         float *scratch) {
    const Attention *layer = run->layer;
    const Cpu *cpu = run->tile->cpu;
    const Kernels *kernels = cpu->kernels;
    size_t first = group->first_key[0] / BLOCK_TOKENS,
           end = (group->n_keys[group->n - 1] + BLOCK_TOKENS - 1) / BLOCK_TOKENS;
    size_t stride = (end - first) * BLOCK_TOKENS, counts[ATTEND_ROWS];
    float *scores = scratch, *sums = scores + ATTEND_ROWS * stride, totals[ATTEND_ROWS] = {0};
    for (size_t b = first; b < end; b++)
        kernels->attend_scores(scores + (b - first) * BLOCK_TOKENS, stride, group->q, group->n,
                               keys_of(run, state->blocks[b], kv_head), layer->head_dim, layer->scale);
    for (size_t r = 0; r < group->n; r++) {
        size_t own = group->first_key[r] / BLOCK_TOKENS * BLOCK_TOKENS;
        totals[r] = softmax_from(kernels, scores + r * stride + own - first * BLOCK_TOKENS,
                                 group->first_key[r] - own, group->n_keys[r] - own);
        cpu_round(cpu, scores + r * stride + own - first * BLOCK_TOKENS, group->n_keys[r] - own);
    }
    memset(sums, 0, group->n * layer->value_stride * sizeof *sums);
    for (size_t b = first; b < end; b++) {
        for (size_t r = 0; r < group->n; r++) {
            size_t before = b * BLOCK_TOKENS,
                   left = group->n_keys[r] > before ? group->n_keys[r] - before : 0;
            counts[r] = group->first_key[r] >= before + BLOCK_TOKENS ? 0
                        : left < BLOCK_TOKENS                        ? left
                                                                     : BLOCK_TOKENS;
        }
        kernels->attend_values(sums, layer->value_stride, scores + (b - first) * BLOCK_TOKENS, stride, counts,
                               group->n, values_of(run, state->blocks[b], kv_head), layer->value_stride,
                               layer->value_stride);
    }
    for (size_t r = 0; r < group->n; r++) {
        float share = 1.0f / totals[r];
        for (size_t d = 0; d < layer->head_dim; d++)
            group->out[r][d] = sums[r * layer->value_stride + d] * share;
        cpu_round(cpu, group->out[r], layer->head_dim);
    }
}

/* One span's queries of one key/value head's group of heads. */
static void attend_span(void *context, size_t i, int thread) {
    const AttentionRun *run = context;
    const Attention *layer = run->layer;
    const Span *span = &run->tile->spans[i / layer->n_kv_heads];
    size_t kv_head = i % layer->n_kv_heads, per_kv = layer->n_heads / layer->n_kv_heads;
    QueryGroup group = {0};
    for (size_t t = 0; t < span->n_rows; t++)
        for (size_t h = 0; h < per_kv; h++) {
            size_t row = span->row + t, head = (kv_head * per_kv + h) * layer->head_dim;
            group.q[group.n] = run->q + row * run->q_stride + head;
            group.out[group.n] = run->out + row * query_width(layer) + head;
            size_t n_keys = (size_t)span->position + t + 1;
            group.first_key[group.n] = layer->window && n_keys > layer->window ? n_keys - layer->window : 0;
            group.n_keys[group.n++] = n_keys;
            if (group.n == ATTEND_ROWS || (t + 1 == span->n_rows && h + 1 == per_kv)) {
                attend_group(run, span->piece->state, kv_head, &group, run->tile->cpu->scratch[thread]);
                group.n = 0;
            }
        }
}

/* Queries, keys and values of all rows, in the workspace behind `out`. */
static void project(AttentionRun *run, Place place, const float *x) {
    const Attention *layer = run->layer;
    const Tile *tile = run->tile;
    size_t rows = tile->n_rows, width = query_width(layer), all = all_width(layer), kv = (all - width) / 2;
    float *fused = run->out + rows * width, *convolved = fused + rows * all;
    if (layer->in.weight.rows == 0) {
        size_t d = layer->q.weight.cols;
        run->q = fused;
        run->k = run->q + rows * width;
        run->v = run->k + rows * kv;
        run->q_stride = width;
        run->kv_stride = kv;
        cpu_linear(tile->cpu,
                   (Linear[]){{&layer->q.weight, layer->q.bias, x, run->q, d, width},
                              {&layer->k.weight, layer->k.bias, x, run->k, d, kv},
                              {&layer->v.weight, layer->v.bias, x, run->v, d, kv}},
                   3, rows);
        return;
    }
    cpu_linear(tile->cpu, &(Linear){&layer->in.weight, layer->in.bias, x, fused, layer->in.weight.cols, all},
               1, rows);
    if (layer->convolution.channels)
        convolution_run(&(ConvolutionRun){&layer->convolution, tile, place.recurrent, fused, all, convolved});
    run->q = layer->convolution.channels ? convolved : fused;
    run->k = run->q + width;
    run->v = run->k + kv;
    run->q_stride = run->kv_stride = all;
}

static void attention_forward(const void *opaque, Place place, const Tile *tile, const float *x, float *y) {
    const Attention *layer = opaque;
    size_t rows = tile->n_rows, width = query_width(layer);
    AttentionRun run = {.layer = layer, .tile = tile, .cache = place.cache, .out = tile->workspace};
    project(&run, place, x);
    cpu_parallel(tile->cpu, tile->n_spans, rows * all_width(layer), store_span, &run);
    cpu_reserve(tile->cpu, attend_scratch(layer, tile->max_keys));
    cpu_parallel(tile->cpu, tile->n_spans * layer->n_kv_heads, rows * width * tile->max_keys, attend_span,
                 &run);
    cpu_linear(tile->cpu, &(Linear){&layer->o.weight, layer->o.bias, run.out, y, width, layer->o.weight.rows},
               1, rows);
}

const MixerType mixer_attention = {.kind = MIXER_ATTENTION,
                                   .load = attention_load,
                                   .free = attention_free,
                                   .cache_floats = attention_cache_floats,
                                   .recurrent_floats = attention_recurrent_floats,
                                   .workspace_floats = attention_workspace_floats,
                                   .forward = attention_forward};
