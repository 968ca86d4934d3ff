/* Linear layers for x86-64 processors with AVX-512 (F, BW, VL, DQ) and FMA. */
#include "runner/cpu/kernels.h"

#ifdef __AVX512F__
#include "runner/cpu/vec_avx512.h"
#define GEMM_FUNCTION gemm_avx512
#define GEMM_STRIPS 4
#include "runner/cpu/gemm_body.h"
#else
const GemmKernels *gemm_avx512(void) {
    return NULL;
}
#endif
