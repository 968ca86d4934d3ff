/* Templates against Jinja itself, and the messages and limits that Jinja does not have. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tasks/template.h"

/* Renders with one variable n = 3; returns the text, or the error's message. */
static const char *render(const char *text, Arena *arena, Error *error) {
    ValuePair pairs[] = {{"n", 0, value_int(3)}};
    const Value variables = {.kind = VALUE_DICT, .n = 1, .as.pairs = pairs};
    const Template *template;
    Value out;
    *error = (Error){0};
    if (template_compile(&template, arena, text, TEMPLATE_TASK, "file.yaml:7: doc_to_text", error) ||
        template_render(template, &variables, arena, &out, error))
        return error->message;
    return out.as.text;
}

static void check_case(const cJSON *item, const Value *variables) {
    Arena arena = {0};
    Error error = {0};
    const Template *template;
    Value out = value_null();
    const char *text = cJSON_GetObjectItem(item, "template")->valuestring;
    const cJSON *expected = cJSON_GetObjectItem(item, "output");
    int status = template_compile(&template, &arena, text, TEMPLATE_TASK, "t", &error);
    if (!status)
        status = template_render(template, variables, &arena, &out, &error);
    if (cJSON_IsNull(expected)) {
        if (!status)
            fail_msg("%s\n gave: %s\n an error was expected", text, out.as.text);
        assert_non_null(strstr(error.message, "t: line "));
    } else if (status || strcmp(out.as.text, expected->valuestring) != 0) {
        fail_msg("%s\n gave: %s\n expected: %s", text, status ? error.message : out.as.text,
                 expected->valuestring);
    }
    arena_free(&arena);
}

static void test_templates_render_as_in_jinja(void **state) {
    (void)state;
    Error error = {0};
    Arena arena = {0};
    Buffer text = {0};
    Value root;
    cJSON *fixture;
    const cJSON *item;
    if (file_read(&text, "tests/fixtures/jinja.json", 1 << 20, &error) ||
        value_from_json(&root, &arena, text.data, text.size, "jinja.json", 1, &error) ||
        json_parse(&fixture, text.data, text.size, "jinja.json", &error))
        fail_msg("%s", error.message);
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(fixture, "cases"))
        check_case(item, value_get(&root, "variables"));
    cJSON_Delete(fixture);
    buffer_free(&text);
    arena_free(&arena);
}

static void test_errors_name_file_line_and_column(void **state) {
    (void)state;
    Arena arena = {0};
    Error error;
    render("line one\n  {{ missing }}", &arena, &error);
    assert_string_equal(error.message, "file.yaml:7: doc_to_text: line 2, column 6: 'missing' is undefined");
    render("{{ n | nofilter }}", &arena, &error);
    assert_message(&error, "line 1, column 8", "there is no filter 'nofilter'", NULL);
    render("{% if n %}\nx", &arena, &error);
    assert_message(&error, "line 2", "endif", NULL);
    render("{{ n.items }}{{ 'x' }", &arena, &error);
    assert_message(&error, "{{ without its }}", NULL);
    render("{{ n", &arena, &error);
    assert_message(&error, "{{ without its }}", NULL);
    render("{{ {'items': 1}.items }}", &arena, &error);
    assert_message(&error, "'items' is a method here", NULL);
    render("{{ n|int(base=2) }}", &arena, &error);
    assert_message(&error, "takes no argument 'base'", NULL);
    arena_free(&arena);
}

