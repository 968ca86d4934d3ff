/* Linear layers for x86-64 processors with AVX2 and FMA. */
#include "runner/cpu/kernels.h"

#ifdef __AVX2__
#include "runner/cpu/vec_avx2.h"
#define GEMM_FUNCTION gemm_avx2
#define GEMM_STRIPS 2
#include "runner/cpu/gemm_body.h"
#else
const GemmKernels *gemm_avx2(void) {
    return NULL;
}
#endif
