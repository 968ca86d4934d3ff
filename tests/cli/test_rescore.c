/* Metrics computed anew from stored answers. */
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "tests/cli/tests.h"

#define FIXTURE "tests/fixtures/lm_eval_files"

/* A folder of task files to change, and a run with the ones as they were. */
static void start(const char *name, Output *output) {
    char command[512];
    snprintf(command, sizeof command, "cp -r " FIXTURE "/tasks '%s/%s-tasks'", test_folder, name);
    assert_int_equal(system(command), 0);
    test_run_expecting(0, output,
                       "run --model replay:" FIXTURE "/out --tasks endings,world,pages --data " FIXTURE
                       "/data --include-path " FIXTURE "/tasks --db %s/%s.db",
                       test_folder, name);
}

static void change(const char *name, const char *file, const char *expression) {
    char command[512];
    snprintf(command, sizeof command, "sed -i '%s' '%s/%s-tasks/%s'", expression, test_folder, name, file);
    assert_int_equal(system(command), 0);
}

static void rescore(int status, const char *name, Output *output) {
    test_run_expecting(status, output,
                       "rescore --db %s/%s.db --data " FIXTURE "/data --include-path %s/%s-tasks",
                       test_folder, name, test_folder, name);
}

/* The tables, without what was run. */
static size_t tables(const Output *output) {
    const char *end = strstr(output->out.data, "### What was run");
    return end ? (size_t)(end - output->out.data) : 0;
}

static void test_unchanged_files_give_the_same_numbers(void **state) {
    (void)state;
    Output first, second, again;
    start("same", &first);
    rescore(0, "same", &second);
    assert_true(tables(&first) > 500);
    assert_int_equal(tables(&first), tables(&second));
    assert_memory_equal(first.out.data, second.out.data, tables(&first));
    test_run_expecting(0, &again,
                       "run --model replay:" FIXTURE "/out --tasks endings,world,pages --data " FIXTURE
                       "/data --include-path " FIXTURE "/tasks --db %s/same.db",
                       test_folder);
    assert_non_null(strstr(again.error.data, "complete: nothing to score"));
    test_output_free(&first);
    test_output_free(&second);
    test_output_free(&again);
}

static void test_changed_metrics_and_filters_are_computed(void **state) {
    (void)state;
    Output output;
    start("changed", &output);
    assert_null(strstr(output.out.data, "|other"));
    test_output_free(&output);
    change("changed", "sums.yaml", "s/name: as-it-is/name: other/");
    change("changed", "texts.yaml", "s/as-it-is/other/");
    change("changed", "animals.yaml", "s/metric: acc_norm/metric: acc_bytes/");
    rescore(0, "changed", &output);
    assert_non_null(strstr(output.out.data, "|other"));
    assert_null(strstr(output.out.data, "as-it-is"));
    assert_null(strstr(output.out.data, "acc_norm"));
    test_output_free(&output);
    /* The files as they were make another run, whose answers are all there. */
    test_run_expecting(0, &output,
                       "run --model replay:" FIXTURE "/out --tasks endings,world,pages --data " FIXTURE
                       "/data --include-path " FIXTURE "/tasks --db %s/changed.db",
                       test_folder);
    assert_non_null(strstr(output.error.data, "run 2:"));
    assert_non_null(strstr(output.out.data, "acc_norm"));
    test_output_free(&output);
}

static void test_other_prompts_are_refused_and_nothing_changes(void **state) {
    (void)state;
    Output before, after;
    start("prompts", &before);
    change("prompts", "animals.yaml", "s/Question: /Q: /");
    rescore(3, "prompts", &after);
    assert_non_null(strstr(after.error.data, "task animals, document 0: another prompt"));
    test_output_free(&after);
    test_run_expecting(0, &after, "report --db %s/prompts.db --run 1", test_folder);
    assert_memory_equal(before.out.data, after.out.data, tables(&before));
    test_output_free(&before);
    test_output_free(&after);
}

static void test_runs_that_are_not_there(void **state) {
    (void)state;
    Output output;
    test_run_expecting(2, &output, "rescore --db %s/none.db", test_folder);
    assert_non_null(strstr(output.error.data, "there is no results database"));
    test_output_free(&output);
    start("missing", &output);
    test_output_free(&output);
    test_run_expecting(2, &output, "rescore --db %s/missing.db --run 9", test_folder);
    assert_non_null(strstr(output.error.data, "has no complete run 9"));
    test_output_free(&output);
    test_run_expecting(2, &output, "rescore --db %s/missing.db", test_folder);
    assert_non_null(strstr(output.error.data, "run 1: there is no task, group or tag 'endings'"));
    test_output_free(&output);
}

int run_rescore_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unchanged_files_give_the_same_numbers),
        cmocka_unit_test(test_changed_metrics_and_filters_are_computed),
        cmocka_unit_test(test_other_prompts_are_refused_and_nothing_changes),
        cmocka_unit_test(test_runs_that_are_not_there),
    };
    return cmocka_run_group_tests_name("rescore", tests, test_make_folder, test_remove_folder);
}
