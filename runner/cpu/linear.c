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
    DEPTH = 1024,     /* in words */
    STAGED_ROWS = 24, /* of weights copied at once: whole groups of the kernel */
    PARTS = 4,        /* of a tile's columns, packed by several threads when there are few tiles */
    PACK_WORK = 16,   /* a word takes as long as so many multiply-adds */
    NARROW_TASK_BYTES = 256 * 1024 /* of weights: shorter runs slow the reading of memory down */
};

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

/* A thread's memory: for many rows one tile or two small ones, and copied weights; for a few rows a vector of
 * columns, copied weights, and a task's factors. */
enum {
    COPY = VOCAB_TILE * TASK_ROWS,
    END = COPY + STAGED_ROWS * DEPTH,
    NARROW_COPY = NARROW_ROWS * LANES,
    NARROW_FACTORS = NARROW_COPY + LANES * NARROW_SET,
    NARROW_END = NARROW_FACTORS + TASK_COLUMNS * TASK_ROWS
};

size_t cpu_linear_scratch(const Cpu *cpu) {
    (void)cpu;
    return END > NARROW_END ? END : NARROW_END;
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

/* Memory for the jobs' inputs; returns the words. */
static size_t place_packed(Cpu *cpu, Packed *out, const Linear *jobs, size_t n_jobs, size_t rows) {
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
    return words;
}

static void pack_jobs(Cpu *cpu, const Packed *out, const Linear *jobs, size_t n_jobs, size_t rows,
                      size_t words) {
    PackRun run = {cpu, jobs, out, n_jobs};
    if (rows <= NARROW_ROWS)
        cpu_parallel(cpu, n_jobs, words * PACK_WORK, pack_rows, &run);
    else
        cpu_parallel(cpu, (rows + cpu->gemm->rows - 1) / cpu->gemm->rows * PARTS, words * PACK_WORK,
                     pack_task, &run);
}

void cpu_pack(Cpu *cpu, Packed *out, const Linear *jobs, size_t n_jobs, size_t rows) {
    pack_jobs(cpu, out, jobs, n_jobs, rows, place_packed(cpu, out, jobs, n_jobs, rows));
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
    float *sums = scratch, *copy = scratch + NARROW_COPY;
    size_t step = is_usable(cpu, weight) ? weight->cols : NARROW_SET * gemm->inputs_per_word;
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
    float *tile = scratch, *copy = scratch + COPY;
    size_t rows = smaller(packed->rows - row, TASK_ROWS);
    size_t step = DEPTH * gemm->inputs_per_word, together = is_usable(cpu, weight) ? n : STAGED_ROWS;
    for (size_t k = 0; k < weight->cols; k += step) {
        size_t depth = smaller(weight->cols - k, step);
        for (size_t j = 0; j < n; j += together) {
            size_t columns = smaller(n - j, together);
            Rows w = weight_rows_at(cpu, weight, first + j, columns, k, depth, copy);
            for (size_t m = 0; m < rows; m += gemm->rows) {
                size_t some = smaller(rows - m, gemm->rows), width = round_up(some, gemm->lanes);
                gemm->wide(&(WideTile){
                    .out = tile + j * TASK_ROWS + m,
                    .out_stride = TASK_ROWS,
                    .x = packed_row(cpu, packed, row + m) + k / gemm->inputs_per_word * width,
                    .rows = some,
                    .weight = w.data,
                    .dtype = w.dtype,
                    .row_bytes = w.row_bytes,
                    .columns = columns,
                    .depth = depth,
                    .accumulate = k > 0,
                });
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

/* The columns of all jobs, one job behind the other, are dealt out in even shares, one for each thread that
 * works on the same rows. A share's tasks are the larger ones and then, for the thread that is done first
 * and helps, smaller ones. */
typedef struct LinearRun {
    const Cpu *cpu;
    const Linear *jobs;
    const Packed *packed; /* [n_jobs] */
    size_t n_jobs, rows;
    size_t group; /* chunks of rows that take turns at the same columns; groups follow each other */
    size_t columns, n_shares;
    size_t n_tasks, n_large; /* of a share */
    size_t large, small;     /* columns of a task */
    Factor factor;           /* of every job's result; no weight: none */
    const Packed *gated;     /* where the product with the factor goes instead of the job's y; or NULL */
} LinearRun;

/* The columns that suit a task of a few rows: a run of memory. */
static size_t narrow_task_columns(const LinearRun *run) {
    size_t row_bytes = 1;
    for (size_t i = 0; i < run->n_jobs; i++) {
        const Weight *weight = run->jobs[i].weight;
        size_t bytes = weight->cols * dtype_bytes(weight->dtype);
        row_bytes = bytes > row_bytes ? bytes : row_bytes;
    }
    size_t many = NARROW_TASK_BYTES / row_bytes, most = TASK_ROWS * TASK_COLUMNS / NARROW_ROWS;
    return smaller(round_up(many ? many : 1, run->cpu->gemm->lanes), most);
}

static void deal_out(LinearRun *run, size_t n_shares) {
    bool narrow = run->rows <= NARROW_ROWS;
    run->n_shares = n_shares;
    run->large = narrow ? narrow_task_columns(run) : TASK_COLUMNS;
    run->small = narrow ? run->large : TASK_COLUMNS / 2;
    size_t share = round_up((run->columns + n_shares - 1) / n_shares, run->cpu->gemm->lanes);
    run->n_large = share > run->large ? share / run->large - 1 : 0;
    run->n_tasks = run->n_large + (share - run->n_large * run->large + run->small - 1) / run->small;
}

static size_t share_begin(const LinearRun *run, size_t share) {
    return smaller(round_up(run->columns * share / run->n_shares, run->cpu->gemm->lanes), run->columns);
}

/* Where a task begins in its share. */
static size_t task_begin(const LinearRun *run, size_t task) {
    size_t n_large = smaller(task, run->n_large);
    return n_large * run->large + (task - n_large) * run->small;
}

/* What a task takes of a job. */
typedef struct Share {
    const Linear *job;
    const Packed *packed;
    size_t first, n;                 /* columns */
    size_t row;                      /* the first of at most TASK_ROWS */
    const float *bias, *factor_bias; /* of those columns, or NULL */
    float *scratch;
} Share;

/* A few rows: both results, then their product. */
static void multiply_by_factor(const LinearRun *run, const Share *share, float *y) {
    const Cpu *cpu = run->cpu;
    float *factors = share->scratch + NARROW_FACTORS;
    cpu_linear_columns(cpu, run->factor.weight, share->first, share->n, share->factor_bias, share->packed,
                       share->row, factors, share->n, share->scratch);
    for (size_t m = 0; m < run->rows; m++)
        cpu_silu_multiply(cpu, y + m * share->job->y_stride, factors + m * share->n, share->n);
}

/* Many rows: both tiles stay as the kernels leave them and become packed inputs of what follows. */
static void gate_share(const LinearRun *run, const Share *share) {
    const Cpu *cpu = run->cpu;
    const GemmKernels *gemm = cpu->gemm;
    float *other = share->scratch + (size_t)TASK_COLUMNS * TASK_ROWS;
    GateTile tile = {.gate = cpu_linear_tile(cpu, share->job->weight, share->first, share->n, share->packed,
                                             share->row, share->scratch),
                     .factor = cpu_linear_tile(cpu, run->factor.weight, share->first, share->n, share->packed,
                                               share->row, other),
                     .gate_bias = share->bias,
                     .factor_bias = share->factor_bias,
                     .stride = TASK_ROWS,
                     .columns = share->n,
                     .round = cpu->dtype == DTYPE_BFLOAT16};
    size_t rows = smaller(run->rows - share->row, TASK_ROWS);
    for (size_t m = 0; m < rows; m += gemm->rows, tile.gate += gemm->rows, tile.factor += gemm->rows) {
        tile.rows = smaller(rows - m, gemm->rows);
        gemm->gate((float *)packed_row(cpu, run->gated, share->row + m) +
                       share->first / gemm->inputs_per_word * round_up(tile.rows, gemm->lanes),
                   &tile);
    }
}

static void multiply_share(const LinearRun *run, const Share *share) {
    const Linear *job = share->job;
    if (run->gated) {
        gate_share(run, share);
        return;
    }
    float *y = job->y + share->row * job->y_stride + share->first;
    cpu_linear_columns(run->cpu, job->weight, share->first, share->n, share->bias, share->packed, share->row,
                       y, job->y_stride, share->scratch);
    if (run->factor.weight)
        multiply_by_factor(run, share, y);
}

static void linear_task(void *context, size_t i, int thread) {
    const LinearRun *run = context;
    size_t tasks = run->n_shares * run->n_tasks, group = i / (tasks * run->group),
           number = i / run->group % tasks, share = number / run->n_tasks, task = number % run->n_tasks;
    size_t from = share_begin(run, share), until = share_begin(run, share + 1);
    size_t begin = from + task_begin(run, task), end = smaller(from + task_begin(run, task + 1), until);
    for (size_t j = 0, at = 0; j < run->n_jobs && at < end; at += run->jobs[j++].weight->rows) {
        const Linear *job = &run->jobs[j];
        size_t first = begin > at ? begin - at : 0, last = smaller(end - at, job->weight->rows);
        if (first < last)
            multiply_share(run, &(Share){.job = job,
                                         .packed = &run->packed[j],
                                         .first = first,
                                         .n = last - first,
                                         .row = (group * run->group + i % run->group) * TASK_ROWS,
                                         .bias = job->bias ? job->bias + first : NULL,
                                         .factor_bias = run->factor.bias ? run->factor.bias + first : NULL,
                                         .scratch = run->cpu->scratch[thread]});
    }
}

/* Rows are dealt out to as many groups of threads as share them evenly: a thread then multiplies inputs that
 * it packed itself, and writes rows that it will go on with. Within a group columns are dealt out. */
static size_t row_groups(const Cpu *cpu, size_t row_chunks) {
    size_t a = row_chunks, b = (size_t)cpu->n_threads;
    while (b > 0) {
        size_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* The run's jobs, whose inputs are packed. */
static void multiply(Cpu *cpu, LinearRun run) {
    size_t work = 0, row_chunks = (run.rows + TASK_ROWS - 1) / TASK_ROWS,
           groups = row_groups(cpu, row_chunks);
    run.cpu = cpu;
    run.group = row_chunks / groups;
    for (size_t i = 0; i < run.n_jobs; i++) {
        const Weight *weight = run.jobs[i].weight;
        size_t numbers = weight->rows * weight->cols * (run.factor.weight ? 2 : 1);
        run.columns += weight->rows;
        work += numbers * (run.rows + 4); /* reading counts as 4 rows */
        profile_count(&cpu->profile, PHASE_LINEAR, 2.0 * (double)run.rows * (double)numbers);
    }
    deal_out(&run, (size_t)cpu->n_threads / groups);
    cpu_parallel(cpu, run.n_shares * run.n_tasks * row_chunks, work, linear_task, &run);
}

void cpu_linear(Cpu *cpu, const Linear *jobs, size_t n_jobs, size_t rows) {
    enum { AT_ONCE = 16 };
    EnginePhase before = profile_enter(&cpu->profile, PHASE_LINEAR);
    cpu_reserve(cpu, cpu_linear_scratch(cpu));
    for (; n_jobs > 0 && rows > 0; n_jobs -= smaller(n_jobs, AT_ONCE), jobs += AT_ONCE) {
        Packed packed[AT_ONCE];
        size_t n = smaller(n_jobs, AT_ONCE);
        cpu_pack(cpu, packed, jobs, n, rows);
        multiply(cpu, (LinearRun){.jobs = jobs, .packed = packed, .n_jobs = n, .rows = rows});
    }
    profile_enter(&cpu->profile, before);
}

void cpu_linear_gated(Cpu *cpu, const Linear *gate, Factor factor, const Linear *down, size_t rows) {
    if (rows == 0)
        return;
    EnginePhase before = profile_enter(&cpu->profile, PHASE_LINEAR);
    const Linear jobs[] = {*gate, *down};
    Packed packed[2];
    LinearRun run = {.jobs = jobs, .packed = packed, .n_jobs = 1, .rows = rows, .factor = factor};
    cpu_reserve(cpu, cpu_linear_scratch(cpu));
    pack_jobs(cpu, packed, jobs, 1, rows, place_packed(cpu, packed, jobs, 2, rows));
    if (rows > NARROW_ROWS)
        run.gated = &packed[1];
    multiply(cpu, run);
    if (rows <= NARROW_ROWS)
        pack_jobs(cpu, packed + 1, jobs + 1, 1, rows, packed[1].depth * rows);
    multiply(cpu, (LinearRun){.jobs = jobs + 1, .packed = packed + 1, .n_jobs = 1, .rows = rows});
    profile_enter(&cpu->profile, before);
}
