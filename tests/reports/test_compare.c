#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/json.h"
#include "reports/paired.h"
#include "tests/reports/support.h"

/* ---- known answers, made by tests/oracle/compare_stats.py */

static cJSON *known_answers(void) {
    cJSON *json = NULL;
    Error error = {0};
    succeed(json_parse_file(&json, "tests/fixtures/compare_stats.json", 1 << 20, &error), &error);
    return json;
}

static double number(const cJSON *object, const char *key) {
    double out = NAN;
    Error error = {0};
    succeed(json_get_double(object, key, &out, "compare_stats.json", &error), &error);
    return out;
}

static void assert_close(double found, double expected, const char *what) {
    if (!(fabs(found - expected) <= 1e-9 * fmax(1e-300, fabs(expected)) || found == expected))
        fail_msg("%s: found %.17g, expected %.17g", what, found, expected);
}

static double *numbers(const cJSON *array, size_t *n) {
    *n = (size_t)cJSON_GetArraySize(array);
    double *out = calloc(*n, sizeof *out);
    for (size_t i = 0; i < *n; i++)
        out[i] = cJSON_GetArrayItem(array, (int)i)->valuedouble;
    return out;
}

static void test_mcnemar_equals_statsmodels(void **state) {
    (void)state;
    cJSON *json = known_answers();
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(json, "mcnemar")) {
        double a = number(item, "only_a"), b = number(item, "only_b");
        assert_close(paired_mcnemar((uint64_t)a, (uint64_t)b), number(item, "p"), "McNemar");
        assert_true(paired_mcnemar((uint64_t)a, (uint64_t)b) == paired_mcnemar((uint64_t)b, (uint64_t)a));
    }
    cJSON_Delete(json);
}

static void test_bootstrap_equals_numpy(void **state) {
    (void)state;
    cJSON *json = known_answers();
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(json, "bootstrap")) {
        size_t n;
        double *differences = numbers(cJSON_GetObjectItem(item, "differences"), &n);
        PairedMean mean = paired_mean(differences, n);
        assert_close(mean.mean, number(item, "mean"), "mean");
        assert_close(mean.stderr_value, number(item, "stderr"), "standard error");
        assert_close(mean.effect, number(item, "effect"), "effect");
        assert_close(mean.mean / mean.stderr_value, number(item, "t"), "t");
        PairedBootstrap found = paired_bootstrap(differences, n, (size_t)number(item, "resamples"),
                                                 (uint64_t)number(item, "seed"));
        assert_close(found.low, number(item, "low"), "low");
        assert_close(found.high, number(item, "high"), "high");
        assert_close(found.p, number(item, "p"), "p");
        free(differences);
    }
    cJSON_Delete(json);
}

static void test_holm_equals_statsmodels(void **state) {
    (void)state;
    cJSON *json = known_answers();
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(json, "holm")) {
        size_t n, m;
        double *p = numbers(cJSON_GetObjectItem(item, "p"), &n);
        double *expected = numbers(cJSON_GetObjectItem(item, "adjusted"), &m);
        double *found = calloc(n, sizeof *found);
        paired_holm(p, n, found);
        for (size_t i = 0; i < n; i++)
            assert_close(found[i], expected[i], "Holm");
        free(p);
        free(expected);
        free(found);
    }
    cJSON_Delete(json);
}

static void test_holm_leaves_nan_out(void **state) {
    (void)state;
    double p[] = {0.03, NAN, 0.01}, found[3];
    paired_holm(p, 3, found);
    assert_close(found[2], 0.02, "Holm");
    assert_close(found[0], 0.03, "Holm");
    assert_true(isnan(found[1]));
}

