#include <string.h>

#include "tests/cli/tests.h"

static const char *const commands[] = {"demo",     "run",    "report",   "runs", "tasks", "requests",
                                       "tokenize", "logits", "generate", "show", "doctor"};
enum { N_COMMANDS = sizeof commands / sizeof *commands };

static void test_every_command_explains_itself(void **state) {
    (void)state;
    Output all, one;
    test_run_expecting(0, &all, "--help");
    for (int i = 0; i < N_COMMANDS; i++) {
        assert_non_null(strstr(all.out.data, commands[i]));
        test_run_expecting(0, &one, "%s --help", commands[i]);
        assert_non_null(strstr(one.out.data, "Usage: zeval"));
        assert_int_equal(one.error.size, 0);
        test_output_free(&one);
    }
    test_output_free(&all);
}

static void check_usage_error(const char *arguments, const char *expected) {
    Output output;
    test_run_expecting(2, &output, "%s", arguments);
    if (!strstr(output.error.data, expected))
        fail_msg("zeval %s\nfound: %s\nexpected: %s", arguments, output.error.data, expected);
    assert_int_equal(output.out.size, 0);
    test_output_free(&output);
}

static void test_wrong_usage_is_named_and_mended(void **state) {
    (void)state;
    check_usage_error("", "Usage: zeval COMMAND");
    check_usage_error("rum", "there is no command \"rum\"; did you mean \"run\"?");
    check_usage_error("run --modle x", "there is no option --modle; did you mean --model?");
    check_usage_error("run --tasks demo", "run needs --model NAME");
    check_usage_error("run --model demo --tasks", "--tasks needs a value");
    check_usage_error("run --model demo --tasks demo --threads many",
                      "expected a whole number from 1 to 1024");
    check_usage_error("run --model demo --tasks demo --limit=-3", "--limit: found \"-3\"");
    check_usage_error("run --model demo --tasks a,,b", "empty name in the list");
    check_usage_error("run --model demo --tasks demo --dtype float12", "float12");
    check_usage_error("run --model demo --tasks demo --bos maybe", "expected default, add or none");
    check_usage_error("run --model demo --tasks no_such_task", "no_such_task");
    check_usage_error("run --model no/such --tasks demo", "no/such");
    check_usage_error("report --format word", "expected markdown, html, latex, csv or json");
    check_usage_error("logits --model demo --ids 1,99999999 --output /dev/null", "expected a token id");
    check_usage_error("demo now", "found \"now\", expected an option");
}

static void test_doctor_and_version(void **state) {
    (void)state;
    Output output;
    cJSON *json;
    test_run_expecting(0, &output, "doctor --json");
    assert_int_equal(json_parse(&json, output.out.data, output.out.size, "doctor", NULL), 0);
    const char *model = cJSON_GetStringValue(cJSON_GetObjectItem(json, "demo model"));
    assert_non_null(model);
    assert_non_null(strstr(model, "loads: zebra-llama"));
    cJSON_Delete(json);
    test_output_free(&output);
    test_run_expecting(0, &output, "--version");
    assert_int_equal(strncmp(output.out.data, "zeval ", 6), 0);
    test_output_free(&output);
}

static void test_tasks_lists_what_can_be_named(void **state) {
    (void)state;
    Output output;
    test_run_expecting(0, &output, "tasks");
    static const char *const names[] = {"arc_easy",   "arc_challenge", "piqa",
                                        "openbookqa", "hellaswag",     "winogrande",
                                        "mmlu ",      "mmlu_anatomy",  "demo"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_non_null(strstr(output.out.data, names[i]));
    test_output_free(&output);
    test_run_expecting(0, &output, "requests --tasks demo --limit 2");
    const char *line = output.out.data;
    int n = 0;
    for (const char *end; (end = strchr(line, '\n')); line = end + 1, n++) {
        cJSON *json;
        assert_int_equal(json_parse(&json, line, (size_t)(end - line), "request", NULL), 0);
        assert_string_equal(json->child->string, "task");
        assert_true(cJSON_IsString(cJSON_GetObjectItem(json, "context")));
        assert_true(cJSON_IsString(cJSON_GetObjectItem(json, "continuation")));
        cJSON_Delete(json);
    }
    assert_true(n >= 4);
    test_output_free(&output);
}

int run_help_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_command_explains_itself),
        cmocka_unit_test(test_wrong_usage_is_named_and_mended),
        cmocka_unit_test(test_doctor_and_version),
        cmocka_unit_test(test_tasks_lists_what_can_be_named),
    };
    return cmocka_run_group_tests_name("help", tests, test_make_folder, test_remove_folder);
}
