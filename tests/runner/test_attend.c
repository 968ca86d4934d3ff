/* Attention of a few queries, which has kernels of its own, against the same queries among many. */
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
#include "runner/layers/attend.h"
#include "tests/runner/runner_tests.h"

enum { MOST_WIDTH = 80, MOST_KEYS = 200, OTHERS = 40 };

/* A sequence's keys and values in the order of a cache: [key][even width], [value][key]. */
typedef struct Cache {
    Dtype dtype;
    size_t key_width, value_width, n_keys;
    _Alignas(64) uint8_t keys[(MOST_KEYS + ATTEND_KEYS) * MOST_WIDTH * 4];
    float values[MOST_KEYS][MOST_WIDTH];
} Cache;

static float random_number(Random *random, Dtype dtype) {
    float x = (float)(random_double(random) * 4 - 2);
    return dtype == DTYPE_BFLOAT16 ? bfloat16_to_float(float_to_bfloat16(x)) : x;
}

static void fill(Cache *cache, Random *random, const Cpu *cpu, size_t key_width, size_t value_width,
                 size_t n_keys) {
    size_t stride = round_up(key_width, 2), bytes = dtype_bytes(cpu->dtype);
    cache->dtype = cpu->dtype;
    cache->key_width = key_width;
    cache->value_width = value_width;
    memset(cache->keys, 0xff, sizeof cache->keys);
    cache->n_keys = n_keys;
    for (size_t key = 0; key < n_keys; key++) {
        for (size_t i = 0; i < stride; i++)
            cache_put(cache->keys + key * stride * bytes, cpu->dtype, i,
                      i < key_width ? random_number(random, cpu->dtype) : 0.0f);
        for (size_t d = 0; d < value_width; d++)
            cache->values[key][d] = random_number(random, cpu->dtype);
    }
}

/* What lies behind the last key is whatever it is: here keys that are not numbers. */
static void gather(const void *source, size_t first_key, size_t n, KeyTile *tile, float *words) {
    const Cache *cache = source;
    size_t bytes = dtype_bytes(cache->dtype);
    (void)words;
    tile->key_bytes = round_up(cache->key_width, 2) * bytes;
    for (size_t key = 0; key < ATTEND_KEYS; key++) {
        if (key % BLOCK_TOKENS == 0)
            tile->keys[key / BLOCK_TOKENS] = cache->keys + (first_key + key) * tile->key_bytes;
        for (size_t d = 0; d < cache->value_width; d++)
            cache_put(tile->values, cache->dtype, d * ATTEND_KEYS + key,
                      key < n ? cache->values[first_key + key][d] : 0.0f);
    }
}

typedef struct Queries {
    QueryRows rows;
    float q[ATTEND_ROWS][MOST_WIDTH], out[ATTEND_ROWS][MOST_WIDTH];
} Queries;

static void add_query(Queries *queries, const float *q, size_t first_key, size_t n_keys) {
    size_t n = queries->rows.n++;
    memcpy(queries->q[n], q, sizeof queries->q[n]);
    queries->rows.q[n] = queries->q[n];
    queries->rows.out[n] = queries->out[n];
    queries->rows.first_key[n] = first_key;
    queries->rows.n_keys[n] = n_keys;
}

/* The n queries alone, and behind others that see the same keys. */
static void check_company(const Cpu *cpu, Random *random, Cache *cache, size_t n, size_t window) {
    Queries *few = mem_alloc_zero(1, sizeof *few), *many = mem_alloc_zero(1, sizeof *many);
    Attend attend = {cpu, cpu->dtype, cache->key_width, cache->value_width, 0.37f, gather, cache};
    float *scratch = floats_alloc(attend_scratch(cache->key_width, cache->value_width));
    for (size_t i = 0; i < OTHERS + n; i++) {
        float q[MOST_WIDTH];
        size_t behind = OTHERS + n - 1 - i,
               n_keys = i < OTHERS               ? 1
                        : cache->n_keys > behind ? cache->n_keys - behind
                                                 : 1,
               first = window && n_keys > window ? n_keys - window : 0;
        for (size_t k = 0; k < MOST_WIDTH; k++)
            q[k] = random_number(random, cpu->dtype);
        add_query(many, q, first, n_keys);
        if (i >= OTHERS)
            add_query(few, q, first, n_keys);
    }
    attend_rows(&attend, &few->rows, scratch);
    attend_rows(&attend, &many->rows, scratch);
    for (size_t i = 0; i < n; i++)
        if (memcmp(few->out[i], many->out[OTHERS + i], cache->value_width * sizeof(float)))
            fail_msg("%s, %s, query %zu of %zu over %zu keys of %zu numbers has other bits alone", cpu->name,
                     dtype_name(cpu->dtype), i, n, cache->n_keys, cache->key_width);
    free(scratch);
    free(few);
    free(many);
}

static void test_a_few_queries_are_as_among_many(void **unused) {
    (void)unused;
    static const size_t widths[][2] = {{64, 64}, {80, 48}, {7, 5}, {1, 1}, {33, 20}};
    static const size_t n_keys[] = {1, 15, 16, 17, 63, 64, 65, 130, MOST_KEYS};
    Random random;
    random_seed(&random, 7);
    Cache *cache = aligned_alloc(64, round_up(sizeof *cache, 64));
    assert_non_null(cache);
    for (const char *const *set = cpu_instruction_sets; *set; set++)
        for (Dtype dtype = DTYPE_FLOAT32; dtype <= DTYPE_BFLOAT16 && cpu_runs(*set); dtype++) {
            Cpu cpu;
            Error error = {0};
            assert_int_equal(cpu_open(&cpu, *set, dtype, 1, &error), 0);
            for (size_t w = 0; w < sizeof widths / sizeof *widths; w++)
                for (size_t k = 0; k < sizeof n_keys / sizeof *n_keys; k++) {
                    size_t n = 1 + (w + k) % NARROW_ROWS, window = k % 3 == 2 ? 40 : 0;
                    fill(cache, &random, &cpu, widths[w][0], widths[w][1], n_keys[k]);
                    check_company(&cpu, &random, cache, n, window);
                }
            cpu_close(&cpu);
        }
    free(cache);
}

int run_attend_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_few_queries_are_as_among_many),
    };
    return cmocka_run_group_tests_name("attend", tests, NULL, NULL);
}
