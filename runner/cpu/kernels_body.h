/* The kernels, written once over a vector type that the including file defines:
 *   Vec, VEC_FLOATS (divides LANES), GEMM_ROWS, GEMM_VECS (the register block), KERNELS_NAME,
 * KERNELS_FUNCTION, vec_set1, vec_fma(a, b, c) = a*b + c, vec_max(a, b) = a > b ? a : b, vec_min(a, b) = a <
 * b ? a : b. Lanes is the unit of every reduction: LANES floats, whatever the width of Vec, so that the order
 * of a sum does not depend on the instruction set. */
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
ALWAYS_INLINE Lanes lanes_silu(Lanes a) {
    FOR_VECS a.v[i] = a.v[i] / (vec_set1(1.0f) + vec_exp(-a.v[i]));
    return a;
}

/* The nearest bfloat16, ties to even. The carry of a NaN's rounding could run into its sign, so NaNs keep
 * their upper bits and become quiet ones. */
ALWAYS_INLINE Vec vec_round(Vec x) {
    BitsVec bits = (BitsVec)x, is_nan = (BitsVec)(x != x);
    BitsVec rounded = bits + 0x7fffu + ((bits >> 16) & 1u);
    return (Vec)(((is_nan & (bits | 0x400000u)) | (~is_nan & rounded)) & 0xffff0000u);
}

ALWAYS_INLINE Lanes lanes_round(Lanes a) {
    FOR_VECS a.v[i] = vec_round(a.v[i]);
    return a;
}

/* ---- linear layers */

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

/* Writes VEC_FLOATS rows of VEC_FLOATS numbers as columns: log2 rounds of a perfect shuffle of the rows. */
ALWAYS_INLINE void pack_square(float *out, size_t width, const uint8_t *source, size_t row_bytes,
                               const Dtype dtype) {
    Vec a[VEC_FLOATS], b[VEC_FLOATS];
    for (int r = 0; r < VEC_FLOATS; r++)
        a[r] = vec_widen(source + (size_t)r * row_bytes, dtype);
    for (int round = 1; round < VEC_FLOATS; round *= 2) {
        for (int r = 0; r < VEC_FLOATS / 2; r++) {
            b[2 * r] = vec_zip_low(a[r], a[r + VEC_FLOATS / 2]);
            b[2 * r + 1] = vec_zip_high(a[r], a[r + VEC_FLOATS / 2]);
        }
        for (int r = 0; r < VEC_FLOATS; r++)
            a[r] = b[r];
    }
    for (int r = 0; r < VEC_FLOATS; r++)
        *(UnalignedVec *)(out + (size_t)r * width) = a[r];
}

/* The part of a panel that has VEC_FLOATS columns j from `source` on, of which `columns` exist. */
ALWAYS_INLINE void pack_columns(float *out, size_t width, const uint8_t *source, const Weight *weight,
                                size_t columns, size_t depth, const Dtype dtype) {
    size_t element = dtype == DTYPE_FLOAT32 ? 4 : 2, k = 0;
    if (columns == VEC_FLOATS && weight->col_stride == 1)
        for (; k + VEC_FLOATS <= depth; k += VEC_FLOATS)
            pack_square(out + k * width, width, source + k * element, weight->row_stride * element, dtype);
    else if (columns == VEC_FLOATS && weight->row_stride == 1)
        for (; k < depth; k++)
            *(UnalignedVec *)(out + k * width) = vec_widen(source + k * weight->col_stride * element, dtype);
    for (; k < depth; k++)
        for (size_t j = 0; j < VEC_FLOATS; j++)
            out[k * width + j] =
                j < columns ? weight_element(source, dtype, j * weight->row_stride + k * weight->col_stride)
                            : 0.0f;
}

static size_t pack(float *out, const Weight *weight, size_t first_row, size_t rows, size_t first_col,
                   size_t depth) {
    size_t width = (rows + VEC_FLOATS - 1) / VEC_FLOATS * VEC_FLOATS,
           element = weight->dtype == DTYPE_FLOAT32 ? 4 : 2;
    for (size_t j = 0; j < width; j += VEC_FLOATS) {
        const uint8_t *source =
            weight->data + ((first_row + j) * weight->row_stride + first_col * weight->col_stride) * element;
        size_t columns = rows - j < VEC_FLOATS ? rows - j : VEC_FLOATS;
        if (weight->dtype == DTYPE_FLOAT32)
            pack_columns(out + j, width, source, weight, columns, depth, DTYPE_FLOAT32);
        else if (weight->dtype == DTYPE_BFLOAT16)
            pack_columns(out + j, width, source, weight, columns, depth, DTYPE_BFLOAT16);
        else
            pack_columns(out + j, width, source, weight, columns, depth, DTYPE_FLOAT16);
    }
    return width;
}

