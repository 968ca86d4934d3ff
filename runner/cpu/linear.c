/* Linear layers: the inputs are packed once, then tasks take some columns of the output for some rows. Which
 * rows and columns a task takes changes nothing in any output's order of summation. */
#include <string.h>

#include "base/memory.h"
#include "runner/cpu/cpu.h"

/* A task's inputs, TASK_ROWS x DEPTH words, stay in a second-level cache while its weights stream by; its
 * sums, at most VOCAB_TILE x TASK_ROWS, lie beside them. */
enum {
    TASK_ROWS = CPU_LINEAR_ROWS,
    TASK_COLUMNS = 96,
    DEPTH = 1024, /* in words */
    STAGED_ROWS = 16,
    PARTS = 4,      /* of a tile's columns, packed by several threads when there are few tiles */
    PACK_WORK = 16, /* a word takes as long as so many multiply-adds */
    NARROW_TASK_BYTES = 256 * 1024 /* of weights: shorter runs slow the reading of memory down */
};

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

size_t cpu_linear_scratch(const Cpu *cpu) {
    (void)cpu;
    return (size_t)(VOCAB_TILE + TASK_COLUMNS) * TASK_ROWS + (size_t)STAGED_ROWS * DEPTH;
}

/* ---- packing */

static size_t words_of(const Cpu *cpu, size_t depth) {
    return (depth + cpu->gemm->inputs_per_word - 1) / cpu->gemm->inputs_per_word;
}

static size_t packed_words(const Cpu *cpu, size_t rows, size_t depth) {
    return (rows <= NARROW_ROWS ? rows : round_up(rows, cpu->gemm->lanes)) * words_of(cpu, depth);
}

/* Where row `row` begins: any row of narrow inputs, the first one of a tile of wide ones. */
static const float *packed_row(const Cpu *cpu, const Packed *packed, size_t row) {
    return packed->words + row * words_of(cpu, packed->depth);
}

typedef struct PackRun {
    const Cpu *cpu;
    const Linear *jobs;
    const Packed *packed; /* [n_jobs] */
    size_t n_jobs;
} PackRun;

/* Where part `part` of so many words begins: whole squares, the last part what is left. */
static size_t part_begin(size_t words, size_t part) {
    size_t squares = (words + LANES - 1) / LANES;
    return smaller(squares * part / PARTS * LANES, words);
}

/* Parts of the columns of all jobs' tiles, tile by tile: a thread's share is rows of every job. Jobs that
 * share their inputs are packed with the first of them. */
static void pack_task(void *context, size_t i, int thread) {
    (void)thread;
    const PackRun *run = context;
    const GemmKernels *gemm = run->cpu->gemm;
    size_t row = i / PARTS * gemm->rows, part = i % PARTS;
    for (size_t j = 0; j < run->n_jobs; j++) {
        const Linear *job = &run->jobs[j];
        const Packed *packed = &run->packed[j];
        size_t words = words_of(run->cpu, packed->depth), rows = smaller(packed->rows - row, gemm->rows);
        size_t begin = part_begin(words, part), end = part_begin(words, part + 1);
        if (begin == end || (j > 0 && packed->words == packed[-1].words))
            continue;
        float *out = packed->words + row * words + begin * round_up(rows, gemm->lanes);
        const float *x = job->x + row * job->x_stride + begin * gemm->inputs_per_word;
        gemm->pack(out, x, job->x_stride, rows,
                   smaller(end * gemm->inputs_per_word, packed->depth) - begin * gemm->inputs_per_word);
    }
}

static void pack_rows(void *context, size_t i, int thread) {
    (void)thread;
    const PackRun *run = context;
    const Linear *job = &run->jobs[i];
    const Packed *packed = &run->packed[i];
    if (i > 0 && packed->words == packed[-1].words)
        return;
    for (size_t m = 0; m < packed->rows; m++)
        run->cpu->gemm->pack_row(packed->words + m * words_of(run->cpu, packed->depth),
                                 job->x + m * job->x_stride, packed->depth);
}

