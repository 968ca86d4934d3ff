/* The gated MLP: down( silu(gate x) * (up x) ). */
#ifndef ZEVAL_RUNNER_LAYERS_SWIGLU_H
#define ZEVAL_RUNNER_LAYERS_SWIGLU_H

#include "runner/layers/layer.h"

typedef struct Swiglu {
    LinearLayer gate, up, down;
} Swiglu;

int swiglu_load(Swiglu *out, const ModelConfig *config, Checkpoint *checkpoint, const char *prefix,
                Error *error);
void swiglu_free(Swiglu *layer);
size_t swiglu_workspace_floats(const Swiglu *layer);
/* y[row] = mlp(x[row]); both [n_rows, hidden_size] */
void swiglu_forward(const Swiglu *layer, const Tile *tile, const float *x, float *y);

#endif
