/* The output projection with log-softmax fused into it. Logits exist for one tile of the vocabulary at a
 * time; per row and tile a maximum, where it is, and a sum are kept, and joined in the order of the tiles. */
#include <math.h>
#include <string.h>

#include "runner/engine.h"

enum { ROWS_PER_TASK = CPU_LINEAR_ROWS };

typedef struct HeadRun {
    Engine *engine;
    const HeadRow *rows;
    size_t n_rows, n_tiles;
    const Packed *packed;
} HeadRun;

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

/* A tile of logits: column c of row r is logits[c * column_stride + r * row_stride]. */
typedef struct LogitTile {
    const float *logits;
    size_t column_stride, row_stride;
    size_t first, n; /* of the vocabulary */
} LogitTile;

/* What the tile means for one row besides its summary: the logits the caller asked for, its targets' logits
 * (kept in their results' logprob until the sum is known). */
static void take_tile(const HeadRow *wanted, const LogitTile *tile, size_t row) {
    const float *logits = tile->logits + row * tile->row_stride;
    for (size_t i = 0; wanted->logits && i < tile->n; i++)
        wanted->logits[tile->first + i] = logits[i * tile->column_stride];
    for (size_t i = 0; i < wanted->n_targets; i++) {
        size_t token = (size_t)wanted->targets[i].token;
        if (token >= tile->first && token < tile->first + tile->n)
            wanted->results[i].logprob = (double)logits[(token - tile->first) * tile->column_stride];
    }
}

static void head_task(void *context, size_t i, int thread) {
    const HeadRun *run = context;
    const Cpu *cpu = &run->engine->cpu;
    const Weight *head = &run->engine->model.head;
    size_t chunks = (run->n_rows + ROWS_PER_TASK - 1) / ROWS_PER_TASK;
    size_t number = i / chunks, first = number * VOCAB_TILE, n = smaller(head->rows - first, VOCAB_TILE);
    size_t row = i % chunks * ROWS_PER_TASK, rows = smaller(run->n_rows - row, ROWS_PER_TASK);
    float *scratch = cpu->scratch[thread], *logits;
    TileSummary *summaries = &run->engine->summaries[row * run->n_tiles + number];
    LogitTile tile;
    if (run->n_rows <= NARROW_ROWS) {
        logits = scratch + cpu_linear_scratch(cpu);
        cpu_linear_columns(cpu, head, first, n, NULL, run->packed, row, logits, VOCAB_TILE, scratch);
        for (size_t m = 0; m < rows; m++)
            summaries[m * run->n_tiles] = cpu->kernels->summarise(logits + m * VOCAB_TILE, n);
        tile = (LogitTile){logits, 1, VOCAB_TILE, first, n};
    } else {
        logits = cpu_linear_tile(cpu, head, first, n, run->packed, row, scratch);
        cpu->gemm->summarise(summaries, run->n_tiles, logits, CPU_LINEAR_ROWS, rows, n,
                             cpu->dtype == DTYPE_BFLOAT16);
        tile = (LogitTile){logits, CPU_LINEAR_ROWS, 1, first, n};
    }
    for (size_t m = 0; m < rows; m++)
        take_tile(&run->rows[row + m], &tile, m);
}

static void finish_row(const HeadRun *run, size_t row) {
    const TileSummary *tiles = &run->engine->summaries[row * run->n_tiles];
    size_t best = 0;
    for (size_t t = 1; t < run->n_tiles; t++)
        if (tiles[t].max > tiles[best].max)
            best = t;
    double max = (double)tiles[best].max, sum = tiles[0].sum * exp((double)tiles[0].max - max);
    for (size_t t = 1; t < run->n_tiles; t++)
        sum += tiles[t].sum * exp((double)tiles[t].max - max);
    double log_sum = max + log(sum);
    for (size_t i = 0; i < run->rows[row].n_targets; i++) {
        TargetResult *result = &run->rows[row].results[i];
        result->logprob -= log_sum;
        result->argmax = (int32_t)(best * VOCAB_TILE) + tiles[best].argmax;
    }
}

void head_run(Engine *engine, const HeadRow *rows, size_t n, const float *normed) {
    const Weight *head = &engine->model.head;
    EnginePhase before = profile_enter(&engine->cpu.profile, PHASE_HEAD);
    profile_count(&engine->cpu.profile, PHASE_HEAD,
                  2.0 * (double)n * (double)head->rows * (double)head->cols);
    Packed packed;
    cpu_reserve(&engine->cpu, cpu_linear_scratch(&engine->cpu) + (size_t)NARROW_ROWS * VOCAB_TILE);
    for (size_t done = 0; done < n; done += HEAD_ROWS) {
        HeadRun run = {engine, rows + done, smaller(n - done, HEAD_ROWS),
                       (head->rows + VOCAB_TILE - 1) / VOCAB_TILE, &packed};
        Linear inputs = {.weight = head, .x = normed + done * head->cols, .x_stride = head->cols};
        cpu_pack(&engine->cpu, &packed, &inputs, 1, run.n_rows);
        size_t chunks = (run.n_rows + ROWS_PER_TASK - 1) / ROWS_PER_TASK;
        cpu_parallel(&engine->cpu, run.n_tiles * chunks, head->rows * head->cols * (run.n_rows + 4),
                     head_task, &run);
        for (size_t row = 0; row < run.n_rows; row++)
            finish_row(&run, row);
    }
    profile_enter(&engine->cpu.profile, before);
}
