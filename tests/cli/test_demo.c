#include <stdlib.h>
#include <string.h>

#include <math.h>
#include <sqlite3.h>

#include "tests/cli/tests.h"

/* One stored answer against the fixture's: a log-likelihood and whether greedy decoding says the same. */
static void check_answer(sqlite3_stmt *query, const char *task, int doc_id, int idx, double expected,
                         bool is_greedy) {
    sqlite3_bind_text(query, 1, task, -1, SQLITE_STATIC);
    sqlite3_bind_int(query, 2, doc_id);
    sqlite3_bind_int(query, 3, idx);
    assert_int_equal(sqlite3_step(query), SQLITE_ROW);
    double found = sqlite3_column_double(query, 0);
    if (!(fabs(found - expected) <= 1e-4) || sqlite3_column_int(query, 1) != is_greedy)
        fail_msg("%s %d %d: found %.9g, expected %.9g", task, doc_id, idx, found, expected);
    sqlite3_reset(query);
}

static int check_task(sqlite3_stmt *query, const cJSON *task) {
    int doc_id = 0, n = 0;
    const cJSON *document;
    cJSON_ArrayForEach(document, cJSON_GetObjectItem(task, "documents")) {
        const cJSON *values = cJSON_GetObjectItem(document, "loglikelihoods");
        const cJSON *greedy = cJSON_GetObjectItem(document, "greedy");
        for (int i = 0; i < cJSON_GetArraySize(values); i++, n++)
            check_answer(query, task->string, doc_id, i, cJSON_GetArrayItem(values, i)->valuedouble,
                         cJSON_IsTrue(cJSON_GetArrayItem(greedy, i)));
        doc_id++;
    }
    return n;
}

/* Every log-likelihood of the built-in tasks, against an independent float64 model
 * (tests/oracle/make_demo_fixtures.py). */
static void test_demo_scores_equal_another_implementations(void **state) {
    (void)state;
    Output output;
    sqlite3 *db;
    sqlite3_stmt *query;
    cJSON *fixture;
    char *path = path_join(test_folder, "exact.db");
    int n = 0;
    const cJSON *task;
    test_run_expecting(0, &output, "demo --quiet --db '%s' --html %s/exact.html", path, test_folder);
    assert_int_equal(json_parse_file(&fixture, "tests/fixtures/demo_expected.json", 1 << 24, NULL), 0);
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(db,
                           "SELECT loglikelihood, is_greedy FROM v_requests WHERE task = ? AND doc_id = ? "
                           "AND idx = ?",
                           -1, &query, NULL),
        SQLITE_OK);
    cJSON_ArrayForEach(task, cJSON_GetObjectItem(fixture, "tasks")) n += check_task(query, task);
    assert_int_equal(n, 1800);
    sqlite3_finalize(query);
    sqlite3_close(db);
    cJSON_Delete(fixture);
    test_output_free(&output);
    free(path);
}

/* The built-in model knows its world: far above chance on every built-in task, so a broken layer shows. */
static void test_demo_scores_far_above_chance(void **state) {
    (void)state;
    Output output, json;
    test_run_expecting(0, &output, "demo --db %s/demo.db --html %s/demo.html", test_folder, test_folder);
    assert_non_null(strstr(output.out.data, "Tasks"));
    assert_non_null(strstr(output.out.data, "zeval run --model"));
    test_run_expecting(0, &json, "report --db %s/demo.db --format json", test_folder);
    cJSON *parsed;
    assert_int_equal(json_parse(&parsed, json.out.data, json.out.size, "report", NULL), 0);
    const cJSON *run = cJSON_GetArrayItem(cJSON_GetObjectItem(parsed, "runs"), 0), *result;
    int n = 0;
    cJSON_ArrayForEach(result, cJSON_GetObjectItem(run, "results")) {
        if (!text_equal(cJSON_GetStringValue(cJSON_GetObjectItem(result, "metric")), "acc"))
            continue;
        double value = cJSON_GetObjectItem(result, "value")->valuedouble;
        if (value < 0.75)
            fail_msg("%s: accuracy %g", cJSON_GetStringValue(cJSON_GetObjectItem(result, "name")), value);
        n++;
    }
    assert_true(n >= 3);
    cJSON_Delete(parsed);
    test_output_free(&json);
    test_output_free(&output);
}

