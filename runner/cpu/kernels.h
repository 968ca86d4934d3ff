/* The CPU's kernels: one table per instruction set, made from bodies that are written once over lanes.h.
 *
 * Order of every sum, the same in each table, which is what makes a row's bits independent of its company: a
 * linear layer's output is a chain of multiply-adds over k inside each block of K_BLOCK (K_BLOCK_PAIRS where
 * pairs of bfloat16 are multiplied), the blocks added in order; an elementwise reduction has LANES partial
 * sums (element i goes to lane i mod LANES) joined by one fixed tree. Tables with a fused multiply-add (avx2,
 * avx512) agree bit for bit; portable rounds twice where they round once. The dot product of bfloat16 pairs
 * (avx512_bf16) takes two k at once, rounds in its own way and takes denormals for zeros. */
#ifndef ZEVAL_RUNNER_CPU_KERNELS_H
#define ZEVAL_RUNNER_CPU_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "runner/weight.h"

enum {
    LANES = 16,
    K_BLOCK = 256,       /* a chain of multiply-adds is at most this long */
    K_BLOCK_PAIRS = 512, /* in bfloat16, whose results are rounded to eight bits. 2048 would save prompts a
                          * per cent, the time of putting sums away; decoding wants several blocks of a row */
    FEW_BLOCKS = 4,      /* of a sum, side by side in the narrow kernel's lanes, where there are not LANES */
    NARROW_SET =
        LANES * K_BLOCK_PAIRS / 2, /* words: parts of a row that it is called with begin at multiples of it */
    BLOCK_TOKENS = LANES,          /* tokens of a cache block: one lane each in the scores */
    NARROW_ROWS = 8,               /* inputs up to so many rows take the narrow kernel */
    VOCAB_TILE = 192               /* columns of the vocabulary whose logits exist at once */
};

/* What one tile of the vocabulary contributes to a row's log-softmax. */
typedef struct TileSummary {
    float max;
    int32_t argmax; /* index in the tile; the lowest among equals */
    double sum;     /* of exp(logit - max) */
} TileSummary;

/* Packed inputs to multiply by columns of a weight: out[column][row] (+)= their products, for whole strips of
 * rows. */
typedef struct WideTile {
    float *out;
    size_t out_stride;
    const void *x; /* packed */
    size_t rows;   /* at most GemmKernels.rows */
    const uint8_t *weight;
    Dtype dtype; /* of the weight */
    size_t row_bytes, columns, depth;
    bool accumulate;
} WideTile;

/* Two tiles of a gated MLP's inner columns as `wide` leaves them. */
typedef struct GateTile {
    float *gate;                          /* [columns][stride]; afterwards anything */
    const float *factor;                  /* [columns][stride] */
    const float *gate_bias, *factor_bias; /* [columns], or NULL */
    size_t stride, rows, columns;
    bool round; /* to bfloat16: both results, silu and product */
} GateTile;

/* A tile of softmax attention: queries in the lanes, `width` of them, a multiple of GemmKernels.lanes; n
 * keys, a multiple of BLOCK_TOKENS. */
typedef struct AttendTile {
    const float *scores; /* [n][width] */
    float *weights;      /* out: [n / inputs_per_word][width] words, as packed inputs of linear layers; may be
                          * `scores` where a word is a float */
    float *max, *sum;    /* [width], carried from tile to tile: the largest scaled score, the weights' sum */
    float *sums;         /* [n_sums][width]: weighted sums so far */
    const uint32_t *first, *end; /* [width]: the keys from first to end - 1 count */
    size_t width, n, n_sums;
    float scale;    /* positive */
    bool all_count; /* every key does for every lane */
    bool round;     /* weights to bfloat16 where a word is a float */
} AttendTile;

/* The same for n_rows <= NARROW_ROWS queries, keys in the lanes; every result has the bits that it would have
 * in an AttendTile. */
typedef struct AttendRows {
    const float *scores;         /* [n / lanes][n_rows][lanes], as `narrow` leaves them */
    float *weights;              /* out: [n_rows], stride words apart, as pack_row leaves them */
    float *row;                  /* memory for n floats */
    float *max, *sum;            /* [n_rows], carried from tile to tile */
    float *sums;                 /* [n_sums / lanes, rounded up][n_rows][lanes] */
    const uint32_t *first, *end; /* [n_rows] */
    size_t n_rows, n, n_sums, stride;
    float scale;
    bool round;
} AttendRows;

static const float ATTEND_NO_MAX = -1e30f; /* the largest score before the first key */

/* Linear layers. The unit of inputs and weights is a word of four bytes: a float, or with inputs_per_word 2 a
 * pair of bfloat16, first k in the lower half. Weights are rows of `depth` numbers, row_bytes apart, of the
 * given dtype: float32 or bfloat16 with an even depth; with inputs_per_word 2, bfloat16, zeros behind an odd
 * depth. All work on columns = rows of the weight. */
