#include <string.h>

#include "base/base.h"
#include "tests/base/tests.h"

static void check_parse_error(const char *text, const char *expected) {
    cJSON *json;
    Error error = {0};
    assert_int_equal(json_parse(&json, text, strlen(text), "f.json", &error), -1);
    assert_null(json);
    assert_string_equal(error.message, expected);
}

static void test_syntax_errors_name_line_and_column(void **state) {
    (void)state;
    check_parse_error("{\n  \"a\": x\n}", "f.json:2:8: the JSON is wrong or incomplete here");
    check_parse_error("{\"a\": 1} trailing", "f.json:1:10: the JSON is wrong or incomplete here");
    check_parse_error("{\"a\": [1, 2", "f.json:1:11: the JSON is wrong or incomplete here");
    check_parse_error("", "f.json:1:1: the JSON is wrong or incomplete here");
    check_parse_error("\"\xff\"", "f.json: the JSON text is not valid UTF-8");
}

static void test_fields_of_another_type_are_named(void **state) {
    (void)state;
    const char *text =
        "{\"s\": \"x\", \"n\": 3, \"f\": 2.5, \"b\": true, \"z\": null, \"o\": {}, \"a\": []}\n";
    cJSON *json;
    Error error = {0};
    const char *string = NULL;
    int64_t whole = 7;
    double number;
    bool flag;
    const cJSON *item;
    assert_int_equal(json_parse(&json, text, strlen(text), "f.json", &error), 0);
    assert_int_equal(json_get_int(json, "n", 0, 10, &whole, "f.json", &error), 0);
    assert_int_equal(whole, 3);
    assert_int_equal(json_get_int(json, "s", 0, 10, &whole, "f.json", &error), -1);
    assert_string_equal(error.message, "f.json: field \"s\": found a string, expected a whole number");
    assert_int_equal(json_get_int(json, "n", 4, 10, &whole, "f.json", &error), -1);
    assert_string_equal(error.message, "f.json: field \"n\": found 3, expected a whole number from 4 to 10");
    assert_int_equal(json_get_int(json, "f", 0, 10, &whole, "f.json", &error), -1);
    assert_int_equal(json_get_string(json, "missing", &string, "f.json", &error), -1);
    assert_string_equal(error.message, "f.json: field \"missing\": found nothing, expected a string");
    assert_int_equal(json_opt_string(json, "z", &string, "f.json", &error), 0);
    assert_null(string);
    assert_int_equal(json_opt_bool(json, "n", &flag, "f.json", &error), -1);
    assert_int_equal(json_get_bool(json, "b", &flag, "f.json", &error), 0);
    assert_true(flag);
    assert_int_equal(json_get_double(json, "f", &number, "f.json", &error), 0);
    assert_true(number == 2.5);
    assert_int_equal(json_get_object(json, "o", &item, "f.json", &error), 0);
    assert_int_equal(json_get_array(json, "o", &item, "f.json", &error), -1);
    cJSON_Delete(json);
}

static void test_deep_nesting_is_refused(void **state) {
    (void)state;
    enum { DEPTH = 100000 };
    static char text[DEPTH + 1];
    memset(text, '[', DEPTH);
    cJSON *json;
    Error error = {0};
    assert_int_equal(json_parse(&json, text, DEPTH, "deep.json", &error), -1);
}

int run_json_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_syntax_errors_name_line_and_column),
        cmocka_unit_test(test_fields_of_another_type_are_named),
        cmocka_unit_test(test_deep_nesting_is_refused),
    };
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
