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

/* The input at `offset` tokens from the piece's first one; negative offsets are in the window. */
static const float *input_at(const ConvolutionRun *run, const Piece *piece, int64_t offset) {
    if (offset < 0)
        return recurrent_layer(piece->state, run->window) +
               (size_t)(CONV_TAPS - 1 + offset) * run->convolution->channels;
    return run->in + (piece->row + (size_t)offset) * run->in_stride;
}

void convolution_span(const ConvolutionRun *run, const Span *span) {
    const Convolution *convolution = run->convolution;
    const Cpu *cpu = run->tile->cpu;
    size_t channels = convolution->channels;
    for (size_t row = span->row; row < span->row + span->n_rows; row++) {
        const float *in[CONV_TAPS];
        int64_t first = (int64_t)(row - span->piece->row) - (CONV_TAPS - 1);
        for (int64_t j = 0; j < CONV_TAPS; j++)
            in[j] = input_at(run, span->piece, first + j);
        cpu->kernels->convolve(run->out + row * channels, in, convolution->taps, convolution->bias, channels,
                               convolution->silu, cpu->dtype == DTYPE_BFLOAT16);
    }
}

/* Keeps the last inputs for the tokens to come. */
void convolution_shift(const ConvolutionRun *run, const Piece *piece) {
    size_t channels = run->convolution->channels;
    float *window = recurrent_layer(piece->state, run->window);
    for (int64_t j = 0; j < CONV_TAPS - 1; j++)
        memmove(window + (size_t)j * channels,
                input_at(run, piece, (int64_t)piece->n_rows - (CONV_TAPS - 1) + j),
                channels * sizeof *window);
}

static void span_task(void *context, size_t i, int thread) {
    (void)thread;
    const ConvolutionRun *run = context;
    convolution_span(run, &run->tile->spans[i]);
}

static void shift_task(void *context, size_t i, int thread) {
    (void)thread;
    const ConvolutionRun *run = context;
    convolution_shift(run, &run->tile->pieces[i]);
}

void convolution_run(const ConvolutionRun *run) {
    const Tile *tile = run->tile;
    size_t channels = run->convolution->channels;
    EnginePhase before = profile_enter(&tile->cpu->profile, PHASE_CONVOLUTION);
    cpu_parallel(tile->cpu, tile->n_spans, tile->n_rows * channels * 8, span_task, (void *)run);
    cpu_parallel(tile->cpu, tile->n_pieces, tile->n_pieces * channels, shift_task, (void *)run);
    profile_enter(&tile->cpu->profile, before);
}
