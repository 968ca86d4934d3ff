/* What is stored comes back; storing it again changes nothing. */
#include <math.h>
#include <string.h>

#include "tests/db/support.h"

static void test_same_fingerprint_finds_the_run(void **state) {
    Folder *folder = *state;
    Error error = {0};
    Db *db = open_database(folder->database, DB_WRITE);
    DbRun run = {.fingerprint = "one", .model_name = "a"}, other = {.fingerprint = "two", .model_name = "a"};
    int64_t first, second, third;
    bool complete = true;
    succeed(db_run_start(db, &run, &first, &complete, &error), &error);
    assert_false(complete);
    succeed(db_run_start(db, &other, &second, &complete, &error), &error);
    assert_int_not_equal(first, second);
    succeed(db_run_finish(db, first, &error), &error);
    succeed(db_run_start(db, &run, &third, &complete, &error), &error);
    assert_int_equal(first, third);
    assert_true(complete);
    succeed(db_run_start(db, &other, &third, &complete, &error), &error);
    assert_false(complete);
    db_close(db);
}

static void test_doubles_come_back_exactly(void **state) {
    Folder *folder = *state;
    static const double values[] = {-0.1,      -1e-310, -123456.78901234567,     0.0,
                                    -INFINITY, NAN,     -2.2250738585072014e-308};
    enum { N = sizeof values / sizeof *values };
    Error error = {0};
    char key[65];
    Db *db = open_database(folder->database, DB_WRITE);
    for (int i = 0; i < N; i++) {
        make_key(i, key);
        DbResponse response = {.loglikelihood = values[i], .is_greedy = i % 2};
        succeed(db_response_put(db, key, &response, &error), &error);
    }
    db_close(db);
    db = open_database(folder->database, DB_READ);
    for (int i = 0; i < N; i++) {
        DbResponse response;
        make_key(i, key);
        assert_int_equal(db_response_find(db, key, &response, &error), 1);
        assert_int_equal(response.is_greedy, i % 2);
        if (isnan(values[i]))
            assert_true(isnan(response.loglikelihood));
        else
            assert_memory_equal(&response.loglikelihood, &values[i], sizeof(double));
    }
    db_close(db);
}

static void test_first_response_is_kept(void **state) {
    Folder *folder = *state;
    Error error = {0};
    char key[65];
    make_key(7, key);
    Db *db = open_database(folder->database, DB_WRITE);
    DbResponse first = {.loglikelihood = -1.25, .is_greedy = true}, second = {.loglikelihood = -9}, found;
    assert_int_equal(db_response_find(db, key, &found, &error), 0);
    succeed(db_response_put(db, key, &first, &error), &error);
    succeed(db_response_put(db, key, &second, &error), &error);
    assert_int_equal(db_response_find(db, key, &found, &error), 1);
    assert_true(found.loglikelihood == -1.25 && found.is_greedy);
    db_close(db);
}

static void test_key_must_be_a_hash(void **state) {
    Folder *folder = *state;
    Error error = {0};
    Db *db = open_database(folder->database, DB_WRITE);
    DbResponse response = {0};
    static const char *const keys[] = {
        "", "abc", "zz00000000000000000000000000000000000000000000000000000000000000", NULL,
        "AA00000000000000000000000000000000000000000000000000000000000000"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        assert_int_equal(db_response_put(db, keys[i], &response, &error), -1);
        assert_non_null(strstr(error.message, "SHA-256"));
    }
    db_close(db);
}