void cpu_pack(Cpu *cpu, Packed *out, const Linear *jobs, size_t n_jobs, size_t rows) {
    size_t words = 0, at = 0;
    for (size_t i = 0; i < n_jobs; i++) {
        bool same = i > 0 && jobs[i].x == jobs[i - 1].x && jobs[i].weight->cols == jobs[i - 1].weight->cols;
        size_t needed = same ? 0 : round_up(packed_words(cpu, rows, jobs[i].weight->cols), LANES);
        at = same ? at : words;
        words += needed;
        out[i] = (Packed){.offset = at, .rows = rows, .depth = jobs[i].weight->cols};
    }
    cpu_reserve_packed(cpu, words);
    for (size_t i = 0; i < n_jobs; i++)
        out[i].words = cpu->packed + out[i].offset;
    PackRun run = {cpu, jobs, out, n_jobs};
    if (rows <= NARROW_ROWS)
        cpu_parallel(cpu, n_jobs, words * PACK_WORK, pack_rows, &run);
    else
        cpu_parallel(cpu, (rows + cpu->gemm->rows - 1) / cpu->gemm->rows * PARTS, words * PACK_WORK,
                     pack_task, &run);
}

/* ---- weights that the kernels cannot take from where they lie */

typedef struct Rows {
    const uint8_t *data;
    Dtype dtype;
    size_t row_bytes;
} Rows;

static bool is_usable(const Cpu *cpu, const Weight *weight) {
    if (weight->col_stride != 1 || weight->dtype == DTYPE_FLOAT16)
        return false;
    return weight->dtype == DTYPE_FLOAT32 ? cpu->gemm->inputs_per_word == 1 : weight->cols % 2 == 0;
}

/* One row's part as pairs of bfloat16, a zero behind an odd depth; or as floats. */
static void copy_row(const Cpu *cpu, const Weight *weight, const uint8_t *from, size_t depth, void *out) {
    if (cpu->gemm->inputs_per_word == 2) {
        uint16_t *pairs = out;
        for (size_t i = 0; i < depth; i++)
            memcpy(&pairs[i], from + i * weight->col_stride * 2, 2);
        if (depth % 2)
            pairs[depth] = 0;
    } else if (weight->col_stride == 1) {
        cpu->kernels->widen(out, from, weight->dtype, depth);
    } else {
        float *floats = out;
        for (size_t i = 0; i < depth; i++)
            floats[i] = weight_element(from, weight->dtype, i * weight->col_stride);
    }
}

/* Columns k to k + depth of n rows from `first` on: as they lie, or copied to `copy` in a type that suits. */
static Rows weight_rows_at(const Cpu *cpu, const Weight *weight, size_t first, size_t n, size_t k,
                           size_t depth, float *copy) {
    size_t bytes = dtype_bytes(weight->dtype), words = words_of(cpu, depth);
    const uint8_t *from = weight->data + (first * weight->row_stride + k * weight->col_stride) * bytes;
    if (is_usable(cpu, weight))
        return (Rows){from, weight->dtype, weight->row_stride * bytes};
    for (size_t r = 0; r < n; r++)
        copy_row(cpu, weight, from + r * weight->row_stride * bytes, depth, copy + r * words);
    return (Rows){(const uint8_t *)copy, cpu->gemm->inputs_per_word == 2 ? DTYPE_BFLOAT16 : DTYPE_FLOAT32,
                  words * sizeof *copy};
}

/* ---- products */