/* A block of `rows` x `vecs` vectors of outputs held in registers; both are constants where this is inlined.
 */
ALWAYS_INLINE void gemm_block(const int rows, const int vecs, float *y, size_t y_stride, const float *x,
                              size_t x_stride, const float *panel, size_t cols, size_t depth,
                              bool accumulate) {
    Vec sum[GEMM_ROWS][GEMM_VECS];
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vecs; v++)
            sum[r][v] = vec_set1(0.0f);
    for (size_t k = 0; k < depth; k++) {
        Vec b[GEMM_VECS];
        for (int v = 0; v < vecs; v++)
            b[v] = *(const UnalignedVec *)(panel + (k * (size_t)vecs + (size_t)v) * VEC_FLOATS);
        for (int r = 0; r < rows; r++) {
            Vec a = vec_set1(x[(size_t)r * x_stride + k]);
            for (int v = 0; v < vecs; v++)
                sum[r][v] = vec_fma(a, b[v], sum[r][v]);
        }
    }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vecs; v++) {
            float *out = y + (size_t)r * y_stride + (size_t)v * VEC_FLOATS;
            size_t left = cols - (size_t)v * VEC_FLOATS;
            if (left >= VEC_FLOATS) {
                if (accumulate)
                    sum[r][v] += *(UnalignedVec *)out;
                *(UnalignedVec *)out = sum[r][v];
                continue;
            }
            float part[VEC_FLOATS] = {0};
            memcpy(part, &sum[r][v], sizeof part);
            for (size_t i = 0; i < left; i++)
                out[i] = accumulate ? out[i] + part[i] : part[i];
        }
}

#define GEMM_CASE(n)                                                                                         \
    case n:                                                                                                  \
        if (n <= GEMM_ROWS)                                                                                  \
            gemm_block(n <= GEMM_ROWS ? n : 1, vecs, y, y_stride, x, x_stride, panel, cols, depth,           \
                       accumulate);                                                                          \
        break;

ALWAYS_INLINE void gemm_columns(const int vecs, float *y, size_t y_stride, const float *x, size_t x_stride,
                                size_t rows, const float *panel, size_t cols, size_t depth, bool accumulate) {
    for (; rows >= GEMM_ROWS; rows -= GEMM_ROWS, x += GEMM_ROWS * x_stride, y += GEMM_ROWS * y_stride)
        gemm_block(GEMM_ROWS, vecs, y, y_stride, x, x_stride, panel, cols, depth, accumulate);
    switch (rows) {
        GEMM_CASE(1)
        GEMM_CASE(2)
        GEMM_CASE(3)
        GEMM_CASE(4)
        GEMM_CASE(5)
        GEMM_CASE(6)
        GEMM_CASE(7)
    default:
        break;
    }
}

static void gemm(float *y, size_t y_stride, const float *x, size_t x_stride, size_t rows, const float *panel,
                 size_t width, size_t cols, size_t depth, bool accumulate) {
    switch (width / VEC_FLOATS) {
    case 1:
        gemm_columns(1, y, y_stride, x, x_stride, rows, panel, cols, depth, accumulate);
        break;
    case 2:
        gemm_columns(2, y, y_stride, x, x_stride, rows, panel, cols, depth, accumulate);
        break;
    default:
        gemm_columns(3, y, y_stride, x, x_stride, rows, panel, cols, depth, accumulate);
        break;
    }
}

/* ---- elementwise */

/* 1 / sqrt(mean of squares + eps) */
ALWAYS_INLINE float rms_scale(const float *x, size_t n, float eps) {
    Lanes squares = lanes_set1(0.0f);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        Lanes a = lanes_load(x + i);
        squares = lanes_fma(a, a, squares);
    }
    if (i < n) {
        Lanes a = lanes_load_part(x + i, n - i);
        squares = lanes_fma(a, a, squares);
    }
    return 1.0f / sqrtf(lanes_sum(squares) / (float)n + eps);
}

static void rms_norm(float *y, const float *x, const float *weight, size_t n, float eps) {
    float scale = rms_scale(x, n, eps);
    for (size_t i = 0; i < n; i++)
        y[i] = weight[i] * (x[i] * scale);
}

