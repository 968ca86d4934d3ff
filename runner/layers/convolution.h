/* The short causal convolution of state-space layers, one filter per channel. What a sequence's state keeps
 * of it is a window: its last CONV_TAPS - 1 inputs, oldest first, [CONV_TAPS - 1][channels]. */
#ifndef ZEVAL_RUNNER_LAYERS_CONVOLUTION_H
#define ZEVAL_RUNNER_LAYERS_CONVOLUTION_H

#include "runner/layers/layer.h"

typedef struct Convolution {
    float *taps; /* [CONV_TAPS][channels], the last tap is the current token's */
    float *bias; /* [channels] */
    size_t channels;
    bool silu; /* of the result */
} Convolution;

int convolution_load(Convolution *out, const ModelConfig *config, size_t channels, bool silu,
                     Checkpoint *checkpoint, const char *prefix, Error *error);
void convolution_free(Convolution *convolution);
size_t convolution_window_floats(const Convolution *convolution);

/* What is convolved: rows of `in` in_stride apart, rows of `out` next to each other; `window` is where the
 * window lies in a state's recurrent memory. */
typedef struct ConvolutionRun {
    const Convolution *convolution;
    const Tile *tile;
    size_t window;
    const float *in;
    size_t in_stride;
    float *out;
} ConvolutionRun;

/* out[row] = conv(in[row]) for the rows of one span. */
void convolution_span(const ConvolutionRun *run, const Span *span);
/* Moves a piece's window on, when all its spans are convolved. */
void convolution_shift(const ConvolutionRun *run, const Piece *piece);
/* Both for a whole tile. */
void convolution_run(const ConvolutionRun *run);

#endif
