/* YAML into values, and what is refused. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tasks/yaml.h"

static void assert_yaml(const char *text, const char *expected) {
    Arena arena = {0};
    Error error = {0};
    Value value;
    Buffer out = {0};
    if (yaml_parse(&value, &arena, text, strlen(text), "t.yaml", &error))
        fail_msg("%s", error.message);
    value_append_repr(&out, &value);
    assert_string_equal(out.data, expected);
    buffer_free(&out);
    arena_free(&arena);
}

static void test_scalars_are_typed_as_in_pyyaml(void **state) {
    (void)state;
    assert_yaml("{a: 1, b: -2, c: +3, d: 1.5, e: 1.0, f: 1e5, g: 1.0e+5, h: 007, i: '1', j: \"2\"}",
                "{'a': 1, 'b': -2, 'c': 3, 'd': 1.5, 'e': 1.0, 'f': '1e5', 'g': 100000.0, 'h': 7, 'i': "
                "'1', 'j': '2'}");
    assert_yaml(
        "{a: 0x10, b: 1_000, c: 0b11, d: 1:30, e: 0o7, f: 08, g: .5, h: 1., i: -.5, j: +.inf, k: 1.0e5, l: "
        "0_7, m: -0x1F, n: 1_0.5, o: 0b, p: 1:99, q: -1:30, r: 00, s: _1, t: 10:00:00, u: 1:2:3:4, v: 0}",
        "{'a': 16, 'b': 1000, 'c': 3, 'd': 90, 'e': '0o7', 'f': '08', 'g': 0.5, 'h': 1.0, 'i': '-.5', 'j': "
        "inf, 'k': '1.0e5', 'l': 7, 'm': -31, 'n': 10.5, 'o': '0b', 'p': '1:99', 'q': -90, 'r': 0, 's': "
        "'_1', 't': 36000, 'u': 223384, 'v': 0}");
    assert_yaml("\xEF\xBB\xBF"
                "a: 1\n",
                "{'a': 1}"); /* a byte order mark */
    assert_yaml("{a: null, b: ~, c: , d: true, e: False, f: yes, g: No, h: 'null', i: nil}",
                "{'a': None, 'b': None, 'c': None, 'd': True, 'e': False, 'f': True, 'g': False, 'h': "
                "'null', 'i': 'nil'}");
    assert_yaml("{a: !!null x, b: !!null , c: !!int '7', d: !!float 2, e: !!bool 'no', f: !!str 1}",
                "{'a': None, 'b': None, 'c': 7, 'd': 2.0, 'e': False, 'f': '1'}");
}

/* Anchors, aliases, merge keys, dates and times (tests/oracle/yaml_goldens.py). */
static void test_names_and_times_are_as_in_pyyaml(void **state) {
    (void)state;
    cJSON *cases;
    Error error = {0};
    const cJSON *item;
    if (json_parse_file(&cases, "tests/fixtures/yaml.json", 1 << 20, &error))
        fail_msg("%s", error.message);
    assert_true(cJSON_GetArraySize(cases) > 300);
    cJSON_ArrayForEach(item, cases) {
        const char *text = cJSON_GetArrayItem(item, 0)->valuestring;
        const cJSON *expected = cJSON_GetArrayItem(item, 1);
        Arena arena = {0};
        Value value;
        if (cJSON_IsString(expected))
            assert_yaml(text, expected->valuestring);
        else if (yaml_parse(&value, &arena, text, strlen(text), "t.yaml", &error) == 0)
            fail_msg("PyYAML refuses this: %s", text);
        arena_free(&arena);
    }
    cJSON_Delete(cases);
}

/* As in PyYAML the last value of a key counts, at the place of the first. */
static void test_a_key_twice_has_its_last_value(void **state) {
    (void)state;
    assert_yaml("a: 1\nb: {c: 2, d: 3, c: [4]}\na: x\n", "{'a': 'x', 'b': {'c': [4], 'd': 3}}");
}

static void test_strings_fold_and_escape(void **state) {
    (void)state;
    assert_yaml("a: one\n  two\n\n  three\nb: 'it''s \\n'\nc: \"x\\ny \\\"q\\\" \\\n  z\"\nd: |\n  l1\n  "
                "l2\ne: >-\n  f1\n  f2\n",
                "{'a': 'one two\\nthree', 'b': \"it's \\\\n\", 'c': 'x\\ny \"q\" z', 'd': 'l1\\nl2\\n', 'e': "
                "'f1 f2'}");
    assert_yaml("# c\n\"k\": [1, [x, {y: z}]] # c\nf: !function utils.go\nl:\n- a\n- b: 1\n  c: 2\n",
                "{'k': [1, ['x', {'y': 'z'}]], 'f': !function utils.go, 'l': ['a', {'b': 1, 'c': 2}]}");
}

