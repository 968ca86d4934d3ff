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
    float *d;                /* [inner]: the skip, a head's over its channels */
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

static int load_skip(Llamba *llamba, Checkpoint *checkpoint, const char *prefix, Error *error) {
    char name[256];
    float *stored;
    if (checkpoint_vector(checkpoint, tensor_name(name, prefix, "D"), (int64_t)llamba->n_heads, &stored,
                          error))
        return -1;
    llamba->d = mem_alloc(llamba->inner * sizeof *llamba->d);
    for (size_t c = 0; c < llamba->inner; c++)
        llamba->d[c] = stored[c / llamba->head_width];
    free(stored);
    return 0;
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
        load_skip(llamba, checkpoint, prefix, error) ||
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
    ConvolutionRun convolution;
    size_t matrices; /* where the matrices begin in the layer's recurrent memory */
    float *in;       /* [n_rows, in_width]: x, B, C, z, a */
    float *conv;     /* [n_rows, channels]: x, B, C after the convolution */
    float *y;        /* [n_rows, inner] */
} LlambaRun;

/* The convolution, and the projection's a becomes the decay. */
static void prepare_span(void *context, size_t i, int thread) {
    (void)thread;
    const LlambaRun *run = context;
    const Llamba *llamba = run->layer;
    const Span *span = &run->tile->spans[i];
    convolution_span(&run->convolution, span);
    for (size_t row = span->row; row < span->row + span->n_rows; row++) {
        float *a = run->in + (row + 1) * llamba->in_width - llamba->n_heads;
        for (size_t h = 0; h < llamba->n_heads; h++)
            a[h] = 1.0f / (1.0f + expf(a[h]));
    }
}

/* Some rows of one head, while they are in the cache: the recurrence, the skip, y * silu(z + z_bias). z is
 * used up. */
static void scan_rows(const LlambaRun *run, float *state, size_t head, size_t row, size_t n_rows) {
    const Llamba *llamba = run->layer;
    const Cpu *cpu = run->tile->cpu;
    size_t width = llamba->head_width, first = head * width,
           group = head * llamba->n_groups / llamba->n_heads;
    const float *x = run->conv + row * llamba->convolution.channels,
                *b = x + llamba->inner + group * llamba->state_width;
    HeadScan scan = {.state = state,
                     .x = x + first,
                     .b = b,
                     .c = b + llamba->n_groups * llamba->state_width,
                     .decay = run->in + (row + 1) * llamba->in_width - llamba->n_heads + head,
                     .skip = llamba->d + first,
                     .y = run->y + row * llamba->inner + first,
                     .conv_stride = llamba->convolution.channels,
                     .decay_stride = llamba->in_width,
                     .y_stride = llamba->inner,
                     .width = width,
                     .state_width = llamba->state_width,
                     .n_rows = n_rows};
    cpu->kernels->scan_head(&scan);
    for (size_t r = row; r < row + n_rows; r++) {
        float *z = run->in + r * llamba->in_width + llamba->convolution.channels + first,
              *y = run->y + r * llamba->inner + first;
        cpu_round(cpu, y, width);
        if (llamba->z_bias)
            cpu->kernels->add(z, llamba->z_bias + first, width);
        cpu_round(cpu, z, width);
        cpu_silu_multiply(cpu, z, y, width);
        memcpy(y, z, width * sizeof *y);
    }
}

static void scan_head(void *context, size_t i, int thread) {
    (void)thread;
    const LlambaRun *run = context;
    const Llamba *llamba = run->layer;
    const Piece *piece = &run->tile->pieces[i / llamba->n_heads];
    size_t head = i % llamba->n_heads, end = piece->row + piece->n_rows;
    float *state = recurrent_layer(piece->state, run->convolution.window) + run->matrices +
                   head * llamba->state_width * llamba->head_stride;
    if (head == 0)
        convolution_shift(&run->convolution, piece);
    for (size_t row = piece->row; row < end; row += SPAN_ROWS)
        scan_rows(run, state, head, row, end - row < SPAN_ROWS ? end - row : SPAN_ROWS);
}

static void llamba_forward(const void *opaque, Place place, const Tile *tile, const float *x, float *y) {
    const Llamba *llamba = opaque;
    size_t rows = tile->n_rows, d = llamba->in.weight.cols, channels = llamba->convolution.channels;
    LlambaRun run = {.layer = llamba, .tile = tile, .in = tile->workspace};
    run.matrices = convolution_window_floats(&llamba->convolution);
    run.conv = run.in + rows * llamba->in_width;
    run.y = run.conv + rows * channels;
    run.convolution =
        (ConvolutionRun){&llamba->convolution, tile, place.recurrent, run.in, llamba->in_width, run.conv};
    cpu_linear(tile->cpu, &(Linear){&llamba->in.weight, llamba->in.bias, x, run.in, d, llamba->in_width}, 1,
               rows);
    EnginePhase before = profile_enter(&tile->cpu->profile, PHASE_CONVOLUTION);
    cpu_parallel(tile->cpu, tile->n_spans, rows * channels * 8, prepare_span, &run);
    profile_enter(&tile->cpu->profile, before);
    cpu_parallel(tile->cpu, tile->n_pieces * llamba->n_heads, rows * llamba->inner * llamba->state_width,
                 scan_head, &run);
    rows_of_outputs(tile, run.y, run.y, llamba->inner, llamba->inner);
    cpu_linear(tile->cpu, &(Linear){&llamba->out.weight, llamba->out.bias, run.y, y, llamba->inner, d}, 1,
               tile->n_outputs);
}

const MixerType mixer_llamba = {.kind = MIXER_LLAMBA,
                                .load = llamba_load,
                                .free = llamba_free,
                                .cache_floats = llamba_cache_floats,
                                .recurrent_floats = llamba_recurrent_floats,
                                .workspace_floats = llamba_workspace_floats,
                                .forward = llamba_forward};
