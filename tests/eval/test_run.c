/* A whole run on the built-in model: stopped, resumed, complete, reused. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "db/db.h"
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

static EvalOptions demo_options(const char *path, double limit) {
    static const char *const names[] = {"demo"};
    return (EvalOptions){
        .model = "demo",
        .tasks = {.names = names, .n_names = 1, .num_fewshot = -1, .limit = limit, .fewshot_seed = 1234},
        .db_path = path,
        .batch_tokens = 500,
        .build = "test"};
}

static int run_demo(const char *db, double limit, EvalSummary *summary, Error *error) {
    char *path = path_join(folder, db);
    EvalOptions options = demo_options(path, limit);
    int result = eval_run(&options, summary, error);
    free(path);
    return result;
}

/* A log that interrupts the run when it says that the first requests are answered. */
static ssize_t interrupt(void *stop, const char *text, size_t bytes) {
    if (memmem(text, bytes, " requests answered", 18) && !memmem(text, bytes, " 0 requests", 11))
        *(volatile sig_atomic_t *)stop = 1;
    return (ssize_t)bytes;
}

static int run_demo_interrupted(const char *db, EvalSummary *summary, Error *error) {
    volatile sig_atomic_t stop = 0;
    char *path = path_join(folder, db);
    Log log = {.stream = fopencookie((void *)&stop, "w", (cookie_io_functions_t){.write = interrupt}),
               .level = LOG_DEBUG};
    assert_non_null(log.stream);
    setlinebuf(log.stream);
    EvalOptions options = demo_options(path, 10);
    options.stop = &stop;
    options.log = &log;
    int result = eval_run(&options, summary, error);
    fclose(log.stream);
    free(path);
    return result;
}

static void test_a_stopped_run_goes_on_and_scores_nothing_twice(void **state) {
    (void)state;
    EvalSummary first, second, third;
    Error error = {0};
    assert_int_equal(run_demo_interrupted("stopped.db", &first, &error), -1);
    assert_int_equal(error.kind, ERROR_STOPPED);
    assert_true(first.n_scored > 0);
    assert_true(first.n_scored < first.plan.n_requests);
    if (run_demo("stopped.db", 10, &second, &error))
        fail_msg("%s", error.message);
    assert_int_equal(second.run_id, first.run_id);
    assert_int_equal(second.plan.n_reused, first.n_scored);
    assert_int_equal(second.n_scored + second.plan.n_reused, second.plan.n_requests);
    assert_int_equal(run_demo("stopped.db", 10, &third, &error), 0);
    assert_true(third.was_complete);
    assert_int_equal(third.run_id, first.run_id);
}

static void test_a_run_stopped_while_reading_is_stopped(void **state) {
    (void)state;
    volatile sig_atomic_t stop = 1;
    EvalSummary summary;
    Error error = {0};
    char *path = path_join(folder, "early.db");
    EvalOptions options = demo_options(path, 10);
    options.stop = &stop;
    assert_int_equal(eval_run(&options, &summary, &error), -1);
    assert_int_equal(error.kind, ERROR_STOPPED);
    assert_int_equal(summary.n_scored, 0);
    free(path);
}

static void test_another_run_reuses_responses(void **state) {
    (void)state;
    EvalSummary small, large;
    Error error = {0};
    assert_int_equal(run_demo("reuse.db", 5, &small, &error), 0);
    assert_int_equal(run_demo("reuse.db", 8, &large, &error), 0);
    assert_int_not_equal(small.run_id, large.run_id);
    assert_int_equal(large.plan.n_reused, small.plan.n_requests);
}

/* The plan says beforehand what the run then does, and planning makes no database. */
static void test_the_plan_is_what_the_run_does(void **state) {
    (void)state;
    EvalPlan plan;
    EvalSummary summary;
    Error error = {0};
    char *path = path_join(folder, "planned.db");
    EvalOptions options = demo_options(path, 6);
    if (eval_plan(&options, &plan, &error))
        fail_msg("%s", error.message);
    assert_false(file_exists(path));
    assert_true(plan.tokens_per_second > 0);
    assert_true(plan.tokens_distinct < plan.tokens_alone);
    assert_int_equal(run_demo("planned.db", 6, &summary, &error), 0);
    assert_int_equal(summary.n_scored, plan.n_requests);
    assert_int_equal(summary.tokens_computed, plan.tokens_distinct + plan.tokens_again);
    assert_int_equal(eval_plan(&options, &plan, &error), 0);
    assert_int_equal(plan.n_reused, plan.n_requests);
    assert_int_equal(plan.tokens_distinct, 0);
    free(path);
}

static void test_without_reuse_everything_is_scored_and_compared(void **state) {
    (void)state;
    EvalSummary first, again;
    Error error = {0};
    char *path = path_join(folder, "anew.db");
    EvalOptions options = demo_options(path, 4);
    assert_int_equal(run_demo("anew.db", 4, &first, &error), 0);
    options.no_reuse = true;
    if (eval_run(&options, &again, &error))
        fail_msg("%s", error.message);
    assert_false(again.was_complete);
    assert_int_equal(again.n_scored, first.n_scored);
    Db *db;
    assert_int_equal(db_open(&db, path, DB_WRITE, &error), 0);
    assert_int_equal(sqlite3_exec(db_handle(db), "UPDATE responses SET loglikelihood = loglikelihood - 1",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    db_close(db);
    assert_int_equal(eval_run(&options, &again, &error), -1);
    assert_int_equal(error.kind, ERROR_CHECK);
    free(path);
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
        cmocka_unit_test(test_a_run_stopped_while_reading_is_stopped),
        cmocka_unit_test(test_the_plan_is_what_the_run_does),
        cmocka_unit_test(test_without_reuse_everything_is_scored_and_compared),
        cmocka_unit_test(test_another_run_reuses_responses),
        cmocka_unit_test(test_unknown_models_and_tasks_are_wrong_usage),
    };
    return cmocka_run_group_tests_name("run", tests, make_folder, remove_folder);
}