static void narrow_columns(const Cpu *cpu, const Weight *weight, size_t first, size_t n, const float *bias,
                           const Packed *packed, float *y, size_t y_stride, float *scratch) {
    const GemmKernels *gemm = cpu->gemm;
    float *sums = scratch, *copy = scratch + (size_t)VOCAB_TILE * TASK_ROWS;
    size_t step = is_usable(cpu, weight) ? weight->cols : DEPTH * gemm->inputs_per_word;
    for (size_t j = 0; j < n; j += gemm->lanes) {
        size_t columns = smaller(n - j, gemm->lanes);
        for (size_t k = 0; k < weight->cols; k += step) {
            size_t depth = smaller(weight->cols - k, step);
            Rows w = weight_rows_at(cpu, weight, first + j, columns, k, depth, copy);
            gemm->narrow(sums, packed->words + k / gemm->inputs_per_word, words_of(cpu, packed->depth),
                         packed->rows, w.data, w.dtype, w.row_bytes, columns, depth, k > 0);
        }
        for (size_t m = 0; m < packed->rows; m++) {
            if (bias)
                cpu->kernels->add(sums + m * gemm->lanes, bias + j, columns);
            cpu_round(cpu, sums + m * gemm->lanes, columns);
            memcpy(y + m * y_stride + j, sums + m * gemm->lanes, columns * sizeof *y);
        }
    }
}

float *cpu_linear_tile(const Cpu *cpu, const Weight *weight, size_t first, size_t n, const Packed *packed,
                       size_t row, float *scratch) {
    const GemmKernels *gemm = cpu->gemm;
    float *tile = scratch, *copy = scratch + (size_t)VOCAB_TILE * TASK_ROWS;
    size_t rows = smaller(packed->rows - row, TASK_ROWS);
    size_t step = DEPTH * gemm->inputs_per_word;
    for (size_t k = 0; k < weight->cols; k += step) {
        size_t depth = smaller(weight->cols - k, step);
        for (size_t j = 0; j < n; j += gemm->columns) {
            size_t columns = smaller(n - j, gemm->columns);
            Rows w = weight_rows_at(cpu, weight, first + j, columns, k, depth, copy);
            for (size_t m = 0; m < rows; m += gemm->rows) {
                size_t some = smaller(rows - m, gemm->rows), width = round_up(some, gemm->lanes);
                const float *x = packed_row(cpu, packed, row + m) + k / gemm->inputs_per_word * width;
                gemm->wide(tile + j * TASK_ROWS + m, TASK_ROWS, x, some, w.data, w.dtype, w.row_bytes,
                           columns, depth, k > 0);
            }
        }
    }
    return tile;
}

void cpu_linear_columns(const Cpu *cpu, const Weight *weight, size_t first, size_t n, const float *bias,
                        const Packed *packed, size_t row, float *y, size_t y_stride, float *scratch) {
    if (packed->rows <= NARROW_ROWS) {
        narrow_columns(cpu, weight, first, n, bias, packed, y, y_stride, scratch);
        return;
    }
    const float *tile = cpu_linear_tile(cpu, weight, first, n, packed, row, scratch);
    cpu->gemm->unpack(y, y_stride, tile, TASK_ROWS, smaller(packed->rows - row, TASK_ROWS), n, bias,
                      cpu->dtype == DTYPE_BFLOAT16);
}

/* ---- jobs */

typedef struct LinearRun {
    const Cpu *cpu;
    const Linear *jobs;
    const Packed *packed; /* [n_jobs] */
    size_t columns;       /* tasks that all columns of all jobs are cut into */
    size_t group;         /* chunks of rows that take turns at the same columns; groups follow each other */
    Factor factor;        /* of every job's result; no weight: none */
} LinearRun;

/* Columns of a job that a task takes. */
static size_t task_columns(const LinearRun *run, const Linear *job) {
    if (run->packed->rows > NARROW_ROWS)
        return TASK_COLUMNS;
    size_t lanes = run->cpu->gemm->lanes,
           many = NARROW_TASK_BYTES / (job->weight->cols * dtype_bytes(job->weight->dtype));
    return smaller(round_up(many ? many : 1, lanes), TASK_ROWS * TASK_COLUMNS / NARROW_ROWS);
}

