/* Mamba-2 as the distilled hybrids have it: x and B are shared by groups of heads as keys and values are, C
 * and the gated norm are per head, the convolution runs over x, B and C before heads share them.
 *
 * A sequence's state is the last CONV_TAPS - 1 inputs of the convolution, oldest first, [CONV_TAPS -
 * 1][channels], then each head's matrix, [n_heads][state_width][head_stride] with a head's channels fastest,
 * so that the sum over the state runs in one fixed order for all channels at once. The scan is the plain
 * recurrence, token by token. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "runner/layers/layer.h"

enum { CONV_TAPS = 4 };
static const float gated_norm_eps = 1e-5f; /* fixed in the reference, no key for it */

typedef struct Mamba2 {
    LinearLayer in, out;
    float *taps;                          /* [CONV_TAPS][channels], the last tap is the current token's */
    float *conv_bias;                     /* [channels] */
    float *dt_bias, *a, *d;               /* [n_heads]; a = -exp(A_log) */
    float *norm;                          /* [inner] */
    size_t inner, shared, n_heads, width; /* width: of a head and of its state */
    size_t channels;                      /* of the convolution: inner + 2 shared */
    size_t head_stride;                   /* width rounded up to LANES */
    size_t in_width;                      /* z, x, B, C, dt */
} Mamba2;

static void mamba2_free(void *layer) {
    Mamba2 *mamba = layer;
    linear_free(&mamba->in);
    linear_free(&mamba->out);
    free(mamba->taps);
    free(mamba->conv_bias);
    free(mamba->dt_bias);
    free(mamba->a);
    free(mamba->d);
    free(mamba->norm);
    free(mamba);
}

/* [channels, 1, taps] in the file; one row per tap here. */
static int load_taps(Mamba2 *mamba, Checkpoint *checkpoint, const char *prefix, Error *error) {
    char name[256];
    float *stored;
    int64_t channels = (int64_t)mamba->channels;
    if (checkpoint_floats(checkpoint, tensor_name(name, prefix, "conv1d.weight"),
                          (const int64_t[]){channels, 1, CONV_TAPS}, 3, &stored, error))
        return -1;
    mamba->taps = mem_alloc(CONV_TAPS * mamba->channels * sizeof(float));
    for (size_t c = 0; c < mamba->channels; c++)
        for (size_t j = 0; j < CONV_TAPS; j++)
            mamba->taps[j * mamba->channels + c] = stored[c * CONV_TAPS + j];
    free(stored);
    return checkpoint_vector(checkpoint, tensor_name(name, prefix, "conv1d.bias"), channels,
                             &mamba->conv_bias, error);
}

static int load_tensors(Mamba2 *mamba, int64_t hidden, Checkpoint *checkpoint, const char *prefix,
                        Error *error) {
    char name[256];
    int64_t heads = (int64_t)mamba->n_heads, inner = (int64_t)mamba->inner;
    if (linear_load(&mamba->in, checkpoint, prefix, "in_proj", (int64_t)mamba->in_width, hidden, false,
                    error) ||
        load_taps(mamba, checkpoint, prefix, error) ||
        checkpoint_vector(checkpoint, tensor_name(name, prefix, "dt_bias"), heads, &mamba->dt_bias, error) ||
        checkpoint_vector(checkpoint, tensor_name(name, prefix, "A_log"), heads, &mamba->a, error) ||
        checkpoint_vector(checkpoint, tensor_name(name, prefix, "D"), heads, &mamba->d, error) ||
        checkpoint_vector(checkpoint, tensor_name(name, prefix, "norm.weight"), inner, &mamba->norm, error) ||
        linear_load(&mamba->out, checkpoint, prefix, "out_proj", hidden, inner, false, error))
        return -1;
    for (size_t h = 0; h < mamba->n_heads; h++)
        mamba->a[h] = -expf(mamba->a[h]);
    return 0;
}

static int mamba2_load(void **out, const ModelConfig *config, Checkpoint *checkpoint, const char *prefix,
                       Error *error) {
    const Mamba2Config *c = &config->mamba2;
    Mamba2 *mamba = mem_alloc_zero(1, sizeof *mamba);
    mamba->inner = (size_t)c->inner;
    mamba->shared = (size_t)c->shared;
    mamba->n_heads = (size_t)c->n_heads;
    mamba->width = (size_t)c->head_width;
    mamba->channels = mamba->inner + 2 * mamba->shared;
    mamba->head_stride = round_up(mamba->width, LANES);
    mamba->in_width = mamba->inner + mamba->channels + mamba->n_heads;
    if (load_tensors(mamba, config->hidden_size, checkpoint, prefix, error)) {
        mamba2_free(mamba);
        return -1;
    }
    *out = mamba;
    return 0;
}

static size_t mamba2_cache_floats(const void *layer) {
    (void)layer;
    return 0;
}

static size_t mamba2_recurrent_floats(const void *layer) {
    const Mamba2 *mamba = layer;
    return (CONV_TAPS - 1) * mamba->channels + mamba->n_heads * mamba->width * mamba->head_stride;
}

static size_t mamba2_workspace_floats(const void *layer) {
    const Mamba2 *mamba = layer;
    return mamba->in_width + mamba->channels + mamba->inner;
}

typedef struct Mamba2Run {
    const Mamba2 *layer;
    const Tile *tile;
    size_t recurrent; /* where this layer's part of a state begins */
    float *in;        /* [n_rows, in_width]: z, x, B, C, dt */
    float *conv;      /* [n_rows, channels]: x, B, C after the convolution */
    float *y;         /* [n_rows, inner] */
} Mamba2Run;

/* The convolution's input at `offset` tokens from the piece's first one; negative offsets are in the window.
 */
