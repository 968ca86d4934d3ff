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
    return 2 * ((const Swiglu *)layer)->gate.weight.rows;
}

typedef struct SwigluRun {
    const Tile *tile;
    float *gate, *up;
    size_t width;
} SwigluRun;

static void multiply_rows(void *context, size_t i, int thread) {
    (void)thread;
    const SwigluRun *run = context;
    size_t row = i * SPAN_ROWS,
           end = row + SPAN_ROWS < run->tile->n_rows ? row + SPAN_ROWS : run->tile->n_rows;
    cpu_silu_multiply(run->tile->cpu, run->gate + row * run->width, run->up + row * run->width,
                      (end - row) * run->width);
}

static void swiglu_forward(const void *opaque, const Tile *tile, const float *x, float *y) {
    const Swiglu *layer = opaque;
    size_t rows = tile->n_rows, d = layer->gate.weight.cols, width = layer->gate.weight.rows;
    SwigluRun run = {tile, tile->workspace, tile->workspace + rows * width, width};
    cpu_linear(tile->cpu,
               (Linear[]){{&layer->gate.weight, layer->gate.bias, x, run.gate, d, width},
                          {&layer->up.weight, layer->up.bias, x, run.up, d, width}},
               2, rows);
    cpu_parallel(tile->cpu, (rows + SPAN_ROWS - 1) / SPAN_ROWS, rows * width * 8, multiply_rows, &run);
    cpu_linear(tile->cpu, &(Linear){&layer->down.weight, layer->down.bias, run.gate, y, width, d}, 1, rows);
}

const MlpType mlp_swiglu = {.load = swiglu_load,
                            .free = swiglu_free,
                            .workspace_floats = swiglu_workspace_floats,
                            .forward = swiglu_forward};
