/* Linear layers in bfloat16 for x86-64 processors with AVX512_BF16. */
#include "runner/cpu/kernels.h"

#ifdef __AVX512BF16__
#include "runner/cpu/vec_avx512.h"
#define vec_dot(sum, a, b) _mm512_dpbf16_ps(sum, (__m512bh)(a), (__m512bh)(b))
#define vec_fours(p) _mm512_broadcast_f32x4(_mm_loadu_ps(p))
#define vec_rotate(a) ((Vec)_mm512_alignr_epi32((__m512i)(a), (__m512i)(a), 1))
#define vec_pairs(low, high) ((Vec)_mm512_cvtne2ps_pbh(high, low))
/* Lane by lane, a's bfloat16 in the lower half and b's in the upper one. */
static inline __attribute__((always_inline)) Vec vec_pair_lanes(Vec a, Vec b) {
    typedef int16_t Halves __attribute__((vector_size(64)));
    Halves low_then_high = (Halves)vec_pairs(a, b);
    return (Vec)__builtin_shufflevector(low_then_high, low_then_high, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5,
                                        21, 6, 22, 7, 23, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14,
                                        30, 15, 31);
}
#define GEMM_FUNCTION gemm_avx512_bf16
#define GEMM_STRIPS 4
#include "runner/cpu/gemm_body.h"
#else
const GemmKernels *gemm_avx512_bf16(void) {
    return NULL;
}
#endif
