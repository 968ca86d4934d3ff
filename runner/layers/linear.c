/* Linear layers: loading. The arithmetic is the backend's. */
#include <stdio.h>
#include <stdlib.h>

#include "runner/layers/layer.h"

const char *tensor_name(char text[static 256], const char *prefix, const char *name) {
    snprintf(text, 256, "%s%s", prefix, name);
    return text;
}

int linear_load(LinearLayer *out, Checkpoint *checkpoint, const char *prefix, const char *name,
                int64_t outputs, int64_t inputs, bool with_bias, Error *error) {
    char text[256];
    snprintf(text, sizeof text, "%s%s.weight", prefix, name);
    if (checkpoint_weight(checkpoint, text, outputs, inputs, &out->weight, error))
        return -1;
    snprintf(text, sizeof text, "%s%s.bias", prefix, name);
    return with_bias ? checkpoint_vector(checkpoint, text, outputs, &out->bias, error) : 0;
}

void linear_free(LinearLayer *layer) {
    free(layer->bias);
    layer->bias = NULL;
}
