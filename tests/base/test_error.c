#include <string.h>

#include "base/error.h"
#include "tests/base/tests.h"

static void test_prefix_keeps_kind_and_reads_outside_in(void **state) {
    (void)state;
    Error error = {0};
    assert_int_equal(error_set_kind(&error, ERROR_USAGE, "field %s", "x"), -1);
    assert_int_equal(error_prefix(&error, "%s", "file.json"), -1);
    assert_string_equal(error.message, "file.json: field x");
    assert_int_equal(error.kind, ERROR_USAGE);
}

static void test_long_messages_are_cut_not_overrun(void **state) {
    (void)state;
    Error error = {0};
    char text[3000];
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '\0';
    error_set(&error, "%s", text);
    assert_int_equal(strlen(error.message), sizeof error.message - 1);
    error_prefix(&error, "%s", text);
    assert_int_equal(strlen(error.message), sizeof error.message - 1);
    error_set(NULL, "nobody listens");
}

int run_error_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prefix_keeps_kind_and_reads_outside_in),
        cmocka_unit_test(test_long_messages_are_cut_not_overrun),
    };
    return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
