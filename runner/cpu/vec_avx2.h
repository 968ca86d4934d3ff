/* Vectors of 8 floats. What each name means is said in lanes.h. */
#include <immintrin.h>

typedef __m256 Vec;
enum { VEC_FLOATS = 8 };
#define vec_set1 _mm256_set1_ps
#define vec_fma _mm256_fmadd_ps
#define vec_max _mm256_max_ps
#define vec_min _mm256_min_ps

#define vec_zip_low(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define vec_zip_high(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
