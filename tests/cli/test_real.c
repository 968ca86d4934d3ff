/* Real weights and real task data, where they are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cli/tests.h"

static void test_stories_decode_greedily_to_the_published_text(void **state) {
    (void)state;
    char *model = test_shared("models/stories260K-hf"),
         *golden = test_shared("models/stories260K/greedy.json");
    if (!model || !golden)
        skip();
    cJSON *expected, *found;
    assert_int_equal(json_parse_file(&expected, golden, 1 << 24, NULL), 0);
    const cJSON *ids = cJSON_GetObjectItem(expected, "ids");
    int n = cJSON_GetArraySize(ids);
    Output output;
    test_run_expecting(0, &output, "generate --model '%s' --prompt '' --max-new-tokens %d --json", model,
                       n - 1);
    assert_int_equal(json_parse(&found, output.out.data, output.out.size, "generate", NULL), 0);
    const cJSON *made = cJSON_GetObjectItem(found, "ids");
    assert_int_equal(cJSON_GetArraySize(made), n - 1);
    for (int i = 1; i < n; i++)
        assert_int_equal(cJSON_GetArrayItem(made, i - 1)->valueint, cJSON_GetArrayItem(ids, i)->valueint);
    cJSON_Delete(expected);
    cJSON_Delete(found);
    test_output_free(&output);
    free(model);
    free(golden);
}

static void test_the_seven_tasks_run_and_resume_on_real_data(void **state) {
    (void)state;
    char *model = test_shared("models/stories260K-hf"), *data = test_shared("data/datasets");
    if (!model || !data)
        skip();
    Output first, report, again;
    Buffer command = {0};
    buffer_printf(
        &command,
        "run --model '%s' --tasks arc_easy,arc_challenge,piqa,openbookqa,hellaswag,winogrande,mmlu --limit 3 "
        "--data '%s' --db %s/real.db",
        model, data, test_folder);
    test_run_expecting(0, &first, "%s", command.data);
    test_run_expecting(0, &report, "report --db %s/real.db", test_folder);
    static const char *const names[] = {
        "arc_easy",   "arc_challenge",   "piqa", "openbookqa",      "hellaswag", "winogrande", "mmlu",
        "humanities", "social sciences", "stem", "abstract_algebra"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strstr(report.out.data, names[i]))
            fail_msg("%s is not in the report:\n%s", names[i], report.out.data);
    test_run_expecting(0, &again, "%s", command.data);
    assert_non_null(strstr(again.error.data, "nothing to score"));
    assert_string_equal(again.out.data, first.out.data);
    test_output_free(&first);
    test_output_free(&report);
    test_output_free(&again);
    buffer_free(&command);
    free(model);
    free(data);
}

int run_real_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stories_decode_greedily_to_the_published_text),
        cmocka_unit_test(test_the_seven_tasks_run_and_resume_on_real_data),
    };
    return cmocka_run_group_tests_name("real", tests, test_make_folder, test_remove_folder);
}
