/* Loads and applies norms. */
#include "runner/layers/norm.h"

#include <stdio.h>
#include <stdlib.h>

int norm_load(Norm *out, const ModelConfig *config, double eps, Checkpoint *checkpoint, const char *prefix,
              const char *name, Error *error) {
    char text[256];
    out->eps = (float)eps;
    snprintf(text, sizeof text, "%s%s.weight", prefix, name);
    if (checkpoint_vector(checkpoint, text, config->hidden_size, &out->weight, error))
        return -1;
    if (config->norm == NORM_RMS)
        return 0;
    for (int64_t i = 0; i < config->hidden_size; i++)
        out->weight[i] += 1.0f;
    snprintf(text, sizeof text, "%s%s.bias", prefix, name);
    return checkpoint_vector(checkpoint, text, config->hidden_size, &out->bias, error);
}

void norm_free(Norm *norm) {
    free(norm->weight);
    free(norm->bias);
    *norm = (Norm){0};
}

void norm_row(const Norm *norm, const Kernels *kernels, float *y, const float *x, size_t n) {
    if (norm->bias)
        kernels->layer_norm(y, x, norm->weight, norm->bias, n, norm->eps);
    else
        kernels->rms_norm(y, x, norm->weight, n, norm->eps);
}
