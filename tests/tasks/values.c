/* Values: Python's printed forms, JSON lines, Python literals. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tasks/value.h"

static Value from_json(Arena *arena, const char *text) {
    Value value;
    Error error = {0};
    if (value_from_json(&value, arena, text, strlen(text), "rows.jsonl", 3, &error))
        fail_msg("%s", error.message);
    return value;
}

static void assert_repr(const char *json, const char *expected) {
    Arena arena = {0};
    Buffer out = {0};
    const Value value = from_json(&arena, json);
    value_append_repr(&out, &value);
    assert_string_equal(out.data, expected);
    buffer_free(&out);
    arena_free(&arena);
}

static void test_repr_is_pythons(void **state) {
    (void)state;
    assert_repr("[1, -2, 1.0, 0.1, 1e22, 1e-5, 1.5e-7, 123456789012345680.0]",
                "[1, -2, 1.0, 0.1, 1e+22, 1e-05, 1.5e-07, 1.2345678901234568e+17]");
    assert_repr("[1e15, 1e16, 0.0001, -0.0, 100.0, 3.14]",
                "[1000000000000000.0, 1e+16, 0.0001, -0.0, 100.0, 3.14]");
    assert_repr("[null, true, false, {\"a\": []}]", "[None, True, False, {'a': []}]");
    assert_repr("[\"it's\", \"say \\\"hi\\\"\", \"a'b\\\"c\", \"\\\\ \\n\\t\\u0001\\u00e9\\u2028\\u00a0\"]",
                "[\"it's\", 'say \"hi\"', 'a\\'b\"c', '\\\\ \\n\\t\\x01é\\u2028\\xa0']");
}

static void test_json_keeps_order_and_number_types(void **state) {
    (void)state;
    Arena arena = {0};
    Buffer out = {0};
    const Value row = from_json(
        &arena, "{\"z\": 9007199254740993, \"a\": [1.0, \"1,2 -3\"], \"z\": 5, \"b\\\"\": {\"x\":null}}");
    value_append_json(&out, &row);
    assert_string_equal(out.data, "{\"z\": 5, \"a\": [1.0, \"1,2 -3\"], \"b\\\"\": {\"x\": null}}");
    buffer_free(&out);
    const Value big = from_json(&arena, "[9007199254740993, -9223372036854775808]");
    assert_true(big.as.items[0].as.integer == 9007199254740993);
    assert_true(big.as.items[1].as.integer == INT64_MIN);
    const Value bigger = from_json(&arena, "[92233720368547758080, -1]"); /* as Arrow has it */
    assert_true(bigger.as.items[0].kind == VALUE_DOUBLE &&
                bigger.as.items[0].as.number == 92233720368547758080.0);
    assert_true(bigger.as.items[1].as.integer == -1);
    arena_free(&arena);
}

static void assert_json_error(const char *text, const char *expected) {
    Arena arena = {0};
    Value value;
    Error error = {0};
    assert_int_equal(value_from_json(&value, &arena, text, strlen(text), "rows.jsonl", 3, &error), -1);
    assert_message(&error, "rows.jsonl:3", expected, NULL);
    arena_free(&arena);
}

static void test_broken_json_is_refused_with_its_place(void **state) {
    (void)state;
    char deep[400] = {0};
    assert_json_error("{\"a\": 1,, }", "not valid JSON near");
    assert_json_error("{\"a\": 1} x", "rows.jsonl:3:10");
    assert_json_error("{\"a\": \"b", "not valid JSON");
    assert_json_error("{\"a\": \"x\\u0000y\"}", "NUL");
    assert_json_error("{\"a\": \"\xff\"}", "UTF-8");
    memset(deep, '[', 100);
    memset(deep + 100, ']', 100);
    assert_json_error(deep, "64 levels");
}

static void test_equality_is_pythons(void **state) {
    (void)state;
    Arena arena = {0};
    const Value pairs =
        from_json(&arena, "[[1, 1.0], [true, 1], [{\"a\":1,\"b\":2}, {\"b\":2,\"a\":1}], [null, null],"
                          " [\"x\", \"x\"], [[1], [1.0]]]");
    for (size_t i = 0; i < pairs.n; i++)
        assert_true(value_equal(&pairs.as.items[i].as.items[0], &pairs.as.items[i].as.items[1]));
    const Value different = from_json(
        &arena, "[[1, \"1\"], [null, false], [{\"a\":1}, {\"b\":1}], [[1], [1, 2]], [\"a\", \"b\"]]");
    for (size_t i = 0; i < different.n; i++)
        assert_false(value_equal(&different.as.items[i].as.items[0], &different.as.items[i].as.items[1]));
    arena_free(&arena);
}

static void test_python_literals(void **state) {
    (void)state;
    Arena arena = {0};
    Error error = {0};
    Value value;
    Buffer out = {0};
    const char *text = " [{'q': 'it\\'s', \"o\": (1, -2.5,), 'n': None}, True, [], '\\x41\\u00e9\\n'] ";
    if (value_from_python(&value, &arena, text, strlen(text), &error))
        fail_msg("%s", error.message);
    value_append_json(&out, &value);
    assert_string_equal(out.data, "[{\"q\": \"it's\", \"o\": [1, -2.5], \"n\": null}, true, [], \"Aé\\n\"]");
    buffer_free(&out);
    static const char *const broken[] = {"",        "[1",  "['a]",  "[1 2]",  "{1: 2}",
                                         "{'a' 1}", "foo", "[1] x", "'\\x4'", "--1"};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        assert_int_equal(value_from_python(&value, &arena, broken[i], strlen(broken[i]), &error), -1);
        assert_message(&error, "not a Python literal at character", NULL);
    }
    char deep[300];
    memset(deep, '[', sizeof deep);
    assert_int_equal(value_from_python(&value, &arena, deep, sizeof deep, &error), -1);
    assert_message(&error, "64 levels", NULL);
    arena_free(&arena);
}

const struct CMUnitTest value_tests[] = {
    cmocka_unit_test(test_repr_is_pythons), cmocka_unit_test(test_json_keeps_order_and_number_types),
    cmocka_unit_test(test_broken_json_is_refused_with_its_place), cmocka_unit_test(test_equality_is_pythons),
    cmocka_unit_test(test_python_literals)};
const size_t n_value_tests = sizeof value_tests / sizeof *value_tests;
