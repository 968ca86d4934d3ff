/* What tests of the linear layers' kernels share: the kernels that this processor runs, and numbers. */
#ifndef ZEVAL_TESTS_RUNNER_GEMM_TABLES_H
#define ZEVAL_TESTS_RUNNER_GEMM_TABLES_H

#include <string.h>

#include "base/random.h"
#include "runner/cpu/cpu.h"

/* Calls check(kernels, the instruction set's name, type of the weights, context) for each. */
typedef void CheckKernels(const GemmKernels *gemm, const char *name, Dtype dtype, void *context);

static inline void for_each_gemm(CheckKernels *check, void *context) {
    const struct {
        const char *name;
        const GemmKernels *gemm;
    } tables[] = {{"portable", gemm_portable()},
                  {"avx2", gemm_avx2()},
                  {"avx512", gemm_avx512()},
                  {"avx512_bf16", gemm_avx512_bf16()}};
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
        for (Dtype dtype = DTYPE_FLOAT32; dtype <= DTYPE_BFLOAT16; dtype++)
            if (tables[t].gemm && cpu_runs(tables[t].name) &&
                (dtype == DTYPE_BFLOAT16 || tables[t].gemm->inputs_per_word == 1))
                check(tables[t].gemm, tables[t].name, dtype, context);
}

/* n numbers in [-1, 1) as stored in that type. */
static inline void random_weight(uint8_t *out, Dtype dtype, size_t n, Random *random) {
    for (size_t i = 0; i < n; i++) {
        float x = (float)(random_double(random) * 2 - 1);
        uint16_t half = float_to_bfloat16(x);
        memcpy(out + i * dtype_bytes(dtype), dtype == DTYPE_FLOAT32 ? (void *)&x : &half, dtype_bytes(dtype));
    }
}

#endif
