/* The gated MLP: down( silu(gate x) * (up x) ). */
#include <stdlib.h>

#include "base/memory.h"
#include "runner/layers/layer.h"

typedef struct Swiglu {
    LinearLayer gate, up, down;
} Swiglu;

static void swiglu_free(void *opaque) {
    Swiglu *layer = opaque;
    linear_free(&layer->gate);
    linear_free(&layer->up);
    linear_free(&layer->down);
    free(layer);
}

static int swiglu_load(void **out, const ModelConfig *config, Checkpoint *checkpoint, const char *prefix,
                       Error *error) {
    int64_t d = config->hidden_size, width = config->intermediate_size;
    bool bias = config->mlp_bias;
    Swiglu *layer = mem_alloc_zero(1, sizeof *layer);
    if (linear_load(&layer->gate, config, checkpoint, prefix, "gate_proj", width, d, bias, error) ||
        linear_load(&layer->up, config, checkpoint, prefix, "up_proj", width, d, bias, error) ||
        linear_load(&layer->down, config, checkpoint, prefix, "down_proj", d, width, bias, error)) {
        swiglu_free(layer);
        return -1;
    }
    *out = layer;
    return 0;
}

static size_t swiglu_workspace_floats(const void *layer) {
    return ((const Swiglu *)layer)->gate.weight.rows;
}

static void swiglu_forward(const void *opaque, const Tile *tile, const float *x, float *y) {
    const Swiglu *layer = opaque;
    size_t rows = tile->n_rows, d = layer->gate.weight.cols, width = layer->gate.weight.rows;
    float *gated = tile->workspace;
    cpu_linear_gated(tile->cpu, &(Linear){&layer->gate.weight, layer->gate.bias, x, gated, d, width},
                     (Factor){&layer->up.weight, layer->up.bias},
                     &(Linear){&layer->down.weight, layer->down.bias, gated, y, width, d}, rows);
}

const MlpType mlp_swiglu = {.load = swiglu_load,
                            .free = swiglu_free,
                            .workspace_floats = swiglu_workspace_floats,
                            .forward = swiglu_forward};