static void test_a_second_demo_scores_nothing_and_prints_the_same(void **state) {
    (void)state;
    Output first, second;
    test_run_expecting(0, &first, "demo --db %s/twice.db --html %s/twice.html", test_folder, test_folder);
    test_run_expecting(0, &second, "demo --db %s/twice.db --html %s/twice.html", test_folder, test_folder);
    assert_string_equal(first.out.data, second.out.data);
    assert_non_null(strstr(second.error.data, "nothing to score"));
    test_output_free(&first);
    test_output_free(&second);
}

/* The page stands alone: nothing in it is loaded from elsewhere. */
static void test_the_page_is_self_contained(void **state) {
    (void)state;
    Output output;
    Buffer page = {0};
    char *path = path_join(test_folder, "page.html");
    test_run_expecting(0, &output, "demo --db %s/page.db --html '%s'", test_folder, path);
    assert_int_equal(file_read(&page, path, 1 << 26, NULL), 0);
    static const char *const forbidden[] = {"src=\"http", "href=\"http", "@import", "<link", "url(http"};
    for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++)
        assert_null(strstr(page.data, forbidden[i]));
    assert_non_null(strstr(page.data, "<svg"));
    buffer_free(&page);
    test_output_free(&output);
    free(path);
}

/* Batches and threads change nothing that is stored or shown. */
static void test_scores_do_not_depend_on_batches_or_threads(void **state) {
    (void)state;
    static const char *const settings[] = {"--threads 1 --batch-tokens 1", "--threads 2 --batch-tokens 333",
                                           "--threads 3 --batch-tokens 100000"};
    Output first = {0}, run, report;
    for (int i = 0; i < 3; i++) {
        test_run_expecting(0, &run, "run --model demo --tasks demo --limit 25 --quiet %s --db %s/same%d.db",
                           settings[i], test_folder, i);
        test_output_free(&run);
        test_run_expecting(0, &report, "report --db %s/same%d.db --format html --no-cost", test_folder, i);
        if (i == 0) {
            first = report;
            continue;
        }
        assert_string_equal(report.out.data, first.out.data);
        test_output_free(&report);
    }
    test_output_free(&first);
}

static void test_generate_and_tokenize(void **state) {
    (void)state;
    Output output, again;
    test_run_expecting(0, &output, "generate --model demo --prompt 'Anna' --max-new-tokens 8 --json");
    cJSON *json;
    assert_int_equal(json_parse(&json, output.out.data, output.out.size, "generate", NULL), 0);
    assert_true(cJSON_GetArraySize(cJSON_GetObjectItem(json, "ids")) <= 8);
    assert_true(cJSON_IsString(cJSON_GetObjectItem(json, "text")));
    cJSON_Delete(json);
    test_output_free(&output);
    test_run_expecting(0, &output,
                       "generate --model demo --prompt 'Anna' --temperature 0.9 --top-p 0.9 --seed 3");
    test_run_expecting(0, &again,
                       "generate --model demo --prompt 'Anna' --temperature 0.9 --top-p 0.9 --seed 3");
    assert_string_equal(output.out.data, again.out.data);
    test_output_free(&output);
    test_output_free(&again);
    char *lines = path_join(test_folder, "texts.jsonl");
    static const char texts[] = "{\"text\": \"Anna\"}\n{\"text\": \"\"}\n";
    assert_int_equal(file_write_atomic(lines, texts, sizeof texts - 1, NULL), 0);
    test_run_expecting(0, &output, "tokenize --tokenizer %s/cache/demo-model --input '%s'", test_folder,
                       lines);
    assert_int_equal(strncmp(output.out.data, "{\"ids\": [", 9), 0);
    assert_non_null(strstr(output.out.data, "\n{\"ids\": []}\n"));
    Buffer command = {0};
    buffer_printf(&command,
                  "test \"$(cat '%s' | %s tokenize --tokenizer %s/cache/demo-model)\" = \"$(cat %s/out)\"",
                  lines, test_program(), test_folder, test_folder);
    assert_int_equal(system(command.data), 0); /* a pipe gives the same */
    buffer_free(&command);
    test_output_free(&output);
    free(lines);
}

int run_demo_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_demo_scores_equal_another_implementations),
        cmocka_unit_test(test_demo_scores_far_above_chance),
        cmocka_unit_test(test_a_second_demo_scores_nothing_and_prints_the_same),
        cmocka_unit_test(test_the_page_is_self_contained),
        cmocka_unit_test(test_scores_do_not_depend_on_batches_or_threads),
        cmocka_unit_test(test_generate_and_tokenize),
    };
    return cmocka_run_group_tests_name("demo", tests, test_make_folder, test_remove_folder);
}
