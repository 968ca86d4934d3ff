/* Mamba-2: heads next to each other share x, B and C as attention's heads share keys and values, each in
 * groups of its own size; the convolution runs over x, B and C before heads share them. The distilled hybrids
 * have few groups of x and B, one of C per head, and a gated norm per head; the original has x per head, and
 * B, C and the norm in the same few groups.
 *
 * A sequence's state is the convolution's window, then each head's matrix,
 * [n_heads][state_width][head_stride] with a head's channels fastest, so that the sum over the state runs in
 * one fixed order for all channels at once. The scan is the plain recurrence, token by token. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "runner/layers/convolution.h"

typedef struct Mamba2 {
    LinearLayer in, out;
    Convolution convolution; /* of x, B, C */
    float *dt_bias, *a;      /* [n_heads]; a = -exp(A_log) */
    float *d;                /* [inner] */
    float *norm;             /* [inner] */
    size_t inner, n_heads, head_width, state_width;
    size_t x_groups, b_groups, c_groups, norm_groups;
    size_t head_stride; /* head_width rounded up to LANES */
    size_t in_width;    /* z, x, B, C, dt */
    float norm_eps, dt_min, dt_max;
} Mamba2;

static void mamba2_free(void *layer) {
    Mamba2 *mamba = layer;
    linear_free(&mamba->in);
    linear_free(&mamba->out);
    convolution_free(&mamba->convolution);
    free(mamba->dt_bias);
    free(mamba->a);
    free(mamba->d);
    free(mamba->norm);
    free(mamba);
}

/* The skip, [n_heads] in most files and [n_heads * head_width] in some. */
static int load_skip(Mamba2 *mamba, Checkpoint *checkpoint, const char *prefix, Error *error) {
    char name[256];
    float *stored;
    tensor_name(name, prefix, "D");
    const Tensor *tensor = checkpoint_find(checkpoint, name);
    if (tensor && tensor->n_dims == 1 && tensor->shape[0] == (int64_t)mamba->inner)
        return checkpoint_vector(checkpoint, name, (int64_t)mamba->inner, &mamba->d, error);
    if (checkpoint_vector(checkpoint, name, (int64_t)mamba->n_heads, &stored, error))
        return -1;
    mamba->d = mem_alloc(mamba->inner * sizeof *mamba->d);
    for (size_t c = 0; c < mamba->inner; c++)
        mamba->d[c] = stored[c / mamba->head_width];
    free(stored);
    return 0;
}

static int load_tensors(Mamba2 *mamba, const ModelConfig *config, size_t channels, Checkpoint *checkpoint,
                        const char *prefix, Error *error) {
    char name[256];
    int64_t heads = (int64_t)mamba->n_heads, inner = (int64_t)mamba->inner, hidden = config->hidden_size;
    if (linear_load(&mamba->in, config, checkpoint, prefix, "in_proj", (int64_t)mamba->in_width, hidden,
                    false, error) ||
        convolution_load(&mamba->convolution, config, channels, true, checkpoint, prefix, error) ||
        checkpoint_vector(checkpoint, tensor_name(name, prefix, "dt_bias"), heads, &mamba->dt_bias, error) ||
        checkpoint_vector(checkpoint, tensor_name(name, prefix, "A_log"), heads, &mamba->a, error) ||
        load_skip(mamba, checkpoint, prefix, error) ||
        vector_load(&mamba->norm, config, checkpoint, tensor_name(name, prefix, "norm.weight"), inner,
                    error) ||
        linear_load(&mamba->out, config, checkpoint, prefix, "out_proj", hidden, inner, false, error))
        return -1;
    for (size_t h = 0; h < mamba->n_heads; h++)
        mamba->a[h] = -expf(mamba->a[h]);
    return 0;
}

