/* Vectors of 8 floats. What each name means is said in lanes.h. */
#include <immintrin.h>

typedef __m256 Vec;
enum { VEC_FLOATS = 8 };
#define vec_set1 _mm256_set1_ps
#define vec_fma _mm256_fmadd_ps
#define vec_max _mm256_max_ps
#define vec_min _mm256_min_ps
#define vec_equal(a, b) (_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_NEQ_UQ)) == 0)

/* Fours of rows within lanes of 128 bits, then the lanes. */
static inline __attribute__((always_inline)) void vec_turn(Vec a[VEC_FLOATS]) {
    Vec b[VEC_FLOATS];
    for (int r = 0; r < VEC_FLOATS; r += 4) {
        __m256d low = (__m256d)_mm256_unpacklo_ps(a[r], a[r + 1]),
                high = (__m256d)_mm256_unpackhi_ps(a[r], a[r + 1]),
                next_low = (__m256d)_mm256_unpacklo_ps(a[r + 2], a[r + 3]),
                next_high = (__m256d)_mm256_unpackhi_ps(a[r + 2], a[r + 3]);
        b[r] = (Vec)_mm256_unpacklo_pd(low, next_low);
        b[r + 1] = (Vec)_mm256_unpackhi_pd(low, next_low);
        b[r + 2] = (Vec)_mm256_unpacklo_pd(high, next_high);
        b[r + 3] = (Vec)_mm256_unpackhi_pd(high, next_high);
    }
    for (int c = 0; c < 4; c++) {
        a[c] = _mm256_permute2f128_ps(b[c], b[4 + c], 0x20);
        a[4 + c] = _mm256_permute2f128_ps(b[c], b[4 + c], 0x31);
    }
}
