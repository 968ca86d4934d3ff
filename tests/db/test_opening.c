/* Which files are opened, which are refused and with what sentence, and who may write. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "tests/db/support.h"

static void make_with_sql(const char *path, const char *sql) {
    sqlite3 *database = NULL;
    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(database);
}

static void test_missing_file(void **state) {
    Folder *folder = *state;
    assert_open_fails(folder->database, DB_READ, "there is no results database");
    assert_int_equal(access(folder->database, F_OK), -1);
}

static void test_missing_folder(void **state) {
    Folder *folder = *state;
    char path[400];
    snprintf(path, sizeof path, "%s/nowhere/results.db", folder->path);
    assert_open_fails(path, DB_WRITE, "nowhere' does not exist");
    assert_open_fails(path, DB_READ, "nowhere' does not exist");
}

static void test_folder_instead_of_file(void **state) {
    Folder *folder = *state;
    assert_open_fails(folder->path, DB_WRITE, "is a folder");
    assert_open_fails("", DB_WRITE, "empty name");
}

static void test_empty_file_is_a_new_database(void **state) {
    Folder *folder = *state;
    write_file(folder->database, "", 0);
    assert_open_fails(folder->database, DB_READ, "is empty");
    Db *db = open_database(folder->database, DB_WRITE);
    assert_int_equal(query_integer(db, "PRAGMA user_version"), DB_SCHEMA_VERSION);
    assert_int_equal(query_integer(db, "PRAGMA synchronous"), 2);
    assert_int_equal(query_integer(db, "PRAGMA foreign_keys"), 1);
    assert_int_equal(query_integer(db, "SELECT journal_mode = 'wal' FROM pragma_journal_mode"), 1);
    assert_string_equal(db_path(db), folder->database);
    db_close(db);
    db_close(open_database(folder->database, DB_READ));
}

static void test_garbage_file(void **state) {
    Folder *folder = *state;
    char garbage[9000];
    for (size_t i = 0; i < sizeof garbage; i++)
        garbage[i] = (char)(i * 31 + 7);
    write_file(folder->database, garbage, sizeof garbage);
    assert_open_fails(folder->database, DB_READ, "not an SQLite file");
    assert_open_fails(folder->database, DB_WRITE, "not an SQLite file");
    write_file(folder->database, "{}\n", 3);
    assert_open_fails(folder->database, DB_WRITE, "not an SQLite file");
}

static void test_database_of_another_program(void **state) {
    Folder *folder = *state;
    make_with_sql(folder->database, "CREATE TABLE bookmarks (url TEXT)");
    assert_open_fails(folder->database, DB_READ, "another program");
    assert_open_fails(folder->database, DB_WRITE, "another program");
    make_with_sql(folder->database, "PRAGMA application_id = 252006674");
    assert_open_fails(folder->database, DB_WRITE, "application id 252006674");
    /* It was looked at, not changed. */
    sqlite3 *database = NULL;
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_open(folder->database, &database), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(database, "PRAGMA journal_mode", -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(statement, 0), "delete");
    sqlite3_finalize(statement);
    sqlite3_close(database);
}

static void test_newer_schema(void **state) {
    Folder *folder = *state;
    db_close(open_database(folder->database, DB_WRITE));
    make_with_sql(folder->database, "PRAGMA user_version = 77");
    assert_open_fails(folder->database, DB_READ, "version 77 and this build knows versions up to 3");
    assert_open_fails(folder->database, DB_WRITE, "update zeval");
}

static void test_impossible_schema_version(void **state) {
    Folder *folder = *state;
    db_close(open_database(folder->database, DB_WRITE));
    make_with_sql(folder->database, "PRAGMA user_version = -3");
    assert_open_fails(folder->database, DB_WRITE, "schema version is -3");
}

static void fill(const char *path, int64_t n) {
    Error error = {0};
    Db *db = open_database(path, DB_WRITE);
    int64_t run_id = start_run(db, "run");
    succeed(db_begin(db, &error), &error);
    for (int64_t i = 0; i < n; i++)
        store_document(db, run_id, i);
    succeed(db_commit(db, &error), &error);
    db_close(db);
}

