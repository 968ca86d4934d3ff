/* The tiles' products by the kernels of linear layers: queries, and later weights, are what is broadcast;
 * keys and values are the packed inputs. */
#include "runner/layers/attend.h"

#include <math.h>
#include <string.h>

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

size_t attend_scratch(size_t key_width, size_t value_width) {
    size_t keys = round_up(key_width, LANES), values = round_up(value_width, LANES);
    return (ATTEND_ROWS + ATTEND_KEYS) * (keys + values) + 2 * (size_t)ATTEND_ROWS * ATTEND_KEYS;
}

/* Where things lie in the scratch memory. */
typedef struct Scratch {
    float *queries;      /* [rows][query_words] */
    float *keys;         /* a tile's, as gathered */
    float *values;       /* likewise */
    float *scores;       /* [rows][ATTEND_KEYS]; then the weights */
    float *weight_words; /* [rows][ATTEND_KEYS / inputs_per_word], where that is not 1 */
    float *sums;         /* [rows][value_stride] */
    size_t query_words, value_stride;
    float max[ATTEND_ROWS], total[ATTEND_ROWS];
} Scratch;

static Dtype operand_type(const GemmKernels *gemm) {
    return gemm->inputs_per_word == 2 ? DTYPE_BFLOAT16 : DTYPE_FLOAT32;
}

static void begin(const Attend *attend, const QueryRows *rows, Scratch *s, float *memory) {
    const GemmKernels *gemm = attend->cpu->gemm;
    size_t keys = round_up(attend->key_width, LANES);
    s->value_stride = round_up(attend->value_width, LANES);
    s->query_words = (attend->key_width + gemm->inputs_per_word - 1) / gemm->inputs_per_word;
    s->queries = memory;
    s->keys = s->queries + ATTEND_ROWS * keys;
    s->values = s->keys + ATTEND_KEYS * keys;
    s->sums = s->values + ATTEND_KEYS * s->value_stride;
    s->scores = s->sums + ATTEND_ROWS * s->value_stride;
    s->weight_words = s->scores + ATTEND_ROWS * ATTEND_KEYS;
    memset(s->sums, 0, rows->n * s->value_stride * sizeof *s->sums);
    for (size_t r = 0; r < rows->n; r++) {
        gemm->pack_row(s->queries + r * s->query_words, rows->q[r], attend->key_width);
        s->max[r] = -INFINITY;
        s->total[r] = 0.0f;
    }
}

/* scores = queries times keys, for n keys. */
static void score_tile(const Attend *attend, const QueryRows *rows, Scratch *s, size_t n) {
    const GemmKernels *gemm = attend->cpu->gemm;
    for (size_t j = 0; j < n; j += gemm->rows)
        for (size_t r = 0; r < rows->n; r += gemm->columns)
            gemm->wide(s->scores + r * ATTEND_KEYS + j, ATTEND_KEYS, s->keys + j * s->query_words,
                       smaller(n - j, gemm->rows), (const uint8_t *)(s->queries + r * s->query_words),
                       operand_type(gemm), s->query_words * sizeof(float),
                       smaller(rows->n - r, gemm->columns), attend->key_width, false);
}

/* Scores become weights; what was summed so far shrinks to the new maximum. */
static void weigh_tile(const Attend *attend, const QueryRows *rows, Scratch *s, size_t first_key, size_t n) {
    const Cpu *cpu = attend->cpu;
    for (size_t r = 0; r < rows->n; r++) {
        size_t first = rows->first_key[r] > first_key ? rows->first_key[r] - first_key : 0,
               end = rows->n_keys[r] > first_key ? smaller(rows->n_keys[r] - first_key, n) : 0;
        float *scores = s->scores + r * ATTEND_KEYS;
        if (first >= end) {
            memset(scores, 0, n * sizeof *scores);
        } else {
            float factor =
                cpu->kernels->attend_weights(scores, first, end, n, attend->scale, &s->max[r], &s->total[r]);
            if (factor != 1.0f)
                cpu->kernels->scale(s->sums + r * s->value_stride, factor, s->value_stride);
        }
        if (cpu->gemm->inputs_per_word > 1)
            cpu->gemm->pack_row(s->weight_words + r * ATTEND_KEYS / cpu->gemm->inputs_per_word, scores, n);
        else
            cpu_round(cpu, scores, n);
    }
}

/* sums += weights times values. */
static void sum_tile(const Attend *attend, const QueryRows *rows, Scratch *s, size_t n) {
    const GemmKernels *gemm = attend->cpu->gemm;
    size_t row_words = ATTEND_KEYS / gemm->inputs_per_word, words = n / gemm->inputs_per_word;
    const float *weights = gemm->inputs_per_word > 1 ? s->weight_words : s->scores;
    for (size_t d = 0; d < s->value_stride; d += gemm->rows) {
        size_t width = smaller(s->value_stride - d, gemm->rows);
        const float *values = s->values;
        if (width < s->value_stride) { /* these columns side by side; the keys' memory is free now */
            float *part = s->keys;
            for (size_t j = 0; j < words; j++)
                memcpy(part + j * width, s->values + j * s->value_stride + d, width * sizeof *part);
            values = part;
        }
        for (size_t r = 0; r < rows->n; r += gemm->columns)
            gemm->wide(s->sums + r * s->value_stride + d, s->value_stride, values, width,
                       (const uint8_t *)(weights + r * row_words), operand_type(gemm),
                       row_words * sizeof(float), smaller(rows->n - r, gemm->columns), n, true);
    }
}

void attend_rows(const Attend *attend, const QueryRows *rows, float *scratch) {
    Scratch s;
    size_t end = rows->n_keys[rows->n - 1];
    begin(attend, rows, &s, scratch);
    for (size_t first = rows->first_key[0] / ATTEND_KEYS * ATTEND_KEYS; first < end; first += ATTEND_KEYS) {
        size_t n = smaller(end - first, ATTEND_KEYS), whole = round_up(n, BLOCK_TOKENS);
        attend->gather(attend->source, first, n, s.keys, s.values);
        score_tile(attend, rows, &s, whole);
        weigh_tile(attend, rows, &s, first, whole);
        sum_tile(attend, rows, &s, whole);
    }
    for (size_t r = 0; r < rows->n; r++) {
        float share = 1.0f / s.total[r];
        for (size_t d = 0; d < attend->value_width; d++)
            rows->out[r][d] = s.sums[r * s.value_stride + d] * share;
        cpu_round(attend->cpu, rows->out[r], attend->value_width);
    }
}
