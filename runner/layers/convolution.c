/* The causal convolution over the tokens of each sequence. */
#include "runner/layers/convolution.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* [channels, 1, taps] in the file; one row per tap here. */
int convolution_load(Convolution *out, const ModelConfig *config, size_t channels, bool silu,
                     Checkpoint *checkpoint, const char *prefix, Error *error) {
    char name[256];
    float *stored;
    out->channels = channels;
    out->silu = silu;
    if (checkpoint_floats(checkpoint, tensor_name(name, prefix, "conv1d.weight"),
                          (const int64_t[]){(int64_t)channels, 1, CONV_TAPS}, 3, &stored, error))
        return -1;
    round_to_dtype(config->dtype, stored, CONV_TAPS * channels);
    out->taps = mem_alloc(CONV_TAPS * channels * sizeof(float));
    for (size_t c = 0; c < channels; c++)
        for (size_t j = 0; j < CONV_TAPS; j++)
            out->taps[j * channels + c] = stored[c * CONV_TAPS + j];
    free(stored);
    return vector_load(&out->bias, config, checkpoint, tensor_name(name, prefix, "conv1d.bias"),
                       (int64_t)channels, error);
}

void convolution_free(Convolution *convolution) {
    free(convolution->taps);
    free(convolution->bias);
}

size_t convolution_window_floats(const Convolution *convolution) {
    return (CONV_TAPS - 1) * convolution->channels;
}

typedef struct ConvolutionRun {
    const Convolution *convolution;
    const Tile *tile;
    size_t window;
    const float *in;
    size_t in_stride;
    float *out;
} ConvolutionRun;

/* The input at `offset` tokens from the piece's first one; negative offsets are in the window. */
static const float *input_at(const ConvolutionRun *run, const Piece *piece, int64_t offset) {
    if (offset < 0)
        return piece->state->recurrent + run->window +
               (size_t)(CONV_TAPS - 1 + offset) * run->convolution->channels;
    return run->in + (piece->row + (size_t)offset) * run->in_stride;
}

static void convolve_span(void *context, size_t i, int thread) {
    (void)thread;
    const ConvolutionRun *run = context;
    const Convolution *convolution = run->convolution;
    const Span *span = &run->tile->spans[i];
    const Kernels *kernels = run->tile->cpu->kernels;
    size_t channels = convolution->channels;
    for (size_t row = span->row; row < span->row + span->n_rows; row++) {
        float *out = run->out + row * channels;
        int64_t offset = (int64_t)(row - span->piece->row);
        memcpy(out, convolution->bias, channels * sizeof *out);
        for (int64_t j = 0; j < CONV_TAPS; j++)
            kernels->multiply_add(out, convolution->taps + (size_t)j * channels,
                                  input_at(run, span->piece, offset - (CONV_TAPS - 1) + j), channels);
        if (convolution->silu)
            kernels->silu(out, channels);
        cpu_round(run->tile->cpu, out, channels);
    }
}

/* Keeps the last inputs for the tokens to come. */
static void shift_window(void *context, size_t i, int thread) {
    (void)thread;
    const ConvolutionRun *run = context;
    const Piece *piece = &run->tile->pieces[i];
    size_t channels = run->convolution->channels;
    float *window = piece->state->recurrent + run->window;
    for (int64_t j = 0; j < CONV_TAPS - 1; j++)
        memmove(window + (size_t)j * channels,
                input_at(run, piece, (int64_t)piece->n_rows - (CONV_TAPS - 1) + j),
                channels * sizeof *window);
}

void convolution_run(const Convolution *convolution, const Tile *tile, size_t window, const float *in,
                     size_t in_stride, float *out) {
    ConvolutionRun run = {convolution, tile, window, in, in_stride, out};
    size_t channels = convolution->channels;
    EnginePhase before = profile_enter(&tile->cpu->profile, PHASE_CONVOLUTION);
    cpu_parallel(tile->cpu, tile->n_spans, tile->n_rows * channels * 8, convolve_span, &run);
    cpu_parallel(tile->cpu, tile->n_pieces, tile->n_pieces * channels, shift_window, &run);
    profile_enter(&tile->cpu->profile, before);
}
