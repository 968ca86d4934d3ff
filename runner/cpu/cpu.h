/* The CPU backend: the kernels chosen for this processor, the threads, and each thread's scratch memory. */
#ifndef ZEVAL_RUNNER_CPU_CPU_H
#define ZEVAL_RUNNER_CPU_CPU_H

#include "base/error.h"
#include "base/threads.h"
#include "runner/cpu/kernels.h"
#include "runner/weight.h"

typedef struct Cpu {
    const Kernels *kernels;
    ThreadPool *pool;
    int n_threads;
    float **scratch; /* [n_threads], grown by cpu_reserve */
    size_t scratch_floats;
} Cpu;

/* Takes the best kernels the processor runs, or those named by the environment variable ZEVAL_ISA (portable,
 * avx2, avx512). n_threads as for thread_pool_create. */
int cpu_open(Cpu *out, int n_threads, Error *error);
void cpu_close(Cpu *cpu);

/* The kernels of that name; NULL name: the best there are. An error if unknown or not runnable here. */
int cpu_choose_kernels(const char *name, const Kernels **out, Error *error);

/* Makes every thread's scratch at least that large. Not while a loop is running. */
void cpu_reserve(Cpu *cpu, size_t floats);

/* Runs body over [0, n): on all threads if `work` (multiply-adds, roughly) is worth waking them, else here.
 */
void cpu_parallel(Cpu *cpu, size_t n, size_t work, ThreadBody *body, void *context);

/* y[m] = weight x[m] + bias, for m < rows: rows of weight.cols floats in, of weight.rows floats out. */
typedef struct Linear {
    const Weight *weight;
    const float *bias; /* [weight->rows], or NULL */
    const float *x;
    float *y;
    size_t x_stride, y_stride; /* in floats */
} Linear;

/* Computes jobs that do not depend on each other, all over the same number of rows. */
void cpu_linear(Cpu *cpu, const Linear *jobs, size_t n_jobs, size_t rows);
/* Scratch floats a thread needs for cpu_linear. */
size_t cpu_linear_scratch(const Cpu *cpu);

/* The part of cpu_linear that one thread does: outputs [first, first + n) of the weight, n <= VOCAB_TILE, for
 * at most CPU_LINEAR_ROWS rows, with cpu_linear_scratch floats of scratch. No bias. */
enum { CPU_LINEAR_ROWS = 256 };
void cpu_linear_columns(const Cpu *cpu, const Weight *weight, size_t first, size_t n, const float *x,
                        size_t x_stride, float *y, size_t y_stride, size_t rows, float *scratch);

#endif