static void test_storing_again_changes_nothing(void **state) {
    Folder *folder = *state;
    Error error = {0};
    Db *db = open_database(folder->database, DB_WRITE);
    int64_t run_id = 0;
    static const char *const children[] = {"task", "other"};
    int changes = 0;
    for (int pass = 0; pass < 2; pass++) {
        run_id = start_run(db, "run");
        const DbGroup group = {"group", "alias", "2", true, children, 2, "{}"};
        succeed(db_run_group(db, run_id, &group, &error), &error);
        int before = sqlite3_total_changes(db_handle(db));
        for (int64_t i = 0; i < 20; i++)
            store_document(db, run_id, i);
        DbResult result = {.name = "task", .metric = "acc", .filter = "none", .value = 0.5, .n = 20};
        succeed(db_result(db, run_id, &result, &error), &error);
        changes = sqlite3_total_changes(db_handle(db)) - before;
    }
    assert_true(changes <= 1);
    assert_int_equal(query_integer(db, "SELECT count(*) FROM documents"), 20);
    assert_int_equal(query_integer(db, "SELECT count(*) FROM requests"), 40);
    assert_int_equal(query_integer(db, "SELECT count(*) FROM responses"), 40);
    assert_int_equal(query_integer(db, "SELECT count(*) FROM document_metrics"), 20);
    assert_int_equal(query_integer(db, "SELECT count(*) FROM group_members"), 2);
    int64_t n_requests, n_done;
    succeed(db_run_progress(db, run_id, &n_requests, &n_done, &error), &error);
    assert_int_equal(n_requests, 40);
    assert_int_equal(n_done, 40);
    db_close(db);
}

static void test_texts_are_stored_once(void **state) {
    Folder *folder = *state;
    Db *db = open_database(folder->database, DB_WRITE);
    int64_t run_id = start_run(db, "run");
    for (int64_t i = 0; i < 10; i++)
        store_document(db, run_id, i);
    /* 10 documents, 10 contexts, and "A", " A", " B" */
    assert_int_equal(query_integer(db, "SELECT count(*) FROM texts"), 23);
    int64_t second = start_run(db, "second");
    for (int64_t i = 0; i < 10; i++)
        store_document(db, second, i);
    assert_int_equal(query_integer(db, "SELECT count(*) FROM texts"), 23);
    assert_int_equal(query_integer(db, "SELECT count(*) FROM responses"), 20);
    db_close(db);
}

static void test_views_show_texts_and_scores(void **state) {
    Folder *folder = *state;
    Error error = {0};
    Db *db = open_database(folder->database, DB_WRITE);
    int64_t run_id = start_run(db, "run");
    store_document(db, run_id, 5);
    DbResult result = {.name = "task", .metric = "acc", .filter = "none", .value = 1, .stderr_value = NAN};
    succeed(db_result(db, run_id, &result, &error), &error);
    assert_int_equal(query_integer(db, "SELECT count(*) FROM v_requests WHERE context = 'Question 5'"
                                       " AND continuation = ' B' AND loglikelihood = -2.5 AND NOT is_greedy"),
                     1);
    assert_int_equal(query_integer(db, "SELECT count(*) FROM v_documents WHERE document = '{\"id\": 5}'"
                                       " AND target = 'A' AND task = 'task'"),
                     1);
    assert_int_equal(query_integer(db,
                                   "SELECT count(*) FROM v_results WHERE model = 'model' AND version = '1.0'"
                                   " AND value = 1 AND stderr IS NULL"),
                     1);
    assert_int_equal(query_integer(db, "SELECT n_done FROM v_runs WHERE finished_at IS NULL"), 2);
    assert_int_equal(query_integer(db, "SELECT count(*) FROM v_metrics WHERE metric = 'acc' AND doc_id = 5"),
                     1);
    db_close(db);
}

static void test_generated_texts_come_back(void **state) {
    Folder *folder = *state;
    static const char text[] = "4 + 3 = 7.\n\"#### 7\" \xE2\x82\xAC";
    Error error = {0};
    char key[65];
    Db *db = open_database(folder->database, DB_WRITE);
    int64_t run_id = start_run(db, "run");
    store_document(db, run_id, 3);
    make_key(77, key);
    DbResponse response = {.loglikelihood = 5, .text = text}, found;
    succeed(db_response_put(db, key, &response, &error), &error);
    DbRequest request = {.task = "task",
                         .doc_id = 3,
                         .idx = 2,
                         .request_type = "generate_until",
                         .context = "Question 3",
                         .generation = "{\"until\": [\"\\n\"]}",
                         .response_key = key};
    succeed(db_request(db, run_id, &request, &error), &error);
    assert_int_equal(db_response_find(db, key, &found, &error), 1);
    assert_string_equal(found.text, text);
    assert_true(isnan(found.loglikelihood));
    assert_int_equal(query_integer(db, "SELECT count(*) FROM v_requests WHERE text LIKE '4 + 3%'"
                                       " AND generation LIKE '{\"until%' AND loglikelihood IS NULL"
                                       " AND is_greedy IS NULL AND continuation IS NULL"),
                     1);
    make_key(7, key);
    assert_int_equal(db_response_find(db, key, &found, &error), 1);
    assert_null(found.text);
    db_close(db);
}

