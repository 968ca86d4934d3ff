/* Metrics, filters, regular expressions and statistics against lm-evaluation-harness's own values
 * (tests/oracle/extract_scoring.py, tests/oracle/scoring_goldens.py). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "eval/filters.h"
#include "eval/metrics.h"
#include "eval/results.h"
#include "eval/statistics.h"
#include "tests/eval/tests.h"

static const cJSON *get(const cJSON *object, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!item)
        fail_msg("the fixture has no '%s'", key);
    return item;
}

static cJSON *load_fixture(const char *path) {
    cJSON *fixture;
    Error error = {0};
    if (json_parse_file(&fixture, path, 1 << 20, &error))
        fail_msg("%s", error.message);
    return fixture;
}

static void assert_near(double found, double expected, const char *what) {
    if (!(fabs(found - expected) <= 1e-12 * fmax(1, fabs(expected))))
        fail_msg("%s: found %.17g, expected %.17g", what, found, expected);
}

static void assert_no_error(int result, const Error *error) {
    if (result)
        fail_msg("%s", error->message);
}

enum { MOST = 64 };

static size_t read_strings(const cJSON *list, const char **out) {
    const cJSON *item;
    size_t n = 0;
    cJSON_ArrayForEach(item, list) out[n++] = item->valuestring;
    assert_true(n <= MOST);
    return n;
}

/* ---- metrics */

typedef struct Case {
    const char *choices[MOST];
    Answer answers[2 * MOST];
    int64_t golds[MOST];
    TaskDocument document;
} Case;

static double item_value(const Case *one, const TaskInfo *task, const char *name, double *second) {
    const TaskMetric config = {.name = name};
    Metric *metric;
    MetricItem item;
    Error error = {0};
    Arena arena = {0};
    Scored scored = {.document = &one->document,
                     .answers = one->answers,
                     .v0_4_0 = text_equal(task->compat, "v0.4.0"),
                     .arena = &arena};
    assert_no_error(metric_create(&metric, task, &config, &error), &error);
    assert_no_error(metric_compute(metric, &scored, &item, &error), &error);
    metric_free(metric);
    arena_free(&arena);
    if (second)
        *second = item.second;
    return item.value;
}

static const TaskInfo multiple_choice = {.output_type = OUTPUT_MULTIPLE_CHOICE, .compat = "main"};

static void read_choices(Case *one, const cJSON *row) {
    *one = (Case){0};
    one->document.choices = one->choices;
    one->document.n_choices = read_strings(get(row, "choices"), one->choices);
}

static double metric_of(const cJSON *row, const char *metric) {
    Case one;
    const cJSON *item;
    read_choices(&one, row);
    one.document.gold = get(row, "gold")->valueint;
    cJSON_ArrayForEach(item, get(row, "resps")) {
        Answer *answer = &one.answers[one.document.n_requests++];
        answer->loglikelihood = cJSON_GetArrayItem(item, 0)->valuedouble;
        answer->is_greedy = cJSON_IsTrue(cJSON_GetArrayItem(item, 1));
    }
    return item_value(&one, &multiple_choice, metric, NULL);
}

