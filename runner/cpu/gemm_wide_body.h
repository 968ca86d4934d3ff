/* Linear layers of many rows. Rows of the input are in the lanes: a tile of GEMM_STRIPS vectors of input
 * rows, packed so that one load gives one column of the tile, meets 6 rows of the weight, whose numbers are
 * broadcast from where they lie: weights are never packed, so a tile costs the same whether there are many of
 * them or one. The sums fill the registers: 6 x 4 of 32 with AVX-512, which needs 10 loads for 24
 * multiply-adds. Fewer strips meet 8 columns, or their few sums would wait for themselves (an instruction
 * takes up to six cycles, and two begin in each); more would be worse where rows are 4 KiB apart, which all
 * fall into one set of the first-level cache, and that has 8 to 12 places. */

enum { MOST_COLUMNS = 8, WORDS_A_LINE = 16 };

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

/* out (+)= sum, column by column. */
ALWAYS_INLINE void wide_put(const int columns, const int strips, float *out, size_t out_stride,
                            const Vec sum[MOST_COLUMNS][GEMM_STRIPS], const bool add) {
    for (int c = 0; c < columns; c++, out += out_stride) {
        COMPUTE_HERE(out);
        for (int s = 0; s < strips; s++) {
            Vec result = sum[c][s];
            if (add)
                result += vec_load(out + s * VEC_FLOATS);
            *(UnalignedVec *)(out + s * VEC_FLOATS) = result;
        }
    }
}

/* So many columns from `first` on, as many as the registers hold sums of, block by block. Meanwhile the next
 * columns' lines are asked for. */
ALWAYS_INLINE void wide_group(const int columns, const int strips, const Operands operands,
                              const WideTile *tile, size_t first, size_t words) {
    const size_t block = block_words(operands), row_bytes = tile->row_bytes;
    const size_t inputs = (size_t)strips * VEC_FLOATS * (operands == HALVES_AS_FLOATS ? 2 : 1);
    const float *x = tile->x;
    const uint8_t *weight = tile->weight + first * row_bytes;
    for (bool add = tile->accumulate; words > 0; add = true) {
        Vec sum[MOST_COLUMNS][GEMM_STRIPS];
        size_t in_block = words < block ? words : block;
        words -= in_block;
        for (int c = 0; c < columns; c++)
            for (int s = 0; s < strips; s++)
                sum[c][s] = vec_set1(0.0f);
        while (in_block > 0) {
            size_t in_line = in_block < WORDS_A_LINE ? in_block : WORDS_A_LINE;
            in_block -= in_line;
            const uint8_t *next = weight + (size_t)columns * row_bytes;
            for (int c = 0; c < columns; c++, next += row_bytes) {
                COMPUTE_HERE(next);
                __builtin_prefetch(next, 0, 3);
            }
            for (; in_line > 0; in_line--, x += inputs, weight += 4)
                wide_step(columns, strips, operands, sum, x, weight, row_bytes);
        }
        float *out = tile->out + first * tile->out_stride;
        if (add)
            wide_put(columns, strips, out, tile->out_stride, sum, true);
        else
            wide_put(columns, strips, out, tile->out_stride, sum, false);
    }
}

typedef void Wide(const WideTile *tile, size_t words);

/* How many of the columns that are left come next: the most, or what is left, but no one or two alone, whose
 * sums would wait for themselves. */
ALWAYS_INLINE size_t wide_columns(size_t left, size_t most) {
    if (left == most || left > most + 2)
        return most;
    return left > most ? (left + 1) / 2 : left;
}

#define WIDE_CASE(columns, strips, operands)                                                                 \
    case columns:                                                                                            \
        wide_group(columns, strips, operands, tile, first, words);                                           \
        break
/* All columns in one function: what a call costs, saving registers and clearing the vectors' upper halves, is
 * worth several steps. */
#define WIDE_KERNEL(most, strips, operands)                                                                  \
    static void wide_##operands##_##strips(const WideTile *tile, size_t words) {                             \
        for (size_t first = 0, n; first < tile->columns; first += n)                                         \
            switch (n = wide_columns(tile->columns - first, most)) {                                         \
                WIDE_CASE(1, strips, operands);                                                              \
                WIDE_CASE(2, strips, operands);                                                              \
                WIDE_CASE(3, strips, operands);                                                              \
                WIDE_CASE(4, strips, operands);                                                              \
                WIDE_CASE(5, strips, operands);                                                              \
                WIDE_CASE(6, strips, operands);                                                              \
                WIDE_CASE(7, strips, operands);                                                              \
                WIDE_CASE(8, strips, operands);                                                              \
            }                                                                                                \
    }
#if GEMM_STRIPS == 4
#define WIDE_TABLE(operands)                                                                                 \
    WIDE_KERNEL(8, 1, operands)                                                                              \
    WIDE_KERNEL(8, 2, operands)                                                                              \
    WIDE_KERNEL(8, 3, operands)                                                                              \
    WIDE_KERNEL(6, 4, operands)                                                                              \
    static Wide *const wide_##operands[GEMM_STRIPS] = {wide_##operands##_1, wide_##operands##_2,             \
                                                       wide_##operands##_3, wide_##operands##_4};
#else
#define WIDE_TABLE(operands)                                                                                 \
    WIDE_KERNEL(8, 1, operands)                                                                              \
    WIDE_KERNEL(6, 2, operands)                                                                              \
    static Wide *const wide_##operands[GEMM_STRIPS] = {wide_##operands##_1, wide_##operands##_2};
#endif

#ifdef vec_dot
WIDE_TABLE(PAIRS)
#else
WIDE_TABLE(FLOATS)
WIDE_TABLE(HALVES_AS_FLOATS)
#endif

static void gemm_wide(const WideTile *tile) {
    size_t more_strips = (tile->rows - 1) / VEC_FLOATS;
#ifdef vec_dot
    wide_PAIRS[more_strips](tile, (tile->depth + 1) / 2);
#else
    if (tile->dtype == DTYPE_BFLOAT16)
        wide_HALVES_AS_FLOATS[more_strips](tile, tile->depth / 2);
    else
        wide_FLOATS[more_strips](tile, tile->depth);
#endif
}
