/* Killed processes and full disks: what was committed is there, what was not leaves no trace. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/db/support.h"

enum { BATCH = 25, KILLS = 12 };

/* Writes batch after batch and reports each committed one through the pipe, until it is killed. */
static void write_until_killed(const char *path, int report, int64_t first_batch) {
    Db *db = NULL;
    if (db_open(&db, path, DB_WRITE, NULL) != 0)
        _exit(2);
    int64_t run_id = start_run(db, "run");
    for (int64_t batch = first_batch;; batch++) {
        if (db_begin(db, NULL) != 0)
            _exit(3);
        for (int64_t i = 0; i < BATCH; i++)
            store_document(db, run_id, batch * BATCH + i);
        if (db_commit(db, NULL) != 0 || write(report, &batch, sizeof batch) != sizeof batch)
            _exit(4);
    }
}

/* Returns the last batch that the child said it had committed, or `committed` if none. */
static int64_t run_and_kill(const char *path, int64_t committed, long delay_us) {
    int report[2];
    assert_int_equal(pipe(report), 0);
    pid_t child = fork();
    if (child == 0)
        write_until_killed(path, report[1], committed + 1);
    close(report[1]);
    struct timespec delay = {.tv_nsec = delay_us * 1000};
    nanosleep(&delay, NULL);
    kill(child, SIGKILL);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    int64_t batch;
    while (read(report[0], &batch, sizeof batch) == sizeof batch)
        committed = batch;
    close(report[0]);
    return committed;
}

static void test_killed_writer_loses_no_committed_batch(void **state) {
    Folder *folder = *state;
    int64_t committed = -1;
    unsigned random = 12345;
    for (int i = 0; i < KILLS; i++) {
        random = random * 1103515245u + 12345u;
        committed = run_and_kill(folder->database, committed, 3000 + (long)(random >> 16) % 60000);
        Db *db = open_database(folder->database, DB_WRITE);
        assert_int_equal(query_integer(db, "SELECT integrity_check = 'ok' FROM pragma_integrity_check"), 1);
        assert_int_equal(query_integer(db, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
        int64_t n = query_integer(db, "SELECT count(*) FROM documents");
        /* Whole batches only, and at most one that was committed but not yet reported. */
        assert_int_equal(n % BATCH, 0);
        assert_true(n / BATCH == committed + 1 || n / BATCH == committed + 2);
        assert_int_equal(query_integer(db, "SELECT count(*) FROM v_requests WHERE loglikelihood IS NOT NULL"),
                         2 * n);
        assert_int_equal(query_integer(db, "SELECT coalesce(max(doc_id), -1) FROM documents"), n - 1);
        committed = n / BATCH - 1;
        db_close(db);
    }
    assert_true(committed >= 0);
}

/* Stores documents until a call fails; returns how many batches were committed. */
static int64_t store_until_failure(Db *db, int64_t run_id, Error *error) {
    for (int64_t batch = 0; batch < 10000; batch++) {
        int result = db_begin(db, error);
        for (int64_t i = 0; result == 0 && i < BATCH; i++) {
            char json[400];
            memset(json, 'x', sizeof json - 1);
            json[sizeof json - 1] = '\0';
            snprintf(json, 32, "%lld", (long long)(batch * BATCH + i));
            DbDocument document = {.task = "task", .doc_id = batch * BATCH + i, .json = json, .target = "A"};
            result = db_document(db, run_id, &document, error);
        }
        if (result == 0)
            result = db_commit(db, error);
        if (result != 0) {
            db_rollback(db);
            return batch;
        }
    }
    return -1;
}

static void assert_full_and_whole(const char *path, const Error *error, int64_t batches) {
    if (!strstr(error->message, "is full") || !strstr(error->message, path))
        fail_msg("message is '%s'; expected 'is full' and '%s'", error->message, path);
    Db *db = open_database(path, DB_WRITE);
    assert_int_equal(query_integer(db, "SELECT integrity_check = 'ok' FROM pragma_integrity_check"), 1);
    assert_int_equal(query_integer(db, "SELECT count(*) FROM documents"), batches * BATCH);
    db_close(db);
}

static void test_page_limit_rolls_back_the_batch(void **state) {
    Folder *folder = *state;
    Error error = {0};
    Db *db = open_database(folder->database, DB_WRITE);
    int64_t run_id = start_run(db, "run");
    assert_int_equal(sqlite3_exec(db_handle(db), "PRAGMA max_page_count = 120", NULL, NULL, NULL), SQLITE_OK);
    int64_t batches = store_until_failure(db, run_id, &error);
    assert_true(batches > 0);
    db_close(db);
    assert_full_and_whole(folder->database, &error, batches);
}

static void limit_file_size(rlim_t bytes) {
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* What a full disk does, without one: no file may grow beyond a limit. */
static void test_full_disk_rolls_back_the_batch(void **state) {
    Folder *folder = *state;
    Error error = {0};
    signal(SIGXFSZ, SIG_IGN);
    Db *db = open_database(folder->database, DB_WRITE);
    int64_t run_id = start_run(db, "run");
    limit_file_size(400000);
    int64_t batches = store_until_failure(db, run_id, &error);
    db_close(db);
    limit_file_size(RLIM_INFINITY);
    signal(SIGXFSZ, SIG_DFL);
    assert_true(batches > 0);
    assert_full_and_whole(folder->database, &error, batches);
}

static void test_full_disk_while_making_the_database(void **state) {
    Folder *folder = *state;
    signal(SIGXFSZ, SIG_IGN);
    limit_file_size(5000);
    Db *db = NULL;
    Error error = {0};
    int result = db_open(&db, folder->database, DB_WRITE, &error);
    limit_file_size(RLIM_INFINITY);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(result, -1);
    if (!strstr(error.message, "is full"))
        fail_msg("message is '%s'; expected 'is full'", error.message);
    db_close(open_database(folder->database, DB_WRITE));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)
const struct CMUnitTest crash_tests[] = {
    TEST(test_killed_writer_loses_no_committed_batch), TEST(test_page_limit_rolls_back_the_batch),
    TEST(test_full_disk_rolls_back_the_batch), TEST(test_full_disk_while_making_the_database)};
const size_t n_crash_tests = sizeof crash_tests / sizeof *crash_tests;