static int mamba2_load(void **out, const ModelConfig *config, size_t layer, Checkpoint *checkpoint,
                       const char *prefix, Error *error) {
    (void)layer;
    const Mamba2Config *c = &config->mamba2;
    Mamba2 *mamba = mem_alloc_zero(1, sizeof *mamba);
    mamba->n_heads = (size_t)c->n_heads;
    mamba->head_width = (size_t)c->head_width;
    mamba->state_width = (size_t)c->state_width;
    mamba->x_groups = (size_t)c->x_groups;
    mamba->b_groups = (size_t)c->b_groups;
    mamba->c_groups = (size_t)c->c_groups;
    mamba->norm_groups = (size_t)c->norm_groups;
    mamba->inner = mamba->n_heads * mamba->head_width;
    mamba->head_stride = round_up(mamba->head_width, LANES);
    mamba->norm_eps = (float)c->norm_eps;
    mamba->dt_min = (float)c->dt_min;
    mamba->dt_max = (float)c->dt_max;
    size_t channels =
        mamba->x_groups * mamba->head_width + (mamba->b_groups + mamba->c_groups) * mamba->state_width;
    mamba->in_width = mamba->inner + channels + mamba->n_heads;
    if (load_tensors(mamba, config, channels, checkpoint, prefix, error)) {
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
    return convolution_window_floats(&mamba->convolution) +
           mamba->n_heads * mamba->state_width * mamba->head_stride;
}

static size_t mamba2_workspace_floats(const void *layer) {
    const Mamba2 *mamba = layer;
    return mamba->in_width + mamba->convolution.channels + mamba->inner + mamba->n_heads;
}

typedef struct Mamba2Run {
    const Mamba2 *layer;
    const Tile *tile;
    ConvolutionRun convolution;
    size_t matrices; /* where the matrices begin in the layer's recurrent memory */
    float *in;       /* [n_rows, in_width]: z, x, B, C, dt */
    float *conv;     /* [n_rows, channels]: x, B, C after the convolution */
    float *y;        /* [n_rows, inner] */
    float *decay;    /* [n_rows, n_heads] */
} Mamba2Run;

/* The convolution, and what the projection says of dt becomes the step and the decay. */
static void prepare_span(void *context, size_t i, int thread) {
    (void)thread;
    const Mamba2Run *run = context;
    const Mamba2 *mamba = run->layer;
    const Span *span = &run->tile->spans[i];
    size_t heads = mamba->n_heads;
    convolution_span(&run->convolution, span);
    for (size_t row = span->row; row < span->row + span->n_rows; row++) {
        float *dt = run->in + (row + 1) * mamba->in_width - heads, *decay = run->decay + row * heads;
        run->tile->cpu->kernels->softplus(dt, mamba->dt_bias, heads);
        for (size_t h = 0; h < heads; h++) {
            dt[h] = dt[h] < mamba->dt_min ? mamba->dt_min : dt[h] > mamba->dt_max ? mamba->dt_max : dt[h];
            decay[h] = expf(dt[h] * mamba->a[h]);
        }
    }
}

/* The gate, then the norm, over channels [first, first + width) of one row; z is used up. */
static void gate_row(const Mamba2Run *run, size_t row, size_t first, size_t width) {
    const Mamba2 *mamba = run->layer;
    const Cpu *cpu = run->tile->cpu;
    float *z = run->in + row * mamba->in_width + first, *y = run->y + row * mamba->inner + first;
    cpu->kernels->silu_multiply(z, y, width);
    cpu_rms_norm(cpu, y, z, mamba->norm + first, width, mamba->norm_eps, false);
}

/* Some rows of one head, while they are in the cache: the recurrence and the skip, and where every head has a
 * norm of its own, the gate and the norm. */
static void scan_rows(const Mamba2Run *run, float *state, size_t head, size_t row, size_t n_rows) {
    const Mamba2 *mamba = run->layer;
    const Cpu *cpu = run->tile->cpu;
    size_t heads = mamba->n_heads, width = mamba->head_width, first = head * width;
    const float *x = run->conv + row * mamba->convolution.channels, *b = x + mamba->x_groups * width,
                *c = b + mamba->b_groups * mamba->state_width;
    HeadScan scan = {.state = state,
                     .x = x + head * mamba->x_groups / heads * width,
                     .b = b + head * mamba->b_groups / heads * mamba->state_width,
                     .c = c + head * mamba->c_groups / heads * mamba->state_width,
                     .dt = run->in + (row + 1) * mamba->in_width - heads + head,
                     .decay = run->decay + row * heads + head,
                     .skip = mamba->d + first,
                     .y = run->y + row * mamba->inner + first,
                     .conv_stride = mamba->convolution.channels,
                     .dt_stride = mamba->in_width,
                     .decay_stride = heads,
                     .y_stride = mamba->inner,
                     .width = width,
                     .state_width = mamba->state_width,
                     .n_rows = n_rows};
    cpu->kernels->scan_head(&scan);
    for (size_t r = row; r < row + n_rows; r++) {
        cpu_round(cpu, run->y + r * mamba->inner + first, width);
        if (mamba->norm_groups == heads)
            gate_row(run, r, first, width);
    }
}

static void scan_head(void *context, size_t i, int thread) {
    (void)thread;
    const Mamba2Run *run = context;
    const Mamba2 *mamba = run->layer;
    const Piece *piece = &run->tile->pieces[i / mamba->n_heads];
    size_t head = i % mamba->n_heads, end = piece->row + piece->n_rows;
    float *state = recurrent_layer(piece->state, run->convolution.window) + run->matrices +
                   head * mamba->state_width * mamba->head_stride;
    if (head == 0)
        convolution_shift(&run->convolution, piece);
    for (size_t row = piece->row; row < end; row += SPAN_ROWS)
        scan_rows(run, state, head, row, end - row < SPAN_ROWS ? end - row : SPAN_ROWS);
}

static void gate_span(void *context, size_t i, int thread) {
    (void)thread;
    const Mamba2Run *run = context;
    const Span *span = &run->tile->spans[i];
    size_t width = run->layer->inner / run->layer->norm_groups;
    for (size_t row = span->row; row < span->row + span->n_rows; row++)
        for (size_t first = 0; first < run->layer->inner; first += width)
            gate_row(run, row, first, width);
}

static void mamba2_forward(const void *opaque, Place place, const Tile *tile, const float *x, float *y) {
    const Mamba2 *mamba = opaque;
    size_t rows = tile->n_rows, d = mamba->in.weight.cols, channels = mamba->convolution.channels;
    Mamba2Run run = {.layer = mamba, .tile = tile, .in = tile->workspace};
    run.matrices = convolution_window_floats(&mamba->convolution);
    run.conv = run.in + rows * mamba->in_width;
    run.y = run.conv + rows * channels;
    run.decay = run.y + rows * mamba->inner;
    run.convolution = (ConvolutionRun){&mamba->convolution, tile,    place.recurrent, run.in + mamba->inner,
                                       mamba->in_width,     run.conv};
    cpu_linear(tile->cpu, &(Linear){&mamba->in.weight, NULL, x, run.in, d, mamba->in_width}, 1, rows);
    EnginePhase before = profile_enter(&tile->cpu->profile, PHASE_CONVOLUTION);
    cpu_parallel(tile->cpu, tile->n_spans, rows * channels * 8, prepare_span, &run);
    profile_enter(&tile->cpu->profile, before);
    cpu_parallel(tile->cpu, tile->n_pieces * mamba->n_heads, rows * mamba->inner * mamba->state_width,
                 scan_head, &run);
    if (mamba->norm_groups != mamba->n_heads)
        cpu_parallel(tile->cpu, tile->n_spans, rows * mamba->inner * 16, gate_span, &run);
    rows_of_outputs(tile, run.y, run.y, mamba->inner, mamba->inner);
    cpu_linear(tile->cpu, &(Linear){&mamba->out.weight, NULL, run.y, y, mamba->inner, d}, 1, tile->n_outputs);
}

const MixerType mixer_mamba2 = {.kind = MIXER_MAMBA2,
                                .load = mamba2_load,
                                .free = mamba2_free,
                                .cache_floats = mamba2_cache_floats,
                                .recurrent_floats = mamba2_recurrent_floats,
                                .workspace_floats = mamba2_workspace_floats,
                                .forward = mamba2_forward};
