/* Linear layers over weights in their files' layout. The including file defines GEMM_STRIPS, and
 * GEMM_FUNCTION, the name of the table. With vec_dot(sum, a, b), which adds the products of a's and b's pairs
 * of bfloat16, inputs and weights are such pairs, and there are vec_pairs, vec_pair_lanes, vec_fours (four
 * floats from memory, again and again) and vec_rotate (each lane has what the next one had); without it they
 * are multiplied in float32, weights of either type.
 *
 * The wide kernel has rows of the input in the lanes: a tile of GEMM_STRIPS vectors of input rows, packed so
 * that one load gives one column of the tile, meets GEMM_COLUMNS rows of the weight, whose numbers are
 * broadcast from where they lie: weights are never packed, so a tile costs the same whether there are many of
 * them or one. The sums fill the registers: 6 x 4 of 32 with AVX-512, which needs 10 loads for 24
 * multiply-adds. Fewer strips meet 8 columns, or their few sums would wait for themselves
 * (an instruction takes up to six cycles, and two begin in each); more would be worse where rows are 4 KiB
 * apart, which all fall into one set of the first-level cache, and that has 8 to 12 places.
 *
 * The narrow kernel, for a few input rows, has the weight's rows in the lanes: squares of them are turned in
 * registers, which keeps up with memory, and every number of the weight is read once. Of a long row
 * VEC_FLOATS or FEW_BLOCKS blocks of the sum are in lanes of their own, so that what is read at once lies in
 * one row or a few: memory answers a few long runs faster than many short ones.
 *
 * Either way an output is the same chain of multiply-adds over k (or pairs of k) inside each block of
 * K_BLOCK or K_BLOCK_PAIRS, and the blocks are added in order. */

#include "runner/cpu/lanes.h"

/* What a weight's four bytes are, and what an input's. */
typedef enum Operands { FLOATS, HALVES_AS_FLOATS, PAIRS } Operands;
enum { GEMM_COLUMNS = 6, MOST_COLUMNS = 8, WORDS_A_LINE = 16 };

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

