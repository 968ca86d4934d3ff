/* Llamba's discrete Mamba-2: no step size, the decay comes straight from the input; the convolution has no
 * activation, the gate a bias of its own, and there is no norm.
 *
 * The reference divides x by softplus(a) and its scan multiplies it back; that is the same as not doing
 * either, but for inputs where both are 0. A sequence's state is the convolution's window, then each head's
 * matrix, [n_heads][state_width][head_stride] with a head's channels fastest. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "runner/layers/convolution.h"

typedef struct Llamba {
    LinearLayer in, out;
    Convolution convolution; /* of x, B, C */
    float *z_bias;           /* [inner], or NULL */
    float *d;                /* [n_heads] */
    size_t inner, n_heads, n_groups, head_width, state_width;
    size_t head_stride; /* head_width rounded up to LANES */
    size_t in_width;    /* x, B, C, z, a */
} Llamba;

static void llamba_free(void *layer) {
    Llamba *llamba = layer;
    linear_free(&llamba->in);
    linear_free(&llamba->out);
    convolution_free(&llamba->convolution);
    free(llamba->z_bias);
    free(llamba->d);
    free(llamba);
}

static int llamba_load(void **out, const ModelConfig *config, size_t layer, Checkpoint *checkpoint,
                       const char *prefix, Error *error) {
    (void)layer;
    const LlambaConfig *c = &config->llamba;
    char name[256];
    Llamba *llamba = mem_alloc_zero(1, sizeof *llamba);
    llamba->n_heads = (size_t)c->n_heads;
    llamba->n_groups = (size_t)c->n_groups;
    llamba->head_width = (size_t)c->head_width;
    llamba->state_width = (size_t)c->state_width;
    llamba->inner = llamba->n_heads * llamba->head_width;
    llamba->head_stride = round_up(llamba->head_width, LANES);
    size_t channels = llamba->inner + 2 * llamba->n_groups * llamba->state_width;
    llamba->in_width = channels + llamba->inner + llamba->n_heads;
    int64_t inner = (int64_t)llamba->inner;
    if (linear_load(&llamba->in, config, checkpoint, prefix, "in_proj", (int64_t)llamba->in_width,
                    config->hidden_size, c->bias, error) ||
        convolution_load(&llamba->convolution, config, channels, false, checkpoint, prefix, error) ||
        (!c->bias && vector_load(&llamba->z_bias, config, checkpoint, tensor_name(name, prefix, "z_bias"),
                                 inner, error)) ||
        checkpoint_vector(checkpoint, tensor_name(name, prefix, "D"), c->n_heads, &llamba->d, error) ||
        linear_load(&llamba->out, config, checkpoint, prefix, "out_proj", config->hidden_size, inner, c->bias,
                    error)) {
        llamba_free(llamba);
        return -1;
    }
    *out = llamba;
    return 0;
}

static size_t llamba_cache_floats(const void *layer) {
    (void)layer;
    return 0;
}

static size_t llamba_recurrent_floats(const void *layer) {
    const Llamba *llamba = layer;
    return convolution_window_floats(&llamba->convolution) +
           llamba->n_heads * llamba->state_width * llamba->head_stride;
}

static size_t llamba_workspace_floats(const void *layer) {
    const Llamba *llamba = layer;
    return llamba->in_width + llamba->convolution.channels + llamba->inner;
}

typedef struct LlambaRun {
    const Llamba *layer;
    const Tile *tile;
    size_t matrices; /* where this layer's matrices begin in a state's recurrent memory */
    float *in;       /* [n_rows, in_width]: x, B, C, z, a */
    float *conv;     /* [n_rows, channels]: x, B, C after the convolution */
    float *y;        /* [n_rows, inner] */
} LlambaRun;

