/* What a layer is given and what it must tell about itself. A layer sees a tile: rows of many sequences
 * packed one after the other, cut into pieces of one sequence each. It may read and write its own part of
 * each sequence's cache blocks and recurrent state, and nothing else. Whatever it computes for a row may
 * depend on the row's own sequence only, in an order fixed by absolute positions. */
#ifndef ZEVAL_RUNNER_LAYERS_LAYER_H
#define ZEVAL_RUNNER_LAYERS_LAYER_H

#include "runner/checkpoint/checkpoint.h"
#include "runner/cpu/cpu.h"
#include "runner/floats.h"
#include "runner/layers/rope.h"
#include "runner/model_config.h"
#include "runner/state.h"

/* Consecutive rows that are consecutive tokens of one sequence. */
typedef struct Piece {
    State *state;     /* its blocks reach to the piece's end */
    int64_t position; /* of the first row's token */
    size_t row, n_rows;
} Piece;

/* At most SPAN_ROWS rows of one piece: the grain of work that threads take. */
enum { SPAN_ROWS = 16 };
typedef struct Span {
    const Piece *piece;
    int64_t position;
    size_t row, n_rows;
    size_t first_output, n_outputs; /* in Tile.outputs */
} Span;

typedef struct Tile {
    Cpu *cpu;
    const Rope *rope;
    const Piece *pieces;
    size_t n_pieces;
    const Span *spans;
    size_t n_spans;
    size_t n_rows;
    const size_t
        *outputs; /* [n_outputs] rows whose results are wanted, ascending: in the last layer but few */
    size_t n_outputs;
    size_t max_keys;  /* the longest sequence's length after this tile */
    float *workspace; /* [n_rows * the layer's workspace_floats] */
} Tile;

typedef struct MixerType {
    MixerKind kind;
    /* Takes the tensors of layer number `layer`, whose names begin with `prefix`, from the checkpoint. */
    int (*load)(void **out, const ModelConfig *config, size_t layer, Checkpoint *checkpoint,
                const char *prefix, Error *error);
    void (*free)(void *layer);
    size_t (*cache_floats)(const void *layer);     /* per token */
    size_t (*recurrent_floats)(const void *layer); /* per sequence */
    size_t (*workspace_floats)(const void *layer); /* per row of a tile */
    /* y[i] = mixer(x[outputs[i]]) for every output; x is [n_rows, hidden_size]. Every row's token becomes
     * part of its sequence. */
    void (*forward)(const void *layer, Place place, const Tile *tile, const float *x, float *y);
} MixerType;

extern const MixerType mixer_attention, mixer_mla, mixer_mamba2, mixer_mamba1, mixer_llamba;

/* The position of output i, which is one of the span's. */
static inline size_t output_position(const Tile *tile, const Span *span, size_t i) {
    return (size_t)span->position + tile->outputs[i] - span->row;
}

/* The first `width` numbers of each output's row of x, rows stride apart, to row i of `out`, which may be x
 * itself. */
void rows_of_outputs(const Tile *tile, float *out, const float *x, size_t stride, size_t width);

/* What follows the mixer; it keeps nothing of a sequence. */
typedef struct MlpType {
    int (*load)(void **out, const ModelConfig *config, Checkpoint *checkpoint, const char *prefix,
                Error *error);
    void (*free)(void *layer);
    size_t (*workspace_floats)(const void *layer); /* per row of a tile */
    /* y[row] = mlp(x[row]); both [n_rows, hidden_size] */
    void (*forward)(const void *layer, const Tile *tile, const float *x, float *y);
} MlpType;

extern const MlpType mlp_swiglu, mlp_squared_relu;

/* PREFIX + NAME + SUFFIX in `text`. */
const char *tensor_name(char text[static 256], const char *prefix, const char *name);
/* A weight and, if `with_bias`, its bias: PREFIX NAME.weight, PREFIX NAME.bias. */
typedef struct LinearLayer {
    Weight weight;
    void *owned; /* the weight's memory if it is not the checkpoint's */
    float *bias;
} LinearLayer;
int linear_load(LinearLayer *out, const ModelConfig *config, Checkpoint *checkpoint, const char *prefix,
                const char *name, int64_t outputs, int64_t inputs, bool with_bias, Error *error);
void linear_free(LinearLayer *layer);

/* A matrix, and a vector widened to float32, both rounded to the configuration's dtype; *owned as for
 * weight_to_bfloat16. */
int matrix_load(Weight *out, void **owned, const ModelConfig *config, Checkpoint *checkpoint,
                const char *name, int64_t rows, int64_t cols, Error *error);
int vector_load(float **out, const ModelConfig *config, Checkpoint *checkpoint, const char *name, int64_t n,
                Error *error);
void round_to_dtype(Dtype dtype, float *x, size_t n);

#endif
