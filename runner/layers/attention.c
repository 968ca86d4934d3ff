/* Causal attention with grouped heads (MHA, GQA, MQA), half-split rotary embedding on the head's first
 * channels or all of them, a sliding window where the layer has one. The state-spaces library keeps the three
 * projections in one matrix and convolves what comes out of it as a Mamba layer does its inputs.
 *
 * A cache block holds, per key/value head, the keys, [BLOCK_TOKENS][words of head_dim], and behind all heads'
 * keys the values, [head_dim][words of BLOCK_TOKENS]: both as a linear layer has its weights. A word is a
 * float, or the bfloat16 of two channels of a key, of two tokens of a value. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "runner/layers/attend.h"
#include "runner/layers/convolution.h"

typedef struct Attention {
    LinearLayer q, k, v, o;
    LinearLayer in;          /* in place of q, k and v: their rows one after the other */
    Convolution convolution; /* of all of `in`'s outputs; no channels: none */
    float *q_norm, *k_norm;  /* [head_dim], or NULL */
    float norm_eps;
    size_t window; /* keys that a query sees, 0: all */
    size_t n_heads, n_kv_heads, head_dim;
    size_t key_words; /* that hold head_dim numbers */
    Dtype dtype;      /* of the cache */
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
    attention->dtype = config->dtype;
    attention->key_words = round_up(attention->head_dim, per_word(config->dtype)) / per_word(config->dtype);
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

/* Of one head in a block. */
static size_t value_words(const Attention *layer) {
    return layer->head_dim * (BLOCK_TOKENS / per_word(layer->dtype));
}

static size_t attention_cache_floats(const void *layer) {
    const Attention *attention = layer;
    return attention->n_kv_heads * (attention->key_words * BLOCK_TOKENS + value_words(attention)) /
           BLOCK_TOKENS;
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
    float *q, *k, *v; /* an output's lie q_stride, a row's kv_stride and kv_stride from the last one's */
    size_t q_stride, kv_stride;
    float *out; /* [n_outputs, n_heads, head_dim] */
} AttentionRun;

static float *keys_of(const AttentionRun *run, const CacheBlock *block, size_t kv_head) {
    return block_layer(block, run->cache) + kv_head * run->layer->key_words * BLOCK_TOKENS;
}