static void rms_norm_bfloat16(float *y, const float *x, const float *weight, size_t n, float eps,
                              bool twice) {
    Lanes scale = lanes_set1(rms_scale(x, n, eps));
    for (size_t i = 0; i < n; i += LANES) {
        bool whole = i + LANES <= n;
        Lanes a = lanes_multiply(whole ? lanes_load(x + i) : lanes_load_part(x + i, n - i), scale);
        if (twice)
            a = lanes_round(a);
        a = lanes_multiply(whole ? lanes_load(weight + i) : lanes_load_part(weight + i, n - i), a);
        if (whole)
            lanes_store(y + i, lanes_round(a));
        else
            lanes_store_part(y + i, lanes_round(a), n - i);
    }
}

static void round_bfloat16(float *x, size_t n) {
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        lanes_store(x + i, lanes_round(lanes_load(x + i)));
    if (i < n)
        lanes_store_part(x + i, lanes_round(lanes_load_part(x + i, n - i)), n - i);
}

/* The n numbers of x minus `centre`, squared and summed; with `squared` false summed as they are. */
ALWAYS_INLINE float sum_around(const float *x, size_t n, float centre, const bool squared) {
    Lanes sum = lanes_set1(0.0f);
    for (size_t i = 0; i < n; i += LANES) {
        Lanes a = i + LANES <= n ? lanes_load(x + i) : lanes_load_part(x + i, n - i);
        a = lanes_add(a, lanes_set1(-centre));
        if (i + LANES > n)
            a = lanes_join(a, lanes_set1(0.0f), n - i);
        sum = squared ? lanes_fma(a, a, sum) : lanes_add(sum, a);
    }
    return lanes_sum(sum);
}

static void layer_norm(float *y, const float *x, const float *weight, const float *bias, size_t n,
                       float eps) {
    float mean = sum_around(x, n, 0.0f, false) / (float)n;
    float scale = 1.0f / sqrtf(sum_around(x, n, mean, true) / (float)n + eps);
    for (size_t i = 0; i < n; i++)
        y[i] = weight[i] * ((x[i] - mean) * scale) + bias[i];
}

static void add(float *x, const float *y, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i] += y[i];
}

static void silu_multiply(float *x, const float *y, size_t n) {
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        lanes_store(x + i, lanes_multiply(lanes_silu(lanes_load(x + i)), lanes_load(y + i)));
    if (i < n)
        lanes_store_part(
            x + i, lanes_multiply(lanes_silu(lanes_load_part(x + i, n - i)), lanes_load_part(y + i, n - i)),
            n - i);
}

static void silu_multiply_bfloat16(float *x, const float *y, size_t n) {
    for (size_t i = 0; i < n; i += LANES) {
        bool whole = i + LANES <= n;
        Lanes a = lanes_round(lanes_silu(whole ? lanes_load(x + i) : lanes_load_part(x + i, n - i)));
        a = lanes_round(lanes_multiply(a, whole ? lanes_load(y + i) : lanes_load_part(y + i, n - i)));
        if (whole)
            lanes_store(x + i, a);
        else
            lanes_store_part(x + i, a, n - i);
    }
}

static void silu(float *x, size_t n) {
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        lanes_store(x + i, lanes_silu(lanes_load(x + i)));
    if (i < n)
        lanes_store_part(x + i, lanes_silu(lanes_load_part(x + i, n - i)), n - i);
}

static void square_relu(float *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i] = x[i] < 0.0f ? 0.0f : x[i] * x[i];
}

static void rotate(float *x, const float *cosines, const float *sines, size_t half) {
    for (size_t i = 0; i < half; i++) {
        float a = x[i], b = x[half + i];
        x[i] = a * cosines[i] - b * sines[i];
        x[half + i] = b * cosines[i] + a * sines[i];
    }
}

/* The pairs (x[i], x[half + i]) of the lanes from i on, of which n exist. */
ALWAYS_INLINE void rotate_lanes_bfloat16(float *x, const float *cosines, const float *sines, size_t half,
                                         size_t n) {
    Lanes a = lanes_load_part(x, n), b = lanes_load_part(x + half, n),
          c = lanes_round(lanes_load_part(cosines, n)), s = lanes_round(lanes_load_part(sines, n)),
          minus_s = lanes_multiply(s, lanes_set1(-1.0f));
    lanes_store_part(
        x, lanes_round(lanes_add(lanes_round(lanes_multiply(a, c)), lanes_round(lanes_multiply(b, minus_s)))),
        n);
    lanes_store_part(
        x + half,
        lanes_round(lanes_add(lanes_round(lanes_multiply(b, c)), lanes_round(lanes_multiply(a, s)))), n);
}

