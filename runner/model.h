/* A loaded model: its configuration and its layers, bound to the checkpoint's mapped weights. Immutable. */
#ifndef ZEVAL_RUNNER_MODEL_H
#define ZEVAL_RUNNER_MODEL_H

#include "runner/layers/layer.h"
#include "runner/layers/swiglu.h"

typedef struct Layer {
    float *input_norm, *post_norm; /* [hidden_size] */
    const MixerType *type;
    void *mixer;
    Place place;
    Swiglu mlp;
} Layer;

typedef struct Model {
    ModelConfig config;
    Checkpoint checkpoint;
    Weight embedding, head; /* [vocab_size, hidden_size] */
    float *final_norm;
    Layer *layers;
    size_t n_layers;
    size_t block_floats, recurrent_floats; /* of a State */
    size_t workspace_floats;               /* per row, the most any layer wants */
    int64_t n_parameters;
} Model;

/* Reads the configuration, maps the weights and checks that every tensor is there, fits and has a use. */
int model_open(Model *out, const char *folder, Error *error);
void model_close(Model *model);

#endif
