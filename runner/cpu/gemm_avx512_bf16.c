/* Linear layers in bfloat16 for x86-64 processors with AVX512_BF16. */
#include "runner/cpu/kernels.h"

#ifdef __AVX512BF16__
#include "runner/cpu/vec_avx512.h"
#define vec_dot(sum, a, b) _mm512_dpbf16_ps(sum, (__m512bh)(a), (__m512bh)(b))
#define vec_pairs(low, high) ((Vec)_mm512_cvtne2ps_pbh(high, low))
#define GEMM_FUNCTION gemm_avx512_bf16
#define GEMM_STRIPS 4
#include "runner/cpu/gemm_body.h"
#else
const GemmKernels *gemm_avx512_bf16(void) {
    return NULL;
}
#endif
