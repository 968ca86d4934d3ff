/* A loaded model: its configuration and its layers, bound to the checkpoint's mapped weights. Immutable. */
#ifndef ZEVAL_RUNNER_MODEL_H
#define ZEVAL_RUNNER_MODEL_H

#include "runner/layers/layer.h"
#include "runner/layers/norm.h"

typedef struct Layer {
    Norm input_norm, post_norm; /* the second only with an MLP */
    const MixerType *type;
    void *mixer;
    Place place;
    const MlpType *mlp_type; /* NULL: the layer has no MLP */
    void *mlp;
} Layer;

typedef struct Model {
    ModelConfig config;
    Checkpoint checkpoint;
    Weight embedding, head; /* [vocab_size, hidden_size] */
    void *embedding_owned, *head_owned;
    Dtype stored_dtype; /* of the embedding, in the file */
    Norm final_norm;
    Layer *layers;
    size_t n_layers;
    size_t block_floats, recurrent_floats; /* of a State */
    Place layer;                           /* the most floats of each that one layer has */
    size_t workspace_floats;               /* per row, the most any layer wants */
    bool float32_residual;                 /* the sum of the layers' results stays float32 in bfloat16, too */
    int64_t n_parameters;
} Model;

/* Reads the configuration, maps the weights and checks that every tensor is there, fits and has a use. In
 * bfloat16, weights stored otherwise are rounded into memory of the model's own. */
int model_open(Model *out, const char *folder, Dtype dtype, Error *error);
void model_close(Model *model);

#endif