static void test_outputs_of_filters(void **state) {
    Folder *folder = *state;
    Error error = {0};
    Db *db = open_database(folder->database, DB_WRITE);
    int64_t run_id = start_run(db, "run");
    store_document(db, run_id, 3);
    for (int pass = 0; pass < 2; pass++) {
        succeed(db_document_output(db, run_id, "task", 3, "strict", "[\"7\"]", true, &error), &error);
        succeed(
            db_document_output(db, run_id, "task", 3, "flexible", pass ? "[\"8\"]" : "[]", pass > 0, &error),
            &error);
    }
    assert_int_equal(query_integer(db, "SELECT count(*) FROM v_outputs WHERE task = 'task' AND doc_id = 3"),
                     2);
    assert_int_equal(
        query_integer(db, "SELECT value ->> 0 FROM v_outputs WHERE filter = 'flexible' AND run_id = 1"), 8);
    assert_int_equal(query_integer(db, "SELECT sum(extracted) FROM v_outputs"), 2);
    assert_int_equal(db_document_output(db, run_id, "task", 99, "strict", "[]", true, &error), -1);
    db_close(db);
}

static void test_metric_with_a_weight(void **state) {
    Folder *folder = *state;
    Error error = {0};
    Db *db = open_database(folder->database, DB_WRITE);
    int64_t run_id = start_run(db, "run");
    store_document(db, run_id, 3);
    for (int pass = 0; pass < 2; pass++)
        succeed(db_document_weighted(db, run_id, "task", 3, "word_perplexity", "none", -7, 20 + pass, &error),
                &error);
    assert_int_equal(query_integer(db, "SELECT value FROM v_metrics WHERE metric = 'word_perplexity'"), -7);
    assert_int_equal(query_integer(db, "SELECT weight FROM v_metrics WHERE metric = 'word_perplexity'"), 21);
    assert_int_equal(query_integer(db, "SELECT weight IS NULL FROM v_metrics WHERE metric = 'acc'"), 1);
    db_close(db);
}

static void test_plan_of_a_run_is_that_of_its_first_start(void **state) {
    Folder *folder = *state;
    Error error = {0};
    Db *db = open_database(folder->database, DB_WRITE);
    int64_t run_id = start_run(db, "run");
    DbPlan first = {
        .n_requests = 100, .tokens_alone = 5000, .tokens_distinct = 1200, .planning_seconds = 0.5};
    DbPlan second = {.n_requests = 100, .n_reused = 60, .tokens_alone = 2000, .tokens_distinct = 500};
    succeed(db_run_plan(db, run_id, &first, &error), &error);
    succeed(db_run_work(db, run_id, 700, 0, 1.5, &error), &error);
    succeed(db_run_plan(db, run_id, &second, &error), &error);
    succeed(db_run_work(db, run_id, 500, 20, 0.5, &error), &error);
    assert_int_equal(query_integer(db, "SELECT count(*) FROM v_runs WHERE plan_requests = 100"
                                       " AND plan_reused = 0 AND tokens_alone = 5000"
                                       " AND tokens_distinct = 1200 AND tokens_computed = 1200"
                                       " AND tokens_generated = 20 AND scoring_seconds = 2"),
                     1);
    db_close(db);
}

static void test_truncated_documents_are_listed(void **state) {
    Folder *folder = *state;
    Error error = {0};
    Db *db = open_database(folder->database, DB_WRITE);
    int64_t run_id = start_run(db, "run");
    for (int64_t i = 0; i < 4; i++)
        store_document(db, run_id, i);
    char key[65];
    make_key(4, key);
    DbRequest request = {.task = "task", .doc_id = 2, .idx = 0, .response_key = key, .n_truncated = 9};
    succeed(db_request(db, run_id, &request, &error), &error);
    DbDocument document = {.task = "task", .doc_id = 3, .json = "{}", .n_dropped_shots = 2};
    succeed(db_document(db, run_id, &document, &error), &error);
    assert_int_equal(query_integer(db, "SELECT count(*) FROM v_truncated"), 2);
    assert_int_equal(query_integer(db, "SELECT n_tokens FROM v_truncated WHERE doc_id = 2 AND n_requests = 1"
                                       " AND n_dropped_shots = 0"),
                     9);
    assert_int_equal(query_integer(db, "SELECT n_dropped_shots FROM v_truncated WHERE doc_id = 3"), 2);
    db_close(db);
}

