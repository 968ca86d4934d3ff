/* `zeval logits` against logits that other implementations computed (tests/oracle/make_model_fixtures.py). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cli/tests.h"

/* A .npy file of float32 in C order. */
typedef struct Npy {
    Buffer file;
    const float *data;
    size_t n;
} Npy;

static void load_npy(const char *path, Npy *out) {
    *out = (Npy){0};
    Error error = {0};
    if (file_read(&out->file, path, 1 << 26, &error))
        fail_msg("%s", error.message);
    assert_memory_equal(out->file.data, "\x93NUMPY\x01\x00", 8);
    size_t header = 10 + (unsigned char)out->file.data[8] + 256u * (unsigned char)out->file.data[9];
    assert_non_null(strstr(out->file.data + 10, "'descr': '<f4'"));
    out->n = (out->file.size - header) / sizeof(float);
    float *data = mem_alloc(out->n * sizeof *data);
    memcpy(data, out->file.data + header, out->n * sizeof *data);
    out->data = data;
}

static void free_npy(Npy *npy) {
    buffer_free(&npy->file);
    free((void *)npy->data);
}

/* Long cases hold only the rows of some positions. */
static void compare(const char *folder, const cJSON *fixture, const Npy *found, const Npy *expected) {
    const cJSON *positions = cJSON_GetObjectItem(fixture, "positions");
    size_t n_ids = (size_t)cJSON_GetArraySize(cJSON_GetObjectItem(fixture, "ids"));
    size_t n_rows = positions ? (size_t)cJSON_GetArraySize(positions) : n_ids,
           vocab_size = expected->n / n_rows;
    double largest = 0, worst = 0;
    assert_int_equal(found->n, n_ids * vocab_size);
    for (size_t row = 0; row < n_rows; row++) {
        size_t position = positions ? (size_t)cJSON_GetArrayItem(positions, (int)row)->valueint : row;
        for (size_t i = 0; i < vocab_size; i++) {
            double wanted = expected->data[row * vocab_size + i];
            double difference = fabs(found->data[position * vocab_size + i] - wanted);
            largest = fmax(largest, fabs(wanted));
            worst = difference <= worst ? worst : difference; /* a NaN sticks */
        }
    }
    if (!(worst <= 1e-5 * largest))
        fail_msg("%s: differs by %g, largest logit %g", folder, worst, largest);
}

static void check_case(const char *folder, const cJSON *fixture) {
    Output output;
    Buffer ids = {0}, path = {0};
    const cJSON *id;
    if (cJSON_GetObjectItem(fixture,
                            "first_position")) /* a far position: only the engine's own tests go there */
        return;
    cJSON_ArrayForEach(id, cJSON_GetObjectItem(fixture, "ids"))
        buffer_printf(&ids, "%s%d", ids.size ? "," : "", id->valueint);
    test_run_expecting(0, &output, "logits --model '%s' --ids %s --output %s/found.npy", folder, ids.data,
                       test_folder);
    Npy found, expected;
    buffer_printf(&path, "%s/found.npy", test_folder);
    load_npy(path.data, &found);
    buffer_clear(&path);
    buffer_printf(&path, "%s/%s", folder, cJSON_GetStringValue(cJSON_GetObjectItem(fixture, "logits_file")));
    load_npy(path.data, &expected);
    compare(folder, fixture, &found, &expected);
    free_npy(&found);
    free_npy(&expected);
    buffer_free(&ids);
    buffer_free(&path);
    test_output_free(&output);
}

static void test_logits_equal_other_implementations(void **state) {
    (void)state;
    static const char *const folders[] = {"tests/fixtures/models/llama_tiny",
                                          "tests/fixtures/models/llama_tiny_tied_bf16",
                                          "tests/fixtures/models/zebra_tiny"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        char *path = path_join(folders[i], "logits.json");
        cJSON *json;
        Error error = {0};
        int n = 0;
        if (json_parse_file(&json, path, 1 << 24, &error))
            fail_msg("%s", error.message);
        const cJSON *fixture;
        cJSON_ArrayForEach(fixture, cJSON_GetObjectItem(json, "cases")) {
            check_case(folders[i], fixture);
            n++;
        }
        assert_true(n > 0);
        cJSON_Delete(json);
        free(path);
    }
}

int run_logits_tests(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_logits_equal_other_implementations)};
    return cmocka_run_group_tests_name("logits", tests, test_make_folder, test_remove_folder);
}
