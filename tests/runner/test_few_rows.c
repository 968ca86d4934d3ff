/* The kernel for a few rows against the one for many: the same bits, before any rounding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "tests/runner/gemm_tables.h"
#include "tests/runner/runner_tests.h"

enum { MOST_ROWS = NARROW_ROWS };

typedef struct Case {
    const GemmKernels *gemm;
    const char *name;
    Dtype dtype;
    size_t columns, depth, words; /* of an input row */
    float *x;                     /* [MOST_ROWS][depth] */
    uint8_t *weight;              /* [columns][depth] */
} Case;

static void fill(Case *c, Random *random) {
    size_t n = c->columns * c->depth;
    c->words = (c->depth + c->gemm->inputs_per_word - 1) / c->gemm->inputs_per_word;
    c->x = mem_alloc(MOST_ROWS * c->depth * sizeof *c->x);
    c->weight = mem_alloc(n * dtype_bytes(c->dtype));
    for (size_t i = 0; i < MOST_ROWS * c->depth; i++)
        c->x[i] = (float)(random_double(random) * 2 - 1);
    random_weight(c->weight, c->dtype, n, random);
}

/* out[column][lanes]: all rows at once */
static void multiply_many(const Case *c, float *out) {
    const GemmKernels *gemm = c->gemm;
    float *packed = mem_alloc((MOST_ROWS + gemm->lanes) * c->words * sizeof *packed);
    for (size_t m = 0; m < MOST_ROWS; m += gemm->lanes) {
        size_t rows = MOST_ROWS - m < gemm->lanes ? MOST_ROWS - m : gemm->lanes;
        gemm->pack(packed, c->x + m * c->depth, c->depth, rows, c->depth);
        gemm->wide(&(WideTile){
            .out = out + m,
            .out_stride = 2 * LANES,
            .x = packed,
            .rows = rows,
            .weight = c->weight,
            .dtype = c->dtype,
            .row_bytes = c->depth * dtype_bytes(c->dtype),
            .columns = c->columns,
            .depth = c->depth,
        });
    }
    free(packed);
}

/* `rows` rows from `first` on. Half of the columns' sums begin with zeros that are there already. */
static void check_few(const Case *c, const float *many, size_t first, size_t rows) {
    const GemmKernels *gemm = c->gemm;
    size_t row_bytes = c->depth * dtype_bytes(c->dtype);
    float *packed = mem_alloc(rows * c->words * sizeof *packed), out[MOST_ROWS * LANES];
    for (size_t m = 0; m < rows; m++)
        gemm->pack_row(packed + m * c->words, c->x + (first + m) * c->depth, c->depth);
    for (size_t j = 0; j < c->columns; j += gemm->lanes) {
        size_t columns = c->columns - j < gemm->lanes ? c->columns - j : gemm->lanes;
        bool accumulate = j / gemm->lanes % 2;
        memset(out, 0, sizeof out);
        gemm->narrow(out, packed, c->words, rows, c->weight + j * row_bytes, c->dtype, row_bytes, columns,
                     c->depth, accumulate);
        for (size_t m = 0; m < rows; m++)
            for (size_t i = 0; i < columns; i++) {
                const float *expected = &many[(j + i) * 2 * LANES + first + m],
                            *found = &out[m * gemm->lanes + i];
                if (memcmp(expected, found, sizeof *found) != 0)
                    fail_msg("%s, %s weights, depth %zu, %zu rows: row %zu, column %zu is %a, expected %a",
                             c->name, dtype_name(c->dtype), c->depth, rows, first + m, j + i, (double)*found,
                             (double)*expected);
            }
    }
    free(packed);
}

static void check_case(Case c, Random *random) {
    fill(&c, random);
    float *many = mem_alloc(c.columns * 2 * LANES * sizeof *many);
    multiply_many(&c, many);
    for (size_t rows = 1; rows <= MOST_ROWS; rows++)
        check_few(&c, many, MOST_ROWS - rows, rows);
    free(many);
    free(c.x);
    free(c.weight);
}

/* Depths with blocks of the sum in sets as wide as the lanes, in sets of a few, alone, and cut. */
static void check_kernels(const GemmKernels *gemm, const char *name, Dtype dtype, void *random) {
    static const size_t depths[] = {2, 70, 512, 1024, 2048, 2560, 3072, 4096, 5910, 8192, 11838, 16384};
    for (size_t d = 0; d < sizeof depths / sizeof *depths; d++)
        check_case((Case){.gemm = gemm, .name = name, .dtype = dtype, .columns = 39, .depth = depths[d]},
                   random);
}

static void test_few_rows_have_the_bits_of_many(void **unused) {
    (void)unused;
    Random random;
    random_seed(&random, 5);
    for_each_gemm(check_kernels, &random);
}

int run_few_rows_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_few_rows_have_the_bits_of_many),
    };
    return cmocka_run_group_tests_name("few rows", tests, NULL, NULL);
}
