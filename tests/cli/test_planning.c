/* What a run says beforehand, and that nothing about how it is walked shows in its results. */
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <sqlite3.h>

#include "tests/cli/tests.h"

#define DEMO "run --model demo --tasks demo --limit 12"

static void test_a_dry_run_prints_the_plan_and_writes_nothing(void **state) {
    (void)state;
    Output json, text;
    test_run_expecting(0, &json, DEMO " --dry-run --json --db %s/none.db", test_folder);
    cJSON *plan = cJSON_Parse(json.out.data);
    assert_non_null(plan);
    double alone = cJSON_GetNumberValue(cJSON_GetObjectItem(plan, "tokens_alone"));
    double distinct = cJSON_GetNumberValue(cJSON_GetObjectItem(plan, "tokens_distinct"));
    assert_true(distinct > 0 && distinct < alone);
    assert_true(cJSON_GetNumberValue(cJSON_GetObjectItem(plan, "requests")) == 144);
    assert_true(cJSON_GetNumberValue(cJSON_GetObjectItem(plan, "eta_seconds")) > 0);
    test_run_expecting(0, &text, DEMO " --dry-run --db %s/none.db", test_folder);
    assert_non_null(strstr(text.out.data, "144 requests"));
    assert_non_null(strstr(text.out.data, "distinct prefixes"));
    char *path = path_join(test_folder, "none.db");
    assert_false(file_exists(path));
    free(path);
    cJSON_Delete(plan);
    test_output_free(&json);
    test_output_free(&text);
}

/* Threads, batches and memory change the walk; the reports, but for what it cost, are the same to the byte.
 */
static void test_the_walk_does_not_show_in_the_report(void **state) {
    (void)state;
    static const char *const walks[] = {"--threads 1", "--threads 3 --batch-tokens 7", "--memory 0.001",
                                        "--batch-tokens 10000000 --memory 0.05"};
    Output output, first = {0}, report;
    for (size_t i = 0; i < sizeof walks / sizeof *walks; i++) {
        test_run_expecting(0, &output, DEMO " %s --db %s/walk%zu.db", walks[i], test_folder, i);
        if (strstr(walks[i], "0.001")) {
            assert_non_null(strstr(output.error.data, "computed again because states have no room"));
            assert_non_null(strstr(output.error.data, "that memory is too little"));
        }
        test_output_free(&output);
        test_run_expecting(0, &report, "report --db %s/walk%zu.db --format html --no-cost", test_folder, i);
        if (i == 0) {
            first = report;
            continue;
        }
        assert_string_equal(report.out.data, first.out.data);
        test_output_free(&report);
    }
    test_output_free(&first);
}

static void test_scoring_anew_finds_a_changed_answer(void **state) {
    (void)state;
    Output output;
    test_run_expecting(0, &output, DEMO " --quiet --db %s/anew.db", test_folder);
    test_output_free(&output);
    test_run_expecting(0, &output, DEMO " --no-reuse --db %s/anew.db", test_folder);
    assert_non_null(strstr(output.error.data, "144 scored now, 0 found"));
    test_output_free(&output);
    char *path = path_join(test_folder, "anew.db");
    sqlite3 *handle;
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle, "UPDATE responses SET is_greedy = 1 - is_greedy", NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(handle);
    test_run_expecting(3, &output, DEMO " --no-reuse --db %s/anew.db", test_folder);
    assert_non_null(strstr(output.error.data, "scored anew"));
    test_output_free(&output);
    free(path);
}

int run_planning_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_dry_run_prints_the_plan_and_writes_nothing),
        cmocka_unit_test(test_the_walk_does_not_show_in_the_report),
        cmocka_unit_test(test_scoring_anew_finds_a_changed_answer),
    };
    return cmocka_run_group_tests_name("planning", tests, test_make_folder, test_remove_folder);
}
