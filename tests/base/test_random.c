/* Against draws of CPython itself (tests/oracle/random_vectors.py). */
#include <stdlib.h>

#include "base/base.h"
#include "tests/base/tests.h"

static const cJSON *get(const cJSON *object, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    assert_non_null(item);
    return item;
}

static uint64_t decimal(const cJSON *item) {
    return strtoull(item->valuestring, NULL, 10);
}

static void check_list(const cJSON *expected, const size_t *drawn) {
    size_t i = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, expected) assert_int_equal(drawn[i++], (size_t)item->valuedouble);
}

static void check_words(const cJSON *fixture, uint64_t seed) {
    Random random;
    const cJSON *item;
    random_seed(&random, seed);
    cJSON_ArrayForEach(item, get(fixture, "u32"))
        assert_int_equal(random_u32(&random), (uint32_t)item->valuedouble);
    random_seed(&random, seed);
    for (int i = 0; i < 620; i++)
        random_u32(&random);
    cJSON_ArrayForEach(item, get(fixture, "u32_after_620"))
        assert_int_equal(random_u32(&random), (uint32_t)item->valuedouble);
    random_seed(&random, seed);
    cJSON_ArrayForEach(item, get(fixture, "random")) assert_true(random_double(&random) == item->valuedouble);
    random_seed(&random, seed);
    cJSON_ArrayForEach(item, get(fixture, "bits")) {
        int bits = cJSON_GetArrayItem(item, 0)->valueint;
        assert_true(random_bits(&random, bits) == decimal(cJSON_GetArrayItem(item, 1)));
    }
    random_seed(&random, seed);
    cJSON_ArrayForEach(item, get(fixture, "below")) {
        uint64_t n = (uint64_t)cJSON_GetArrayItem(item, 0)->valuedouble;
        assert_true(random_below(&random, n) == (uint64_t)cJSON_GetArrayItem(item, 1)->valuedouble);
    }
}

static void check_lists(const cJSON *fixture, uint64_t seed) {
    Random random;
    size_t drawn[300];
    const cJSON *item;
    cJSON_ArrayForEach(item, get(fixture, "sample")) {
        size_t n = (size_t)get(item, "n")->valueint, k = (size_t)get(item, "k")->valueint;
        random_seed(&random, seed);
        random_sample(&random, n, k, drawn);
        check_list(get(item, "drawn"), drawn);
        random_sample(&random, n, k, drawn);
        check_list(get(item, "again"), drawn);
    }
    for (size_t i = 0; i < 20; i++)
        drawn[i] = i;
    random_seed(&random, seed);
    random_shuffle(&random, drawn, 20);
    check_list(get(fixture, "shuffle"), drawn);
    random_seed(&random, seed);
    random_choices(&random, (size_t)get(get(fixture, "choices"), "n")->valueint, 10, drawn);
    check_list(get(get(fixture, "choices"), "drawn"), drawn);
}

static void test_draws_equal_cpythons(void **state) {
    (void)state;
    cJSON *fixture;
    Error error = {0};
    if (json_parse_file(&fixture, "tests/fixtures/python_random.json", 1 << 20, &error))
        fail_msg("%s", error.message);
    int n = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, get(fixture, "cases")) {
        check_words(item, decimal(get(item, "seed")));
        check_lists(item, decimal(get(item, "seed")));
        n++;
    }
    assert_int_equal(n, 7);
    cJSON_Delete(fixture);
}

int run_random_tests(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_draws_equal_cpythons)};
    return cmocka_run_group_tests_name("random", tests, NULL, NULL);
}
