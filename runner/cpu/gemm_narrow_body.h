/* Linear layers of a few rows, as in decoding. The weight's rows are in the lanes: squares of them are turned
 * in registers, which keeps up with memory, and every number of the weight is read once. Of a long row
 * VEC_FLOATS or FEW_BLOCKS blocks of the sum are in lanes of their own, so that what is read at once lies in
 * one row or a few: memory answers a few long runs faster than many short ones. */

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
 * most of them in memory. Two of them stay in their order, and so, about, does what is read through them. */
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