static void test_configuration_of_a_task_stays_unless_given_anew(void **state) {
    Folder *folder = *state;
    Error error = {0};
    Db *db = open_database(folder->database, DB_WRITE);
    int64_t run_id = start_run(db, "run");
    DbTask task = {.name = "task", .config_json = "{\"task\": \"task\"}"};
    succeed(db_run_task(db, run_id, &task, &error), &error);
    task.config_json = NULL;
    task.version = "2";
    succeed(db_run_task(db, run_id, &task, &error), &error);
    assert_int_equal(query_integer(db, "SELECT count(*) FROM tasks WHERE config ->> 'task' = 'task'"
                                       " AND version = '2'"),
                     1);
    db_close(db);
}

static void test_rollback_takes_back_everything(void **state) {
    Folder *folder = *state;
    Error error = {0};
    Db *db = open_database(folder->database, DB_WRITE);
    int64_t run_id = start_run(db, "run");
    succeed(db_begin(db, &error), &error);
    store_document(db, run_id, 1);
    db_rollback(db);
    assert_int_equal(query_integer(db, "SELECT count(*) FROM texts"), 0);
    /* Ids remembered before the rollback must not be used after it. */
    store_document(db, run_id, 1);
    assert_int_equal(query_integer(db, "SELECT count(*) FROM v_requests WHERE context = 'Question 1'"), 2);
    succeed(db_begin(db, &error), &error);
    assert_int_equal(db_begin(db, &error), -1);
    db_rollback(db);
    db_rollback(db);
    db_close(db);
}

static void test_order_of_calls_is_checked(void **state) {
    Folder *folder = *state;
    Error error = {0};
    char key[65];
    make_key(1, key);
    Db *db = open_database(folder->database, DB_WRITE);
    int64_t run_id = start_run(db, "run");
    DbDocument document = {.task = "nowhere", .doc_id = 1, .json = "{}"};
    assert_int_equal(db_document(db, run_id, &document, &error), -1);
    assert_non_null(strstr(error.message, "no task 'nowhere'"));
    DbRequest request = {
        .task = "task", .doc_id = 99, .context = "c", .continuation = "d", .response_key = key};
    assert_int_equal(db_request(db, run_id, &request, &error), -1);
    assert_non_null(strstr(error.message, "before"));
    assert_int_equal(query_integer(db, "SELECT count(*) FROM texts"), 0);
    db_close(db);
}

static void test_deleting_a_run_takes_its_rows(void **state) {
    Folder *folder = *state;
    Db *db = open_database(folder->database, DB_WRITE);
    store_document(db, start_run(db, "one"), 1);
    store_document(db, start_run(db, "two"), 1);
    assert_int_equal(sqlite3_exec(db_handle(db), "DELETE FROM runs WHERE fingerprint = 'one'", 0, 0, 0),
                     SQLITE_OK);
    assert_int_equal(query_integer(db, "SELECT count(*) FROM requests"), 2);
    assert_int_equal(query_integer(db, "SELECT count(*) FROM responses"), 2);
    db_close(db);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)
const struct CMUnitTest storing_tests[] = {
    TEST(test_same_fingerprint_finds_the_run), TEST(test_doubles_come_back_exactly),
    TEST(test_first_response_is_kept),         TEST(test_key_must_be_a_hash),
    TEST(test_storing_again_changes_nothing),  TEST(test_texts_are_stored_once),
    TEST(test_views_show_texts_and_scores),    TEST(test_rollback_takes_back_everything),
    TEST(test_order_of_calls_is_checked),      TEST(test_deleting_a_run_takes_its_rows),
    TEST(test_generated_texts_come_back),      TEST(test_outputs_of_filters),
    TEST(test_metric_with_a_weight),           TEST(test_plan_of_a_run_is_that_of_its_first_start),
    TEST(test_truncated_documents_are_listed), TEST(test_configuration_of_a_task_stays_unless_given_anew)};
const size_t n_storing_tests = sizeof storing_tests / sizeof *storing_tests;
