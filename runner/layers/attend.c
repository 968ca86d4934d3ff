#include "runner/layers/attend.h"

#include <string.h>

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Numbers of a row of queries or keys: bfloat16 of a cache are taken two at a time. */
static size_t even(size_t width) {
    return round_up(width, 2);
}

/* Sums of a query: a few queries have them in whole vectors. */
static size_t sums_width(size_t value_width) {
    return round_up(value_width, LANES);
}

size_t attend_scratch(size_t key_width, size_t value_width) {
    size_t keys = even(key_width), widest = keys > value_width ? keys : value_width;
    return ATTEND_ROWS * (keys + sums_width(value_width)) + 2 * (size_t)ATTEND_KEYS * value_width +
           ATTEND_GROUP * widest + 2 * (size_t)ATTEND_GROUP * ATTEND_KEYS;
}

/* Queries that a kernel takes at once, and what is carried for them from tile to tile. */
typedef struct Group {
    size_t row, n;      /* of the QueryRows */
    size_t width;       /* n, rounded up to lanes */
    float *queries;     /* [words of key_width][width]; few: [n][words of key_width] */
    float *sums;        /* [value_width][width]; few: [value_width / lanes, rounded up][n][lanes] */
    float *max, *total; /* [width] */
} Group;

enum { GROUPS = ATTEND_ROWS / 8 }; /* no kernel takes fewer rows at once */

typedef struct Run {
    const Attend *attend;
    const QueryRows *rows;
    Group groups[GROUPS];
    size_t n_groups;
    bool few; /* queries, in one group: keys and values are in the lanes instead */
    float max[ATTEND_ROWS], total[ATTEND_ROWS];
    float *scores;  /* [ATTEND_KEYS][group's width]; few: [ATTEND_KEYS / lanes][n][lanes] */
    float *weights; /* likewise, in words; few: [n][ATTEND_KEYS] */
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
    const GemmKernels *gemm = attend->cpu->gemm;
    for (size_t r = 0; run->few && r < group->n; r++)
        gemm->pack_row(group->queries + r * width, run->staged + r * width, width);
    if (!run->few)
        gemm->pack(group->queries, run->staged, width, group->n, width);
    memset(group->sums, 0,
           sums_width(attend->value_width) * (run->few ? group->n : group->width) * sizeof *group->sums);
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
    run->few = run->rows->n <= NARROW_ROWS;
    run->values = sums + ATTEND_ROWS * sums_width(values);
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
        group->sums = sums + row * sums_width(values);
        group->max = run->max + row;
        group->total = run->total + row;
        begin_group(run, group);
    }
}

/* scores = keys times queries, for n keys. */
static void score_tile(const Run *run, const Group *group, const KeyTile *tile, size_t n) {
    const Attend *attend = run->attend;
    for (size_t block = 0; block < n / BLOCK_TOKENS; block++)
        attend->cpu->gemm->wide(&(WideTile){
            .out = run->scores + block * BLOCK_TOKENS * group->width,
            .out_stride = group->width,
            .x = group->queries,
            .rows = group->n,
            .weight = tile->keys[block],
            .dtype = attend->dtype,
            .row_bytes = tile->key_bytes,
            .columns = BLOCK_TOKENS,
            .depth = even(attend->key_width),
        });
}

/* Which of a tile's n keys count for a row. */
static void keys_in_tile(const QueryRows *rows, size_t row, size_t first_key, size_t n, uint32_t *first,
                         uint32_t *end) {
    size_t from = rows->first_key[row], to = rows->n_keys[row];
    *first = from > first_key ? (uint32_t)smaller(from - first_key, n) : 0;
    *end = to > first_key ? (uint32_t)smaller(to - first_key, n) : 0;
}

/* Weights are powers of two. */
static float exponent_scale(const Attend *attend) {
    static const float log2_e = 1.44269504088896341f;
    return attend->scale * log2_e;
}

/* Scores become weights; what was summed so far shrinks to the new maximum. Lanes without a query do as the
 * last one with. */
static void weigh_tile(const Run *run, Group *group, size_t first_key, size_t n) {
    const Attend *attend = run->attend;
    uint32_t first[ATTEND_GROUP], end[ATTEND_GROUP];
    bool all_count = true;
    for (size_t lane = 0; lane < group->width; lane++) {
        keys_in_tile(run->rows, group->row + smaller(lane, group->n - 1), first_key, n, &first[lane],
                     &end[lane]);
        all_count = all_count && first[lane] == 0 && end[lane] == n;
    }
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
                       .scale = exponent_scale(attend),
                       .all_count = all_count,
                       .round = attend->cpu->dtype == DTYPE_BFLOAT16};
    attend->cpu->gemm->attend_weigh(&tile);
}

