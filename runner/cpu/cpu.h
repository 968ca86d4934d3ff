/* The CPU backend: the kernels chosen for this processor, the threads, and each thread's scratch memory. */
#ifndef ZEVAL_RUNNER_CPU_CPU_H
#define ZEVAL_RUNNER_CPU_CPU_H

#include "base/error.h"
#include "base/threads.h"
#include "runner/cpu/kernels.h"
#include "runner/profile.h"
#include "runner/weight.h"

typedef struct Cpu {
    const Kernels *kernels;
    Dtype dtype; /* of the arithmetic: float32, or bfloat16 with sums in float32 */
    ThreadPool *pool;
    int n_threads;
    float **scratch; /* [n_threads], grown by cpu_reserve */
    size_t scratch_floats;
    Profile profile;
} Cpu;

/* Takes the best kernels the processor runs, or those named by the environment variable ZEVAL_ISA (portable,
 * avx2, avx512). n_threads as for thread_pool_create. */
int cpu_open(Cpu *out, Dtype dtype, int n_threads, Error *error);
void cpu_close(Cpu *cpu);

/* The kernels of that name; NULL name: the best there are. An error if unknown or not runnable here. */
int cpu_choose_kernels(const char *name, const Kernels **out, Error *error);

/* Makes every thread's scratch at least that large. Not while a loop is running. */
void cpu_reserve(Cpu *cpu, size_t floats);

/* Runs body over [0, n): on all threads if `work` (multiply-adds, roughly) is worth waking them, else here.
 */
void cpu_parallel(Cpu *cpu, size_t n, size_t work, ThreadBody *body, void *context);

/* What the references store in the model's dtype is stored so here: in bfloat16 these round, in float32 they
 * do not. Activations are float arrays either way. */
static inline void cpu_round(const Cpu *cpu, float *x, size_t n) {
    if (cpu->dtype == DTYPE_BFLOAT16)
        cpu->kernels->round_bfloat16(x, n);
}

/* rounds_twice: the reference rounds before it multiplies by the weight, too. */
static inline void cpu_rms_norm(const Cpu *cpu, float *y, const float *x, const float *weight, size_t n,
                                float eps, bool rounds_twice) {
    if (cpu->dtype == DTYPE_BFLOAT16)
        cpu->kernels->rms_norm_bfloat16(y, x, weight, n, eps, rounds_twice);
    else
        cpu->kernels->rms_norm(y, x, weight, n, eps);
}

static inline void cpu_rotate(const Cpu *cpu, float *x, const float *cosines, const float *sines,
                              size_t half) {
    if (cpu->dtype == DTYPE_BFLOAT16)
        cpu->kernels->rotate_bfloat16(x, cosines, sines, half);
    else
        cpu->kernels->rotate(x, cosines, sines, half);
}

/* x = silu(x) * y */
static inline void cpu_silu_multiply(const Cpu *cpu, float *x, const float *y, size_t n) {
    if (cpu->dtype == DTYPE_BFLOAT16)
        cpu->kernels->silu_multiply_bfloat16(x, y, n);
    else
        cpu->kernels->silu_multiply(x, y, n);
}

/* y[m] = weight x[m] + bias, for m < rows, rounded: rows of weight.cols floats in, of weight.rows floats out.
 */
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
 * at most CPU_LINEAR_ROWS rows, with cpu_linear_scratch floats of scratch. No bias, no rounding. */
enum { CPU_LINEAR_ROWS = 256 };
void cpu_linear_columns(const Cpu *cpu, const Weight *weight, size_t first, size_t n, const float *x,
                        size_t x_stride, float *y, size_t y_stride, size_t rows, float *scratch);

#endif