/* One token of one head: the recurrence and the skip. `scratch` holds 2 head_strides. */
static void scan_token(const LlambaRun *run, float *state, size_t head, size_t row, float *scratch) {
    const Llamba *llamba = run->layer;
    const float *in = run->in + row * llamba->in_width;
    const float *x = run->conv + row * llamba->convolution.channels + head * llamba->head_width;
    size_t width = llamba->head_width, group = head * llamba->n_groups / llamba->n_heads;
    const float *b = run->conv + row * llamba->convolution.channels + llamba->inner +
                     group * llamba->state_width,
                *c = b + llamba->n_groups * llamba->state_width;
    float decay = 1.0f / (1.0f + expf(in[llamba->in_width - llamba->n_heads + head]));
    float *input = scratch, *sum = scratch + llamba->head_stride,
          *y = run->y + row * llamba->inner + head * width;
    memset(scratch, 0, 2 * llamba->head_stride * sizeof *scratch);
    memcpy(input, x, width * sizeof *x);
    run->tile->cpu->kernels->scan_step(state, sum, input, b, c, decay, llamba->state_width,
                                       llamba->head_stride);
    for (size_t p = 0; p < width; p++)
        y[p] = sum[p] + llamba->d[head] * x[p];
    cpu_round(run->tile->cpu, y, width);
}

static void scan_head(void *context, size_t i, int thread) {
    const LlambaRun *run = context;
    const Llamba *llamba = run->layer;
    const Piece *piece = &run->tile->pieces[i / llamba->n_heads];
    size_t head = i % llamba->n_heads;
    float *state = piece->state->recurrent + run->matrices + head * llamba->state_width * llamba->head_stride;
    for (size_t row = piece->row; row < piece->row + piece->n_rows; row++)
        scan_token(run, state, head, row, run->tile->cpu->scratch[thread]);
}

/* y = y * silu(z + z_bias); z is used up. */
static void gate_span(void *context, size_t i, int thread) {
    (void)thread;
    const LlambaRun *run = context;
    const Llamba *llamba = run->layer;
    const Span *span = &run->tile->spans[i];
    const Cpu *cpu = run->tile->cpu;
    for (size_t row = span->row; row < span->row + span->n_rows; row++) {
        float *z = run->in + row * llamba->in_width + llamba->convolution.channels,
              *y = run->y + row * llamba->inner;
        if (llamba->z_bias)
            cpu->kernels->add(z, llamba->z_bias, llamba->inner);
        cpu_round(cpu, z, llamba->inner);
        cpu_silu_multiply(cpu, z, y, llamba->inner);
        memcpy(y, z, llamba->inner * sizeof *y);
    }
}

static void llamba_forward(const void *opaque, Place place, const Tile *tile, const float *x, float *y) {
    const Llamba *llamba = opaque;
    size_t rows = tile->n_rows, d = llamba->in.weight.cols;
    LlambaRun run = {.layer = llamba, .tile = tile, .in = tile->workspace};
    run.matrices = place.recurrent + convolution_window_floats(&llamba->convolution);
    run.conv = run.in + rows * llamba->in_width;
    run.y = run.conv + rows * llamba->convolution.channels;
    cpu_linear(tile->cpu, &(Linear){&llamba->in.weight, llamba->in.bias, x, run.in, d, llamba->in_width}, 1,
               rows);
    convolution_run(&llamba->convolution, tile, place.recurrent, run.in, llamba->in_width, run.conv);
    cpu_reserve(tile->cpu, 2 * llamba->head_stride);
    cpu_parallel(tile->cpu, tile->n_pieces * llamba->n_heads, rows * llamba->inner * llamba->state_width,
                 scan_head, &run);
    cpu_parallel(tile->cpu, tile->n_spans, rows * llamba->inner * 16, gate_span, &run);
    cpu_linear(tile->cpu, &(Linear){&llamba->out.weight, llamba->out.bias, run.y, y, llamba->inner, d}, 1,
               rows);
}

const MixerType mixer_llamba = {.kind = MIXER_LLAMBA,
                                .load = llamba_load,
                                .free = llamba_free,
                                .cache_floats = llamba_cache_floats,
                                .recurrent_floats = llamba_recurrent_floats,
                                .workspace_floats = llamba_workspace_floats,
                                .forward = llamba_forward};