/* sums += values times weights */
static void sum_tile(const Run *run, const Group *group, const KeyTile *tile, size_t n) {
    const Attend *attend = run->attend;
    attend->cpu->gemm->wide(&(WideTile){
        .out = group->sums,
        .out_stride = group->width,
        .x = run->weights,
        .rows = group->n,
        .weight = (const uint8_t *)tile->values,
        .dtype = attend->dtype,
        .row_bytes = ATTEND_KEYS * dtype_bytes(attend->dtype),
        .columns = attend->value_width,
        .depth = n,
        .accumulate = true,
    });
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

/* ---- a few queries */

static void score_few(const Run *run, const Group *group, const KeyTile *tile, size_t n) {
    const Attend *attend = run->attend;
    const GemmKernels *gemm = attend->cpu->gemm;
    size_t width = even(attend->key_width);
    for (size_t key = 0; key < n; key += gemm->lanes)
        gemm->narrow(run->scores + key * group->n, group->queries, width, group->n,
                     tile->keys[key / BLOCK_TOKENS] + key % BLOCK_TOKENS * tile->key_bytes, attend->dtype,
                     tile->key_bytes, gemm->lanes, width, false);
}

static AttendRows rows_of(const Run *run, const Group *group) {
    return (AttendRows){.scores = run->scores,
                        .weights = run->weights,
                        .row = run->staged,
                        .max = group->max,
                        .sum = group->total,
                        .sums = group->sums,
                        .n_rows = group->n,
                        .n_sums = run->attend->value_width,
                        .stride = ATTEND_KEYS,
                        .round = run->attend->cpu->dtype == DTYPE_BFLOAT16};
}

static void weigh_few(const Run *run, const Group *group, size_t first_key, size_t n) {
    uint32_t first[NARROW_ROWS], end[NARROW_ROWS];
    AttendRows tile = rows_of(run, group);
    for (size_t row = 0; row < group->n; row++)
        keys_in_tile(run->rows, row, first_key, n, &first[row], &end[row]);
    tile.first = first;
    tile.end = end;
    tile.n = n;
    tile.scale = exponent_scale(run->attend);
    run->attend->cpu->gemm->attend_weigh_rows(&tile);
}

static void sum_few(const Run *run, const Group *group, const KeyTile *tile, size_t n) {
    const Attend *attend = run->attend;
    const GemmKernels *gemm = attend->cpu->gemm;
    size_t row_bytes = ATTEND_KEYS * dtype_bytes(attend->dtype);
    for (size_t d = 0; d < attend->value_width; d += gemm->lanes)
        gemm->narrow(group->sums + d * group->n, run->weights, ATTEND_KEYS, group->n,
                     (const uint8_t *)tile->values + d * row_bytes, attend->dtype, row_bytes,
                     smaller(attend->value_width - d, gemm->lanes), n, true);
}

static void finish_few(const Run *run, const Group *group) {
    const Cpu *cpu = run->attend->cpu;
    size_t lanes = cpu->gemm->lanes, width = run->attend->value_width;
    AttendRows tile = rows_of(run, group);
    cpu->gemm->attend_share_rows(&tile);
    for (size_t r = 0; r < group->n; r++) {
        float *out = run->rows->out[r];
        for (size_t d = 0; d < width; d += lanes)
            memcpy(out + d, group->sums + d * group->n + r * lanes, smaller(width - d, lanes) * sizeof *out);
        cpu_round(cpu, out, width);
    }
}

/* ---- */

static void attend_tile(const Run *run, Group *group, const KeyTile *tile, size_t first_key, size_t n) {
    if (run->few) {
        score_few(run, group, tile, n);
        weigh_few(run, group, first_key, n);
        sum_few(run, group, tile, n);
    } else {
        score_tile(run, group, tile, n);
        weigh_tile(run, group, first_key, n);
        sum_tile(run, group, tile, n);
    }
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
        for (size_t g = 0; g < run.n_groups; g++)
            attend_tile(&run, &run.groups[g], &tile, first, whole);
    }
    if (run.few)
        finish_few(&run, &run.groups[0]);
    for (size_t g = 0; !run.few && g < run.n_groups; g++)
        finish_group(&run, &run.groups[g]);
}