static void test_damaged_pages(void **state) {
    Folder *folder = *state;
    fill(folder->database, 400);
    FILE *file = fopen(folder->database, "r+b");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    assert_true(size > 10 * 4096);
    for (long page = 1; page * 4096 < size; page++) {
        fseek(file, page * 4096, SEEK_SET);
        for (int i = 0; i < 200; i++)
            fputc(0xa5, file);
    }
    fclose(file);
    Db *db = NULL;
    Error error = {0};
    int result = db_open(&db, folder->database, DB_READ, &error);
    DbResponse response;
    char key[65];
    make_key(5, key);
    if (result == 0)
        result = db_response_find(db, key, &response, &error);
    db_close(db);
    assert_int_equal(result, -1);
    if (!strstr(error.message, "is damaged") || !strstr(error.message, folder->database))
        fail_msg("message is '%s'; expected 'is damaged' and the file's name", error.message);
}

static void test_truncated_file(void **state) {
    Folder *folder = *state;
    fill(folder->database, 400);
    assert_int_equal(truncate(folder->database, 3 * 4096 + 100), 0);
    Db *db = NULL;
    Error error = {0};
    int64_t n_requests, n_done;
    int result = db_open(&db, folder->database, DB_READ, &error);
    if (result == 0)
        result = db_run_progress(db, 1, &n_requests, &n_done, &error);
    db_close(db);
    assert_int_equal(result, -1);
    if (!strstr(error.message, "is damaged"))
        fail_msg("message is '%s'; expected 'is damaged'", error.message);
}

static void test_readers_are_not_blocked(void **state) {
    Folder *folder = *state;
    Error error = {0};
    Db *writer = open_database(folder->database, DB_WRITE);
    int64_t run_id = start_run(writer, "run");
    store_document(writer, run_id, 0);
    succeed(db_begin(writer, &error), &error);
    store_document(writer, run_id, 1);
    Db *reader = open_database(folder->database, DB_READ);
    assert_int_equal(query_integer(reader, "SELECT count(*) FROM documents"), 1);
    succeed(db_commit(writer, &error), &error);
    assert_int_equal(query_integer(reader, "SELECT count(*) FROM documents"), 2);
    assert_int_equal(db_run_finish(reader, run_id, &error), -1);
    assert_non_null(strstr(error.message, "read-only"));
    db_close(reader);
    db_close(writer);
}

