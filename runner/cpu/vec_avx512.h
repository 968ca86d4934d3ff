/* Vectors of 16 floats. What each name means is said in lanes.h. */
#include <immintrin.h>

typedef __m512 Vec;
enum { VEC_FLOATS = 16 };
#define vec_set1 _mm512_set1_ps
#define vec_fma _mm512_fmadd_ps
#define vec_max _mm512_max_ps
#define vec_min _mm512_min_ps

#define vec_zip_low(a, b)                                                                                    \
    __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define vec_zip_high(a, b)                                                                                   \
    __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
