/* Vectors, for kernels that are written once. The including file defines
 *   Vec, VEC_FLOATS (divides LANES), vec_set1, vec_fma(a, b, c) = a*b + c, vec_max(a, b) = a > b ? a : b,
 *   vec_min(a, b) = a < b ? a : b, vec_turn (VEC_FLOATS vectors: rows become columns), and vec_round and
 * vec_equal if it has shorter ways than those below. Lanes is the unit of every reduction: LANES floats,
 * whatever the width of Vec, so that the order of a sum does not depend on the instruction set. */
#include <math.h>
#include <string.h>

#include "runner/cpu/kernels.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

enum { LANE_VECS = LANES / VEC_FLOATS };

typedef Vec UnalignedVec __attribute__((aligned(4), may_alias));
typedef uint32_t BitsVec __attribute__((vector_size(sizeof(Vec))));
typedef struct Lanes {
    Vec v[LANE_VECS];
} Lanes;

#define FOR_VECS for (int i = 0; i < LANE_VECS; i++)

ALWAYS_INLINE Lanes lanes_load(const float *p) {
    Lanes a;
    FOR_VECS a.v[i] = *(const UnalignedVec *)(p + i * VEC_FLOATS);
    return a;
}

ALWAYS_INLINE void lanes_store(float *p, Lanes a) {
    FOR_VECS *(UnalignedVec *)(p + i * VEC_FLOATS) = a.v[i];
}

/* The first n < LANES elements, zeros after them. */
ALWAYS_INLINE Lanes lanes_load_part(const float *p, size_t n) {
    float buffer[LANES] = {0};
    for (size_t i = 0; i < n; i++)
        buffer[i] = p[i];
    return lanes_load(buffer);
}

ALWAYS_INLINE void lanes_store_part(float *p, Lanes a, size_t n) {
    float buffer[LANES];
    lanes_store(buffer, a);
    for (size_t i = 0; i < n; i++)
        p[i] = buffer[i];
}

ALWAYS_INLINE Lanes lanes_set1(float x) {
    Lanes a;
    FOR_VECS a.v[i] = vec_set1(x);
    return a;
}

ALWAYS_INLINE Lanes lanes_add(Lanes a, Lanes b) {
    FOR_VECS a.v[i] += b.v[i];
    return a;
}

ALWAYS_INLINE Lanes lanes_multiply(Lanes a, Lanes b) {
    FOR_VECS a.v[i] *= b.v[i];
    return a;
}

ALWAYS_INLINE Lanes lanes_fma(Lanes a, Lanes b, Lanes c) {
    FOR_VECS c.v[i] = vec_fma(a.v[i], b.v[i], c.v[i]);
    return c;
}

ALWAYS_INLINE Lanes lanes_max(Lanes a, Lanes b) {
    FOR_VECS a.v[i] = vec_max(a.v[i], b.v[i]);
    return a;
}

/* Joins lanes i and i + 8, then i and i + 4, and so on, in quarters of a Lanes whatever the width of Vec. */
typedef float Quarter __attribute__((vector_size(LANES / 4 * sizeof(float))));
typedef struct Quarters {
    Quarter q[4];
} Quarters;

ALWAYS_INLINE Quarters lanes_quarters(Lanes a) {
    Quarters quarters;
    _Static_assert(sizeof quarters == sizeof a, "four quarters make the lanes");
    memcpy(&quarters, &a, sizeof a);
    return quarters;
}

ALWAYS_INLINE float lanes_sum(Lanes a) {
    Quarters x = lanes_quarters(a);
    Quarter sum = (x.q[0] + x.q[2]) + (x.q[1] + x.q[3]);
    sum += __builtin_shufflevector(sum, sum, 2, 3, 0, 1);
    return sum[0] + sum[1];
}

ALWAYS_INLINE Quarter quarter_max(Quarter a, Quarter b) {
    typedef int32_t Mask __attribute__((vector_size(sizeof(Quarter))));
    Mask a_wins = a > b;
    return (Quarter)((a_wins & (Mask)a) | (~a_wins & (Mask)b));
}

ALWAYS_INLINE float lanes_largest(Lanes a) {
    Quarters x = lanes_quarters(a);
    Quarter max = quarter_max(quarter_max(x.q[0], x.q[2]), quarter_max(x.q[1], x.q[3]));
    max = quarter_max(max, __builtin_shufflevector(max, max, 2, 3, 0, 1));
    return max[0] > max[1] ? max[0] : max[1];
}