static void test_statistics_of_equal_values(void **state) {
    (void)state;
    static const double zeros[5] = {0};
    PairedMean mean = paired_mean(zeros, 5);
    assert_true(mean.mean == 0 && mean.stderr_value == 0 && mean.effect == 0);
    PairedBootstrap found = paired_bootstrap(zeros, 5, 99, 1);
    assert_true(found.p == 1 && found.low == 0 && found.high == 0);
    mean = paired_mean((const double[]){2}, 1);
    assert_true(mean.mean == 2 && isnan(mean.stderr_value));
    assert_true(paired_mcnemar(0, 0) == 1);
    /* 2^-1099: far below, never negative or NaN. */
    assert_true(paired_mcnemar(0, 1100) >= 0 && paired_mcnemar(0, 1100) < 1e-300);
}

/* ---- reports */

static void put_value(Db *db, int64_t run, const char *task, int64_t doc, const char *json,
                      const char *prompt, const char *metric, double value) {
    Error error = {0};
    DbDocument document = {.task = task, .doc_id = doc, .json = json, .target = "x", .prompt_sha256 = prompt};
    succeed(db_document(db, run, &document, &error), &error);
    succeed(db_document_metric(db, run, task, doc, metric, "none", value, &error), &error);
}

/* 40 documents; run A is right on those below `right_a`, run B on those from `from_b` on. */
static void add_pair(Db *db, int64_t right_a, int64_t from_b) {
    Error error = {0};
    succeed(db_begin(db, &error), &error);
    for (int which = 0; which < 2; which++) {
        int64_t run = add_run(db, which ? "two" : "one", which ? "org/b|<x>_%" : "org/a");
        add_task(db, run, "t", "1.0", 0);
        for (int64_t doc = 0; doc < 40; doc++) {
            char json[32];
            snprintf(json, sizeof json, "{\"id\": %d}", (int)doc);
            put_value(db, run, "t", doc, json, "aa", "acc", which ? doc >= from_b : doc < right_a);
            put_value(db, run, "t", doc, json, "aa", "nll", 0.5 + 0.01 * (double)(doc % 7) + 0.05 * which);
        }
        finish_run(db, run);
    }
    succeed(db_commit(db, &error), &error);
}

static char *compare(Db *db, const char *format) {
    static const char *const runs[] = {"1", "2"};
    CompareOptions options = {.runs = runs, .n_runs = 2, .flips = 3};
    Error error = {0};
    Buffer out = {0};
    succeed(report_comparison(db, &options, format, &out, &error), &error);
    return buffer_take(&out);
}

static void test_flips_are_counted_and_listed(void **state) {
    Fixture *fixture = *state;
    add_pair(fixture->db, 10, 35);
    char *text = compare(fixture->db, "markdown");
    /* A alone is right on 0..9, B alone on 35..39: McNemar of 10 and 5 is 0.3018. */
    assert_contains(text, "| 0.2500 | 0.1250 | -0.1250 | -0.3131 to 0.0631 |           10 |            5 |");
    assert_contains(text, " odds 0.50 | McNemar, exact   | 0.3018 |  0.3018 |");
    assert_contains(text, "| 0, 1, 2, and 7 more ");
    assert_contains(text, "| 35, 36, 37, and 2 more ");
    assert_contains(text, "paired bootstrap");
    assert_contains(text, "B is run 2: org/b\\|\\<x\\>_%, float32, 0-shot");
    assert_contains(
        text, "1 of 2 tests find a difference at 0.05 after Holm's correction. Both are of the same model "
              "files.");
    free(text);
}

