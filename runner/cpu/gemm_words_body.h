/* Words of four bytes, the unit of what linear layers multiply: a float, or with vec_dot a pair of bfloat16;
 * and the packing of inputs to words, rows in the lanes. */

/* What a weight's four bytes are, and what an input's. */
typedef enum Operands { FLOATS, HALVES_AS_FLOATS, PAIRS } Operands;

/* Words of a block of the sum. */
ALWAYS_INLINE size_t block_words(const Operands operands) {
    return operands == FLOATS ? K_BLOCK : operands == PAIRS ? K_BLOCK_PAIRS / 2 : K_BLOCK / 2;
}

/* The first n <= VEC_FLOATS numbers, zeros after them. */
ALWAYS_INLINE Vec vec_load_part(const void *p, size_t n) {
    Vec a = vec_set1(0.0f);
    memcpy(&a, p, n * sizeof(float));
    return a;
}

ALWAYS_INLINE Vec vec_load(const void *p) {
    Vec a;
    memcpy(&a, p, sizeof a);
    return a;
}

#ifdef vec_dot
/* 2 * VEC_FLOATS numbers as pairs; zeros from n on. */
ALWAYS_INLINE Vec input_words(const float *x, size_t n) {
    if (n >= 2 * VEC_FLOATS)
        return vec_pairs(vec_load(x), vec_load(x + VEC_FLOATS));
    return n <= VEC_FLOATS ? vec_pairs(vec_load_part(x, n), vec_set1(0.0f))
                           : vec_pairs(vec_load(x), vec_load_part(x + VEC_FLOATS, n - VEC_FLOATS));
}
/* The words that hold two inputs of each lane. */
ALWAYS_INLINE Vec weight_word(const Vec a[2], bool round) {
    (void)round;
    return vec_pair_lanes(a[0], a[1]);
}
enum { INPUTS_PER_WORD = 2 };
#define vec_step vec_dot
#else
ALWAYS_INLINE Vec input_words(const float *x, size_t n) {
    return n >= VEC_FLOATS ? vec_load(x) : vec_load_part(x, n);
}
ALWAYS_INLINE Vec weight_word(const Vec a[1], bool round) {
    return round ? vec_round(a[0]) : a[0];
}
enum { INPUTS_PER_WORD = 1 };
#define vec_step(sum, a, b) vec_fma(a, b, sum)
#endif

/* Keeps the compiler from computing many addresses beforehand, for which there are too few registers. */
#define COMPUTE_HERE(pointer) __asm__ volatile("" : "+r"(pointer))

/* A square of packed inputs, or the part of it that is there. */
ALWAYS_INLINE void pack_square(float *out, size_t width, const float *x, size_t x_stride, size_t rows,
                               size_t depth, size_t words) {
    Vec a[VEC_FLOATS];
    for (size_t r = 0; r < VEC_FLOATS; r++, x += x_stride) {
        COMPUTE_HERE(x);
        a[r] = r < rows ? input_words(x, depth) : vec_set1(0.0f);
    }
    vec_turn(a);
    for (size_t i = 0; i < VEC_FLOATS && i < words; i++, out += width) {
        COMPUTE_HERE(out);
        *(UnalignedVec *)out = a[i];
    }
}

/* out[k][row] = x[row][k], k counting words; rows that are not there are zeros. */
static void gemm_pack(void *out, const float *x, size_t x_stride, size_t rows, size_t depth) {
    enum { SQUARE = VEC_FLOATS * INPUTS_PER_WORD };
    size_t width = (rows + VEC_FLOATS - 1) / VEC_FLOATS * VEC_FLOATS,
           words = (depth + INPUTS_PER_WORD - 1) / INPUTS_PER_WORD;
    for (size_t strip = 0; strip < width; strip += VEC_FLOATS)
        for (size_t k = 0; k < words; k += VEC_FLOATS) {
            float *to = (float *)out + k * width + strip;
            size_t first = k * INPUTS_PER_WORD;
            const float *from = x + strip * x_stride + first;
            if (rows - strip < VEC_FLOATS || depth - first < SQUARE)
                pack_square(to, width, from, x_stride, rows - strip, depth - first, words - k);
            else
                pack_square(to, width, from, x_stride, VEC_FLOATS, SQUARE, VEC_FLOATS);
        }
}

/* out[k][row] = x[row][k] as they are. */
static void gemm_pack_words(void *out, const float *x, size_t x_stride, size_t rows, size_t words) {
    size_t width = (rows + VEC_FLOATS - 1) / VEC_FLOATS * VEC_FLOATS;
    for (size_t strip = 0; strip < width; strip += VEC_FLOATS)
        for (size_t k = 0; k < words; k += VEC_FLOATS) {
            Vec a[VEC_FLOATS];
            size_t n = words - k < VEC_FLOATS ? words - k : VEC_FLOATS;
            for (size_t r = 0; r < VEC_FLOATS; r++)
                a[r] = strip + r < rows ? vec_load_part(x + (strip + r) * x_stride + k, n) : vec_set1(0.0f);
            vec_turn(a);
            for (size_t i = 0; i < n; i++)
                *(UnalignedVec *)((float *)out + (k + i) * width + strip) = a[i];
        }
}

ALWAYS_INLINE BitsVec bits_set1(const uint8_t *p) {
    uint32_t bits;
    memcpy(&bits, p, sizeof bits);
    return bits - (BitsVec){0};
}
