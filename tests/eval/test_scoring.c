/* Metrics and statistics against lm-evaluation-harness's own values (tests/oracle/extract_scoring.py). */
#include <math.h>
#include <string.h>

#include "base/base.h"
#include "eval/metrics.h"
#include "eval/statistics.h"
#include "tests/eval/tests.h"

static const cJSON *get(const cJSON *object, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    assert_non_null(item);
    return item;
}

static cJSON *load_fixture(void) {
    cJSON *fixture;
    Error error = {0};
    if (json_parse_file(&fixture, "tests/fixtures/scoring.json", 1 << 20, &error))
        fail_msg("%s", error.message);
    return fixture;
}

static void assert_near(double found, double expected, const char *what) {
    if (!(fabs(found - expected) <= 1e-12))
        fail_msg("%s: found %.17g, expected %.17g", what, found, expected);
}

enum { MOST_CHOICES = 16, MOST_DOCUMENTS = 16 };

static double metric_of(const cJSON *row, const char *metric) {
    const char *choices[MOST_CHOICES];
    Answer answers[MOST_CHOICES];
    TaskDocument document = {.choices = choices, .gold = get(row, "gold")->valueint};
    const cJSON *item;
    cJSON_ArrayForEach(item, get(row, "choices")) choices[document.n_choices++] = item->valuestring;
    size_t n = 0;
    cJSON_ArrayForEach(item, get(row, "resps")) {
        answers[n].loglikelihood = cJSON_GetArrayItem(item, 0)->valuedouble;
        answers[n++].is_greedy = cJSON_IsTrue(cJSON_GetArrayItem(item, 1));
    }
    assert_int_equal(n, document.n_choices);
    MetricFunction *function;
    assert_int_equal(metric_find(&function, OUTPUT_MULTIPLE_CHOICE, metric, NULL), 0);
    return function(&document, answers);
}

static void check_metric(const cJSON *task, const char *metric) {
    double values[MOST_DOCUMENTS];
    size_t n = 0;
    const cJSON *row;
    char mean[64], error[64];
    cJSON_ArrayForEach(row, get(task, "docs")) {
        const cJSON *expected = cJSON_GetObjectItem(get(row, "metrics"), metric);
        if (!expected)
            return;
        values[n] = metric_of(row, metric);
        assert_near(values[n++], expected->valuedouble, get(task, "task")->valuestring);
    }
    snprintf(mean, sizeof mean, "%s,none", metric);
    snprintf(error, sizeof error, "%s_stderr,none", metric);
    assert_near(stat_mean(values, n), get(get(task, "aggregate"), mean)->valuedouble, mean);
    assert_near(stat_mean_stderr(values, n), get(get(task, "aggregate"), error)->valuedouble, error);
}

static void test_metrics_and_aggregates_equal_upstreams(void **state) {
    (void)state;
    cJSON *fixture = load_fixture();
    const cJSON *task;
    int n = 0;
    cJSON_ArrayForEach(task, get(fixture, "tasks")) {
        check_metric(task, "acc");
        check_metric(task, "acc_norm");
        n++;
    }
    assert_int_equal(n, 7);
    cJSON_Delete(fixture);
}

static void test_group_values_equal_upstreams(void **state) {
    (void)state;
    cJSON *fixture = load_fixture();
    const cJSON *group = get(fixture, "group");
    double values[3], stderrs[3];
    size_t sizes[3];
    for (int i = 0; i < 3; i++) {
        values[i] = cJSON_GetArrayItem(get(group, "acc"), i)->valuedouble;
        stderrs[i] = cJSON_GetArrayItem(get(group, "stderr"), i)->valuedouble;
        sizes[i] = (size_t)cJSON_GetArrayItem(get(group, "sizes"), i)->valueint;
    }
    assert_near(stat_group_mean(values, sizes, 3, true), get(group, "weighted_acc")->valuedouble, "weighted");
    assert_near(stat_group_mean(values, sizes, 3, false), get(group, "unweighted_acc")->valuedouble,
                "unweighted");
    assert_near(stat_pooled_stderr(stderrs, sizes, 3), get(group, "pooled_stderr")->valuedouble, "stderr");
    stderrs[1] = NAN;
    assert_true(isnan(stat_pooled_stderr(stderrs, sizes, 3)));
    cJSON_Delete(fixture);
}

static void test_one_document_has_no_standard_error(void **state) {
    (void)state;
    double value = 1;
    assert_true(isnan(stat_mean_stderr(&value, 1)));
    assert_true(isnan(stat_mean(&value, 0)));
}

static void test_ties_go_to_the_first_choice(void **state) {
    (void)state;
    const char *choices[] = {"a", "b"};
    Answer answers[] = {{.loglikelihood = -1}, {.loglikelihood = -1, .is_greedy = true}};
    TaskDocument document = {.choices = choices, .n_choices = 2, .gold = 0};
    MetricFunction *acc, *exact_match;
    assert_int_equal(metric_find(&acc, OUTPUT_MULTIPLE_CHOICE, "acc", NULL), 0);
    assert_int_equal(metric_find(&exact_match, OUTPUT_MULTIPLE_CHOICE, "exact_match", NULL), 0);
    assert_true(acc(&document, answers) == 1);
    document.gold = 1;
    assert_true(acc(&document, answers) == 0);
    assert_true(exact_match(&document, answers) == 1);
    document.gold = -100;
    assert_true(acc(&document, answers) == 0);
    assert_true(exact_match(&document, answers) == 0);
}

static void test_unknown_metric_lists_the_known(void **state) {
    (void)state;
    MetricFunction *function;
    Error error = {0};
    assert_int_equal(metric_find(&function, OUTPUT_MULTIPLE_CHOICE, "bleu", &error), -1);
    assert_string_equal(error.message,
                        "metric \"bleu\" of a multiple_choice task: expected one of: acc, acc_norm, "
                        "acc_bytes, exact_match");
}

int run_scoring_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_metrics_and_aggregates_equal_upstreams),
        cmocka_unit_test(test_group_values_equal_upstreams),
        cmocka_unit_test(test_one_document_has_no_standard_error),
        cmocka_unit_test(test_ties_go_to_the_first_choice),
        cmocka_unit_test(test_unknown_metric_lists_the_known),
    };
    return cmocka_run_group_tests_name("scoring", tests, NULL, NULL);
}
