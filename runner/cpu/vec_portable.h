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

static inline __attribute__((always_inline)) void vec_turn(Vec a[VEC_FLOATS]) {
    Vec low = __builtin_shufflevector(a[0], a[2], 0, 4, 1, 5),
        high = __builtin_shufflevector(a[0], a[2], 2, 6, 3, 7),
        next_low = __builtin_shufflevector(a[1], a[3], 0, 4, 1, 5),
        next_high = __builtin_shufflevector(a[1], a[3], 2, 6, 3, 7);
    a[0] = __builtin_shufflevector(low, next_low, 0, 4, 1, 5);
    a[1] = __builtin_shufflevector(low, next_low, 2, 6, 3, 7);
    a[2] = __builtin_shufflevector(high, next_high, 0, 4, 1, 5);
    a[3] = __builtin_shufflevector(high, next_high, 2, 6, 3, 7);
}
