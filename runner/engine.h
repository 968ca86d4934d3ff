/* The engine's inside, shared by engine.c (opening, facts) and score.c (the hot call). */
#ifndef ZEVAL_RUNNER_ENGINE_H
#define ZEVAL_RUNNER_ENGINE_H

#include "runner/checkpoint/warm_up.h"
#include "runner/model.h"

struct Engine {
    Model model;
    Cpu cpu;
    Rope rope;
    StatePool pool;
    ModelInfo info;
    const char **weight_files;
    size_t tile_rows;               /* rows computed at once */
    float *hidden, *normed, *mixed; /* [tile_rows, hidden_size] */
    float *workspace;               /* [tile_rows, model.workspace_floats] */
    struct HeadRow *head_rows;      /* [tile_rows] */
    TileSummary *summaries;         /* [HEAD_ROWS, vocabulary tiles] */
    Piece *pieces;                  /* [tile_rows] */
    Span *spans;                    /* [tile_rows] */
    size_t *outputs;                /* [tile_rows] */
    int32_t *tokens;                /* [tile_rows] */
    WarmUp *warm_up;                /* NULL: not asked for */
};

/* Rows whose log-softmax is computed at once. */
enum { HEAD_ROWS = 256 };

/* An output row that somebody wants something of. */
typedef struct HeadRow {
    size_t row;    /* in the tile, ascending */
    float *logits; /* [vocab_size], or NULL */
    const Target *targets;
    size_t n_targets;
    TargetResult *results;
} HeadRow;

/* Log-softmax of the given rows of `normed`, which is [n, hidden_size] in the order of head_rows. */
void head_run(Engine *engine, const HeadRow *rows, size_t n, const float *normed);

#endif
