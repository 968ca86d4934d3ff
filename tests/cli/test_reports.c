/* Reports, comparisons, printed numbers and the keeping of databases, as a user meets them. */
#include "tests/cli/tests.h"

#include <stdlib.h>
#include <string.h>

static int make_results(void **state) {
    Output output;
    if (test_make_folder(state))
        return -1;
    test_run_expecting(0, &output, "run --model demo --tasks demo --quiet --db '%s/a.db'", test_folder);
    test_output_free(&output);
    test_run_expecting(0, &output, "run --model demo --tasks demo_recall --limit 20 --quiet --db '%s/b.db'",
                       test_folder);
    test_output_free(&output);
    /* The same model and documents once more, as another run. */
    test_run_expecting(0, &output, "run --model demo --tasks demo --bos none --quiet --db '%s/a.db'",
                       test_folder);
    test_output_free(&output);
    return 0;
}

static void has(const Buffer *text, const char *words) {
    if (!text->data || !strstr(text->data, words))
        fail_msg("found:\n%s\nexpected: %s", text->data ? text->data : "", words);
}

/* Runs a command in which every %s is the test's folder. */
static void expect(int status, const char *format, const char *words) {
    Output output;
    test_run_expecting(status, &output, format, test_folder, test_folder, test_folder);
    has(status ? &output.error : &output.out, words);
    test_output_free(&output);
}

static void test_reports_in_every_format(void **state) {
    (void)state;
    expect(0, "report --db '%s/a.db' --run 1", "|demo");
    expect(0, "report --db '%s/a.db' --run 1,2", "## Side by side");
    expect(0, "report --db '%s/a.db' --format html", "<h2>Side by side</h2>");
    expect(0, "report --db '%s/a.db' --run 1 --format latex", "\\toprule");
    expect(0, "report --db '%s/a.db' --run 1 --format csv", "\n1,demo,float32,");
    expect(0, "report --db '%s/a.db' --run 1 --json", "\"fingerprint\"");
    expect(2, "report --db '%s/a.db' --run 1,9", "has no run 9");
    expect(2, "report --db '%s/a.db' --run one", "--run: found \"one\", expected the number of a run");
    expect(2, "report --db '%s/a.db' --format pdf", "--format: found \"pdf\"");
}

static void test_paper_tables_need_no_database(void **state) {
    (void)state;
    expect(0, "report --paper zebra-llama --table 1 --published-only",
           "Means recomputed from the printed values: 21 of 22");
    expect(0, "report --paper zebra-llama --table 1 --published-only --format html",
           "KV cache, % of the base model");
    expect(2, "report --paper zebra-llama", "--paper and --table belong together");
}

static void test_published_numbers_are_listed(void **state) {
    (void)state;
    expect(0, "published", "zebra-llama");
    expect(0, "published --paper zebra-llama --table 1 --model 8MLA-24M2 --task mmlu", "54.6");
    expect(0, "published --paper zebra-llama --table 1 --format csv", "\nzebra-llama,1,");
    expect(0, "published --format html", "<table class=\"sortable\">");
    expect(2, "published --model nobody", "no published value matches");
}

static void test_runs_are_compared(void **state) {
    (void)state;
    expect(0, "compare --db '%s/a.db' --runs 1,2", "the BOS token differs");
    expect(0, "compare --db '%s/a.db' --runs 1,2 --format html",
           "<h1>Runs compared on the same documents</h1>");
    expect(0, "compare --db '%s/a.db' --runs 1,2 --format csv", "mcnemar_exact");
    expect(2, "compare --db '%s/a.db' --runs 1", "expected 2 to 8 runs");
    expect(2, "compare --db '%s/a.db' --runs demo,1", "several finished runs are of model \"demo\"");
}

static void test_databases_are_kept(void **state) {
    (void)state;
    expect(0, "db check '%s/a.db'", "all good");
    expect(0, "db merge '%s/a.db' '%s/b.db' -o '%s/both.db'", "2 runs taken in, 0 known already");
    expect(0, "db merge '%s/a.db' '%s/b.db' -o '%s/both.db'", "0 runs taken in, 2 known already");
    expect(0, "db check '%s/both.db'", "all good");
    expect(0, "db vacuum '%s/both.db'", "0 unused texts and 0 unused answers removed");
    expect(0, "runs --db '%s/both.db'", "|  3|demo");
    expect(1, "db vacuum '%s/nowhere.db'", "there is no results database");
    expect(1, "db check '%s/nowhere.db'", "there is no results database");
    expect(2, "db mend '%s/a.db'", "expected: zeval db check FILE");
    char command[512];
    snprintf(command, sizeof command,
             "cp '%s/b.db' '%s/bad.db' && printf 'nonsense and more of it' | dd of='%s/bad.db' bs=1 "
             "seek=8192 conv=notrunc 2>/dev/null",
             test_folder, test_folder, test_folder);
    assert_int_equal(system(command), 0);
    Output output;
    test_run(&output, "db check '%s/bad.db'", test_folder);
    assert_true(output.status == 1 || output.status == 3);
    test_output_free(&output);
}

static void test_runs_are_exported(void **state) {
    (void)state;
    expect(0, "export-run --db '%s/a.db' --run 2 --format sqlite --output '%s/alone.db'",
           "alone.db: run 2, ");
    expect(0, "db check '%s/alone.db'", "all good");
    expect(0, "runs --db '%s/alone.db'", "|  1|demo");
    expect(1, "export-run --db '%s/a.db' --run 2 --format sqlite --output '%s/alone.db'", "exists already");
    expect(0, "export-run --db '%s/a.db' --run 1 --format model-card", "model-index:\n- name: \"demo\"\n");
    expect(0, "export-run --db '%s/a.db' --run 1 --format lm-eval --output '%s/files' --samples",
           "/results_");
    expect(2, "export-run --db '%s/a.db' --run 1 --format sqlite", "--format sqlite needs --output PATH");
    expect(2, "export-run --db '%s/a.db' --run 1 --format gguf", "--format: found \"gguf\"");
    expect(2, "export-run --db '%s/a.db' --run 9 --format model-card", "has no run 9");
}

int run_report_tests(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_reports_in_every_format),
                                       cmocka_unit_test(test_paper_tables_need_no_database),
                                       cmocka_unit_test(test_published_numbers_are_listed),
                                       cmocka_unit_test(test_runs_are_compared),
                                       cmocka_unit_test(test_databases_are_kept),
                                       cmocka_unit_test(test_runs_are_exported)};
    return cmocka_run_group_tests_name("reports", tests, make_results, test_remove_folder);
}