/* A square of packed inputs, or the part of it that is there. */
ALWAYS_INLINE void pack_square(float *out, size_t width, const float *x, size_t x_stride, size_t rows,
                               size_t depth, size_t words) {
    Vec a[VEC_FLOATS];
    for (size_t r = 0; r < VEC_FLOATS; r++)
        a[r] = r < rows ? input_words(x + r * x_stride, depth) : vec_set1(0.0f);
    vec_turn(a);
    for (size_t i = 0; i < VEC_FLOATS && i < words; i++)
        *(UnalignedVec *)(out + i * width) = a[i];
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

/* Where the words from k on are in a row that pack_row leaves, and how far apart: of pairs, in a set of
 * blocks of the sum, as many as the vector has lanes or FEW_BLOCKS, the blocks' words alternate. */
static size_t packed_place(size_t k, size_t words, size_t *apart) {
    size_t begin = 0;
    for (size_t side = VEC_FLOATS; side > 1 && INPUTS_PER_WORD == 2;
         side = side > FEW_BLOCKS ? FEW_BLOCKS : 1) {
        size_t block = K_BLOCK_PAIRS / 2, set = block * side, end = begin + (words - begin) / set * set,
               in_set = (k - begin) % set;
        *apart = side;
        if (k < end)
            return k - in_set + in_set % block * side + in_set / block;
        begin = end;
    }
    *apart = 1;
    return k;
}

/* One row's words, zeros in the last one's second half if depth is odd. */
static void gemm_pack_row(void *out, const float *x, size_t depth) {
    size_t words = (depth + INPUTS_PER_WORD - 1) / INPUTS_PER_WORD, apart;
    for (size_t k = 0; k < words; k += VEC_FLOATS) {
        Vec a = input_words(x + k * INPUTS_PER_WORD, depth - k * INPUTS_PER_WORD);
        float *to = (float *)out + packed_place(k, words, &apart);
        if (apart == 1)
            memcpy(to, &a, (words - k < VEC_FLOATS ? words - k : VEC_FLOATS) * sizeof *to);
        else
            for (size_t i = 0; i < VEC_FLOATS; i++)
                to[i * apart] = a[i];
    }
}

ALWAYS_INLINE BitsVec bits_set1(const uint8_t *p) {
    uint32_t bits;
    memcpy(&bits, p, sizeof bits);
    return bits - (BitsVec){0};
}

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

/* Where a square's worth of the weights lies that come after those at word k: in a row's next RUN bytes, row
 * after row, or, where rows are short, in the next VEC_FLOATS rows in the order in which they lie. Memory
 * answers runs of lines faster than one line of each row at a time, and slower where runs are shorter or
 * further ahead. */
ALWAYS_INLINE const uint8_t *narrow_next(const uint8_t *weight, size_t row_bytes, size_t k, size_t words) {
    enum { RUN = 4096, RUN_WORDS = RUN / 4 };
    const uint8_t *from = weight + VEC_FLOATS * row_bytes;
    if (words < 2 * RUN_WORDS)
        return from + k * 4 * VEC_FLOATS;
    size_t in_run = k % RUN_WORDS, next = k - in_run + RUN_WORDS, at = in_run * 4 * VEC_FLOATS;
    return (next < words ? weight + next * 4 : from) + at / RUN * row_bytes + at % RUN;
}

/* A word in every lane, or `side` of them again and again. */
ALWAYS_INLINE Vec input_lanes(const float *x, const size_t side) {
    (void)side;
#ifdef vec_dot
    if (side > 1)
        return side == VEC_FLOATS ? vec_load(x) : vec_fours(x);
#endif
    return (Vec)bits_set1((const uint8_t *)x);
}

/* sum[m] += word i of VEC_FLOATS rows of the weight, or blocks of rows, for i in [0, n), times row m's input
 * i, which is `side` of them. */
ALWAYS_INLINE void narrow_steps(const int rows, const Operands operands, const size_t side,
                                Vec sum[NARROW_ROWS], const Vec words[VEC_FLOATS], size_t n, const float *x,
                                size_t x_stride) {
    const size_t inputs = operands == HALVES_AS_FLOATS ? 2 : 1;
    for (size_t i = 0; i < n; i++) {
        BitsVec bits = (BitsVec)words[i];
        Vec first = operands == HALVES_AS_FLOATS ? (Vec)(bits << 16) : words[i],
            second = (Vec)(bits & 0xffff0000u);
        for (int m = 0; m < rows; m++) {
            const float *input = x + (size_t)m * x_stride + i * inputs * side;
            sum[m] = vec_step(sum[m], first, input_lanes(input, side));
            if (operands == HALVES_AS_FLOATS)
                sum[m] = vec_step(sum[m], second, input_lanes(input + side, side));
        }
    }
}

/* A pointer that the compiler does not know to follow from another: of many that do it would keep every one,
 * most of them in memory. What is written before is read before. */
ALWAYS_INLINE const uint8_t *fresh(const uint8_t *p) {
    __asm__ volatile("" : "+r"(p));
    return p;
}

/* A vector's bytes of each of `side` blocks, block_bytes apart, of VEC_FLOATS / side rows, turned: a[i] holds
 * the i-th word of every one. Rows from n on are not there. The square of weights at `next` is asked for,
 * some lines after some loads: many at once would be in the way of what is read now. */
ALWAYS_INLINE void narrow_load(const size_t side, Vec a[VEC_FLOATS], const uint8_t *weight, size_t row_bytes,
                               size_t n, size_t block_bytes, const uint8_t *next) {
    enum { LINE = 64, AT_ONCE = 4, LINES = VEC_FLOATS * AT_ONCE * 4 / LINE };
    for (size_t r = 0; r < VEC_FLOATS; r += AT_ONCE, next += LINES * LINE) {
        size_t row = side == 1 ? r : r / side < n ? r / side : n - 1;
        const uint8_t *from = fresh(weight + row * row_bytes + r % side * block_bytes);
        for (size_t i = 0; i < AT_ONCE; i++)
            a[r + i] = vec_load(from + i * (side == 1 ? row_bytes : block_bytes));
        next = fresh(next);
        for (size_t i = 0; i < LINES; i++)
            __builtin_prefetch(next + i * LINE, 0, 0);
    }
    vec_turn(a);
}

/* The same of the n first words of so many rows, zeros elsewhere. */
ALWAYS_INLINE void narrow_load_part(Vec a[VEC_FLOATS], const uint8_t *weight, size_t row_bytes,
                                    size_t columns, size_t n) {
    for (size_t r = 0; r < VEC_FLOATS; r++)
        a[r] = r < columns ? vec_load_part(weight + r * row_bytes, n) : vec_set1(0.0f);
    vec_turn(a);
}

#ifdef vec_dot
/* out[row] (+)= the sums of a row's blocks, which are `side` lanes beside each other, from the first to the
 * last. */
ALWAYS_INLINE void narrow_join(const size_t side, float *out, Vec sum, bool accumulate) {
    Vec total = sum;
    if (accumulate) {
        Vec before = vec_set1(0.0f);
        for (size_t r = 0; r < VEC_FLOATS / side; r++)
            before[r * side] = out[r];
        total = before + sum;
    }
    for (size_t i = 1; i < side; i++) {
        sum = vec_rotate(sum);
        total += sum;
    }
    for (size_t r = 0; r < VEC_FLOATS / side; r++)
        out[r] = total[r * side];
}

/* `side` blocks of VEC_FLOATS / side rows of the weight for a few input rows: out[row] (+)= the blocks in
 * their order. The next such blocks are asked for meanwhile, in the order in which they lie; they and these
 * have room in the first-level cache. */
ALWAYS_INLINE void narrow_set(const int rows, const size_t side, float *out, const float *x, size_t x_stride,
                              const uint8_t *weight, size_t row_bytes, size_t n, const uint8_t *next,
                              bool accumulate) {
    const size_t block = block_words(PAIRS);
    Vec sum[NARROW_ROWS] = {0}, a[VEC_FLOATS];
    for (size_t k = 0; k < block; k += VEC_FLOATS) {
        size_t at = k * 4 * VEC_FLOATS, run = block * 4 * side;
        narrow_load(side, a, weight + k * 4, row_bytes, n, block * 4, next + at / run * row_bytes + at % run);
        narrow_steps(rows, PAIRS, side, sum, a, VEC_FLOATS, x + k * side, x_stride);
    }
    for (int m = 0; m < rows; m++)
        narrow_join(side, out + (size_t)m * VEC_FLOATS, sum[m], accumulate);
}

/* As many whole sets as `words` have; returns their words. */
ALWAYS_INLINE size_t narrow_sets(const int rows, const size_t side, float *out, const float *x,
                                 size_t x_stride, const uint8_t *weight, size_t row_bytes, size_t columns,
                                 size_t words, bool accumulate) {
    const size_t set = block_words(PAIRS) * side;
    size_t in_sets = words / set * set;
    for (size_t r = 0; r < columns; r += VEC_FLOATS / side)
        for (size_t k = 0; k < in_sets; k += set) {
            const uint8_t *from = weight + r * row_bytes;
            const uint8_t *next =
                k + set < in_sets ? from + (k + set) * 4 : from + VEC_FLOATS / side * row_bytes;
            narrow_set(rows, side, out + r, x + k, x_stride, from + k * 4, row_bytes, columns - r, next,
                       accumulate || k > 0);
        }
    return in_sets;
}
#endif

/* One vector of columns for a few rows, block by block. The weights that the next call will read are asked
 * for meanwhile. */
ALWAYS_INLINE void narrow_blocks(const int rows, const Operands operands, float *out, const float *x,
                                 size_t x_stride, const uint8_t *weight, size_t row_bytes, size_t columns,
                                 size_t words, bool accumulate) {
    const size_t block = block_words(operands), inputs = operands == HALVES_AS_FLOATS ? 2 : 1;
    for (size_t first = 0; first < words; first += block) {
        Vec sum[NARROW_ROWS] = {0}, a[VEC_FLOATS];
        size_t k = first, end = words - first < block ? words : first + block;
        for (; columns == VEC_FLOATS && k + VEC_FLOATS <= end; k += VEC_FLOATS) {
            narrow_load(1, a, weight + k * 4, row_bytes, columns, 0,
                        narrow_next(weight, row_bytes, k, words));
            narrow_steps(rows, operands, 1, sum, a, VEC_FLOATS, x + k * inputs, x_stride);
        }
        for (; k < end; k += VEC_FLOATS) {
            size_t n = end - k < VEC_FLOATS ? end - k : VEC_FLOATS;
            narrow_load_part(a, weight + k * 4, row_bytes, columns, n);
            narrow_steps(rows, operands, 1, sum, a, n, x + k * inputs, x_stride);
        }
        for (int m = 0; m < rows; m++) {
            UnalignedVec *to = (UnalignedVec *)(out + m * VEC_FLOATS);
            if (accumulate || first > 0)
                sum[m] += *to;
            *to = sum[m];
        }
    }
}

ALWAYS_INLINE void narrow_columns(const int rows, const Operands operands, float *out, const float *x,
                                  size_t x_stride, const uint8_t *weight, size_t row_bytes, size_t columns,
                                  size_t words, bool accumulate) {
    size_t k = 0;
#ifdef vec_dot
    k += narrow_sets(rows, VEC_FLOATS, out, x, x_stride, weight, row_bytes, columns, words, accumulate);
    k += narrow_sets(rows, FEW_BLOCKS, out, x + k, x_stride, weight + k * 4, row_bytes, columns, words - k,
                     accumulate || k > 0);
#endif
    narrow_blocks(rows, operands, out, x + k, x_stride, weight + k * 4, row_bytes, columns, words - k,
                  accumulate || k > 0);
}

#define NARROW_CASE(n, operands)                                                                             \
    case n:                                                                                                  \
        narrow_columns(n, operands, out, x, x_stride, weight, row_bytes, columns, words, accumulate);        \
        break;
#define NARROW_KERNEL(operands)                                                                              \
    static void narrow_##operands(float *out, const float *x, size_t x_stride, size_t rows,                  \
                                  const uint8_t *weight, size_t row_bytes, size_t columns, size_t words,     \
                                  bool accumulate) {                                                         \
        switch (rows) {                                                                                      \
            NARROW_CASE(1, operands)                                                                         \
            NARROW_CASE(2, operands)                                                                         \
            NARROW_CASE(3, operands)                                                                         \
            NARROW_CASE(4, operands)                                                                         \
            NARROW_CASE(5, operands)                                                                         \
            NARROW_CASE(6, operands)                                                                         \
            NARROW_CASE(7, operands)                                                                         \
        default:                                                                                             \
            NARROW_CASE(8, operands)                                                                         \
        }                                                                                                    \
    }