static void test_every_format_holds_the_same(void **state) {
    Fixture *fixture = *state;
    Error error = {0};
    cJSON *json = NULL;
    add_pair(fixture->db, 10, 35);
    char *text = compare(fixture->db, "json");
    succeed(json_parse(&json, text, strlen(text), "comparison", &error), &error);
    const cJSON *test = cJSON_GetArrayItem(cJSON_GetObjectItem(json, "tests"), 0);
    assert_close(number(test, "p"), paired_mcnemar(10, 5), "p");
    assert_true(number(test, "only_a") == 10 && number(test, "n_documents") == 40);
    test = cJSON_GetArrayItem(cJSON_GetObjectItem(json, "tests"), 1);
    assert_close(number(test, "difference"), 0.05, "difference");
    assert_true(number(test, "resamples") == 9999);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(json, "flips")), 6);
    cJSON_Delete(json);
    free(text);
    text = compare(fixture->db, "csv");
    assert_contains(text, "run_a,run_b,task,metric,filter,n_documents,a,b,difference,");
    assert_contains(text, "\n1,2,t,acc,none,40,0.25,0.125,-0.125,");
    free(text);
    text = compare(fixture->db, "latex");
    assert_contains(text, "org/b\\textbar{}\\textless{}x\\textgreater{}\\_\\%");
    free(text);
}

static void test_two_runs_of_one_model_do_not_differ(void **state) {
    Fixture *fixture = *state;
    for (int which = 0; which < 2; which++) {
        int64_t run = add_run(fixture->db, which ? "two" : "one", "org/a");
        add_task(fixture->db, run, "t", "1.0", 0);
        for (int64_t doc = 0; doc < 20; doc++) {
            put_value(fixture->db, run, "t", doc, "{}", "aa", "acc", doc % 3 == 0);
            put_value(fixture->db, run, "t", doc, "{}", "aa", "nll", 0.1 * (double)doc);
        }
        finish_run(fixture->db, run);
    }
    char *text = compare(fixture->db, "markdown");
    assert_contains(text, "0 of 2 tests find a difference");
    assert_lacks(text, "Warning");
    assert_lacks(text, "Documents that flipped");
    assert_contains(text, "1.0000 |  1.0000 |");
    free(text);
}

/* Three tasks of one document on which B alone is right: none tells the runs apart, their group nearly. */
static void test_groups_are_tested_on_all_documents(void **state) {
    Fixture *fixture = *state;
    static const char *const tasks[] = {"t_one", "t_three", "t_two"};
    for (int which = 0; which < 2; which++) {
        int64_t run = add_run(fixture->db, which ? "two" : "one", which ? "org/b" : "org/a");
        for (int t = 0; t < 3; t++) {
            add_task(fixture->db, run, tasks[t], "1.0", 0);
            for (int64_t doc = 0; doc < 3; doc++)
                put_value(fixture->db, run, tasks[t], doc, "{}", "aa", "acc", which || doc == 0);
        }
        add_group(fixture->db, run, "group", tasks, 3, 0.5, 0.1);
        finish_run(fixture->db, run);
    }
    char *text = compare(fixture->db, "csv");
    /* 2 (1/2)^2 for a task, 2 (1/2)^6 for the group; Holm's correction of three tasks leaves the group alone.
     */
    assert_contains(text, "1,2,t_two,acc,none,3,0.3333333333333333,1,0.6666666666666666,");
    assert_contains(text, ",0,2,1.1547005383792512,mcnemar_exact,,0.5,1,0\n");
    assert_contains(text, "\n1,2,\"group, all 3 tasks\",acc,none,9,0.3333333333333333,1,0.6666666666666666,");
    assert_contains(text, ",0,6,1.3333333333333333,mcnemar_exact,,0.03125,0.03125,0\n");
    free(text);
}