static void rotate_bfloat16(float *x, const float *cosines, const float *sines, size_t half) {
    size_t i = 0;
    for (; i + LANES <= half; i += LANES)
        rotate_lanes_bfloat16(x + i, cosines + i, sines + i, half, LANES);
    if (i < half)
        rotate_lanes_bfloat16(x + i, cosines + i, sines + i, half, half - i);
}

static void multiply_add(float *out, const float *a, const float *b, size_t n) {
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        lanes_store(out + i, lanes_fma(lanes_load(a + i), lanes_load(b + i), lanes_load(out + i)));
    if (i < n)
        lanes_store_part(out + i,
                         lanes_fma(lanes_load_part(a + i, n - i), lanes_load_part(b + i, n - i),
                                   lanes_load_part(out + i, n - i)),
                         n - i);
}

static void scan_step(float *state, float *y, const float *x, const float *b, const float *c, float decay,
                      size_t width, size_t stride) {
    Lanes decays = lanes_set1(decay);
    for (size_t p = 0; p < stride; p += LANES) {
        Lanes input = lanes_load(x + p), sum = lanes_load(y + p);
        for (size_t n = 0; n < width; n++) {
            float *cell = state + n * stride + p;
            Lanes next = lanes_fma(input, lanes_set1(b[n]), lanes_multiply(decays, lanes_load(cell)));
            lanes_store(cell, next);
            sum = lanes_fma(lanes_set1(c[n]), next, sum);
        }
        lanes_store(y + p, sum);
    }
}

static void scan_channels(float *state, float *y, const float *x, const float *dt, const float *a,
                          const float *b, const float *c, size_t width) {
    Lanes dts = lanes_load(dt), input = lanes_multiply(dts, lanes_load(x)), sum = lanes_load(y);
    for (size_t n = 0; n < width; n++) {
        Lanes decay = lanes_exp(lanes_multiply(dts, lanes_load(a + n * LANES)));
        Lanes kept = lanes_multiply(decay, lanes_load(state + n * LANES));
        Lanes next = lanes_fma(input, lanes_set1(b[n]), kept);
        lanes_store(state + n * LANES, next);
        sum = lanes_fma(lanes_set1(c[n]), next, sum);
    }
    lanes_store(y, sum);
}

/* ---- attention */

/* Query rows whose sums fit the registers. */
enum { ROWS_AT_ONCE = LANE_VECS == 1 ? 8 : LANE_VECS == 2 ? 4 : 2 };

ALWAYS_INLINE void scores_of_rows(const int rows, float *scores, size_t scores_stride, const float *const *q,
                                  const float *keys, size_t width, float scale) {
    Lanes sum[ATTEND_ROWS];
    for (int r = 0; r < rows; r++)
        sum[r] = lanes_set1(0.0f);
    for (size_t d = 0; d < width; d++) {
        Lanes key = lanes_load(keys + d * BLOCK_TOKENS);
        for (int r = 0; r < rows; r++)
            sum[r] = lanes_fma(lanes_set1(q[r][d]), key, sum[r]);
    }
    for (int r = 0; r < rows; r++)
        lanes_store(scores + (size_t)r * scores_stride, lanes_multiply(sum[r], lanes_set1(scale)));
}

static void attend_scores(float *scores, size_t scores_stride, const float *const *q, size_t n_rows,
                          const float *keys, size_t width, float scale) {
    size_t r = 0;
    for (; r + ROWS_AT_ONCE <= n_rows; r += ROWS_AT_ONCE)
        scores_of_rows(ROWS_AT_ONCE, scores + r * scores_stride, scores_stride, q + r, keys, width, scale);
    for (; r < n_rows; r++)
        scores_of_rows(1, scores + r * scores_stride, scores_stride, q + r, keys, width, scale);
}

static float attend_softmax(float *scores, size_t n) {
    size_t last = (n - 1) / LANES * LANES, n_last = n - last;
    Lanes largest = lanes_join(lanes_load(scores + last), lanes_set1(-INFINITY), n_last);
    for (size_t i = 0; i < last; i += LANES)
        largest = lanes_max(largest, lanes_load(scores + i));
    Lanes minus_max = lanes_set1(-lanes_largest(largest)), sum = lanes_set1(0.0f), weight;
    for (size_t i = 0; i < last; i += LANES) {
        weight = lanes_exp(lanes_add(lanes_load(scores + i), minus_max));
        lanes_store(scores + i, weight);
        sum = lanes_add(sum, weight);
    }
    weight = lanes_exp(lanes_add(lanes_load(scores + last), minus_max));
    weight = lanes_join(weight, lanes_set1(0.0f), n_last);
    lanes_store(scores + last, weight);
    return lanes_sum(lanes_add(sum, weight));
}