static void test_runaway_templates_end(void **state) {
    (void)state;
    Arena arena = {0};
    Error error;
    Buffer text = {0};
    render("{{ 'x' * 1000000000 }}", &arena, &error);
    assert_message(&error, "more than 64 MiB", NULL);
    render("{{ 'x' * 9223372036854775807 * 9 }}", &arena, &error);
    assert_message(&error, "more than 64 MiB", NULL);
    render("{{ ('' * 9223372036854775807)|length }}", &arena, &error);
    assert_int_equal(error.kind, ERROR_NONE);
    render(
        "{% for a in 'x' * 9999 %}{% for b in 'x' * 9999 %}{% for c in 'x' * 9999 %}{% endfor %}{% endfor %}"
        "{% endfor %}",
        &arena, &error);
    assert_message(&error, "more than", NULL);
    render("{{ 9223372036854775807 + n }}", &arena, &error);
    assert_message(&error, "64 bits", NULL);
    buffer_append_text(&text, "{{ ");
    for (int i = 0; i < 5000; i++)
        buffer_append_char(&text, '(');
    buffer_append_text(&text, " }}");
    render(text.data, &arena, &error);
    assert_message(&error, "nested deeper", NULL);
    buffer_clear(&text);
    buffer_append_text(&text, "{{ n");
    for (int i = 0; i < 5000; i++)
        buffer_append_text(&text, "+n");
    buffer_append_text(&text, " }}");
    render(text.data, &arena, &error);
    assert_message(&error, "operators in a row", NULL);
    buffer_clear(&text);
    for (int i = 0; i < 5000; i++)
        buffer_append_text(&text, "{% if n %}");
    render(text.data, &arena, &error);
    assert_message(&error, "nested deeper", NULL);
    buffer_clear(&text);
    buffer_append_text(&text, "{% set a = [n] %}");
    for (int i = 0; i < 60; i++)
        buffer_append_text(&text, "{% set a = [a, a] %}");
    buffer_append_text(&text, "{{ a }}");
    render(text.data, &arena, &error);
    assert_message(&error, "more than 64 MiB", NULL);
    buffer_clear(&text);
    buffer_append_text(&text, "{% set a = [n] %}");
    for (int i = 0; i < 5000; i++)
        buffer_append_text(&text, "{% set a = [a] %}");
    render(text.data, &arena, &error);
    assert_message(&error, "nested deeper than 100 levels", NULL);
    buffer_clear(&text);
    for (int i = 0; i < 300000; i++)
        buffer_append_char(&text, 'x');
    render(text.data, &arena, &error);
    assert_message(&error, "more than 256 KiB", NULL);
    buffer_free(&text);
    arena_free(&arena);
}

/* A chat template is a stranger's program. */
static void test_runaway_chat_templates_end(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}", "deep"},
        {"{% macro f(x) %}{{ g(x) }}{% endmacro %}{% macro g(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}",
         "deep"},
        {"{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}", "deep"},
        {"{% for i in range(1000000000) %}{% endfor %}", "more than 100000 numbers"},
        {"{{ range(0, 1000000000)|length }}", "more than 100000 numbers"},
        {"{{ 'x' * 1000000000 }}", "more than 64 MiB"},
        {"{{ ([1] * 1000000000)|length }}", "more than 64 MiB"},
        {"{{ '%1000000000d' % 3 }}", "a width or precision over 1000"},
        {"{{ '%.1000000000f' % 3.0 }}", "a width or precision over 1000"},
        {"{{ 'x'.ljust(1000000000) }}", "line 1"},
        {"{{ 'x'|indent(1000000000) ~ ('a\\n' * 9999)|indent(1000000) }}", "indent: 0 to 1000"},
        {"{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
         "more than 64 MiB"},
        {"{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s.replace('x', 'xx') %}"
         "{% endfor %}",
         "more than 64 MiB"},
        {"{{ ('x' * 60000)|replace('', 'y' * 60000) }}", "more than 64 MiB"},
        {"{{ [1] | batch(1000000000, 0) | list }}", "line 1"},
        {"{{ 10 ** 400 }}", "line 1"},
    };
    const Value variables = {.kind = VALUE_DICT};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Arena arena = {0};
        Error error = {0};
        const Template *template;
        Value out;
        if (!template_compile_chat(&template, &arena, cases[i][0], NULL, "chat", &error) &&
            !template_render(template, &variables, &arena, &out, &error))
            fail_msg("%s: an error was expected", cases[i][0]);
        assert_message(&error, "chat: line ", cases[i][1], NULL);
        arena_free(&arena);
    }
}

static void test_a_lone_expression_gives_its_value(void **state) {
    (void)state;
    Arena arena = {0};
    Error error = {0};
    const Template *template;
    Value out, variables = {.kind = VALUE_DICT};
    assert_int_equal(template_compile(&template, &arena, "{{ ['a', 'b'] }}", TEMPLATE_TASK, "t", &error), 0);
    assert_true(template_is_expression(template));
    assert_int_equal(template_evaluate(template, &variables, &arena, &out, &error), 0);
    assert_int_equal(out.kind, VALUE_LIST);
    assert_string_equal(out.as.items[1].as.text, "b");
    assert_int_equal(template_compile(&template, &arena, "{{ 1 }} ", TEMPLATE_TASK, "t", &error), 0);
    assert_false(template_is_expression(template));
    assert_int_equal(template_compile(&template, &arena, "", TEMPLATE_TASK, "t", &error), 0);
    assert_false(template_is_expression(template));
    arena_free(&arena);
}

const struct CMUnitTest template_tests[] = {cmocka_unit_test(test_templates_render_as_in_jinja),
                                            cmocka_unit_test(test_errors_name_file_line_and_column),
                                            cmocka_unit_test(test_runaway_templates_end),
                                            cmocka_unit_test(test_runaway_chat_templates_end),
                                            cmocka_unit_test(test_a_lone_expression_gives_its_value)};
const size_t n_template_tests = sizeof template_tests / sizeof *template_tests;