static void assert_yaml_error(const char *text, const char *first, const char *second) {
    Arena arena = {0};
    Error error = {0};
    Value value;
    assert_int_equal(yaml_parse(&value, &arena, text, strlen(text), "t.yaml", &error), -1);
    assert_message(&error, first, second, NULL);
    arena_free(&arena);
}

static void test_what_is_no_task_file_is_refused_with_its_place(void **state) {
    (void)state;
    assert_yaml_error("", "t.yaml:1", "the file is empty");
    assert_yaml_error("a: [1", "t.yaml:", "not valid YAML");
    assert_yaml_error("{\"a\": \"\xff\"}", "t.yaml", "not valid YAML");
    assert_yaml_error("- a\n- b\n", "t.yaml:1", "found a list; a mapping");
    assert_yaml_error("a: &x 1\nb: &x 2\n", "t.yaml:2", "two values with the same name");
    assert_yaml_error("b: *x\n", "t.yaml:1", "an alias (*name) of a name that no value above has");
    assert_yaml_error("a: &x [1, *x]\n", "t.yaml:1", "an alias of the value that it is in");
    assert_yaml_error("a: 1\n<<: 2\n", "t.yaml:2", "<<: a mapping or a list of mappings");
    assert_yaml_error("a: 1\n<<: [{b: 1}, 2]\n", "t.yaml:2", "<<: a mapping or a list of mappings");
    assert_yaml_error("a: 2024-02-30\n", "t.yaml:1", "a date or time that does not exist");
    assert_yaml_error("a: 1\nb: !!python/object:os.system 1\n", "t.yaml:2",
                      "the tag 'tag:yaml.org,2002:python/object");
    assert_yaml_error("a: !!int x\n", "t.yaml:1", "the tag 'tag:yaml.org,2002:int' is not supported here");
    assert_yaml_error("a: 1\n---\nb: 2\n", "t.yaml:2", "second document");
    assert_yaml_error("? [a]\n: 1\n", "t.yaml:1", "a key that is not a string");
    assert_yaml_error("a: \"x\\0y\"\n", "t.yaml:1", "NUL");
    assert_yaml_error("\"x\\0y\": 1\n", "t.yaml:1", "NUL");
}

static void test_nesting_bombs_are_refused(void **state) {
    (void)state;
    Buffer text = {0};
    buffer_append_text(&text, "a: ");
    for (int i = 0; i < 100000; i++)
        buffer_append_char(&text, '[');
    assert_yaml_error(text.data, "t.yaml:1", "nested deeper than 32 levels");
    buffer_clear(&text);
    buffer_append_text(&text, "a: [");
    for (int i = 0; i < 300000; i++)
        buffer_append_text(&text, "1,");
    buffer_append_text(&text, "]");
    assert_yaml_error(text.data, "t.yaml:1", "more than 200000 values");
    /* each line doubles the one above */
    buffer_clear(&text);
    buffer_append_text(&text, "a0: &a0 [x, x]\n");
    for (int i = 1; i < 30; i++)
        buffer_printf(&text, "a%d: &a%d {k: *a%d, l: *a%d}\n", i, i, i - 1, i - 1);
    assert_yaml_error(text.data, "t.yaml:1", "more than 200000 values");
    buffer_clear(&text);
    buffer_append_text(&text, "a0: &a0 []\n");
    for (int i = 1; i < 40; i++)
        buffer_printf(&text, "a%d: &a%d [*a%d]\n", i, i, i - 1);
    assert_yaml_error(text.data, "t.yaml:33", "nested deeper than 32 levels");
    buffer_free(&text);
}

const struct CMUnitTest yaml_tests[] = {cmocka_unit_test(test_scalars_are_typed_as_in_pyyaml),
                                        cmocka_unit_test(test_names_and_times_are_as_in_pyyaml),
                                        cmocka_unit_test(test_a_key_twice_has_its_last_value),
                                        cmocka_unit_test(test_strings_fold_and_escape),
                                        cmocka_unit_test(test_what_is_no_task_file_is_refused_with_its_place),
                                        cmocka_unit_test(test_nesting_bombs_are_refused)};
const size_t n_yaml_tests = sizeof yaml_tests / sizeof *yaml_tests;
