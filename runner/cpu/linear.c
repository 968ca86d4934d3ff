/* Linear layers: a task takes some columns of the output for some rows. Per block of the depth it widens the
 * weights into panels and copies its rows' inputs side by side, so that both stay in the cache while they
 * meet. Which rows and columns a task takes changes nothing in any output's order of summation. */
#include <stdlib.h>
#include <string.h>

#include "runner/cpu/cpu.h"

/* Inputs of this many rows and weights of VOCAB_TILE columns, K_BLOCK deep, fit a second-level cache
 * together. */
enum { ROWS_PER_TASK = CPU_LINEAR_ROWS, FEW_ROWS = 32 };

typedef struct LinearRun {
    Cpu *cpu;
    const Linear *jobs;
    size_t rows, row_chunks;
    size_t columns; /* that a task takes: a multiple of the panel */
} LinearRun;

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

size_t cpu_linear_scratch(const Cpu *cpu) {
    (void)cpu;
    return (size_t)(VOCAB_TILE + ROWS_PER_TASK) * K_BLOCK;
}

/* The inputs' columns [k, k + depth) at *stride: copied if they lie far apart and will be read again. */
static const float *gather_inputs(const float *x, size_t *stride, size_t k, size_t depth, size_t rows,
                                  float *copy) {
    if (*stride == depth || rows <= FEW_ROWS)
        return x + k;
    for (size_t m = 0; m < rows; m++)
        memcpy(copy + m * depth, x + m * *stride + k, depth * sizeof *copy);
    *stride = depth;
    return copy;
}

void cpu_linear_columns(const Cpu *cpu, const Weight *weight, size_t first, size_t n, const float *x,
                        size_t x_stride, float *y, size_t y_stride, size_t rows, float *scratch) {
    const Kernels *kernels = cpu->kernels;
    float *copy = scratch + (size_t)VOCAB_TILE * K_BLOCK;
    for (size_t k = 0; k < weight->cols; k += K_BLOCK) {
        size_t depth = smaller(weight->cols - k, K_BLOCK), stride = x_stride;
        const float *inputs = gather_inputs(x, &stride, k, depth, rows, copy);
        for (size_t j = 0; j < n; j += kernels->panel) {
            size_t cols = smaller(n - j, kernels->panel);
            size_t width = kernels->pack(scratch, weight, first + j, cols, k, depth);
            kernels->gemm(y + j, y_stride, inputs, stride, rows, scratch, width, cols, depth, k > 0);
        }
    }
}

static size_t column_tasks(const LinearRun *run, const Linear *job) {
    return (job->weight->rows + run->columns - 1) / run->columns;
}

static void linear_task(void *context, size_t i, int thread) {
    const LinearRun *run = context;
    const Linear *job = run->jobs;
    size_t index = i / run->row_chunks;
    for (; index >= column_tasks(run, job); job++)
        index -= column_tasks(run, job);
    size_t first = index * run->columns, n = smaller(job->weight->rows - first, run->columns);
    size_t row = i % run->row_chunks * ROWS_PER_TASK, rows = smaller(run->rows - row, ROWS_PER_TASK);
    const float *x = job->x + row * job->x_stride;
    float *y = job->y + row * job->y_stride + first;
    cpu_linear_columns(run->cpu, job->weight, first, n, x, job->x_stride, y, job->y_stride, rows,
                       run->cpu->scratch[thread]);
    for (size_t m = 0; m < rows; m++) {
        if (job->bias)
            run->cpu->kernels->add(y + m * job->y_stride, job->bias + first, n);
        cpu_round(run->cpu, y + m * job->y_stride, n);
    }
}

void cpu_linear(Cpu *cpu, const Linear *jobs, size_t n_jobs, size_t rows) {
    EnginePhase before = profile_enter(&cpu->profile, PHASE_LINEAR);
    cpu_reserve(cpu, cpu_linear_scratch(cpu));
    LinearRun run = {cpu, jobs, rows, (rows + ROWS_PER_TASK - 1) / ROWS_PER_TASK,
                     rows > FEW_ROWS ? VOCAB_TILE : cpu->kernels->panel};
    size_t columns = 0, work = 0;
    for (size_t i = 0; i < n_jobs; i++) {
        columns += column_tasks(&run, &jobs[i]);
        work += jobs[i].weight->rows * jobs[i].weight->cols * (rows + 4); /* widening costs about 4 rows */
        profile_count(&cpu->profile, PHASE_LINEAR,
                      2.0 * (double)rows * (double)jobs[i].weight->rows * (double)jobs[i].weight->cols);
    }
    cpu_parallel(cpu, columns * run.row_chunks, work, linear_task, &run);
    profile_enter(&cpu->profile, before);
}