/* Rows are taken together as long as all of them have a weight for a token, to have several sums in flight.
 */
ALWAYS_INLINE void values_of_rows(const int rows, float *out, size_t out_stride, const float *scores,
                                  size_t scores_stride, const size_t *counts, const float *values,
                                  size_t values_stride, size_t width) {
    size_t common = counts[0];
    for (int r = 1; r < rows; r++)
        common = counts[r] < common ? counts[r] : common;
    for (size_t d = 0; d < width; d += LANES) {
        Lanes sum[ATTEND_ROWS];
        for (int r = 0; r < rows; r++)
            sum[r] = lanes_load(out + (size_t)r * out_stride + d);
        for (size_t j = 0; j < common; j++) {
            Lanes value = lanes_load(values + j * values_stride + d);
            for (int r = 0; r < rows; r++)
                sum[r] = lanes_fma(lanes_set1(scores[(size_t)r * scores_stride + j]), value, sum[r]);
        }
        for (int r = 0; r < rows; r++) {
            for (size_t j = common; j < counts[r]; j++)
                sum[r] = lanes_fma(lanes_set1(scores[(size_t)r * scores_stride + j]),
                                   lanes_load(values + j * values_stride + d), sum[r]);
            lanes_store(out + (size_t)r * out_stride + d, sum[r]);
        }
    }
}

static void attend_values(float *out, size_t out_stride, const float *scores, size_t scores_stride,
                          const size_t *counts, size_t n_rows, const float *values, size_t values_stride,
                          size_t width) {
    size_t r = 0;
    for (; r + ROWS_AT_ONCE <= n_rows; r += ROWS_AT_ONCE)
        values_of_rows(ROWS_AT_ONCE, out + r * out_stride, out_stride, scores + r * scores_stride,
                       scores_stride, counts + r, values, values_stride, width);
    for (; r < n_rows; r++)
        values_of_rows(1, out + r * out_stride, out_stride, scores + r * scores_stride, scores_stride,
                       counts + r, values, values_stride, width);
}

/* ---- log-softmax over a tile of the vocabulary */

static TileSummary summarise(const float *logits, size_t n) {
    TileSummary summary = {logits[0], 0, 0.0};
    size_t i = 0;
    Lanes largest = lanes_set1(-INFINITY);
    for (; i + LANES <= n; i += LANES)
        largest = lanes_max(largest, lanes_load(logits + i));
    float max = lanes_largest(largest);
    for (; i < n; i++)
        max = logits[i] > max ? logits[i] : max;
    for (i = 0; i < n; i++)
        if (logits[i] == max) {
            summary.max = max;
            summary.argmax = (int32_t)i;
            break;
        }
    Lanes minus_max = lanes_set1(-summary.max);
    double sums[LANES] = {0};
    float terms[LANES];
    for (i = 0; i + LANES <= n; i += LANES) {
        lanes_store(terms, lanes_exp(lanes_add(lanes_load(logits + i), minus_max)));
        for (int j = 0; j < LANES; j++)
            sums[j] += (double)terms[j];
    }
    if (i < n) {
        lanes_store(terms, lanes_exp(lanes_add(lanes_load_part(logits + i, n - i), minus_max)));
        for (size_t j = 0; j < n - i; j++)
            sums[j] += (double)terms[j];
    }
    for (int width = LANES / 2; width > 0; width /= 2)
        for (int j = 0; j < width; j++)
            sums[j] += sums[j + width];
    summary.sum = sums[0];
    return summary;
}

const Kernels *KERNELS_FUNCTION(void) {
    static const Kernels table = {.name = KERNELS_NAME,
                                  .panel = (size_t)GEMM_VECS * VEC_FLOATS,
                                  .pack = pack,
                                  .gemm = gemm,
                                  .rms_norm = rms_norm,
                                  .layer_norm = layer_norm,
                                  .round_bfloat16 = round_bfloat16,
                                  .rms_norm_bfloat16 = rms_norm_bfloat16,
                                  .silu_multiply_bfloat16 = silu_multiply_bfloat16,
                                  .rotate_bfloat16 = rotate_bfloat16,
                                  .add = add,
                                  .silu_multiply = silu_multiply,
                                  .silu = silu,
                                  .square_relu = square_relu,
                                  .rotate = rotate,
                                  .multiply_add = multiply_add,
                                  .scan_step = scan_step,
                                  .scan_channels = scan_channels,
                                  .attend_scores = attend_scores,
                                  .attend_softmax = attend_softmax,
                                  .attend_values = attend_values,
                                  .summarise = summarise};
    return &table;
}
