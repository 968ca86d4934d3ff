/* The CPU backend: the kernels chosen for this processor, the threads, and each thread's scratch memory. */
#ifndef ZEVAL_RUNNER_CPU_CPU_H
#define ZEVAL_RUNNER_CPU_CPU_H

#include "base/error.h"
#include "base/threads.h"
#include "runner/cpu/kernels.h"
#include "runner/floats.h"
#include "runner/profile.h"
#include "runner/weight.h"

typedef struct Cpu {
    const Kernels *kernels;
    const GemmKernels *gemm;
    const char *name; /* of the instruction set that the arithmetic uses */
    Dtype dtype;      /* of the arithmetic: float32, or bfloat16 with sums in float32 */
    ThreadPool *pool;
    int n_threads;
    float **scratch; /* [n_threads], grown by cpu_reserve */
    size_t scratch_floats;
    Profile profile;
    float *packed; /* inputs of linear layers, grown by cpu_reserve_packed */
    size_t packed_floats;
} Cpu;

/* Takes the best instruction set the processor runs, or the one named (portable, avx2, avx512, avx512_bf16).
 * avx512_bf16 differs from avx512 in bfloat16 only. n_threads as for thread_pool_create. */
int cpu_open(Cpu *out, const char *instruction_set, Dtype dtype, int n_threads, Error *error);
void cpu_close(Cpu *cpu);

/* The names cpu_open takes, best first, NULL at the end; and whether this processor runs one. */
extern const char *const cpu_instruction_sets[];
bool cpu_runs(const char *instruction_set);

/* Makes every thread's scratch at least that large. Not while a loop is running. */
void cpu_reserve(Cpu *cpu, size_t floats);
void cpu_reserve_packed(Cpu *cpu, size_t floats);

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

/* A weight with its bias, which may be NULL. */
typedef struct Factor {
    const Weight *weight;
    const float *bias;
} Factor;
/* down's y = down's result of silu(gate's result) * (factor's), each rounded; the weights of gate and factor
 * are of one shape. gate->y, down's x, is memory for the inner rows. */
void cpu_linear_gated(Cpu *cpu, const Linear *gate, Factor factor, const Linear *down, size_t rows);
/* Scratch floats a thread needs for cpu_linear. */
size_t cpu_linear_scratch(const Cpu *cpu);

/* ---- the parts of cpu_linear */

/* Inputs in the kernels' order, in the backend's memory: valid until inputs are packed again. */
typedef struct Packed {
    float *words;
    size_t offset; /* of words in that memory */
    size_t rows, depth;
} Packed;

/* Packs the inputs of the jobs; out[n_jobs]. Jobs next to each other may share theirs. */
void cpu_pack(Cpu *cpu, Packed *out, const Linear *jobs, size_t n_jobs, size_t rows);

/* What one thread does: columns [first, first + n) of the weight's outputs, n <= VOCAB_TILE, for at most
 * CPU_LINEAR_ROWS rows from `row` on, a multiple of that, into y, whose first row that is. Uses
 * cpu_linear_scratch floats of scratch. bias: of those n columns, or NULL. */
enum { CPU_LINEAR_ROWS = 128 };
void cpu_linear_columns(const Cpu *cpu, const Weight *weight, size_t first, size_t n, const float *bias,
                        const Packed *packed, size_t row, float *y, size_t y_stride, float *scratch);
/* The same without bias and rounding for more than NARROW_ROWS rows in all; returns [n][CPU_LINEAR_ROWS],
 * which lies in the scratch memory: a column's rows next to each other, as many as exist rounded up to the
 * kernels' lanes. */
float *cpu_linear_tile(const Cpu *cpu, const Weight *weight, size_t first, size_t n, const Packed *packed,
                       size_t row, float *scratch);

#endif