#ifdef vec_dot
NARROW_KERNEL(PAIRS)
#else
NARROW_KERNEL(FLOATS)
NARROW_KERNEL(HALVES_AS_FLOATS)
#endif

static void gemm_narrow(float *out, const void *x, size_t x_stride, size_t rows, const uint8_t *weight,
                        Dtype dtype, size_t row_bytes, size_t columns, size_t depth, bool accumulate) {
#ifdef vec_dot
    (void)dtype;
    narrow_PAIRS(out, x, x_stride, rows, weight, row_bytes, columns, (depth + 1) / 2, accumulate);
#else
    if (dtype == DTYPE_BFLOAT16)
        narrow_HALVES_AS_FLOATS(out, x, x_stride, rows, weight, row_bytes, columns, depth / 2, accumulate);
    else
        narrow_FLOATS(out, x, x_stride, rows, weight, row_bytes, columns, depth, accumulate);
#endif
}

/* A square of outputs, or the part of it that is there. */
ALWAYS_INLINE void unpack_square(float *y, size_t y_stride, const float *tile, size_t tile_stride,
                                 size_t rows, size_t columns, const float *bias, const bool round) {
    Vec a[VEC_FLOATS], add = bias ? vec_load_part(bias, columns) : vec_set1(0.0f);
    for (size_t c = 0; c < VEC_FLOATS; c++)
        a[c] = c < columns ? vec_load(tile + c * tile_stride) : vec_set1(0.0f);
    vec_turn(a);
    for (size_t r = 0; r < VEC_FLOATS && r < rows; r++) {
        Vec sum = a[r];
        if (bias)
            sum += add;
        if (round)
            sum = vec_round(sum);
        memcpy(y + r * y_stride, &sum, columns * sizeof *y);
    }
}

