/* Nemotron's MLP: down( max(up x, 0)^2 ), without a gate. */
#include <stdlib.h>

#include "base/memory.h"
#include "runner/layers/layer.h"

typedef struct SquaredRelu {
    LinearLayer up, down;
} SquaredRelu;

static void squared_relu_free(void *opaque) {
    SquaredRelu *layer = opaque;
    linear_free(&layer->up);
    linear_free(&layer->down);
    free(layer);
}

static int squared_relu_load(void **out, const ModelConfig *config, Checkpoint *checkpoint,
                             const char *prefix, Error *error) {
    int64_t d = config->hidden_size, width = config->intermediate_size;
    SquaredRelu *layer = mem_alloc_zero(1, sizeof *layer);
    if (linear_load(&layer->up, config, checkpoint, prefix, "up_proj", width, d, config->mlp_bias, error) ||
        linear_load(&layer->down, config, checkpoint, prefix, "down_proj", d, width, config->mlp_bias,
                    error)) {
        squared_relu_free(layer);
        return -1;
    }
    *out = layer;
    return 0;
}

static size_t squared_relu_workspace_floats(const void *layer) {
    return ((const SquaredRelu *)layer)->up.weight.rows;
}

typedef struct SquaredReluRun {
    const Tile *tile;
    float *up;
    size_t width;
} SquaredReluRun;

static void square_rows(void *context, size_t i, int thread) {
    (void)thread;
    const SquaredReluRun *run = context;
    size_t row = i * SPAN_ROWS,
           end = row + SPAN_ROWS < run->tile->n_rows ? row + SPAN_ROWS : run->tile->n_rows;
    run->tile->cpu->kernels->square_relu(run->up + row * run->width, (end - row) * run->width);
    cpu_round(run->tile->cpu, run->up + row * run->width, (end - row) * run->width);
}

static void squared_relu_forward(const void *opaque, const Tile *tile, const float *x, float *y) {
    const SquaredRelu *layer = opaque;
    size_t rows = tile->n_rows, d = layer->up.weight.cols, width = layer->up.weight.rows;
    SquaredReluRun run = {tile, tile->workspace, width};
    cpu_linear(tile->cpu, &(Linear){&layer->up.weight, layer->up.bias, x, run.up, d, width}, 1, rows);
    cpu_parallel(tile->cpu, (rows + SPAN_ROWS - 1) / SPAN_ROWS, rows * width * 2, square_rows, &run);
    cpu_linear(tile->cpu, &(Linear){&layer->down.weight, layer->down.bias, run.up, y, width, d}, 1, rows);
}

const MlpType mlp_squared_relu = {.load = squared_relu_load,
                                  .free = squared_relu_free,
                                  .workspace_floats = squared_relu_workspace_floats,
                                  .forward = squared_relu_forward};
