#include "runner/layers/attend.h"

#include <string.h>

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Numbers of a row of queries or keys: bfloat16 of a cache are taken two at a time. */
static size_t even(size_t width) {
    return round_up(width, 2);
}

size_t attend_scratch(size_t key_width, size_t value_width) {
    size_t keys = even(key_width), widest = keys > value_width ? keys : value_width;
    return ATTEND_ROWS * (keys + value_width) + 2 * (size_t)ATTEND_KEYS * value_width +
           ATTEND_GROUP * widest + 2 * (size_t)ATTEND_GROUP * ATTEND_KEYS;
}

/* Queries that a kernel takes at once, and what is carried for them from tile to tile. */
typedef struct Group {
    size_t row, n;      /* of the QueryRows */
    size_t width;       /* n, rounded up to lanes */
    float *queries;     /* [words of key_width][width] */
    float *sums;        /* [value_width][width] */
    float *max, *total; /* [width] */
} Group;

enum { GROUPS = ATTEND_ROWS / 8 }; /* no kernel takes fewer rows at once */

typedef struct Run {
    const Attend *attend;
    const QueryRows *rows;
    Group groups[GROUPS];
    size_t n_groups;
    float max[ATTEND_ROWS], total[ATTEND_ROWS];
    float *scores;  /* [ATTEND_KEYS][group's width] */
    float *weights; /* likewise, in words */
    float *values, *words;
    float *staged; /* [ATTEND_GROUP][key_width or value_width], a group's queries or results */
} Run;

/* The rows of a group side by side, then packed. */
static void begin_group(Run *run, Group *group) {
    const Attend *attend = run->attend;
    size_t width = even(attend->key_width);
    for (size_t r = 0; r < group->n; r++) {
        float *row = run->staged + r * width;
        memcpy(row, run->rows->q[group->row + r], attend->key_width * sizeof *row);
        if (width > attend->key_width)
            row[attend->key_width] = 0.0f;
    }
    attend->cpu->gemm->pack(group->queries, run->staged, width, group->n, width);
    memset(group->sums, 0, attend->value_width * group->width * sizeof *group->sums);
    for (size_t r = 0; r < group->width; r++) {
        group->max[r] = ATTEND_NO_MAX;
        group->total[r] = 0.0f;
    }
}

static void begin(Run *run, float *memory) {
    const Attend *attend = run->attend;
    const GemmKernels *gemm = attend->cpu->gemm;
    size_t keys = even(attend->key_width), values = attend->value_width,
           at_once = smaller(gemm->rows, ATTEND_GROUP);
    float *queries = memory, *sums = queries + ATTEND_ROWS * keys;
    run->values = sums + ATTEND_ROWS * values;
    run->words = run->values + ATTEND_KEYS * values;
    run->scores = run->words + ATTEND_KEYS * values;
    run->weights = run->scores + ATTEND_GROUP * ATTEND_KEYS;
    run->staged = run->weights + ATTEND_GROUP * ATTEND_KEYS;
    run->n_groups = 0;
    for (size_t row = 0; row < run->rows->n; row += at_once) {
        Group *group = &run->groups[run->n_groups++];
        group->row = row;
        group->n = smaller(run->rows->n - row, at_once);
        group->width = round_up(group->n, gemm->lanes);
        group->queries = queries + row * keys;
        group->sums = sums + row * values;
        group->max = run->max + row;
        group->total = run->total + row;
        begin_group(run, group);
    }
}

/* scores = keys times queries, for n keys. */
static void score_tile(const Run *run, const Group *group, const KeyTile *tile, size_t n) {
    const Attend *attend = run->attend;
    const GemmKernels *gemm = attend->cpu->gemm;
    size_t together = gemm->columns(group->n), parts = (BLOCK_TOKENS + together - 1) / together;
    for (size_t block = 0; block < n / BLOCK_TOKENS; block++)
        for (size_t part = 0; part < parts; part++) {
            size_t key = part * BLOCK_TOKENS / parts, end = (part + 1) * BLOCK_TOKENS / parts;
            gemm->wide(run->scores + (block * BLOCK_TOKENS + key) * group->width, group->width,
                       group->queries, group->n, tile->keys[block] + key * tile->key_bytes, attend->dtype,
                       tile->key_bytes, end - key, even(attend->key_width), false);
        }
}