static const float *conv_input(const Mamba2Run *run, const Piece *piece, int64_t offset) {
    const Mamba2 *mamba = run->layer;
    if (offset < 0)
        return piece->state->recurrent + run->recurrent + (size_t)(CONV_TAPS - 1 + offset) * mamba->channels;
    return run->in + (piece->row + (size_t)offset) * mamba->in_width + mamba->inner;
}

static void convolve_span(void *context, size_t i, int thread) {
    (void)thread;
    const Mamba2Run *run = context;
    const Mamba2 *mamba = run->layer;
    const Span *span = &run->tile->spans[i];
    const Kernels *kernels = run->tile->cpu->kernels;
    for (size_t row = span->row; row < span->row + span->n_rows; row++) {
        float *out = run->conv + row * mamba->channels;
        int64_t offset = (int64_t)(row - span->piece->row);
        memcpy(out, mamba->conv_bias, mamba->channels * sizeof *out);
        for (int64_t j = 0; j < CONV_TAPS; j++)
            kernels->multiply_add(out, mamba->taps + (size_t)j * mamba->channels,
                                  conv_input(run, span->piece, offset - (CONV_TAPS - 1) + j),
                                  mamba->channels);
        kernels->silu(out, mamba->channels);
    }
}

/* Keeps the last inputs of the convolution for the tokens to come. */
static void shift_window(void *context, size_t i, int thread) {
    (void)thread;
    const Mamba2Run *run = context;
    const Piece *piece = &run->tile->pieces[i];
    size_t channels = run->layer->channels;
    float *window = piece->state->recurrent + run->recurrent;
    for (int64_t j = 0; j < CONV_TAPS - 1; j++)
        memmove(window + (size_t)j * channels,
                conv_input(run, piece, (int64_t)piece->n_rows - (CONV_TAPS - 1) + j),
                channels * sizeof *window);
}

static float softplus(float x) {
    return x > 20.0f ? x : log1pf(expf(x));
}

/* One token of one head: the recurrence, the skip, the gate, the norm. `scratch` holds 3 head_strides. */
static void scan_token(const Mamba2Run *run, float *state, size_t head, size_t row, float *scratch) {
    const Mamba2 *mamba = run->layer;
    const Kernels *kernels = run->tile->cpu->kernels;
    const float *in = run->in + row * mamba->in_width, *conv = run->conv + row * mamba->channels;
    size_t group = head / (mamba->inner / mamba->shared), width = mamba->width;
    const float *x = conv + group * width, *b = conv + mamba->shared + group * width,
                *c = conv + 2 * mamba->shared + head * width;
    float dt = softplus(in[mamba->inner + mamba->channels + head] + mamba->dt_bias[head]);
    float decay = expf(dt * mamba->a[head]);
    float *input = scratch, *y = scratch + mamba->head_stride, *gate = y + mamba->head_stride;
    memset(scratch, 0, 2 * mamba->head_stride * sizeof *scratch);
    for (size_t p = 0; p < width; p++)
        input[p] = dt * x[p];
    kernels->scan_step(state, y, input, b, c, decay, width, mamba->head_stride);
    for (size_t p = 0; p < width; p++)
        y[p] += mamba->d[head] * x[p];
    memcpy(gate, in + head * width, width * sizeof *gate);
    kernels->silu_multiply(gate, y, width);
    kernels->rms_norm(run->y + row * mamba->inner + head * width, gate, mamba->norm + head * width, width,
                      gated_norm_eps);
}

static void scan_head(void *context, size_t i, int thread) {
    const Mamba2Run *run = context;
    const Mamba2 *mamba = run->layer;
    const Piece *piece = &run->tile->pieces[i / mamba->n_heads];
    size_t head = i % mamba->n_heads;
    float *state = piece->state->recurrent + run->recurrent + (CONV_TAPS - 1) * mamba->channels +
                   head * mamba->width * mamba->head_stride;
    for (size_t row = piece->row; row < piece->row + piece->n_rows; row++)
        scan_token(run, state, head, row, run->tile->cpu->scratch[thread]);
}

static void mamba2_forward(const void *opaque, Place place, const Tile *tile, const float *x, float *y) {
    const Mamba2 *mamba = opaque;
    size_t rows = tile->n_rows, d = mamba->in.weight.cols;
    Mamba2Run run = {.layer = mamba, .tile = tile, .recurrent = place.recurrent, .in = tile->workspace};
    run.conv = run.in + rows * mamba->in_width;
    run.y = run.conv + rows * mamba->channels;
    cpu_linear(tile->cpu, &(Linear){&mamba->in.weight, NULL, x, run.in, d, mamba->in_width}, 1, rows);
    cpu_parallel(tile->cpu, tile->n_spans, rows * mamba->channels * 8, convolve_span, &run);
    cpu_parallel(tile->cpu, tile->n_pieces, tile->n_pieces * mamba->channels, shift_window, &run);
    cpu_reserve(tile->cpu, 3 * mamba->head_stride);
    cpu_parallel(tile->cpu, tile->n_pieces * mamba->n_heads, rows * mamba->inner * mamba->width, scan_head,
                 &run);
    cpu_linear(tile->cpu, &(Linear){&mamba->out.weight, NULL, run.y, y, mamba->inner, d}, 1, rows);
}

const MixerType mixer_mamba2 = {.kind = MIXER_MAMBA2,
                                .load = mamba2_load,
                                .free = mamba2_free,
                                .cache_floats = mamba2_cache_floats,
                                .recurrent_floats = mamba2_recurrent_floats,
                                .workspace_floats = mamba2_workspace_floats,
                                .forward = mamba2_forward};
