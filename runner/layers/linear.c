/* Linear layers: loading. The arithmetic is the backend's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/layers/layer.h"

const char *tensor_name(char text[static 256], const char *prefix, const char *name) {
    snprintf(text, 256, "%s%s", prefix, name);
    return text;
}

void round_to_dtype(Dtype dtype, float *x, size_t n) {
    for (size_t i = 0; dtype == DTYPE_BFLOAT16 && i < n; i++)
        x[i] = bfloat16_to_float(float_to_bfloat16(x[i]));
}

int matrix_load(Weight *out, void **owned, const ModelConfig *config, Checkpoint *checkpoint,
                const char *name, int64_t rows, int64_t cols, Error *error) {
    *owned = NULL;
    if (checkpoint_weight(checkpoint, name, rows, cols, out, error))
        return -1;
    return config->dtype == DTYPE_BFLOAT16 ? weight_to_bfloat16(out, owned, name, error) : 0;
}

int vector_load(float **out, const ModelConfig *config, Checkpoint *checkpoint, const char *name, int64_t n,
                Error *error) {
    if (checkpoint_vector(checkpoint, name, n, out, error))
        return -1;
    round_to_dtype(config->dtype, *out, (size_t)n);
    return 0;
}

int linear_load(LinearLayer *out, const ModelConfig *config, Checkpoint *checkpoint, const char *prefix,
                const char *name, int64_t outputs, int64_t inputs, bool with_bias, Error *error) {
    char text[256];
    snprintf(text, sizeof text, "%s%s.weight", prefix, name);
    if (matrix_load(&out->weight, &out->owned, config, checkpoint, text, outputs, inputs, error))
        return -1;
    snprintf(text, sizeof text, "%s%s.bias", prefix, name);
    return with_bias ? vector_load(&out->bias, config, checkpoint, text, outputs, error) : 0;
}

/* Rows ascend, so none is overwritten before it moves. */
void rows_of_outputs(const Tile *tile, float *out, const float *x, size_t stride, size_t width) {
    for (size_t i = 0; i < tile->n_outputs; i++)
        if (out != x || tile->outputs[i] != i)
            memcpy(out + i * stride, x + tile->outputs[i] * stride, width * sizeof *out);
}

void linear_free(LinearLayer *layer) {
    free(layer->owned);
    free(layer->bias);
    *layer = (LinearLayer){0};
}