ALWAYS_INLINE void unpack_squares(float *y, size_t y_stride, const float *tile, size_t tile_stride,
                                  size_t rows, size_t columns, const float *bias, const bool round) {
    for (size_t row = 0; row < rows; row += VEC_FLOATS)
        for (size_t column = 0; column < columns; column += VEC_FLOATS) {
            float *to = y + row * y_stride + column;
            const float *from = tile + column * tile_stride + row, *add = bias ? bias + column : NULL;
            size_t r = rows - row, c = columns - column;
            if (r < VEC_FLOATS || c < VEC_FLOATS)
                unpack_square(to, y_stride, from, tile_stride, r, c < VEC_FLOATS ? c : VEC_FLOATS, add,
                              round);
            else
                unpack_square(to, y_stride, from, tile_stride, VEC_FLOATS, VEC_FLOATS, add, round);
        }
}

static void gemm_unpack(float *y, size_t y_stride, const float *tile, size_t tile_stride, size_t rows,
                        size_t columns, const float *bias, bool round) {
    if (round && bias)
        unpack_squares(y, y_stride, tile, tile_stride, rows, columns, bias, true);
    else if (round)
        unpack_squares(y, y_stride, tile, tile_stride, rows, columns, NULL, true);
    else if (bias)
        unpack_squares(y, y_stride, tile, tile_stride, rows, columns, bias, false);
    else
        unpack_squares(y, y_stride, tile, tile_stride, rows, columns, NULL, false);
}

