/* Kernels for x86-64 processors with AVX2 and FMA. */
#include "runner/cpu/kernels.h"

#ifdef __AVX2__
#include <immintrin.h>

typedef __m256 Vec;
enum { VEC_FLOATS = 8, GEMM_ROWS = 4, GEMM_VECS = 3 };
#define KERNELS_NAME "avx2"
#define KERNELS_FUNCTION kernels_avx2
#define vec_set1 _mm256_set1_ps
#define vec_fma _mm256_fmadd_ps
#define vec_max _mm256_max_ps
#define vec_min _mm256_min_ps

#define vec_zip_low(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define vec_zip_high(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)

#include "runner/cpu/kernels_body.h"
#else
const Kernels *kernels_avx2(void) {
    return NULL;
}
#endif
