/* Linear layers of many rows. Rows of the input are in the lanes: a tile of GEMM_STRIPS vectors of input
 * rows, packed so that one load gives one column of the tile, meets GEMM_COLUMNS rows of the weight, whose
 * numbers are broadcast from where they lie: weights are never packed, so a tile costs the same whether there
 * are many of them or one. The sums fill the registers: 6 x 4 of 32 with AVX-512, which needs 10 loads for 24
 * multiply-adds. Fewer strips meet 8 columns, or their few sums would wait for themselves (an instruction
 * takes up to six cycles, and two begin in each); more would be worse where rows are 4 KiB apart, which all
 * fall into one set of the first-level cache, and that has 8 to 12 places. */

enum { GEMM_COLUMNS = 6, MOST_COLUMNS = 8, WORDS_A_LINE = 16 };

/* sum[c][s] += the weight's words (column c, all k) times the inputs' (strip s). */
ALWAYS_INLINE void wide_step(const int columns, const int strips, const Operands operands,
                             Vec sum[MOST_COLUMNS][GEMM_STRIPS], const float *x, const uint8_t *weight,
                             size_t row_bytes) {
    for (int c = 0; c < columns; c++) {
        BitsVec bits = bits_set1(weight + (size_t)c * row_bytes);
        Vec first = operands == HALVES_AS_FLOATS ? (Vec)(bits << 16) : (Vec)bits,
            second = (Vec)(bits & 0xffff0000u);
        for (int s = 0; s < strips; s++)
            sum[c][s] = vec_step(sum[c][s], first, vec_load(x + s * VEC_FLOATS));
        for (int s = 0; operands == HALVES_AS_FLOATS && s < strips; s++)
            sum[c][s] = vec_step(sum[c][s], second, vec_load(x + (strips + s) * VEC_FLOATS));
    }
}

ALWAYS_INLINE void wide_block(const int columns, const int strips, const Operands operands, float *out,
                              size_t out_stride, const float *x, const uint8_t *weight, size_t row_bytes,
                              size_t words, bool accumulate) {
    const size_t block = block_words(operands);
    const size_t inputs = (size_t)strips * VEC_FLOATS * (operands == HALVES_AS_FLOATS ? 2 : 1);
    for (size_t k = 0; k < words; k += block) {
        Vec sum[MOST_COLUMNS][GEMM_STRIPS];
        size_t end = words - k < block ? words : k + block;
        for (int c = 0; c < columns; c++)
            for (int s = 0; s < strips; s++)
                sum[c][s] = vec_set1(0.0f);
        for (size_t i = k; i < end; i += WORDS_A_LINE) {
            size_t line_end = end - i < WORDS_A_LINE ? end : i + WORDS_A_LINE;
            for (int c = 0; c < columns; c++)
                __builtin_prefetch(weight + ((size_t)c + (size_t)columns) * row_bytes + i * 4, 0, 2);
            for (size_t at = i; at < line_end; at++)
                wide_step(columns, strips, operands, sum, x + at * inputs, weight + at * 4, row_bytes);
        }
        for (int c = 0; c < columns; c++)
            for (int s = 0; s < strips; s++) {
                UnalignedVec *to = (UnalignedVec *)(out + (size_t)c * out_stride + s * VEC_FLOATS);
                if (accumulate || k > 0)
                    sum[c][s] += *to;
                *to = sum[c][s];
            }
    }
}

#define WIDE_ARGUMENTS                                                                                       \
    float *out, size_t out_stride, const void *x, const uint8_t *weight, size_t row_bytes, size_t words,     \
        bool accumulate
#define WIDE_KERNEL(columns, strips, operands)                                                               \
    static void wide_##operands##_##columns##_##strips(WIDE_ARGUMENTS) {                                     \
        wide_block(columns, strips, operands, out, out_stride, x, weight, row_bytes, words, accumulate);     \
    }
#define WIDE_KERNELS(strips, operands)                                                                       \
    WIDE_KERNEL(1, strips, operands)                                                                         \
    WIDE_KERNEL(2, strips, operands)                                                                         \
    WIDE_KERNEL(3, strips, operands)                                                                         \
    WIDE_KERNEL(4, strips, operands)                                                                         \
    WIDE_KERNEL(5, strips, operands)                                                                         \
    WIDE_KERNEL(6, strips, operands)
