/* Kernels for x86-64 processors with AVX-512 (F, BW, VL, DQ) and FMA. */
#include "runner/cpu/kernels.h"

#ifdef __AVX512F__
#include <immintrin.h>

typedef __m512 Vec;
enum { VEC_FLOATS = 16, GEMM_ROWS = 8, GEMM_VECS = 3 };
#define KERNELS_NAME "avx512"
#define KERNELS_FUNCTION kernels_avx512
#define vec_set1 _mm512_set1_ps
#define vec_fma _mm512_fmadd_ps
#define vec_max _mm512_max_ps
#define vec_min _mm512_min_ps

#define vec_zip_low(a, b)                                                                                    \
    __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define vec_zip_high(a, b)                                                                                   \
    __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)

#include "runner/cpu/kernels_body.h"
#else
const Kernels *kernels_avx512(void) {
    return NULL;
}
#endif