static void check_metric(const cJSON *task, const char *metric) {
    double values[MOST];
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
    cJSON *fixture = load_fixture("tests/fixtures/scoring.json");
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

static void read_case(Case *one, const cJSON *row) {
    const cJSON *item, *gold = get(row, "gold");
    read_choices(one, row);
    cJSON_ArrayForEach(item, get(row, "lls")) one->answers[one->document.n_requests++].loglikelihood =
        item->valuedouble;
    for (size_t i = 0; i < one->document.n_requests; i++)
        one->answers[i].is_greedy = cJSON_IsTrue(cJSON_GetArrayItem(get(row, "greedy"), (int)i));
    bool several = cJSON_IsArray(gold);
    one->document.golds = one->golds;
    for (item = several ? gold->child : NULL; item; item = item->next) {
        bool is_choice = (size_t)item->valueint < one->document.n_choices;
        one->golds[one->document.n_golds++] = is_choice ? item->valueint : -100;
    }
    if (!several)
        one->document.gold = (size_t)gold->valueint < one->document.n_choices ? gold->valueint : -100;
}

/* All metrics of choices: several right ones, right ones that name no choice, ties, requests without context.
 */
static void test_every_metric_of_choices_equals_upstreams(void **state) {
    (void)state;
    cJSON *fixture = load_fixture("tests/fixtures/scoring_upstream.json");
    const cJSON *row, *expected;
    cJSON_ArrayForEach(row, get(fixture, "multiple_choice")) {
        Case one;
        read_case(&one, row);
        cJSON_ArrayForEach(expected, get(row, "metrics")) {
            double second;
            double value = item_value(&one, &multiple_choice, expected->string, &second);
            if (cJSON_IsArray(expected)) {
                assert_near(value, cJSON_GetArrayItem(expected, 0)->valuedouble, expected->string);
                assert_near(second, cJSON_GetArrayItem(expected, 1)->valuedouble, expected->string);
            } else {
                assert_near(value, expected->valuedouble, expected->string);
            }
        }
    }
    cJSON_Delete(fixture);
}

static void test_mc2_in_both_profiles(void **state) {
    (void)state;
    cJSON *fixture = load_fixture("tests/fixtures/scoring_upstream.json");
    const cJSON *row, *item;
    cJSON_ArrayForEach(row, get(fixture, "mc2")) {
        Case one = {0};
        char *labels = cJSON_PrintUnformatted(get(row, "labels"));
        Buffer json = {0};
        buffer_printf(&json, "{\"mc2_targets\": {\"labels\": %s}}", labels);
        one.document.json = json.data;
        cJSON_ArrayForEach(item, get(row, "lls")) one.answers[one.document.n_choices++].loglikelihood =
            item->valuedouble;
        TaskInfo task = {.output_type = OUTPUT_MULTIPLE_CHOICE,
                         .results_function = "truthfulqa/utils.process_results_mc2",
                         .compat = "main"};
        assert_near(item_value(&one, &task, "acc", NULL), get(row, "main")->valuedouble, "main");
        task.compat = "v0.4.0";
        assert_near(item_value(&one, &task, "acc", NULL), get(row, "v0.4.0")->valuedouble, "v0.4.0");
        free(labels);
        buffer_free(&json);
    }
    cJSON_Delete(fixture);
}

static void test_ties_go_to_the_first_choice(void **state) {
    (void)state;
    Case one = {.choices = {"a", "b"},
                .answers = {{.loglikelihood = -1}, {.loglikelihood = -1, .is_greedy = true}}};
    one.document = (TaskDocument){.choices = one.choices, .n_choices = 2, .gold = 0, .n_requests = 2};
    assert_true(item_value(&one, &multiple_choice, "acc", NULL) == 1);
    one.document.gold = 1;
    assert_true(item_value(&one, &multiple_choice, "acc", NULL) == 0);
    assert_true(item_value(&one, &multiple_choice, "exact_match", NULL) == 1);
    one.document.gold = -100;
    assert_true(item_value(&one, &multiple_choice, "acc", NULL) == 0);
    assert_true(item_value(&one, &multiple_choice, "exact_match", NULL) == 0);
}

static void test_words_are_what_splitting_at_white_space_gives(void **state) {
    (void)state;
    assert_int_equal(results_words(""), 1);
    assert_int_equal(results_words("one"), 1);
    assert_int_equal(results_words(" one  two\u2003\n"), 4);
}

static void test_unknown_metric_lists_the_known(void **state) {
    (void)state;
    const TaskMetric config = {.name = "bleu"};
    Metric *metric;
    const Aggregation *aggregation;
    Error error = {0};
    assert_int_equal(metric_create(&metric, &multiple_choice, &config, &error), -1);
    assert_string_equal(error.message,
                        "metric \"bleu\" of a multiple_choice task: expected one of: acc, f1, mcc, "
                        "acc_norm, acc_bytes, exact_match, acc_mutual_info");
    assert_int_equal(aggregation_find(&aggregation, "mean", METRIC_WEIGHTED, false, &error), -1);
    assert_string_equal(error.message,
                        "aggregation \"mean\": expected one of: weighted_perplexity, bits_per_byte");
}

/* ---- exact_match */

static bool flag(const cJSON *options, const char *name) {
    return cJSON_IsTrue(cJSON_GetObjectItem(options, name));
}

static void test_exact_match_with_all_its_options(void **state) {
    (void)state;
    cJSON *fixture = load_fixture("tests/fixtures/scoring_upstream.json");
    const char *texts[MOST], *ignored[MOST], *targets[MOST];
    size_t n_texts = read_strings(get(get(fixture, "filters"), "texts"), texts);
    const TaskInfo task = {.output_type = OUTPUT_GENERATE_UNTIL, .compat = "main"};
    const cJSON *one;
    size_t n = 0;
    cJSON_ArrayForEach(one, get(fixture, "matching")) {
        const cJSON *options = get(one, "options");
        const TaskMetric config = {
            .name = "exact_match",
            .ignored_regexes = ignored,
            .n_ignored_regexes = read_strings(cJSON_GetObjectItem(options, "regexes_to_ignore"), ignored),
            .ignore_case = flag(options, "ignore_case"),
            .ignore_punctuation = flag(options, "ignore_punctuation"),
            .ignore_numbers = flag(options, "ignore_numbers")};
        TaskDocument document = {.targets = targets, .n_targets = read_strings(get(one, "targets"), targets)};
        Metric *metric;
        Error error = {0};
        Arena arena = {0};
        assert_no_error(metric_create(&metric, &task, &config, &error), &error);
        for (size_t i = 0; i < n_texts; i++, n++) {
            const Scored scored = {.document = &document, .text = texts[i], .arena = &arena};
            MetricItem item;
            assert_no_error(metric_compute(metric, &scored, &item, &error), &error);
            if (item.value != cJSON_GetArrayItem(get(one, "right"), (int)i)->valuedouble)
                fail_msg("'%s' against '%s': found %g", texts[i], targets[0], item.value);
        }
        metric_free(metric);
        arena_free(&arena);
    }
    assert_int_equal(n, 6 * 7 * n_texts);
    cJSON_Delete(fixture);
}

/* ---- filters */

/* The step of a task file, as tasks reads it. */
static TaskFilterStep read_step(const cJSON *item, const char **from, const char **to, const char **ignored) {
    TaskFilterStep step = {.fallback = "[invalid]", .from = from, .to = to, .ignored_regexes = ignored};
    const char *name = get(item, "function")->valuestring;
    const cJSON *option;
    for (int f = FILTER_TAKE_FIRST; f <= FILTER_MAP; f++)
        if (strcmp(filter_function_name((FilterFunction)f), name) == 0)
            step.function = (FilterFunction)f;
    if (step.function == FILTER_REGEX)
        step.pattern = "#### (\\-?[0-9\\.\\,]+)";
    if ((option = cJSON_GetObjectItem(item, "regex_pattern")))
        step.pattern = option->valuestring;
    if ((option = cJSON_GetObjectItem(item, "group_select")))
        step.group_select = option->valueint;
    if ((option = cJSON_GetObjectItem(item, "fallback")) ||
        (option = cJSON_GetObjectItem(item, "default_value")))
        step.fallback = option->valuestring;
    if ((option = cJSON_GetObjectItem(item, "k")))
        step.k = option->valueint;
    cJSON_ArrayForEach(option, cJSON_GetObjectItem(item, "mapping_dict")) {
        from[step.n_pairs] = option->string;
        to[step.n_pairs++] = option->valuestring;
    }
    step.n_ignored_regexes = read_strings(cJSON_GetObjectItem(item, "regexes_to_ignore"), ignored);
    step.ignore_case = flag(item, "ignore_case");
    step.ignore_punctuation = flag(item, "ignore_punctuation");
    return step;
}

static void test_filters_equal_upstreams_in_both_profiles(void **state) {
    (void)state;
    cJSON *fixture = load_fixture("tests/fixtures/scoring_upstream.json");
    const cJSON *filters = get(fixture, "filters"), *one, *item;
    const char *texts[MOST], *from[MOST], *to[MOST], *ignored[MOST];
    size_t n_texts = read_strings(get(filters, "texts"), texts), n = 0;
    char *choices = cJSON_PrintUnformatted(get(filters, "choices"));
    Buffer json = {0};
    buffer_printf(&json, "{\"choices\": %s}", choices);
    const TaskDocument document = {.json = json.data};
    cJSON_ArrayForEach(one, get(filters, "pipelines")) {
        TaskFilterStep steps[8];
        TaskFilter config = {.name = "x", .steps = steps};
        cJSON_ArrayForEach(item, get(one, "steps")) steps[config.n_steps++] =
            read_step(item, from, to, ignored);
        Filter *filter;
        Error error = {0};
        Arena arena = {0};
        assert_no_error(filter_create(&filter, &config, get(one, "profile")->valuestring, &error), &error);
        for (size_t i = 0; i < n_texts; i++, n++) {
            Filtered out;
            assert_no_error(filter_apply(filter, &document, &texts[i], 1, &arena, &out, &error), &error);
            const char *expected = cJSON_GetArrayItem(get(one, "results"), (int)i)->valuestring;
            assert_false(out.is_list);
            if (strcmp(out.texts[0], expected) != 0)
                fail_msg("pipeline %zu, '%s': found '%s', expected '%s'", n / n_texts, texts[i], out.texts[0],
                         expected);
            if (strcmp(expected, "[invalid]") == 0)
                assert_true(out.unextracted);
        }
        filter_free(filter);
        arena_free(&arena);
    }
    assert_int_equal(n, 16 * n_texts);
    free(choices);
    buffer_free(&json);
    cJSON_Delete(fixture);
}

static void apply_to_lists(const cJSON *pipeline, const cJSON *lists) {
    const char *texts[MOST], *from[MOST], *to[MOST], *ignored[MOST];
    TaskFilterStep steps[8];
    TaskFilter config = {.name = "x", .steps = steps};
    const cJSON *item, *list, *expected = get(pipeline, "results")->child;
    Filter *filter;
    Error error = {0};
    Arena arena = {0};
    cJSON_ArrayForEach(item, get(pipeline, "steps")) steps[config.n_steps++] =
        read_step(item, from, to, ignored);
    assert_no_error(filter_create(&filter, &config, "main", &error), &error);
    cJSON_ArrayForEach(list, lists) {
        Filtered out;
        size_t n = read_strings(list, texts);
        assert_no_error(filter_apply(filter, NULL, texts, n, &arena, &out, &error), &error);
        assert_int_equal(out.n, 1);
        assert_false(out.is_list);
        assert_string_equal(out.texts[0], expected->valuestring);
        /* the one that is left counts, not those that were outvoted */
        assert_int_equal(out.unextracted, strcmp(out.texts[0], "[invalid]") == 0 || *out.texts[0] == '?');
        expected = expected->next;
    }
    assert_null(expected);
    filter_free(filter);
    arena_free(&arena);
}

static void test_filters_of_repeats_equal_upstreams(void **state) {
    (void)state;
    cJSON *fixture = load_fixture("tests/fixtures/scoring_upstream.json");
    const cJSON *filters = get(fixture, "filters"), *pipeline;
    assert_int_equal(cJSON_GetArraySize(get(filters, "lists")), 40);
    cJSON_ArrayForEach(pipeline, get(filters, "several")) apply_to_lists(pipeline, get(filters, "lists"));
    cJSON_Delete(fixture);
}

static void test_majority_takes_the_first_of_the_most_frequent(void **state) {
    (void)state;
    cJSON *fixture = load_fixture("tests/fixtures/scoring_upstream.json");
    const cJSON *filters = get(fixture, "filters"), *votes;
    const TaskFilterStep steps[] = {{.function = FILTER_MAJORITY_VOTE}, {.function = FILTER_TAKE_FIRST}};
    const TaskFilter config = {.name = "maj", .steps = steps, .n_steps = 2};
    Filter *filter;
    Error error = {0};
    Arena arena = {0};
    int i = 0;
    assert_no_error(filter_create(&filter, &config, "main", &error), &error);
    cJSON_ArrayForEach(votes, get(filters, "votes")) {
        const char *texts[MOST];
        Filtered out;
        size_t n = read_strings(votes, texts);
        assert_no_error(filter_apply(filter, NULL, texts, n, &arena, &out, &error), &error);
        assert_string_equal(out.texts[0], cJSON_GetArrayItem(get(filters, "winners"), i++)->valuestring);
    }
    filter_free(filter);
    arena_free(&arena);
    cJSON_Delete(fixture);
}

static void test_map_without_a_default_gives_nothing(void **state) {
    (void)state;
    const char *from[] = {"A"}, *to[] = {"1"}, *texts[] = {"A", "B"};
    const TaskFilterStep step = {.function = FILTER_MAP, .from = from, .to = to, .n_pairs = 1};
    const TaskFilter config = {.name = "map", .steps = &step, .n_steps = 1};
    Filter *filter;
    Filtered out;
    Error error = {0};
    Arena arena = {0};
    assert_no_error(filter_create(&filter, &config, "main", &error), &error);
    assert_no_error(filter_apply(filter, NULL, texts, 2, &arena, &out, &error), &error);
    assert_true(out.is_list && out.unextracted);
    assert_int_equal(out.n, 2);
    assert_string_equal(out.texts[0], "1");
    assert_null(out.texts[1]);
    filter_free(filter);
    arena_free(&arena);
}

/* ---- regular expressions */

/* Offsets of Python count characters. */
static size_t chars_before(const char *text, size_t bytes) {
    return utf8_length(text, bytes);
}

static void check_expression(const Regex *regex, const char *pattern, const char *text, const cJSON *row) {
    RegexWalk walk = regex_walk(regex, text, strlen(text));
    RegexSpan span;
    Error error = {0};
    Buffer rest = {0};
    const cJSON *expected;
    int more = 0;
    cJSON_ArrayForEach(expected, get(row, "spans")) {
        more = regex_next(&walk, &span, 1, &error);
        if (more != 1)
            fail_msg("%s on '%s': %s", pattern, text, more ? error.message : "a match is missing");
        if ((int)chars_before(text, span.start) != cJSON_GetArrayItem(expected, 0)->valueint ||
            (int)chars_before(text, span.end) != cJSON_GetArrayItem(expected, 1)->valueint)
            fail_msg("%s on '%s': found bytes %zu to %zu", pattern, text, span.start, span.end);
    }
    if (regex_next(&walk, &span, 1, &error) != 0)
        fail_msg("%s on '%s': one match too many", pattern, text);
    assert_int_equal(regex_next(&walk, &span, 1, &error), 0);
    assert_no_error(regex_remove(regex, text, strlen(text), &rest, &error), &error);
    if (strcmp(rest.data, get(row, "removed")->valuestring) != 0)
        fail_msg("%s on '%s': '%s' remains", pattern, text, rest.data);
    buffer_free(&rest);
}

static void test_regular_expressions_match_as_pythons_do(void **state) {
    (void)state;
    cJSON *fixture = load_fixture("tests/fixtures/scoring_upstream.json");
    const char *texts[MOST];
    size_t n_texts = read_strings(get(get(fixture, "filters"), "texts"), texts);
    const cJSON *one;
    cJSON_ArrayForEach(one, get(fixture, "expressions")) {
        const char *pattern = get(one, "pattern")->valuestring;
        Regex *regex;
        Error error = {0};
        assert_no_error(regex_compile(&regex, pattern, &error), &error);
        for (size_t i = 0; i < n_texts; i++)
            check_expression(regex, pattern, texts[i], cJSON_GetArrayItem(get(one, "rows"), (int)i));
        regex_free(regex);
    }
    cJSON_Delete(fixture);
}

static void test_expressions_that_python_does_not_know_are_refused(void **state) {
    (void)state;
    static const char *const bad[] = {"(*ACCEPT)",   "(?R)",  "(?1)",  "(?|a|b)", "(?&x)",    "\\h",   "\\K",
                                      "\\Q.\\E",     "(?C1)", "a(?i)", "\\xz",    "\\u12",    "\\",    "(",
                                      "\\U00110000", "a**",   "[a",    "(?L)a",   "\xff\xfe", "(?P>x)"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        Regex *regex;
        Error error = {0};
        if (regex_compile(&regex, bad[i], &error) != -1)
            fail_msg("%s was accepted", bad[i]);
        assert_true(strlen(error.message) > 10);
    }
}

static void test_an_expression_without_end_is_an_error(void **state) {
    (void)state;
    Regex *regex;
    Error error = {0};
    Buffer text = {0}, rest = {0};
    for (int i = 0; i < 40; i++)
        buffer_append_char(&text, 'a');
    assert_no_error(regex_compile(&regex, "(a+)+$|(a|a)*b", &error), &error);
    buffer_append_char(&text, '!');
    int result = regex_remove(regex, text.data, text.size, &rest, &error);
    assert_true(result == 0 || strstr(error.message, "match limit"));
    regex_free(regex);
    buffer_free(&text);
    buffer_free(&rest);
}

/* ---- statistics */

static void test_group_values_equal_upstreams(void **state) {
    (void)state;
    cJSON *fixture = load_fixture("tests/fixtures/scoring_upstream.json");
    const cJSON *group;
    cJSON_ArrayForEach(group, get(fixture, "groups")) {
        double values[8], stderrs[8], merged;
        size_t sizes[8], n = (size_t)cJSON_GetArraySize(get(group, "values"));
        for (size_t i = 0; i < n; i++) {
            values[i] = cJSON_GetArrayItem(get(group, "values"), (int)i)->valuedouble;
            stderrs[i] = cJSON_GetArrayItem(get(group, "stderrs"), (int)i)->valuedouble;
            sizes[i] = (size_t)cJSON_GetArrayItem(get(group, "sizes"), (int)i)->valueint;
        }
        assert_near(stat_group_mean(values, sizes, n, true), get(group, "weighted")->valuedouble, "weighted");
        assert_near(stat_group_mean(values, sizes, n, false), get(group, "plain")->valuedouble, "plain");
        assert_near(stat_pooled_stderr(stderrs, sizes, n), get(group, "pooled")->valuedouble, "pooled");
        assert_near(stat_combined_stderr(values, stderrs, sizes, NULL, n, &merged),
                    get(group, "combined")->valuedouble, "combined");
        assert_near(merged, get(group, "merged")->valuedouble, "merged");
        stderrs[0] = NAN;
        assert_true(isnan(stat_pooled_stderr(stderrs, sizes, n)));
    }
    cJSON_Delete(fixture);
}

static void test_aggregates_and_resampled_errors_equal_upstreams(void **state) {
    (void)state;
    cJSON *fixture = load_fixture("tests/fixtures/scoring_upstream.json");
    const cJSON *one, *item;
    const Aggregation *old;
    assert_int_equal(aggregation_find(&old, "median", METRIC_NUMBER, true, NULL), 0);
    const MetricItem unsorted[] = {{.value = 3}, {.value = 9}, {.value = 1}};
    assert_float_equal(aggregation_value(old, unsorted, 3), 9, 0); /* c9bbec6: arr[len(arr) // 2] */
    cJSON_ArrayForEach(one, get(fixture, "aggregates")) {
        MetricItem items[256];
        size_t n = 0;
        const char *name = get(one, "aggregation")->valuestring;
        cJSON_ArrayForEach(item, get(one, "items")) {
            bool pair = cJSON_IsArray(item);
            items[n++] = pair ? (MetricItem){cJSON_GetArrayItem(item, 0)->valuedouble,
                                             cJSON_GetArrayItem(item, 1)->valuedouble}
                              : (MetricItem){.value = item->valuedouble};
        }
        MetricShape shape = strstr(name, "weighted") || strstr(name, "bits") ? METRIC_WEIGHTED
                            : cJSON_IsArray(get(one, "items")->child)        ? METRIC_CHOICES
                                                                             : METRIC_NUMBER;
        const Aggregation *aggregation;
        const cJSON *expected = get(one, "stderr");
        Error error = {0};
        double stderr_value;
        assert_no_error(aggregation_find(&aggregation, name, shape, false, &error), &error);
        assert_near(aggregation_value(aggregation, items, n), get(one, "value")->valuedouble, name);
        for (int threads = 1; threads <= 3; threads += 2) {
            assert_no_error(aggregation_stderr(aggregation, items, n,
                                               (size_t)get(one, "iterations")->valueint, threads,
                                               &stderr_value, &error),
                            &error);
            if (cJSON_IsNull(expected))
                assert_true(isnan(stderr_value));
            else
                assert_near(stderr_value, expected->valuedouble, name);
        }
    }
    cJSON_Delete(fixture);
}

static void test_one_document_has_no_standard_error(void **state) {
    (void)state;
    double value = 1, stderr_value;
    const MetricItem item = {.value = 1};
    const Aggregation *aggregation;
    Error error = {0};
    assert_true(isnan(stat_mean_stderr(&value, 1)));
    assert_true(isnan(stat_mean(&value, 0)));
    assert_no_error(aggregation_find(&aggregation, "perplexity", METRIC_NUMBER, false, &error), &error);
    assert_no_error(aggregation_stderr(aggregation, &item, 1, 1000, 1, &stderr_value, &error), &error);
    assert_true(isnan(stderr_value));
}

int run_scoring_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_metrics_and_aggregates_equal_upstreams),
        cmocka_unit_test(test_every_metric_of_choices_equals_upstreams),
        cmocka_unit_test(test_mc2_in_both_profiles),
        cmocka_unit_test(test_ties_go_to_the_first_choice),
        cmocka_unit_test(test_words_are_what_splitting_at_white_space_gives),
        cmocka_unit_test(test_unknown_metric_lists_the_known),
        cmocka_unit_test(test_exact_match_with_all_its_options),
        cmocka_unit_test(test_filters_equal_upstreams_in_both_profiles),
        cmocka_unit_test(test_filters_of_repeats_equal_upstreams),
        cmocka_unit_test(test_majority_takes_the_first_of_the_most_frequent),
        cmocka_unit_test(test_map_without_a_default_gives_nothing),
        cmocka_unit_test(test_regular_expressions_match_as_pythons_do),
        cmocka_unit_test(test_expressions_that_python_does_not_know_are_refused),
        cmocka_unit_test(test_an_expression_without_end_is_an_error),
        cmocka_unit_test(test_group_values_equal_upstreams),
        cmocka_unit_test(test_aggregates_and_resampled_errors_equal_upstreams),
        cmocka_unit_test(test_one_document_has_no_standard_error),
    };
    return cmocka_run_group_tests_name("scoring", tests, NULL, NULL);
}