static void test_another_program_holds_a_lock(void **state) {
    Folder *folder = *state;
    Error error = {0};
    Db *db = open_database(folder->database, DB_WRITE);
    sqlite3 *other = NULL;
    assert_int_equal(sqlite3_open(folder->database, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_busy_timeout(db_handle(db), 20);
    assert_int_equal(db_begin(db, &error), -1);
    assert_non_null(strstr(error.message, "locked by another program"));
    sqlite3_close(other);
    db_close(db);
}

/* As one is that was killed while it made the database, until its locks are gone. */
static void test_a_lock_on_a_new_file_is_waited_for(void **state) {
    Folder *folder = *state;
    int ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        sqlite3 *other = NULL;
        if (sqlite3_open(folder->database, &other) != SQLITE_OK ||
            sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK ||
            write(ready[1], "", 1) != 1)
            _exit(1);
        usleep(300000);
        _exit(0);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    Db *db = open_database(folder->database, DB_WRITE);
    assert_int_equal(waitpid(child, NULL, 0), child);
    db_close(db);
}

/* Permissions do not bind root, so the work is done as nobody. Exit code 0: the message was as expected. */
static int as_nobody(const char *path, DbMode mode, const char *expected) {
    pid_t child = fork();
    if (child == 0) {
        if (getuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
            _exit(3);
        Db *db = NULL;
        Error error = {0};
        int result = db_open(&db, path, mode, &error);
        if (!expected)
            _exit(result == 0 ? 0 : 1);
        if (!strstr(error.message, expected))
            fprintf(stderr, "message is '%s'; expected it to contain '%s'\n", error.message, expected);
        _exit(result == -1 && strstr(error.message, expected) ? 0 : 2);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_read_only_folder(void **state) {
    Folder *folder = *state;
    char with_marks[400];
    snprintf(with_marks, sizeof with_marks, "%s/50%% of #1?.db", folder->path);
    db_close(open_database(with_marks, DB_WRITE));
    assert_int_equal(chmod(with_marks, 0444), 0);
    assert_int_equal(chmod(folder->path, 0555), 0);
    assert_int_equal(as_nobody(folder->database, DB_WRITE, "is not writable"), 0);
    assert_int_equal(as_nobody(with_marks, DB_WRITE, "cannot write to results database"), 0);
    /* A report can be made all the same. */
    assert_int_equal(as_nobody(with_marks, DB_READ, NULL), 0);
    assert_int_equal(chmod(folder->path, 0755), 0);
}

static void test_read_only_file(void **state) {
    Folder *folder = *state;
    char lock[400];
    snprintf(lock, sizeof lock, "%s-lock", folder->database);
    db_close(open_database(folder->database, DB_WRITE));
    assert_int_equal(chmod(folder->database, 0444), 0);
    assert_int_equal(chmod(lock, 0666), 0);
    assert_int_equal(chmod(folder->path, 0777), 0);
    assert_int_equal(as_nobody(folder->database, DB_WRITE, "it is read-only"), 0);
}

static void test_schema_grows_from_version_zero_whole(void **state) {
    Folder *folder = *state;
    /* A file that was made but died before its first transaction. */
    make_with_sql(folder->database, "PRAGMA journal_mode = WAL");
    Db *db = open_database(folder->database, DB_WRITE);
    assert_int_equal(query_integer(db, "PRAGMA application_id"), 0x7a65766c);
    assert_int_equal(query_integer(db, "SELECT count(*) FROM sqlite_schema WHERE type = 'table'"
                                       " AND name NOT LIKE 'sqlite_%'"),
                     14);
    db_close(db);
}

/* A file that a zeval of an older schema made (dumped by sqlite3, which leaves the two pragmas out). */
static void make_version(const char *path, int version) {
    Buffer sql = {0};
    Error error = {0};
    char name[64];
    snprintf(name, sizeof name, "tests/fixtures/db/version_%d.sql", version);
    succeed(file_read(&sql, name, 1 << 20, &error), &error);
    buffer_printf(
        &sql, "; PRAGMA application_id = 2053469804; PRAGMA user_version = %d; PRAGMA journal_mode = WAL;",
        version);
    make_with_sql(path, sql.data);
    buffer_free(&sql);
}

static Db *bring_up_to_date(const char *path, int version) {
    make_version(path, version);
    assert_open_fails(path, DB_READ, "brings it up to date");
    Db *db = open_database(path, DB_WRITE);
    assert_int_equal(query_integer(db, "PRAGMA user_version"), DB_SCHEMA_VERSION);
    assert_int_equal(query_integer(db, "SELECT integrity_check = 'ok' FROM pragma_integrity_check"), 1);
    assert_int_equal(query_integer(db, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
    return db;
}

static void test_version_1_is_brought_up_to_date(void **state) {
    Folder *folder = *state;
    Db *db = bring_up_to_date(folder->database, 1);
    /* What was in it is in it still, also for the views. */
    assert_int_equal(query_integer(db, "SELECT count(*) FROM responses WHERE text IS NULL"), 24);
    assert_int_equal(query_integer(db, "SELECT count(*) FROM responses WHERE loglikelihood < 0"), 24);
    assert_int_equal(query_integer(db, "SELECT n_done FROM v_runs WHERE model = 'demo'"), 24);
    assert_int_equal(query_integer(db, "SELECT count(*) FROM v_results WHERE value IS NOT NULL"), 7);
    assert_int_equal(query_integer(db, "SELECT count(*) FROM v_requests WHERE loglikelihood IS NOT NULL"
                                       " AND context IS NOT NULL AND generation IS NULL"),
                     24);
    assert_int_equal(query_integer(db, "SELECT count(*) FROM v_documents WHERE document IS NOT NULL"), 6);
    assert_int_equal(query_integer(db, "SELECT count(*) FROM v_truncated"), 0);
    db_close(db);
    db_close(open_database(folder->database, DB_READ));
}

/* Runs of before know nothing of what came with version 3. */
static void test_version_2_is_brought_up_to_date(void **state) {
    Folder *folder = *state;
    Db *db = bring_up_to_date(folder->database, 2);
    assert_int_equal(query_integer(db, "SELECT count(*) FROM runs WHERE special_tokens IS NULL"), 1);
    assert_int_equal(query_integer(db, "SELECT count(*) FROM task_groups WHERE config IS NULL"), 1);
    assert_int_equal(query_integer(db, "SELECT n_done FROM v_runs WHERE finished_at IS NOT NULL"), 12);
    assert_int_equal(query_integer(db, "SELECT count(*) FROM v_results WHERE value IS NOT NULL"), 7);
    db_close(db);
    db_close(open_database(folder->database, DB_READ));
}

/* Processes that find an old file at the same moment: one brings it up to date, all go on. */
static void test_several_processes_migrate_one_file(void **state) {
    Folder *folder = *state;
    enum { N = 4 };
    pid_t children[N];
    make_version(folder->database, 1);
    for (int i = 0; i < N; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            Db *db = NULL;
            Error error = {0};
            int result = db_open(&db, folder->database, DB_WRITE, &error);
            if (result != 0)
                fprintf(stderr, "%s\n", error.message);
            db_close(db);
            _exit(result != 0);
        }
    }
    for (int i = 0; i < N; i++) {
        int status = 0;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    Db *db = open_database(folder->database, DB_READ);
    assert_int_equal(query_integer(db, "SELECT count(*) FROM responses"), 24);
    db_close(db);
}

/* A migration that fails leaves the old file: here the new table's name is taken. */
static void test_a_failed_migration_changes_nothing(void **state) {
    Folder *folder = *state;
    Db *db = NULL;
    Error error = {0};
    make_version(folder->database, 1);
    make_with_sql(folder->database, "CREATE TABLE document_outputs (x)");
    assert_int_equal(db_open(&db, folder->database, DB_WRITE, &error), -1);
    assert_non_null(strstr(error.message, "document_outputs"));
    make_with_sql(folder->database, "DROP TABLE document_outputs; SELECT n_done FROM v_runs;"
                                    "SELECT loglikelihood FROM v_requests");
    db_close(open_database(folder->database, DB_WRITE));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)
const struct CMUnitTest opening_tests[] = {TEST(test_missing_file),
                                           TEST(test_missing_folder),
                                           TEST(test_folder_instead_of_file),
                                           TEST(test_empty_file_is_a_new_database),
                                           TEST(test_garbage_file),
                                           TEST(test_database_of_another_program),
                                           TEST(test_newer_schema),
                                           TEST(test_impossible_schema_version),
                                           TEST(test_damaged_pages),
                                           TEST(test_truncated_file),

                                           TEST(test_several_processes_migrate_one_file),
                                           TEST(test_readers_are_not_blocked),
                                           TEST(test_a_lock_on_a_new_file_is_waited_for),
                                           TEST(test_another_program_holds_a_lock),
                                           TEST(test_read_only_folder),
                                           TEST(test_read_only_file),
                                           TEST(test_schema_grows_from_version_zero_whole),
                                           TEST(test_version_1_is_brought_up_to_date),
                                           TEST(test_version_2_is_brought_up_to_date),
                                           TEST(test_a_failed_migration_changes_nothing)};
const size_t n_opening_tests = sizeof opening_tests / sizeof *opening_tests;