static float *values_of(const AttentionRun *run, const CacheBlock *block, size_t kv_head) {
    const Attention *layer = run->layer;
    return block_layer(block, run->cache) + layer->n_kv_heads * layer->key_words * BLOCK_TOKENS +
           kv_head * value_words(layer);
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

/* A token's value to its slot among each channel's tokens. */
static void put_value(const AttentionRun *run, float *values, size_t slot, const float *v) {
    enum { AT_ONCE = 64 };
    const Attention *layer = run->layer;
    size_t bytes = dtype_bytes(layer->dtype);
    for (size_t first = 0; first < layer->head_dim; first += AT_ONCE) {
        uint32_t some[AT_ONCE];
        size_t rest = layer->head_dim - first, n = rest < AT_ONCE ? rest : AT_ONCE;
        uint8_t *to = (uint8_t *)values + (first * BLOCK_TOKENS + slot) * bytes;
        cache_put_row(run->tile->cpu, some, layer->dtype, v + first, n);
        for (size_t i = 0; bytes == 2 && i < n; i++)
            memcpy(to + i * BLOCK_TOKENS * 2, (uint8_t *)some + i * 2, 2);
        for (size_t i = 0; bytes == 4 && i < n; i++)
            memcpy(to + i * BLOCK_TOKENS * 4, some + i, 4);
    }
}

/* Prepares the queries of a span's outputs and its keys, and puts its keys and values into the cache. */
static void store_span(void *context, size_t index, int thread) {
    (void)thread;
    const AttentionRun *run = context;
    const Attention *layer = run->layer;
    const Span *span = &run->tile->spans[index];
    size_t dim = layer->head_dim;
    for (size_t i = span->first_output; i < span->first_output + span->n_outputs; i++)
        for (size_t h = 0; h < layer->n_heads; h++)
            prepare_head(run, run->q + i * run->q_stride + h * dim, layer->q_norm,
                         output_position(run->tile, span, i));
    for (size_t t = 0; t < span->n_rows; t++) {
        size_t row = span->row + t, position = (size_t)span->position + t, slot = position % BLOCK_TOKENS;
        const CacheBlock *block = span->piece->state->blocks[position / BLOCK_TOKENS];
        for (size_t h = 0; h < layer->n_kv_heads; h++) {
            float *k = run->k + row * run->kv_stride + h * dim;
            const float *v = run->v + row * run->kv_stride + h * dim;
            prepare_head(run, k, layer->k_norm, position);
            float *key = keys_of(run, block, h) + slot * layer->key_words;
            cache_put_row(run->tile->cpu, key, layer->dtype, k, dim);
            put_value(run, values_of(run, block, h), slot, v);
            if (dim < layer->key_words * per_word(layer->dtype))
                cache_put(key, layer->dtype, dim, 0.0f);
        }
    }
}

/* ---- a task's keys and values */

typedef struct HeadCache {
    const AttentionRun *run;
    const State *state;
    size_t kv_head;
} HeadCache;

/* A block's values beside those of the tile's other blocks; zeros for tokens from `count` on. */
static void put_values(const Attention *layer, const float *block, size_t count, float *values) {
    size_t n = per_word(layer->dtype), bytes = dtype_bytes(layer->dtype);
    for (size_t d = 0; n == 2 && d < layer->head_dim; d++) /* sizes that are known are copied in place */
        memcpy(values + d * (ATTEND_KEYS / 2), block + d * (BLOCK_TOKENS / 2), BLOCK_TOKENS * 2);
    for (size_t d = 0; n == 1 && d < layer->head_dim; d++)
        memcpy(values + d * ATTEND_KEYS, block + d * BLOCK_TOKENS, BLOCK_TOKENS * 4);
    for (size_t d = 0; count < BLOCK_TOKENS && d < layer->head_dim; d++)
        memset((uint8_t *)(values + d * (ATTEND_KEYS / n)) + count * bytes, 0,
               (BLOCK_TOKENS - count) * bytes);
}

static void ask_for(const float *from, size_t n) {
    enum { LINE_FLOATS = 64 / sizeof(float) };
    for (size_t i = 0; i < n; i += LINE_FLOATS)
        __builtin_prefetch(from + i, 0, 3);
}

/* A head's part of a block is too short for processors to see what comes next. */
static void ask_for_keys(const HeadCache *head, size_t first_key, size_t end) {
    const Attention *layer = head->run->layer;
    for (size_t key = first_key; key < end; key += BLOCK_TOKENS) {
        const CacheBlock *block = head->state->blocks[key / BLOCK_TOKENS];
        ask_for(keys_of(head->run, block, head->kv_head), layer->key_words * BLOCK_TOKENS);
        ask_for(values_of(head->run, block, head->kv_head), value_words(layer));
    }
}

static void gather_head(const void *source, size_t first_key, size_t n, KeyTile *tile, float *words) {
    const HeadCache *head = source;
    const Attention *layer = head->run->layer;
    size_t next = first_key + ATTEND_KEYS, last = head->state->n_blocks * BLOCK_TOKENS;
    (void)words;
    ask_for_keys(head, next, last < next + ATTEND_KEYS ? last : next + ATTEND_KEYS);
    tile->key_bytes = layer->key_words * sizeof(float);
    for (size_t t = 0; t < n; t += BLOCK_TOKENS) {
        const CacheBlock *block = head->state->blocks[(first_key + t) / BLOCK_TOKENS];
        tile->keys[t / BLOCK_TOKENS] = (const uint8_t *)keys_of(head->run, block, head->kv_head);
        put_values(layer, values_of(head->run, block, head->kv_head),
                   n - t < BLOCK_TOKENS ? n - t : BLOCK_TOKENS, tile->values + t / per_word(layer->dtype));
    }
}

/* The queries of a span's outputs, of one key/value head's group of heads. */
static void attend_span(void *context, size_t index, int thread) {
    const AttentionRun *run = context;
    const Attention *layer = run->layer;
    const Span *span = &run->tile->spans[index / layer->n_kv_heads];
    size_t kv_head = index % layer->n_kv_heads, per_kv = layer->n_heads / layer->n_kv_heads;
    HeadCache head_cache = {run, span->piece->state, kv_head};
    Attend attend = {run->tile->cpu, layer->dtype, layer->head_dim, layer->head_dim,
                     layer->scale,   gather_head,  &head_cache};
    QueryRows rows = {.n = 0};
    size_t end = span->first_output + span->n_outputs;
    for (size_t i = span->first_output; i < end; i++)
        for (size_t h = 0; h < per_kv; h++) {
            size_t head = (kv_head * per_kv + h) * layer->head_dim;
            rows.q[rows.n] = run->q + i * run->q_stride + head;
            rows.out[rows.n] = run->out + i * query_width(layer) + head;
            size_t n_keys = output_position(run->tile, span, i) + 1;
            rows.first_key[rows.n] = layer->window && n_keys > layer->window ? n_keys - layer->window : 0;
            rows.n_keys[rows.n++] = n_keys;
            if (rows.n == ATTEND_ROWS || (i + 1 == end && h + 1 == per_kv)) {
                attend_rows(&attend, &rows, run->tile->cpu->scratch[thread]);
                rows.n = 0;
            }
        }
}

/* Operations of the products of queries and keys, of weights and values, `width` numbers each, over the keys
 * that count for the tile's outputs without a window. */
static double products_of(const Tile *tile, double width) {
    double keys = 0;
    for (const Span *span = tile->spans; span < tile->spans + tile->n_spans; span++)
        for (size_t i = span->first_output; i < span->first_output + span->n_outputs; i++)
            keys += (double)(output_position(tile, span, i) + 1);
    return 4 * width * keys;
}

/* Keys and values of all rows and queries of the outputs, in the workspace behind `out`. `inputs` is memory
 * for the outputs' inputs. */
static void project(AttentionRun *run, Place place, const float *x, float *inputs) {
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
        bool all_wanted = tile->n_outputs == rows;
        if (!all_wanted)
            rows_of_outputs(tile, inputs, x, d, d);
        Linear jobs[] = {{&layer->k.weight, layer->k.bias, x, run->k, d, kv},
                         {&layer->v.weight, layer->v.bias, x, run->v, d, kv},
                         {&layer->q.weight, layer->q.bias, all_wanted ? x : inputs, run->q, d, width}};
        cpu_linear(tile->cpu, jobs, all_wanted ? 3 : 2, rows);
        if (!all_wanted)
            cpu_linear(tile->cpu, jobs + 2, 1, tile->n_outputs);
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
    if (tile->n_outputs < rows)
        rows_of_outputs(tile, run->q, run->q, all, width);
}

static void attention_forward(const void *opaque, Place place, const Tile *tile, const float *x, float *y) {
    const Attention *layer = opaque;
    size_t rows = tile->n_rows, outputs = tile->n_outputs, width = query_width(layer);
    AttentionRun run = {.layer = layer, .tile = tile, .cache = place.cache, .out = tile->workspace};
    project(&run, place, x, y);
    cpu_parallel(tile->cpu, tile->n_spans, rows * all_width(layer), store_span, &run);
    cpu_reserve(tile->cpu, attend_scratch(layer->head_dim, layer->head_dim));
    profile_count(&tile->cpu->profile, PHASE_ATTENTION, products_of(tile, (double)width));
    cpu_parallel(tile->cpu, tile->n_spans * layer->n_kv_heads, outputs * width * tile->max_keys, attend_span,
                 &run);
    cpu_linear(tile->cpu, &(Linear){&layer->o.weight, layer->o.bias, run.out, y, width, layer->o.weight.rows},
               1, outputs);
}

const MixerType mixer_attention = {.kind = MIXER_ATTENTION,
                                   .load = attention_load,
                                   .free = attention_free,
                                   .cache_floats = attention_cache_floats,
                                   .recurrent_floats = attention_recurrent_floats,
                                   .workspace_floats = attention_workspace_floats,
                                   .forward = attention_forward};
