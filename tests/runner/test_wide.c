/* The kernel for many rows: every number of columns and of strips, against sums made one by one. */
#include <math.h>
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

enum { MOST_COLUMNS = 27, MOST_ROWS = 64, MOST_DEPTH = 1400 };

typedef struct Case {
    const GemmKernels *gemm;
    const char *name;
    Dtype dtype;
    size_t rows, depth, row_bytes;
    float *x; /* [MOST_ROWS][depth] */
    float *packed;
    uint8_t *weight; /* [MOST_COLUMNS][depth] */
} Case;

static void fill(Case *c, Random *random) {
    c->row_bytes = c->depth * dtype_bytes(c->dtype);
    c->x = mem_alloc(MOST_ROWS * c->depth * sizeof *c->x);
    c->packed = mem_alloc(MOST_ROWS * c->depth * sizeof *c->packed);
    c->weight = mem_alloc(MOST_COLUMNS * c->row_bytes);
    for (size_t i = 0; i < MOST_ROWS * c->depth; i++)
        c->x[i] = (float)(random_double(random) * 2 - 1);
    random_weight(c->weight, c->dtype, MOST_COLUMNS * c->depth, random);
    c->gemm->pack(c->packed, c->x, c->depth, c->rows, c->depth);
}

/* out[column][MOST_ROWS] */
static void multiply(const Case *c, float *out, size_t first, size_t columns, bool accumulate) {
    c->gemm->wide(&(WideTile){
        .out = out,
        .out_stride = MOST_ROWS,
        .x = c->packed,
        .rows = c->rows,
        .weight = c->weight + first * c->row_bytes,
        .dtype = c->dtype,
        .row_bytes = c->row_bytes,
        .columns = columns,
        .depth = c->depth,
        .accumulate = accumulate,
    });
}

/* One output as kernels.h defines it: a chain of multiply-adds in each block, and the blocks in order behind
 * what was there before, if anything was. */
static float chain(const Case *c, size_t row, size_t column, const float *before) {
    float result = before ? *before : 0.0f;
    for (size_t k = 0; k < c->depth; k += K_BLOCK) {
        float sum = 0.0f;
        for (size_t i = k; i < c->depth && i < k + K_BLOCK; i++) {
            float w = weight_element(c->weight + column * c->row_bytes, c->dtype, i),
                  x = c->x[row * c->depth + i];
            sum = c->gemm == gemm_portable() ? w * x + sum : fmaf(w, x, sum); /* portable code rounds twice */
        }
        result = k > 0 || before ? result + sum : sum;
    }
    return result;
}

static void check(const Case *c, size_t columns, size_t row, size_t column, float found, float expected) {
    if (memcmp(&found, &expected, sizeof found) != 0)
        fail_msg("%s, %s weights, depth %zu, %zu rows, %zu columns: row %zu, column %zu is %a, expected %a",
                 c->name, dtype_name(c->dtype), c->depth, c->rows, columns, row, column, (double)found,
                 (double)expected);
}

/* All numbers of columns at once against one column after the other, those against chains where words are
 * floats; then added to themselves. */
static void check_case(Case c, Random *random) {
    float *alone = mem_alloc_zero(MOST_COLUMNS * MOST_ROWS, sizeof *alone),
          *twice = mem_alloc(MOST_COLUMNS * MOST_ROWS * sizeof *twice);
    fill(&c, random);
    for (size_t j = 0; j < MOST_COLUMNS; j++)
        multiply(&c, alone + j * MOST_ROWS, j, 1, false);
    memcpy(twice, alone, MOST_COLUMNS * MOST_ROWS * sizeof *twice);
    for (size_t j = 0; j < MOST_COLUMNS; j++) {
        multiply(&c, twice + j * MOST_ROWS, j, 1, true);
        for (size_t m = 0; m < c.rows && c.gemm->inputs_per_word == 1; m++) {
            const float *once = &alone[j * MOST_ROWS + m];
            check(&c, 1, m, j, *once, chain(&c, m, j, NULL));
            check(&c, 1, m, j, twice[j * MOST_ROWS + m], chain(&c, m, j, once));
        }
    }
    for (size_t columns = 1; columns <= MOST_COLUMNS; columns++) {
        float out[(MOST_COLUMNS + 1) * MOST_ROWS];
        for (int times = 1; times <= 2; times++) {
            const float *expected = times == 1 ? alone : twice;
            for (size_t i = columns * MOST_ROWS; i < (columns + 1) * MOST_ROWS; i++)
                out[i] = -7.0f;
            multiply(&c, out, 0, columns, times == 2);
            for (size_t m = 0; m < c.rows; m++) {
                for (size_t j = 0; j < columns; j++)
                    check(&c, columns, m, j, out[j * MOST_ROWS + m], expected[j * MOST_ROWS + m]);
                check(&c, columns, m, columns, out[columns * MOST_ROWS + m], -7.0f);
            }
        }
    }
    free(alone);
    free(twice);
    free(c.x);
    free(c.packed);
    free(c.weight);
}

static void check_kernels(const GemmKernels *gemm, const char *name, Dtype dtype, void *random) {
    static const size_t depths[] = {2, 30, 70, MOST_DEPTH};
    for (size_t d = 0; d < sizeof depths / sizeof *depths; d++)
        for (size_t rows = gemm->lanes - 1; rows <= gemm->rows; rows += gemm->lanes / 2)
            check_case((Case){.gemm = gemm, .name = name, .dtype = dtype, .rows = rows, .depth = depths[d]},
                       random);
}

static void test_any_columns_of_any_rows_are_their_chains(void **unused) {
    (void)unused;
    Random random;
    random_seed(&random, 6);
    for_each_gemm(check_kernels, &random);
}

int run_wide_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_columns_of_any_rows_are_their_chains),
    };
    return cmocka_run_group_tests_name("many rows", tests, NULL, NULL);
}
