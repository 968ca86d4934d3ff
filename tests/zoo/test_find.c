/* Finding and identifying checkpoints. */
#include "tests/zoo/tests.h"

#include <time.h>
#include <utime.h>

static char folder[64];

static int make_folder(void **state) {
    (void)state;
    strcpy(folder, "/tmp/zeval-test-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    return setenv("ZEVAL_CACHE", folder, 1);
}

static int remove_folder(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static void test_a_damaged_demo_is_mended(void **state) {
    (void)state;
    char *first, *second;
    Error error = {0};
    if (zoo_resolve("demo", &first, &error))
        fail_msg("%s", error.message);
    char *config = path_join(first, "config.json");
    assert_int_equal(file_write_atomic(config, "damaged", 7, NULL), 0);
    assert_int_equal(zoo_resolve("demo", &second, &error), 0);
    assert_string_equal(first, second);
    cJSON *json;
    if (json_parse_file(&json, config, 1 << 20, &error))
        fail_msg("%s", error.message);
    cJSON_Delete(json);
    free(config);
    free(first);
    free(second);
}

static void test_unknown_names_are_wrong_usage(void **state) {
    (void)state;
    char *found;
    Error error = {0};
    assert_int_equal(zoo_resolve("no-such-model", &found, &error), -1);
    assert_int_equal(error.kind, ERROR_USAGE);
    assert_null(found);
    assert_non_null(strstr(error.message, "neither a name in the registry nor ORG/NAME"));
    assert_int_equal(zoo_resolve("llamba-1b", &found, &error), -1);
    assert_int_equal(error.kind, ERROR_USAGE);
    assert_non_null(strstr(error.message, "zeval pull llamba-1b"));
    assert_int_equal(zoo_resolve("README.md", &found, &error), -1);
    assert_non_null(strstr(error.message, "found a file, expected a checkpoint folder"));
}

static void identify(const char *path, ZooModel *model) {
    const char *paths[] = {path};
    Error error = {0};
    if (zoo_identify(model, "m", folder, paths, 1, &error))
        fail_msg("%s", error.message);
}

/* A large file's hash is remembered, and a changed file is noticed. */
static void test_hashes_follow_the_bytes(void **state) {
    (void)state;
    enum { BYTES = 9 << 20 };
    char *data = mem_alloc_zero(1, BYTES), *path = path_join(folder, "weights"), expected[SHA256_HEX];
    ZooModel first, again, changed;
    struct utimbuf old = {.actime = time(NULL) - 1000, .modtime = time(NULL) - 1000};
    sha256_text(data, BYTES, expected);
    assert_int_equal(file_write_atomic(path, data, BYTES, NULL), 0);
    utime(path, &old);
    identify(path, &first);
    identify(path, &again);
    assert_string_equal(first.files[0].sha256, expected);
    assert_string_equal(again.sha256, first.sha256);
    assert_string_equal(first.files[0].name, "weights");
    data[BYTES / 2] = 1;
    assert_int_equal(file_write_atomic(path, data, BYTES, NULL), 0);
    utime(path, &old);
    identify(path, &changed);
    sha256_text(data, BYTES, expected);
    assert_string_equal(changed.files[0].sha256, expected);
    assert_string_not_equal(changed.sha256, first.sha256);
    zoo_model_free(&first);
    zoo_model_free(&again);
    zoo_model_free(&changed);
    free(path);
    free(data);
}

static void test_a_missing_file_is_named(void **state) {
    (void)state;
    const char *paths[] = {"/nonexistent/file"};
    ZooModel model;
    Error error = {0};
    assert_int_equal(zoo_identify(&model, "m", folder, paths, 1, &error), -1);
    assert_non_null(strstr(error.message, "/nonexistent/file"));
}

int run_find_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_damaged_demo_is_mended),
        cmocka_unit_test(test_unknown_names_are_wrong_usage),
        cmocka_unit_test(test_hashes_follow_the_bytes),
        cmocka_unit_test(test_a_missing_file_is_named),
    };
    return cmocka_run_group_tests_name("zoo: find", tests, make_folder, remove_folder);
}
