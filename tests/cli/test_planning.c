/* What a run says beforehand, and that nothing about how it is walked shows in its results. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cjson/cJSON.h>
#include <sqlite3.h>

#include "tests/cli/tests.h"
#include "tests/sanitized.h"

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

/* Runs the program and returns the most memory that it had resident. */
static double resident_bytes(char *const *arguments) {
    struct rusage usage;
    int status;
    pid_t child = fork();
    if (child == 0) {
        int nowhere = open("/dev/null", O_WRONLY);
        dup2(nowhere, STDOUT_FILENO);
        dup2(nowhere, STDERR_FILENO);
        execv(arguments[0], arguments);
        _exit(127);
    }
    assert_int_equal(wait4(child, &status, 0, &usage), child);
    assert_int_equal(status, 0);
    return (double)usage.ru_maxrss * 1024;
}

/* However much the machine has free, a run is said to take little, and takes no more. */
static void test_a_run_takes_no_more_memory_than_is_said(void **state) {
    (void)state;
    Output json;
    if (SANITIZED) {
        printf("skipped: a sanitizer's own memory would be measured\n");
        skip();
    }
    test_run_expecting(0, &json, DEMO " --dry-run --json --db %s/little.db", test_folder);
    cJSON *plan = cJSON_Parse(json.out.data);
    assert_non_null(plan);
    double said = cJSON_GetNumberValue(cJSON_GetObjectItem(plan, "memory_bytes"));
    double states = cJSON_GetNumberValue(cJSON_GetObjectItem(plan, "state_budget_bytes"));
    assert_true(said == states + cJSON_GetNumberValue(cJSON_GetObjectItem(plan, "fixed_bytes")));
    assert_true(states == 4 << 20); /* the least that it is set to, for a model so small */
    char *db = path_join(test_folder, "little.db"), *program = strdup(test_program());
    char *const arguments[] = {program, "run", "--model", "demo", "--tasks", "demo", "--db", db, NULL};
    double taken = resident_bytes(arguments);
    if (taken > said)
        fail_msg("%.0f bytes were resident, %.0f were said to be", taken, said);
    free(program);
    free(db);
    cJSON_Delete(plan);
    test_output_free(&json);
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
        cmocka_unit_test(test_a_run_takes_no_more_memory_than_is_said),
        cmocka_unit_test(test_the_walk_does_not_show_in_the_report),
        cmocka_unit_test(test_scoring_anew_finds_a_changed_answer),
    };
    return cmocka_run_group_tests_name("planning", tests, test_make_folder, test_remove_folder);
}
