/* Checking, vacuuming and merging files. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "tests/db/support.h"

static void note(void *context, const char *sentence) {
    buffer_printf(context, "%s\n", sentence);
}

static int64_t check(Db *db, Buffer *said) {
    Error error = {0};
    int64_t n = -1;
    buffer_clear(said);
    succeed(db_check(db, note, said, &n, &error), &error);
    return n;
}

static void assert_says(const Buffer *said, const char *expected) {
    if (!said->data || !strstr(said->data, expected))
        fail_msg("found: %s\nexpected: %s", said->data ? said->data : "", expected);
}

static void run_sql(Db *db, const char *sql) {
    char *message = NULL;
    if (sqlite3_exec(db_handle(db), sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
}

/* A finished run of n documents, with a group and a result. */
static int64_t fill(Db *db, const char *fingerprint, int64_t n, double value) {
    Error error = {0};
    int64_t run = start_run(db, fingerprint);
    static const char *const children[] = {"task"};
    for (int64_t i = 0; i < n; i++)
        store_document(db, run, i);
    succeed(db_run_file(db, run, "model", "model.safetensors", "aa", 1, &error), &error);
    const DbGroup group = {"group", "group", "1", true, children, 1, "{}"};
    succeed(db_run_group(db, run, &group, &error), &error);
    const DbResult result = {.name = "task", .metric = "acc", .filter = "none", .value = value, .n = n};
    succeed(db_result(db, run, &result, &error), &error);
    succeed(db_document_output(db, run, "task", 0, "none", "[1]", true, &error), &error);
    succeed(db_run_finish(db, run, &error), &error);
    char sql[128];
    snprintf(sql, sizeof sql, "UPDATE tasks SET n_documents = %lld WHERE run_id = %lld", (long long)n,
             (long long)run);
    run_sql(db, sql);
    return run;
}

static void test_a_good_file_has_no_problems(void **state) {
    const Folder *folder = *state;
    Buffer said = {0};
    Db *db = open_database(folder->database, DB_WRITE);
    fill(db, "a", 3, 0.5);
    if (check(db, &said) != 0)
        fail_msg("found: %s", said.data);
    db_close(db);
    buffer_free(&said);
}

static void test_every_kind_of_damage_is_told_of(void **state) {
    const Folder *folder = *state;
    Buffer said = {0};
    Db *db = open_database(folder->database, DB_WRITE);
    fill(db, "a", 3, 0.5);
    run_sql(db, "UPDATE texts SET text = text || '!' WHERE text_id = 2");
    assert_int_equal(check(db, &said), 1);
    assert_says(&said, "text 2 has SHA-256 ");
    run_sql(db, "UPDATE texts SET text = rtrim(text, '!') WHERE text_id = 2");
    run_sql(db, "PRAGMA foreign_keys = OFF; DELETE FROM texts WHERE text_id = 1; PRAGMA foreign_keys = ON");
    assert_true(check(db, &said) >= 1);
    assert_says(&said, "refers to a row of texts that is not there");
    run_sql(db, "DELETE FROM responses");
    check(db, &said);
    assert_says(&said, "run 1 is finished, but 6 requests of task task have no answer");
    run_sql(
        db,
        "UPDATE tasks SET n_documents = 4; DELETE FROM results;"
        "INSERT INTO results (run_id, name, metric, filter, is_group) VALUES (1, 'other', 'acc', 'none', 0);"
        "CREATE TABLE mine (x)");
    check(db, &said);
    assert_says(&said, "run 1 is finished, but task task has 3 documents where it says 4");
    assert_says(&said, "run 1 is finished, but task task has no result");
    assert_says(&said, "run 1 has a result of other, which is no task or group of it");
    assert_says(&said, "table \"mine\" is not of this schema");
    db_close(db);
    buffer_free(&said);
}

static void test_vacuum_removes_what_nobody_uses(void **state) {
    const Folder *folder = *state;
    Error error = {0};
    Buffer said = {0};
    DbVacuumed done;
    Db *db = open_database(folder->database, DB_WRITE);
    fill(db, "a", 200, 0.5);
    fill(db, "b", 2, 0.5);
    int64_t texts = query_integer(db, "SELECT count(*) FROM texts");
    run_sql(db, "DELETE FROM runs WHERE fingerprint = 'a'");
    succeed(db_vacuum(db, false, &done, &error), &error);
    assert_true(done.n_texts > 0 && done.n_texts < texts);
    assert_int_equal(done.n_responses, 0);
    assert_true(done.bytes_after < done.bytes_before);
    assert_int_equal(query_integer(db, "SELECT count(*) FROM texts"), texts - done.n_texts);
    succeed(db_vacuum(db, true, &done, &error), &error);
    assert_int_equal(done.n_texts, 0);
    assert_true(done.n_responses > 0);
    assert_int_equal(check(db, &said), 0);
    assert_int_equal(query_integer(db, "PRAGMA foreign_keys"), 1);
    db_close(db);
    buffer_free(&said);
}