/* The first n lanes of a, 0 < n <= LANES, and those of b after them. */
ALWAYS_INLINE Lanes lanes_join(Lanes a, Lanes b, size_t n) {
    static const uint32_t ones_then_zeros[2 * LANES] = {~0u, ~0u, ~0u, ~0u, ~0u, ~0u, ~0u, ~0u,
                                                        ~0u, ~0u, ~0u, ~0u, ~0u, ~0u, ~0u, ~0u};
    FOR_VECS {
        BitsVec mask;
        memcpy(&mask, ones_then_zeros + LANES - n + i * VEC_FLOATS, sizeof mask);
        a.v[i] = (Vec)((mask & (BitsVec)a.v[i]) | (~mask & (BitsVec)b.v[i]));
    }
    return a;
}

/* e^x to about 1 ulp for x in [-87.3, 88.3], the value at the nearer end outside; NaN stays NaN. Range
 * reduction x = n ln 2 + r, then a polynomial in r (coefficients of Cephes' expf), then n goes into the
 * exponent bits. */
ALWAYS_INLINE Vec vec_exp(Vec x) {
    x = vec_max(vec_set1(-87.3365478515625f), x);
    x = vec_min(vec_set1(88.3762626647949f), x);
    const Vec magic = vec_set1(12582912.0f); /* 1.5 * 2^23: adding it rounds to a whole number */
    Vec shifted = vec_fma(x, vec_set1(1.44269504088896341f), magic);
    Vec n = shifted - magic;
    Vec r = vec_fma(n, vec_set1(-0.693359375f), x);
    r = vec_fma(n, vec_set1(2.12194440e-4f), r);
    Vec p = vec_set1(1.9875691500e-4f);
    p = vec_fma(p, r, vec_set1(1.3981999507e-3f));
    p = vec_fma(p, r, vec_set1(8.3334519073e-3f));
    p = vec_fma(p, r, vec_set1(4.1665795894e-2f));
    p = vec_fma(p, r, vec_set1(1.6666665459e-1f));
    p = vec_fma(p, r, vec_set1(5.0000001201e-1f));
    p = vec_fma(p, r * r, r) + vec_set1(1.0f);
    BitsVec exponent = ((BitsVec)shifted + 127u) << 23; /* the low bits of `shifted` are n */
    return p * (Vec)exponent;
}

ALWAYS_INLINE Lanes lanes_exp(Lanes a) {
    FOR_VECS a.v[i] = vec_exp(a.v[i]);
    return a;
}

/* u / (1 + e^-u) */
ALWAYS_INLINE Vec vec_silu(Vec a) {
    return a / (vec_set1(1.0f) + vec_exp(-a));
}

ALWAYS_INLINE Lanes lanes_silu(Lanes a) {
    FOR_VECS a.v[i] = vec_silu(a.v[i]);
    return a;
}

/* Whether all lanes are equal. */
#ifndef vec_equal
ALWAYS_INLINE bool vec_equal(Vec a, Vec b) {
    BitsVec differs = (BitsVec)(a != b);
    uint32_t any = 0;
    for (size_t i = 0; i < VEC_FLOATS; i++)
        any |= differs[i];
    return any == 0;
}
#endif

/* The nearest bfloat16, ties to even. The carry of a NaN's rounding could run into its sign, so NaNs keep
 * their upper bits and become quiet ones. */
#ifndef vec_round
ALWAYS_INLINE Vec vec_round(Vec x) {
    BitsVec bits = (BitsVec)x, is_nan = (BitsVec)(x != x);
    BitsVec rounded = bits + 0x7fffu + ((bits >> 16) & 1u);
    return (Vec)(((is_nan & (bits | 0x400000u)) | (~is_nan & rounded)) & 0xffff0000u);
}
#endif

ALWAYS_INLINE Lanes lanes_round(Lanes a) {
    FOR_VECS a.v[i] = vec_round(a.v[i]);
    return a;
}

typedef uint16_t HalfVec __attribute__((vector_size(sizeof(Vec) / 2)));

/* VEC_FLOATS stored numbers in a row, widened. */
ALWAYS_INLINE Vec vec_widen(const uint8_t *p, const Dtype dtype) {
    if (dtype == DTYPE_FLOAT32) {
        Vec x;
        memcpy(&x, p, sizeof x);
        return x;
    }
    HalfVec half;
    memcpy(&half, p, sizeof half);
    BitsVec bits = __builtin_convertvector(half, BitsVec);
    if (dtype == DTYPE_BFLOAT16)
        return (Vec)(bits << 16);
    BitsVec magnitude = bits & 0x7fffu; /* as float16_to_float */
    BitsVec normal = (BitsVec)((Vec)(magnitude << 13) * vec_set1(0x1p112f));
    BitsVec special = (BitsVec)(magnitude >= 0x7c00u); /* all ones for infinities and NaNs */
    normal = (special & (0x7f800000u | magnitude << 13)) | (~special & normal);
    return (Vec)(normal | (bits & 0x8000u) << 16);
}
