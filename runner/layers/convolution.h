/* The short causal convolution of state-space layers, one filter per channel. What a sequence's state keeps
 * of it is a window: its last CONV_TAPS - 1 inputs, oldest first, [CONV_TAPS - 1][channels]. */
#ifndef ZEVAL_RUNNER_LAYERS_CONVOLUTION_H
#define ZEVAL_RUNNER_LAYERS_CONVOLUTION_H

#include "runner/layers/layer.h"

enum { CONV_TAPS = 4 };

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

/* Convolves a tile and moves the windows on: out[row] = conv(in[row]), rows of `out` next to each other, rows
 * of `in` in_stride apart; `window` is where the window lies in a state's recurrent memory. */
void convolution_run(const Convolution *convolution, const Tile *tile, size_t window, const float *in,
                     size_t in_stride, float *out);

#endif
