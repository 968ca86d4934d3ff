/* Vectors of 16 floats. What each name means is said in lanes.h. */
#include <immintrin.h>

typedef __m512 Vec;
enum { VEC_FLOATS = 16 };
#define vec_set1 _mm512_set1_ps
#define vec_fma _mm512_fmadd_ps
#define vec_max _mm512_max_ps
#define vec_min _mm512_min_ps
#define vec_equal(a, b) (_mm512_cmp_ps_mask(a, b, _CMP_NEQ_UQ) == 0)

/* As lanes.h has it, the NaNs' part under a mask. */
static inline __attribute__((always_inline)) Vec vec_round_masked(Vec x) {
    __m512i bits = (__m512i)x, odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1)),
            rounded = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
    rounded = _mm512_mask_or_epi32(rounded, _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), bits,
                                   _mm512_set1_epi32(0x400000));
    return (Vec)_mm512_and_si512(rounded, _mm512_set1_epi32((int)0xffff0000));
}
#define vec_round vec_round_masked

/* Fours of rows within lanes of 128 bits, then the lanes: the shuffles that cost least. */
static inline __attribute__((always_inline)) void vec_turn(Vec a[VEC_FLOATS]) {
    Vec b[VEC_FLOATS];
    for (int r = 0; r < VEC_FLOATS; r += 4) {
        __m512d low = (__m512d)_mm512_unpacklo_ps(a[r], a[r + 1]),
                high = (__m512d)_mm512_unpackhi_ps(a[r], a[r + 1]),
                next_low = (__m512d)_mm512_unpacklo_ps(a[r + 2], a[r + 3]),
                next_high = (__m512d)_mm512_unpackhi_ps(a[r + 2], a[r + 3]);
        b[r] = (Vec)_mm512_unpacklo_pd(low, next_low);
        b[r + 1] = (Vec)_mm512_unpackhi_pd(low, next_low);
        b[r + 2] = (Vec)_mm512_unpacklo_pd(high, next_high);
        b[r + 3] = (Vec)_mm512_unpackhi_pd(high, next_high);
    }
    for (int c = 0; c < 4; c++) {
        Vec even = _mm512_shuffle_f32x4(b[c], b[4 + c], 0x88),
            odd = _mm512_shuffle_f32x4(b[c], b[4 + c], 0xdd),
            next_even = _mm512_shuffle_f32x4(b[8 + c], b[12 + c], 0x88),
            next_odd = _mm512_shuffle_f32x4(b[8 + c], b[12 + c], 0xdd);
        a[c] = _mm512_shuffle_f32x4(even, next_even, 0x88);
        a[4 + c] = _mm512_shuffle_f32x4(odd, next_odd, 0x88);
        a[8 + c] = _mm512_shuffle_f32x4(even, next_even, 0xdd);
        a[12 + c] = _mm512_shuffle_f32x4(odd, next_odd, 0xdd);
    }
}