static void test_what_differs_is_warned_of(void **state) {
    Fixture *fixture = *state;
    Error error = {0};
    bool complete;
    int64_t b, a = add_run(fixture->db, "one", "org/a");
    DbRun run = {.fingerprint = "two",
                 .model_name = "org/b",
                 .model_sha256 = "ff",
                 .dtype = "bfloat16",
                 .backend = "gpu",
                 .compat = "0.4.9",
                 .max_length = 1024,
                 .settings_json = "{}"};
    succeed(db_run_start(fixture->db, &run, &b, &complete, &error), &error);
    succeed(db_run_file(fixture->db, b, "dataset", "org/data/test.jsonl", "9999", 1234, &error), &error);
    add_task(fixture->db, a, "t", "1.0", 0);
    add_task(fixture->db, b, "t", "2.0", 5);
    add_task(fixture->db, a, "alone", "1.0", 0);
    put_value(fixture->db, a, "t", 0, "{}", "aa", "acc", 1);
    put_value(fixture->db, b, "t", 0, "{}", "bb", "acc", 1);
    put_value(fixture->db, a, "t", 1, "{}", "aa", "acc", 1);
    put_value(fixture->db, b, "t", 1, "{\"other\": 1}", "aa", "acc", 0);
    put_value(fixture->db, a, "t", 2, "{}", "aa", "acc", NAN);
    put_value(fixture->db, b, "t", 2, "{}", "aa", "acc", 0);
    finish_run(fixture->db, a);
    finish_run(fixture->db, b);
    char *text = compare(fixture->db, "markdown");
    static const char *const expected[] = {"the data types differ: float32 against bfloat16",
                                           "the backends differ: cpu against gpu",
                                           "the lm-eval profiles differ: main against 0.4.9",
                                           "the longest requests differ: 512 against 1024",
                                           "the BOS token differs: added against not added",
                                           "the limits differ: 50 against 0",
                                           "the dataset file org/data/test.jsonl differs: ccdd against 9999",
                                           "task t: 1 documents of one number have other content",
                                           "task t: 1 of 1 documents were asked with other prompts",
                                           "task t: 1 documents have no number in a run",
                                           "the versions of task t differ: 1.0 against 2.0",
                                           "the shots of task t differ: 0 against 5",
                                           "task alone is in one run only: there against missing"};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        assert_contains(text, expected[i]);
    free(text);
}

static void refuse(Db *db, const char *const *runs, size_t n, const char *expected) {
    CompareOptions options = {.runs = runs, .n_runs = n, .flips = 3};
    Error error = {0};
    Buffer out = {0};
    assert_int_equal(report_comparison(db, &options, "markdown", &out, &error), -1);
    assert_contains(error.message, expected);
    assert_int_equal(out.size, 0);
    buffer_free(&out);
}

static void test_bad_questions(void **state) {
    Fixture *fixture = *state;
    int64_t a = add_run(fixture->db, "one", "org/a");
    finish_run(fixture->db, a);
    int64_t b = add_run(fixture->db, "two", "org/a");
    finish_run(fixture->db, b);
    refuse(fixture->db, (const char *const[]){"1"}, 1, "--runs: found 1, expected 2 to 8 runs");
    refuse(fixture->db, (const char *const[]){"1", "7"}, 2, "has no finished run \"7\"");
    refuse(fixture->db, (const char *const[]){"1", "a"}, 2,
           "several finished runs are of model \"a\", 1 and 2");
    refuse(fixture->db, (const char *const[]){"1", "1"}, 2, "run 1 is named twice");
    refuse(fixture->db, (const char *const[]){"1", "2"}, 2, "have no task and metric in common");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
const struct CMUnitTest compare_tests[] = {cmocka_unit_test(test_mcnemar_equals_statsmodels),
                                           cmocka_unit_test(test_bootstrap_equals_numpy),
                                           cmocka_unit_test(test_holm_equals_statsmodels),
                                           cmocka_unit_test(test_holm_leaves_nan_out),
                                           cmocka_unit_test(test_statistics_of_equal_values),
                                           TEST(test_flips_are_counted_and_listed),
                                           TEST(test_every_format_holds_the_same),
                                           TEST(test_two_runs_of_one_model_do_not_differ),
                                           TEST(test_groups_are_tested_on_all_documents),
                                           TEST(test_what_differs_is_warned_of),
                                           TEST(test_bad_questions)};
const size_t n_compare_tests = sizeof compare_tests / sizeof *compare_tests;