typedef struct GemmKernels {
    size_t lanes; /* rows are packed in strips of so many */
    size_t rows;  /* the most that wide takes at once */
    size_t inputs_per_word;
    /* out[word][row] for up to `rows` rows of x, their number rounded up to the lanes; rows that are not
     * there are zeros */
    void (*pack)(void *out, const float *x, size_t x_stride, size_t rows, size_t depth);
    void (*pack_words)(void *out, const float *x, size_t x_stride, size_t rows, size_t words); /* of words */
    /* one row's words, in the order that suits narrow */
    void (*pack_row)(void *out, const float *x, size_t depth);
    void (*wide)(const WideTile *tile); /* see there */
    /* out[row][lanes] (+)= the products of weights and rows <= NARROW_ROWS as pack_row leaves them, x_stride
     * words apart, and columns <= lanes */
    void (*narrow)(float *out, const void *x, size_t x_stride, size_t rows, const uint8_t *weight,
                   Dtype dtype, size_t row_bytes, size_t columns, size_t depth, bool accumulate);
    /* y[row][column] = tile[column][row] + bias[column] (none if NULL), rounded to bfloat16 if `round`; the
     * tile has whole strips of rows */
    void (*unpack)(float *y, size_t y_stride, const float *tile, size_t tile_stride, size_t rows,
                   size_t columns, const float *bias, bool round);
    /* silu(gate) * factor, packed as `pack` does it: out[word][row] */
    void (*gate)(void *out, const GateTile *tile);
    /* A tile of logits as `wide` leaves it, rounded in place to bfloat16 if `round`: row r's summary to
     * out[r * out_stride], the same that Kernels.summarise makes of it. */
    void (*summarise)(TileSummary *out, size_t out_stride, float *tile, size_t tile_stride, size_t rows,
                      size_t columns, bool round);
    /* Weights 2^(scale * score - max), 0 for keys that do not count; max and sum move on, and what was summed
     * so far shrinks with them. A lane's result depends on nothing of the other lanes. */
    void (*attend_weigh)(const AttendTile *tile);
    void (*attend_share)(const AttendTile *tile); /* sums /= sum */
    void (*attend_weigh_rows)(const AttendRows *tile);
    void (*attend_share_rows)(const AttendRows *tile);
} GemmKernels;

/* Consecutive tokens of one state-space head; a token's numbers lie the strides behind the former one's. */
typedef struct HeadScan {
    float *state;           /* [state_width][width rounded up to LANES] */
    const float *x, *b, *c; /* [width], [state_width], [state_width]; conv_stride */
    const float *dt;        /* dt_stride; NULL: 1 */
    const float *decay;     /* decay_stride */
    const float *skip;      /* [width], the same for all tokens */
    float *y;               /* [width], y_stride */
    size_t conv_stride, dt_stride, decay_stride, y_stride;
    size_t width, state_width, n_rows;
} HeadScan;

enum { CONV_TAPS = 4 };

typedef struct Kernels {
    const char *name;

    void (*widen)(float *out, const uint8_t *from, Dtype dtype, size_t n); /* n stored numbers in a row */
    void (*halve)(uint16_t *out, const float *x, size_t n); /* floats that are bfloat16 numbers as such */

    /* y = weight * x / sqrt(mean(x^2) + eps) */
    void (*rms_norm)(float *y, const float *x, const float *weight, size_t n, float eps);
    /* y = weight * (x - mean(x)) / sqrt(mean((x - mean(x))^2) + eps) + bias */
    void (*layer_norm)(float *y, const float *x, const float *weight, const float *bias, size_t n, float eps);
    /* x becomes the nearest bfloat16, ties to even: every kernel below whose name ends in _bfloat16 rounds so
     * where the references, running in bfloat16, store a number. NaN stays NaN. */
    void (*round_bfloat16)(float *x, size_t n);
    /* rms_norm, rounded; with `twice` also before the multiplication by the weight. */
    void (*rms_norm_bfloat16)(float *y, const float *x, const float *weight, size_t n, float eps, bool twice);
    void (*silu_multiply_bfloat16)(float *x, const float *y, size_t n); /* silu and product are rounded */
    /* rotate with rounded tables, products and sums */
    void (*rotate_bfloat16)(float *x, const float *cosines, const float *sines, size_t half);

    void (*add)(float *x, const float *y, size_t n);           /* x += y */
    void (*silu_multiply)(float *x, const float *y, size_t n); /* x = silu(x) * y */
    void (*silu)(float *x, size_t n);
    void (*square_relu)(float *x, size_t n); /* x = max(x, 0)^2 */
    /* x[i], x[half + i] rotated by angle i; cosines and sines [half] */
    void (*rotate)(float *x, const float *cosines, const float *sines, size_t half);

    void (*multiply_add)(float *out, const float *a, const float *b, size_t n); /* out += a * b */
    /* Tokens in a row: state = decay * state + (dt * x) b, y = state c + skip * x. */
    void (*scan_head)(const HeadScan *scan);

    /* One step of LANES channels p with `width` states each, all with the same b and c: for n in [0, width)
     * state[n][p] = exp(dt[p] * a[n][p]) * state[n][p] + b[n] * dt[p] * x[p]; y[p] += c[n] * state[n][p] */
    void (*scan_channels)(float *state, float *y, const float *x, const float *dt, const float *a,
                          const float *b, const float *c, size_t width);

    /* out = bias + sum over j of taps[j] * in[j], the first tap first; taps are [CONV_TAPS][channels]. Then
     * silu and rounding to bfloat16, if wanted. */
    void (*convolve)(float *out, const float *const in[CONV_TAPS], const float *taps, const float *bias,
                     size_t channels, bool silu, bool rounds);
    /* x = ln(1 + e^(x + bias)), and x + bias itself where that is above 20 */
    void (*softplus)(float *x, const float *bias, size_t n);

    /* out[i] = the pair (a[i], b[i]) of bfloat16, which are counted in halves of words */
    void (*interleave)(float *out, const uint16_t *a, const uint16_t *b, size_t n);

    TileSummary (*summarise)(const float *logits, size_t n); /* n >= 1 */
} Kernels;

/* NULL where the build's architecture has no such instructions. The last one multiplies in bfloat16, the
 * others in float32. */
const Kernels *kernels_portable(void);
const Kernels *kernels_avx2(void);
const Kernels *kernels_avx512(void);
const GemmKernels *gemm_portable(void);
const GemmKernels *gemm_avx2(void);
const GemmKernels *gemm_avx512(void);
const GemmKernels *gemm_avx512_bf16(void);

#endif