/* Scores become weights; what was summed so far shrinks to the new maximum. Lanes without a query do as the
 * last one with. */
static void weigh_tile(const Run *run, Group *group, size_t first_key, size_t n) {
    const Attend *attend = run->attend;
    uint32_t first[ATTEND_GROUP], end[ATTEND_GROUP];
    bool all_count = true;
    for (size_t lane = 0; lane < group->width; lane++) {
        size_t row = group->row + smaller(lane, group->n - 1), from = run->rows->first_key[row],
               to = run->rows->n_keys[row];
        first[lane] = from > first_key ? (uint32_t)smaller(from - first_key, n) : 0;
        end[lane] = to > first_key ? (uint32_t)smaller(to - first_key, n) : 0;
        all_count = all_count && first[lane] == 0 && end[lane] == n;
    }
    static const float log2_e = 1.44269504088896341f;
    AttendTile tile = {.scores = run->scores,
                       .weights = run->weights,
                       .max = group->max,
                       .sum = group->total,
                       .sums = group->sums,
                       .first = first,
                       .end = end,
                       .width = group->width,
                       .n = n,
                       .n_sums = attend->value_width,
                       .scale = attend->scale * log2_e,
                       .all_count = all_count,
                       .round = attend->cpu->dtype == DTYPE_BFLOAT16};
    attend->cpu->gemm->attend_weigh(&tile);
}

/* sums += values times weights */
static void sum_tile(const Run *run, const Group *group, const KeyTile *tile, size_t n) {
    const Attend *attend = run->attend;
    const GemmKernels *gemm = attend->cpu->gemm;
    size_t row_bytes = ATTEND_KEYS * dtype_bytes(attend->dtype), together = gemm->columns(group->n);
    for (size_t d = 0; d < attend->value_width; d += together)
        gemm->wide(group->sums + d * group->width, group->width, run->weights, group->n,
                   (const uint8_t *)tile->values + d * row_bytes, attend->dtype, row_bytes,
                   smaller(attend->value_width - d, together), n, true);
}

static void finish_group(const Run *run, Group *group) {
    const Attend *attend = run->attend;
    size_t width = attend->value_width;
    attend->cpu->gemm->attend_share(
        &(AttendTile){.sum = group->total, .sums = group->sums, .width = group->width, .n_sums = width});
    attend->cpu->gemm->unpack(run->staged, width, group->sums, group->width, group->n, width, NULL,
                              attend->cpu->dtype == DTYPE_BFLOAT16);
    for (size_t r = 0; r < group->n; r++)
        memcpy(run->rows->out[group->row + r], run->staged + r * width, width * sizeof *run->staged);
}

void attend_rows(const Attend *attend, const QueryRows *rows, float *scratch) {
    Run run;
    run.attend = attend;
    run.rows = rows;
    size_t end = rows->n_keys[rows->n - 1];
    begin(&run, scratch);
    for (size_t first = rows->first_key[0] / ATTEND_KEYS * ATTEND_KEYS; first < end; first += ATTEND_KEYS) {
        size_t n = smaller(end - first, ATTEND_KEYS), whole = round_up(n, BLOCK_TOKENS);
        KeyTile tile = {.values = run.values};
        attend->gather(attend->source, first, n, &tile, run.words);
        for (size_t g = 0; g < run.n_groups; g++) {
            score_tile(&run, &run.groups[g], &tile, whole);
            weigh_tile(&run, &run.groups[g], first, whole);
            sum_tile(&run, &run.groups[g], &tile, whole);
        }
    }
    for (size_t g = 0; g < run.n_groups; g++)
        finish_group(&run, &run.groups[g]);
}