static size_t column_tasks(const LinearRun *run, const Linear *job) {
    size_t columns = task_columns(run, job);
    return (job->weight->rows + columns - 1) / columns;
}

static void linear_task(void *context, size_t i, int thread) {
    const LinearRun *run = context;
    const Cpu *cpu = run->cpu;
    size_t group = i / (run->columns * run->group), index = i / run->group % run->columns, number = 0;
    for (; index >= column_tasks(run, &run->jobs[number]); number++)
        index -= column_tasks(run, &run->jobs[number]);
    const Linear *job = &run->jobs[number];
    const Packed *packed = &run->packed[number];
    size_t first = index * task_columns(run, job),
           n = smaller(job->weight->rows - first, task_columns(run, job));
    size_t row = (group * run->group + i % run->group) * TASK_ROWS;
    float *y = job->y + row * job->y_stride + first;
    float *scratch = cpu->scratch[thread];
    cpu_linear_columns(cpu, job->weight, first, n, job->bias ? job->bias + first : NULL, packed, row, y,
                       job->y_stride, scratch);
    if (!run->factor.weight)
        return;
    size_t rows = smaller(packed->rows - row, TASK_ROWS);
    float *factors = scratch + (size_t)VOCAB_TILE * TASK_ROWS + (size_t)STAGED_ROWS * DEPTH;
    const float *bias = run->factor.bias ? run->factor.bias + first : NULL;
    cpu_linear_columns(cpu, run->factor.weight, first, n, bias, packed, row, factors, n, scratch);
    for (size_t m = 0; m < rows; m++)
        cpu_silu_multiply(cpu, y + m * job->y_stride, factors + m * n, n);
}

/* Rows are dealt out to as many groups of threads as share them evenly: a thread then multiplies inputs that
 * it packed itself, and writes rows that it will go on with. Within a group weights are dealt out. */
static size_t group_chunks(const Cpu *cpu, size_t row_chunks) {
    size_t a = row_chunks, b = (size_t)cpu->n_threads;
    while (b > 0) {
        size_t rest = a % b;
        a = b;
        b = rest;
    }
    return row_chunks / a;
}

static void run_jobs(Cpu *cpu, const Linear *jobs, size_t n_jobs, Factor factor, size_t rows) {
    enum { AT_ONCE = 16 };
    EnginePhase before = profile_enter(&cpu->profile, PHASE_LINEAR);
    cpu_reserve(cpu, cpu_linear_scratch(cpu));
    for (; n_jobs > 0 && rows > 0; n_jobs -= smaller(n_jobs, AT_ONCE), jobs += AT_ONCE) {
        Packed packed[AT_ONCE];
        size_t n = smaller(n_jobs, AT_ONCE), work = 0, row_chunks = (rows + TASK_ROWS - 1) / TASK_ROWS;
        cpu_pack(cpu, packed, jobs, n, rows);
        LinearRun run = {cpu, jobs, packed, 0, group_chunks(cpu, row_chunks), factor};
        for (size_t i = 0; i < n; i++) {
            size_t numbers = jobs[i].weight->rows * jobs[i].weight->cols * (factor.weight ? 2 : 1);
            run.columns += column_tasks(&run, &jobs[i]);
            work += numbers * (rows + 4); /* reading counts as 4 rows */
            profile_count(&cpu->profile, PHASE_LINEAR, 2.0 * (double)rows * (double)numbers);
        }
        cpu_parallel(cpu, run.columns * row_chunks, work, linear_task, &run);
    }
    profile_enter(&cpu->profile, before);
}

void cpu_linear(Cpu *cpu, const Linear *jobs, size_t n_jobs, size_t rows) {
    run_jobs(cpu, jobs, n_jobs, (Factor){NULL, NULL}, rows);
}

void cpu_linear_gated(Cpu *cpu, const Linear *gate, Factor factor, size_t rows) {
    run_jobs(cpu, gate, 1, factor, rows);
}
