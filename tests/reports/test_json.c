#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "tests/reports/support.h"

static cJSON *parse(const char *text) {
    cJSON *json = NULL;
    Error error = {0};
    succeed(json_parse(&json, text, strlen(text), "report", &error), &error);
    return json;
}

static double number_at(const cJSON *object, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!cJSON_IsNumber(item))
        fail_msg("'%s' is not a number", key);
    return item->valuedouble;
}

static void test_numbers_are_exact(void **state) {
    Fixture *fixture = *state;
    int64_t run = add_run(fixture->db, "run", "org/model");
    add_task(fixture->db, run, "t", "1.0", 5);
    add_result(fixture->db, run, "t", "acc", 0.1 + 0.2, NAN);
    finish_run(fixture->db, run);
    char *text = make_report(report_json, fixture->db, 0);
    cJSON *json = parse(text);
    const cJSON *first = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(json, "runs"), 0);
    const cJSON *result = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(first, "results"), 0);
    assert_true(number_at(result, "value") == 0.1 + 0.2);
    assert_true(cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(result, "stderr")));
    assert_true(number_at(result, "num_fewshot") == 5);
    assert_true(number_at(first, "n_parameters") == 260032);
    const cJSON *settings = cJSON_GetObjectItemCaseSensitive(first, "settings");
    assert_string_equal(cJSON_GetArrayItem(settings->child, 1)->valuestring, "my_task.yaml");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(first, "files")), 3);
    assert_lacks(text, "/home");
    cJSON_Delete(json);
    free(text);
}

/* What filters did not find stands beside every result. */
static void test_answers_that_were_not_found_are_counted(void **state) {
    Fixture *fixture = *state;
    Error error = {0};
    int64_t run = add_run(fixture->db, "run", "org/model");
    add_task(fixture->db, run, "sums", "1.0", 5);
    add_task(fixture->db, run, "t", "1.0", 5);
    add_result(fixture->db, run, "t", "acc", 0.5, NAN);
    static const char *const filters[] = {"flexible-extract", "strict-match"};
    for (int64_t i = 0; i < 2; i++) {
        DbResult result = {.name = "sums",
                           .metric = "exact_match",
                           .filter = filters[i],
                           .n = 1319,
                           .n_unextracted = 1200 * i};
        succeed(db_result(fixture->db, run, &result, &error), &error);
    }
    finish_run(fixture->db, run);
    char *text = make_report(report_json, fixture->db, 0);
    cJSON *json = parse(text);
    const cJSON *first = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(json, "runs"), 0);
    const cJSON *results = cJSON_GetObjectItemCaseSensitive(first, "results");
    assert_true(number_at(cJSON_GetArrayItem(results, 0), "n_unextracted") == 0);
    assert_true(number_at(cJSON_GetArrayItem(results, 1), "n_unextracted") == 1200);
    cJSON_Delete(json);
    free(text);
    text = make_report(report_markdown, fixture->db, 0);
    assert_contains(
        text, "- No answer found: sums, flexible-extract: 0 of 1,319; sums, strict-match: 1,200 of 1,319\n");
    free(text);
}

/* Leaving examples out is told as cutting is. */
static void test_documents_that_lost_examples_are_counted(void **state) {
    Fixture *fixture = *state;
    Error error = {0};
    int64_t run = add_run(fixture->db, "run", "org/model");
    add_task(fixture->db, run, "t", "1.0", 5);
    for (int64_t i = 0; i < 3; i++) {
        DbDocument document = {
            .task = "t", .doc_id = i, .json = "{}", .target = "x", .gold = 1, .n_dropped_shots = 2 * i};
        succeed(db_document(fixture->db, run, &document, &error), &error);
    }
    finish_run(fixture->db, run);
    char *text = make_report(report_json, fixture->db, 0);
    assert_contains(text, "\"n_documents_with_fewer_shots\":\t2\n");
    free(text);
    text = make_report(report_markdown, fixture->db, 0);
    assert_contains(text, "- Truncated: 2 documents lost few-shot examples\n");
    free(text);
}

static void test_runs_tell_how_far_they_got(void **state) {
    Fixture *fixture = *state;
    Error error = {0};
    Buffer out = {0};
    static const char *const choices[] = {"A", "B", "C", "D"};
    succeed(report_runs(fixture->db, false, &out, &error), &error);
    assert_string_equal(out.data, "No runs yet.\n");
    buffer_clear(&out);
    int64_t done = add_run(fixture->db, "one", "org/a");
    add_task(fixture->db, done, "t", "1.0", 0);
    add_document(fixture->db, done, "t", 0, "Q", choices, 1);
    finish_run(fixture->db, done);
    add_run(fixture->db, "two", "/home/somebody/b");
    succeed(report_runs(fixture->db, false, &out, &error), &error);
    assert_contains(out.data, "|Run|Model|Data type|Backend|Tasks|Limit|Requests done|");
    assert_contains(out.data, "|  1|org/a|float32  |cpu    |    1|   50|            4|finished ");
    assert_contains(out.data,
                    "|  2|b    |float32  |cpu    |    0|   50|            0|interrupted or running|");
    buffer_clear(&out);
    succeed(report_runs(fixture->db, true, &out, &error), &error);
    cJSON *json = parse(out.data);
    assert_int_equal(cJSON_GetArraySize(json), 2);
    assert_true(number_at(cJSON_GetArrayItem(json, 0), "n_done") == 4);
    assert_true(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(json, 0), "complete")));
    assert_true(cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(json, 1), "complete")));
    cJSON_Delete(json);
    buffer_free(&out);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
const struct CMUnitTest json_tests[] = {
    TEST(test_numbers_are_exact), TEST(test_answers_that_were_not_found_are_counted),
    TEST(test_documents_that_lost_examples_are_counted), TEST(test_runs_tell_how_far_they_got)};
const size_t n_json_tests = sizeof json_tests / sizeof *json_tests;