/* Every table's rows, ids aside, in one number each: what a merge must neither lose nor double. */
static void assert_holds(Db *db, int64_t runs, int64_t documents) {
    assert_int_equal(query_integer(db, "SELECT count(*) FROM runs"), runs);
    assert_int_equal(query_integer(db, "SELECT count(*) FROM tasks"), runs);
    assert_int_equal(query_integer(db, "SELECT count(*) FROM v_documents"), documents);
    assert_int_equal(query_integer(db, "SELECT count(*) FROM v_requests WHERE context IS NOT NULL"
                                       " AND loglikelihood IS NOT NULL"),
                     2 * documents);
    assert_int_equal(query_integer(db, "SELECT count(*) FROM group_members"), runs);
    assert_int_equal(query_integer(db, "SELECT count(*) FROM document_outputs"), runs);
    assert_int_equal(query_integer(db, "SELECT count(*) FROM run_files"), runs);
}

static void other_path(const Folder *folder, char path[512]) {
    snprintf(path, 512, "%s/other.db", folder->path);
}

static void test_merge_loses_and_doubles_nothing(void **state) {
    const Folder *folder = *state;
    Error error = {0};
    Buffer said = {0};
    DbMerged done;
    char path[512];
    other_path(folder, path);
    Db *other = open_database(path, DB_WRITE);
    fill(other, "shared", 3, 0.5);
    fill(other, "theirs", 5, 0.25);
    int64_t texts = query_integer(other, "SELECT count(*) FROM texts");
    db_close(other);
    Db *db = open_database(folder->database, DB_WRITE);
    fill(db, "ours", 2, 0.75);
    fill(db, "shared", 3, 0.5);
    for (int again = 0; again < 2; again++) {
        succeed(db_merge(db, path, 0, note, &said, &done, &error), &error);
        assert_int_equal(done.n_runs, again ? 0 : 1);
        assert_int_equal(done.n_known, again ? 2 : 1);
        assert_int_equal(done.n_conflicts, 0);
        assert_int_equal(query_integer(db, "SELECT count(*) FROM texts"), texts);
        assert_holds(db, 3, 10);
    }
    assert_int_equal(check(db, &said), 0);
    /* A text is the same text by whatever id it is known. */
    assert_int_equal(
        query_integer(db, "SELECT count(*) FROM v_requests a JOIN v_requests b USING (task, doc_id, idx)"
                          " WHERE a.run_id = 2 AND b.run_id = 3"
                          " AND (a.context, a.continuation) IS NOT (b.context, b.continuation)"),
        0);
    db_close(db);
    buffer_free(&said);
}

static void test_finished_runs_replace_unfinished_ones(void **state) {
    const Folder *folder = *state;
    Error error = {0};
    Buffer said = {0};
    DbMerged done;
    char path[512];
    other_path(folder, path);
    Db *other = open_database(path, DB_WRITE);
    fill(other, "a", 4, 0.5);
    db_close(other);
    Db *db = open_database(folder->database, DB_WRITE);
    int64_t run = start_run(db, "a");
    store_document(db, run, 0);
    succeed(db_merge(db, path, 0, note, &said, &done, &error), &error);
    assert_int_equal(done.n_runs, 1);
    assert_holds(db, 1, 4);
    assert_int_equal(query_integer(db, "SELECT count(*) FROM runs WHERE finished_at IS NOT NULL"), 1);
    assert_int_equal(check(db, &said), 0);
    db_close(db);
    /* The other way round, the finished one stays. */
    other = open_database(path, DB_WRITE);
    db = open_database(folder->database, DB_WRITE);
    run_sql(db, "UPDATE runs SET finished_at = NULL; DELETE FROM results");
    db_close(db);
    succeed(db_merge(other, folder->database, 0, note, &said, &done, &error), &error);
    assert_int_equal(done.n_runs, 0);
    assert_holds(other, 1, 4);
    assert_int_equal(query_integer(other, "SELECT count(*) FROM results"), 1);
    db_close(other);
    buffer_free(&said);
}

