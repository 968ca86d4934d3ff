/* Gated layers, whose inner rows never exist as rows, against the same steps one after the other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/random.h"
#include "runner/cpu/cpu.h"
#include "tests/runner/runner_tests.h"

/* gate and factor: [inner, width]; down: [width, inner] */
typedef struct GatedCase {
    size_t rows, width, inner;
    bool biases;
    Weight gate, factor, down;
    float *gate_bias, *factor_bias;
    float *x; /* [rows, width] */
} GatedCase;

static Weight random_weight(Random *random, Dtype dtype, size_t rows, size_t cols) {
    uint8_t *data = mem_alloc(rows * cols * 4);
    for (size_t i = 0; i < rows * cols; i++) {
        float x = (float)(random_double(random) * 2 - 1);
        uint16_t half = float_to_bfloat16(x);
        memcpy(data + i * dtype_bytes(dtype), dtype == DTYPE_FLOAT32 ? (void *)&x : &half,
               dtype_bytes(dtype));
    }
    return (Weight){data, dtype, rows, cols, cols, 1};
}

static float *random_floats(Random *random, size_t n) {
    float *x = mem_alloc(n * sizeof *x);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(random_double(random) * 2 - 1);
    return x;
}

static void fill_case(GatedCase *c, Random *random, Dtype dtype) {
    c->gate = random_weight(random, dtype, c->inner, c->width);
    c->factor = random_weight(random, dtype, c->inner, c->width);
    c->down = random_weight(random, dtype, c->width, c->inner);
    c->gate_bias = c->biases ? random_floats(random, c->inner) : NULL;
    c->factor_bias = c->biases ? random_floats(random, c->inner) : NULL;
    c->x = random_floats(random, c->rows * c->width);
}

static void free_case(GatedCase *c) {
    free((void *)c->gate.data);
    free((void *)c->factor.data);
    free((void *)c->down.data);
    free(c->gate_bias);
    free(c->factor_bias);
    free(c->x);
}

static void check_gated(Cpu *cpu, const GatedCase *c) {
    size_t rows = c->rows, width = c->width, inner = c->inner;
    float *a = mem_alloc(rows * inner * sizeof *a), *b = mem_alloc(rows * inner * sizeof *b),
          *y = mem_alloc(rows * width * sizeof *y), *found = mem_alloc(rows * width * sizeof *found);
    cpu_linear(cpu, &(Linear){&c->gate, c->gate_bias, c->x, a, width, inner}, 1, rows);
    cpu_linear(cpu, &(Linear){&c->factor, c->factor_bias, c->x, b, width, inner}, 1, rows);
    for (size_t m = 0; m < rows; m++)
        cpu_silu_multiply(cpu, a + m * inner, b + m * inner, inner);
    cpu_linear(cpu, &(Linear){&c->down, NULL, a, y, inner, width}, 1, rows);
    cpu_linear_gated(cpu, &(Linear){&c->gate, c->gate_bias, c->x, a, width, inner},
                     (Factor){&c->factor, c->factor_bias}, &(Linear){&c->down, NULL, a, found, inner, width},
                     rows);
    for (size_t i = 0; i < rows * width; i++)
        if (memcmp(&found[i], &y[i], sizeof *y) != 0)
            fail_msg("%s, %s, %zu rows, %zu inner columns%s: output %zu is %a, expected %a", cpu->name,
                     dtype_name(cpu->dtype), rows, inner, c->biases ? " with biases" : "", i,
                     (double)found[i], (double)y[i]);
    free(a);
    free(b);
    free(y);
    free(found);
}

static void test_gated_layers_equal_their_steps(void **unused) {
    (void)unused;
    static const GatedCase cases[] = {
        {.rows = 1, .width = 33, .inner = 40},   {.rows = 8, .width = 12, .inner = 31, .biases = true},
        {.rows = 9, .width = 300, .inner = 3},   {.rows = 17, .width = 20, .inner = 97, .biases = true},
        {.rows = 64, .width = 16, .inner = 96},  {.rows = 130, .width = 18, .inner = 201, .biases = true},
        {.rows = 300, .width = 10, .inner = 194}};
    Random random;
    random_seed(&random, 12);
    for (const char *const *set = cpu_instruction_sets; *set; set++)
        for (Dtype dtype = DTYPE_FLOAT32; dtype <= DTYPE_BFLOAT16 && cpu_runs(*set); dtype++) {
            Cpu cpu;
            Error error = {0};
            assert_int_equal(cpu_open(&cpu, *set, dtype, 2, &error), 0);
            for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                GatedCase c = cases[i];
                fill_case(&c, &random, dtype);
                cpu_round(&cpu, c.x, c.rows * c.width);
                check_gated(&cpu, &c);
                free_case(&c);
            }
            cpu_close(&cpu);
        }
}

/* Every exponent with both signs, mantissas around the ties; NaNs need only stay what they are. */
static void test_rounding_is_the_conversion_and_back(void **unused) {
    (void)unused;
    static const uint32_t mantissas[] = {0,        1,        0x7fff,   0x8000,   0x8001,   0xffff,
                                         0x10000,  0x17fff,  0x18000,  0x18001,  0x3f8000, 0x400000,
                                         0x7e8000, 0x7f7fff, 0x7f8000, 0x7f8001, 0x7fffff};
    enum { N = sizeof mantissas / sizeof *mantissas };
    const Kernels *sets[] = {kernels_portable(), kernels_avx2(), kernels_avx512()};
    const char *names[] = {"portable", "avx2", "avx512"};
    for (size_t s = 0; s < sizeof sets / sizeof *sets; s++)
        for (uint32_t high = 0; high < 512 && sets[s] && cpu_runs(names[s]); high++) {
            float x[N], rounded[N];
            for (size_t i = 0; i < N; i++) {
                uint32_t bits = high << 23 | mantissas[i];
                memcpy(&x[i], &bits, sizeof bits);
            }
            memcpy(rounded, x, sizeof x);
            sets[s]->round_bfloat16(rounded, N);
            for (size_t i = 0; i < N; i++) {
                float expected = bfloat16_to_float(float_to_bfloat16(x[i]));
                bool both_nan = expected != expected && rounded[i] != rounded[i];
                if (!both_nan && memcmp(&expected, &rounded[i], sizeof expected) != 0)
                    fail_msg("%s: %a becomes %a, expected %a", names[s], (double)x[i], (double)rounded[i],
                             (double)expected);
            }
        }
}

int run_gated_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gated_layers_equal_their_steps),
        cmocka_unit_test(test_rounding_is_the_conversion_and_back),
    };
    return cmocka_run_group_tests_name("gated layers", tests, NULL, NULL);
}