/* n columns from `first` on. In three passes, each with few operations in a row: in one, a vector takes so
 * many that too few vectors are under way at once to fill the time that each operation waits for the last. */
ALWAYS_INLINE void gate_columns(float *out, const GateTile *tile, size_t first, size_t n, size_t width,
                                const bool biases, const bool round) {
    float *gate = tile->gate + first * tile->stride;
    const float *factor = tile->factor + first * tile->stride;
    const float *gate_bias = biases && tile->gate_bias ? tile->gate_bias + first : NULL,
                *factor_bias = biases && tile->factor_bias ? tile->factor_bias + first : NULL;
    for (size_t c = 0; c < n && (round || biases); c++)
        for (size_t row = 0; row < width; row += VEC_FLOATS) {
            UnalignedVec *a = (UnalignedVec *)(gate + c * tile->stride + row);
            Vec sum = *a;
            if (gate_bias)
                sum += vec_set1(gate_bias[c]);
            if (round)
                sum = vec_round(sum);
            *a = sum;
        }
    for (size_t c = 0; c < n; c++)
        for (size_t row = 0; row < width; row += VEC_FLOATS) {
            UnalignedVec *a = (UnalignedVec *)(gate + c * tile->stride + row);
            *a = vec_silu(*a);
        }
    for (size_t c = 0; c < n; c += INPUTS_PER_WORD, out += width)
        for (size_t row = 0; row < width; row += VEC_FLOATS) {
            Vec words[INPUTS_PER_WORD];
            for (size_t j = 0; j < INPUTS_PER_WORD; j++) {
                if (c + j >= n) {
                    words[j] = vec_set1(0.0f);
                    continue;
                }
                Vec a = vec_load(gate + (c + j) * tile->stride + row),
                    b = vec_load(factor + (c + j) * tile->stride + row);
                if (factor_bias)
                    b += vec_set1(factor_bias[c + j]);
                if (round) {
                    a = vec_round(a);
                    b = vec_round(b);
                }
                words[j] = a * b;
            }
            *(UnalignedVec *)(out + row) = weight_word(words, round);
        }
}