static void test_conflicts_are_told_of_and_ours_stay(void **state) {
    const Folder *folder = *state;
    Error error = {0};
    Buffer said = {0};
    DbMerged done;
    char path[512];
    other_path(folder, path);
    Db *other = open_database(path, DB_WRITE);
    fill(other, "a", 2, 0.5);
    run_sql(other, "UPDATE responses SET loglikelihood = loglikelihood - 1");
    db_close(other);
    Db *db = open_database(folder->database, DB_WRITE);
    fill(db, "a", 2, 0.75);
    int64_t n = query_integer(db, "SELECT count(*) FROM responses");
    int64_t sum = query_integer(db, "SELECT sum(loglikelihood) * 1000 FROM responses");
    succeed(db_merge(db, path, 0, note, &said, &done, &error), &error);
    assert_int_equal(done.n_conflicts, n + 1);
    assert_says(&said, "run 1 (run 1 there) has other numbers for task, acc: ours stay");
    assert_says(&said, "the answer under key ");
    assert_int_equal(query_integer(db, "SELECT sum(loglikelihood) * 1000 FROM responses"), sum);
    assert_int_equal(query_integer(db, "SELECT value = 0.75 FROM results"), 1);
    db_close(db);
    buffer_free(&said);
}

/* For a paper's artefact: one run, its answers and texts, and nothing else. */
static void test_one_run_can_be_taken_alone(void **state) {
    const Folder *folder = *state;
    Error error = {0};
    Buffer said = {0};
    DbMerged done;
    char path[512];
    other_path(folder, path);
    Db *other = open_database(path, DB_WRITE);
    fill(other, "a", 2, 0.5);
    int64_t wanted = fill(other, "b", 7, 0.5);
    run_sql(other, "INSERT INTO texts (sha256, text) VALUES (zeroblob(32), 'nobody uses it');"
                   "INSERT INTO responses (key, loglikelihood) VALUES (randomblob(32), -123)");
    db_close(other);
    Db *db = open_database(folder->database, DB_WRITE);
    succeed(db_merge(db, path, wanted, note, &said, &done, &error), &error);
    assert_int_equal(done.n_runs, 1);
    assert_holds(db, 1, 7);
    assert_int_equal(query_integer(db, "SELECT count(*) FROM responses WHERE loglikelihood = -123"), 0);
    assert_int_equal(query_integer(db, "SELECT count(*) FROM texts WHERE text = 'nobody uses it'"), 0);
    assert_int_equal(check(db, &said), 0);
    assert_int_equal(db_merge(db, path, 77, note, &said, &done, &error), -1);
    assert_non_null(strstr(error.message, "there is no run 77 in it"));
    db_close(db);
    buffer_free(&said);
}

static void test_what_cannot_be_merged_is_refused_whole(void **state) {
    const Folder *folder = *state;
    Error error = {0};
    Buffer said = {0};
    DbMerged done;
    char path[512];
    other_path(folder, path);
    Db *db = open_database(folder->database, DB_WRITE);
    fill(db, "a", 1, 0.5);
    assert_int_equal(db_merge(db, folder->database, 0, note, &said, &done, &error), -1);
    assert_non_null(strstr(error.message, "cannot be merged into itself"));
    assert_int_equal(db_merge(db, path, 0, note, &said, &done, &error), -1);
    assert_non_null(strstr(error.message, "there is no results database"));
    write_file(path, "not a database, but long enough to be looked at as one................", 70);
    assert_int_equal(db_merge(db, path, 0, note, &said, &done, &error), -1);
    assert_non_null(strstr(error.message, "is not an SQLite file"));
    assert_holds(db, 1, 1);
    db_close(db);
    buffer_free(&said);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)
const struct CMUnitTest keeping_tests[] = {TEST(test_a_good_file_has_no_problems),
                                           TEST(test_every_kind_of_damage_is_told_of),
                                           TEST(test_vacuum_removes_what_nobody_uses),
                                           TEST(test_merge_loses_and_doubles_nothing),
                                           TEST(test_finished_runs_replace_unfinished_ones),
                                           TEST(test_conflicts_are_told_of_and_ours_stay),
                                           TEST(test_one_run_can_be_taken_alone),
                                           TEST(test_what_cannot_be_merged_is_refused_whole)};
const size_t n_keeping_tests = sizeof keeping_tests / sizeof *keeping_tests;
