/* Vectors of 4 floats for any processor, multiply and add rounded separately. What each name means is said in
 * lanes.h. */
typedef float Vec __attribute__((vector_size(16)));
enum { VEC_FLOATS = 4 };

#include <stdint.h>

typedef int32_t VecMask __attribute__((vector_size(16)));

static inline __attribute__((always_inline)) Vec vec_set1(float x) {
    return (Vec){x, x, x, x};
}

static inline __attribute__((always_inline)) Vec vec_fma(Vec a, Vec b, Vec c) {
    return a * b + c;
}

static inline __attribute__((always_inline)) Vec vec_select(VecMask mask, Vec a, Vec b) {
    return (Vec)((mask & (VecMask)a) | (~mask & (VecMask)b));
}

static inline __attribute__((always_inline)) Vec vec_max(Vec a, Vec b) {
    return vec_select(a > b, a, b);
}

static inline __attribute__((always_inline)) Vec vec_min(Vec a, Vec b) {
    return vec_select(a < b, a, b);
}

#define vec_zip_low(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define vec_zip_high(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
