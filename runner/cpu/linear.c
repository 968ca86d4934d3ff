/* Linear layers: weights are widened panel by panel into a thread's scratch memory, then used for many rows.
 * Which rows and panels a thread takes changes nothing in any output's order of summation. */
#include <stdlib.h>

#include "runner/cpu/cpu.h"

enum { ROWS_PER_TASK = 512 };

typedef struct LinearRun {
    Cpu *cpu;
    const Linear *jobs;
    size_t n_jobs, rows, row_chunks;
} LinearRun;

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

size_t cpu_linear_scratch(const Cpu *cpu) {
    return cpu->kernels->panel * K_BLOCK;
}

static void linear_panel(const Kernels *kernels, const Weight *weight, size_t first, size_t n, const float *x,
                         size_t x_stride, float *y, size_t y_stride, size_t rows, float *panel) {
    for (size_t k = 0; k < weight->cols; k += K_BLOCK) {
        size_t depth = smaller(weight->cols - k, K_BLOCK);
        size_t width = kernels->pack(panel, weight, first, n, k, depth);
        kernels->gemm(y, y_stride, x + k, x_stride, rows, panel, width, n, depth, k > 0);
    }
}

void cpu_linear_columns(const Cpu *cpu, const Weight *weight, size_t first, size_t n, const float *x,
                        size_t x_stride, float *y, size_t y_stride, size_t rows, float *panel) {
    size_t step = cpu->kernels->panel;
    for (size_t j = 0; j < n; j += step)
        linear_panel(cpu->kernels, weight, first + j, smaller(n - j, step), x, x_stride, y + j, y_stride,
                     rows, panel);
}

static void linear_task(void *context, size_t i, int thread) {
    const LinearRun *run = context;
    const Kernels *kernels = run->cpu->kernels;
    const Linear *job = run->jobs;
    size_t panel_index = i / run->row_chunks;
    for (;; job++) {
        size_t panels = (job->weight->rows + kernels->panel - 1) / kernels->panel;
        if (panel_index < panels)
            break;
        panel_index -= panels;
    }
    size_t first = panel_index * kernels->panel, n = smaller(job->weight->rows - first, kernels->panel);
    size_t row = i % run->row_chunks * ROWS_PER_TASK, rows = smaller(run->rows - row, ROWS_PER_TASK);
    const float *x = job->x + row * job->x_stride;
    float *y = job->y + row * job->y_stride + first;
    linear_panel(kernels, job->weight, first, n, x, job->x_stride, y, job->y_stride, rows,
                 run->cpu->scratch[thread]);
    if (job->bias)
        for (size_t m = 0; m < rows; m++)
            kernels->add(y + m * job->y_stride, job->bias + first, n);
}

void cpu_linear(Cpu *cpu, const Linear *jobs, size_t n_jobs, size_t rows) {
    cpu_reserve(cpu, cpu_linear_scratch(cpu));
    LinearRun run = {cpu, jobs, n_jobs, rows, (rows + ROWS_PER_TASK - 1) / ROWS_PER_TASK};
    size_t panels = 0, work = 0;
    for (size_t i = 0; i < n_jobs; i++) {
        panels += (jobs[i].weight->rows + cpu->kernels->panel - 1) / cpu->kernels->panel;
        work += jobs[i].weight->rows * jobs[i].weight->cols * (rows + 4); /* packing costs about 4 rows */
    }
    cpu_parallel(cpu, panels * run.row_chunks, work, linear_task, &run);
}
