/* A whole run on the built-in model: stopped, resumed, complete, reused. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "eval/eval.h"
#include "tests/eval/tests.h"

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

static int run_demo(const char *db, double limit, const volatile sig_atomic_t *stop, EvalSummary *summary,
                    Error *error) {
    static const char *const names[] = {"demo"};
    char *path = path_join(folder, db);
    EvalOptions options = {
        .model = "demo",
        .tasks = {.names = names, .n_names = 1, .num_fewshot = -1, .limit = limit, .fewshot_seed = 1234},
        .db_path = path,
        .batch_tokens = 500,
        .build = "test",
        .stop = stop};
    int result = eval_run(&options, summary, error);
    free(path);
    return result;
}

static void test_a_stopped_run_goes_on_and_scores_nothing_twice(void **state) {
    (void)state;
    volatile sig_atomic_t stop = 1;
    EvalSummary first, second, third;
    Error error = {0};
    assert_int_equal(run_demo("stopped.db", 10, &stop, &first, &error), -1);
    assert_int_equal(error.kind, ERROR_STOPPED);
    assert_true(first.n_scored > 0);
    if (run_demo("stopped.db", 10, NULL, &second, &error))
        fail_msg("%s", error.message);
    assert_int_equal(second.run_id, first.run_id);
    assert_int_equal(second.n_reused, first.n_scored);
    assert_int_equal(second.n_scored + second.n_reused, second.n_requests);
    assert_int_equal(run_demo("stopped.db", 10, NULL, &third, &error), 0);
    assert_true(third.was_complete);
    assert_int_equal(third.run_id, first.run_id);
}

static void test_another_run_reuses_responses(void **state) {
    (void)state;
    EvalSummary small, large;
    Error error = {0};
    assert_int_equal(run_demo("reuse.db", 5, NULL, &small, &error), 0);
    assert_int_equal(run_demo("reuse.db", 8, NULL, &large, &error), 0);
    assert_int_not_equal(small.run_id, large.run_id);
    assert_int_equal(large.n_reused, small.n_requests);
}

static void test_unknown_models_and_tasks_are_wrong_usage(void **state) {
    (void)state;
    static const char *const names[] = {"no_such_task"};
    EvalSummary summary;
    Error error = {0};
    EvalOptions options = {
        .model = "demo", .tasks = {.names = names, .n_names = 1}, .db_path = "/nonexistent/x.db"};
    assert_int_equal(eval_run(&options, &summary, &error), -1);
    assert_int_equal(error.kind, ERROR_USAGE);
    options.model = "no/such/folder";
    assert_int_equal(eval_run(&options, &summary, &error), -1);
    assert_int_equal(error.kind, ERROR_USAGE);
    assert_non_null(strstr(error.message, "no/such/folder"));
}

int run_run_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_stopped_run_goes_on_and_scores_nothing_twice),
        cmocka_unit_test(test_another_run_reuses_responses),
        cmocka_unit_test(test_unknown_models_and_tasks_are_wrong_usage),
    };
    return cmocka_run_group_tests_name("run", tests, make_folder, remove_folder);
}