/* A word's columns stay in their lanes: what `wide` left is packed without being turned. */
ALWAYS_INLINE void gate_tile(float *out, const GateTile *tile, const bool biases, const bool round) {
    enum { AT_ONCE = 4 };
    size_t width = (tile->rows + VEC_FLOATS - 1) / VEC_FLOATS * VEC_FLOATS;
    for (size_t c = 0; c < tile->columns; c += AT_ONCE, out += AT_ONCE / INPUTS_PER_WORD * width)
        if (tile->columns - c < AT_ONCE)
            gate_columns(out, tile, c, tile->columns - c, width, biases, round);
        else
            gate_columns(out, tile, c, AT_ONCE, width, biases, round);
}

static void gemm_gate(void *out, const GateTile *tile) {
    bool biases = tile->gate_bias || tile->factor_bias;
    if (tile->round && !biases)
        gate_tile(out, tile, false, true);
    else if (tile->round)
        gate_tile(out, tile, true, true);
    else
        gate_tile(out, tile, true, false);
}

/* One vector of rows. Column c's term goes to the partial sum c mod LANES, and those are joined, as lanes_sum
 * does it. */
ALWAYS_INLINE void summarise_rows(Vec *max, BitsVec *argmax, Vec *sum, float *tile, size_t tile_stride,
                                  size_t columns, bool round) {
    Vec terms[LANES];
    *max = vec_set1(-INFINITY);
    *argmax = (BitsVec){0};
    for (size_t c = 0; c < columns; c++) {
        Vec logit = vec_load(tile + c * tile_stride);
        if (round)
            *(UnalignedVec *)(tile + c * tile_stride) = logit = vec_round(logit);
        BitsVec larger = (BitsVec)(logit > *max), here = (uint32_t)c - (BitsVec){0};
        *argmax = (larger & here) | (~larger & *argmax);
        *max = vec_max(logit, *max);
    }
    for (int i = 0; i < LANES; i++)
        terms[i] = vec_set1(0.0f);
    for (size_t c = 0; c < columns; c += LANES)
        for (size_t i = 0; i < LANES && c + i < columns; i++)
            terms[i] += vec_exp(vec_load(tile + (c + i) * tile_stride) - *max);
    for (int i = 0; i < LANES / 4; i++)
        terms[i] = (terms[i] + terms[i + 8]) + (terms[i + 4] + terms[i + 12]);
    *sum = (terms[0] + terms[2]) + (terms[1] + terms[3]);
}

static void gemm_summarise(TileSummary *out, size_t out_stride, float *tile, size_t tile_stride, size_t rows,
                           size_t columns, bool round) {
    for (size_t row = 0; row < rows; row += VEC_FLOATS) {
        Vec max, sum;
        BitsVec argmax;
        summarise_rows(&max, &argmax, &sum, tile + row, tile_stride, columns, round);
        for (size_t r = 0; r < VEC_FLOATS && row + r < rows; r++)
            out[(row + r) * out_stride] = (TileSummary){max[r], (int32_t)argmax[r], (double)sum[r]};
    }
}

#include "runner/cpu/attention_body.h"

const GemmKernels *GEMM_FUNCTION(void) {
    static const GemmKernels table = {.lanes = VEC_FLOATS,
                                      .rows = GEMM_STRIPS * VEC_FLOATS,
                                      .columns = gemm_columns,
                                      .inputs_per_word = INPUTS_PER_WORD,
                                      .pack = gemm_pack,
                                      .pack_words = gemm_pack_words,
                                      .pack_row = gemm_pack_row,
                                      .wide = gemm_wide,
                                      .narrow = gemm_narrow,
                                      .unpack = gemm_unpack,
                                      .gate = gemm_gate,
                                      .summarise = gemm_summarise,
                                      .attend_weigh = attend_weigh,
                                      .attend_share = attend_share,
                                      .attend_weigh_rows = attend_weigh_rows,
                                      .attend_share_rows = attend_share_rows};
    return &table;
}