#define WIDE_ROW(strips, operands)                                                                           \
    {                                                                                                        \
        wide_##operands##_1_##strips, wide_##operands##_2_##strips, wide_##operands##_3_##strips,            \
            wide_##operands##_4_##strips, wide_##operands##_5_##strips, wide_##operands##_6_##strips         \
    }
#if GEMM_STRIPS == 4
#define WIDE_TABLE(operands)                                                                                 \
    WIDE_KERNELS(1, operands)                                                                                \
    WIDE_KERNELS(2, operands)                                                                                \
    WIDE_KERNELS(3, operands)                                                                                \
    WIDE_KERNELS(4, operands)                                                                                \
    WIDE_KERNEL(8, 1, operands)                                                                              \
    WIDE_KERNEL(8, 2, operands)                                                                              \
    WIDE_KERNEL(8, 3, operands)                                                                              \
    static Wide *const wide_##operands[GEMM_STRIPS][GEMM_COLUMNS] = {                                        \
        WIDE_ROW(1, operands), WIDE_ROW(2, operands), WIDE_ROW(3, operands), WIDE_ROW(4, operands)};         \
    static Wide *const widest_##operands[GEMM_STRIPS] = {wide_##operands##_8_1, wide_##operands##_8_2,       \
                                                         wide_##operands##_8_3, wide_##operands##_6_4};
#else
#define WIDE_TABLE(operands)                                                                                 \
    WIDE_KERNELS(1, operands)                                                                                \
    WIDE_KERNELS(2, operands)                                                                                \
    WIDE_KERNEL(8, 1, operands)                                                                              \
    static Wide *const wide_##operands[GEMM_STRIPS][GEMM_COLUMNS] = {WIDE_ROW(1, operands),                  \
                                                                     WIDE_ROW(2, operands)};                 \
    static Wide *const widest_##operands[GEMM_STRIPS] = {wide_##operands##_8_1, wide_##operands##_6_2};
#endif

typedef void Wide(WIDE_ARGUMENTS);
#ifdef vec_dot
WIDE_TABLE(PAIRS)
#else
WIDE_TABLE(FLOATS)
WIDE_TABLE(HALVES_AS_FLOATS)
#endif

static size_t gemm_columns(size_t rows) {
#if GEMM_STRIPS == 4
    static const uint8_t most[] = {MOST_COLUMNS, MOST_COLUMNS, MOST_COLUMNS, GEMM_COLUMNS};
#else
    static const uint8_t most[] = {MOST_COLUMNS, GEMM_COLUMNS};
#endif
    return most[(rows - 1) / VEC_FLOATS];
}

static void gemm_wide(float *out, size_t out_stride, const void *x, size_t rows, const uint8_t *weight,
                      Dtype dtype, size_t row_bytes, size_t columns, size_t depth, bool accumulate) {
    size_t more_strips = (rows - 1) / VEC_FLOATS, most = gemm_columns(rows);
#ifdef vec_dot
    (void)dtype;
    Wide *const *kernels = wide_PAIRS[more_strips], *widest = widest_PAIRS[more_strips];
    size_t words = (depth + 1) / 2;
#else
    bool halves = dtype == DTYPE_BFLOAT16;
    Wide *const *kernels = (halves ? wide_HALVES_AS_FLOATS : wide_FLOATS)[more_strips];
    Wide *widest = (halves ? widest_HALVES_AS_FLOATS : widest_FLOATS)[more_strips];
    size_t words = halves ? depth / 2 : depth;
#endif
    if (columns == most) {
        widest(out, out_stride, x, weight, row_bytes, words, accumulate);
        return;
    }
    for (; columns > GEMM_COLUMNS; columns -= GEMM_COLUMNS) {
        kernels[GEMM_COLUMNS - 1](out, out_stride, x, weight, row_bytes, words, accumulate);
        out += GEMM_COLUMNS * out_stride;
        weight += GEMM_COLUMNS * row_bytes;
    }
    kernels[columns - 1](out, out_stride, x, weight, row_bytes, words, accumulate);
}
