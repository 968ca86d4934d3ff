/* Several processes on one database: who computes what, and what happens to the claims of a dead one. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/db/support.h"

static void claim_keys(Db *db, int64_t first, int64_t n, int expected) {
    Error error = {0};
    char key[65];
    for (int64_t i = first; i < first + n; i++) {
        make_key(i, key);
        int found = db_claim(db, key, &error);
        succeed(found, &error);
        assert_int_equal(found, expected);
    }
}

static Db *open_worker(const char *path, const char *fingerprint) {
    Error error = {0};
    Db *db = open_database(path, DB_WRITE);
    succeed(db_worker_start(db, start_run(db, fingerprint), &error), &error);
    return db;
}

static void test_a_key_has_one_worker(void **state) {
    Folder *folder = *state;
    Error error = {0};
    char key[65];
    DbWorker holder;
    Db *one = open_worker(folder->database, "one"), *two = open_worker(folder->database, "two");
    claim_keys(one, 0, 10, 1);
    claim_keys(one, 0, 10, 1); /* its own already */
    claim_keys(two, 5, 5, 0);
    claim_keys(two, 10, 5, 1);
    make_key(3, key);
    assert_int_equal(db_claim_find(two, key, &holder, &error), 1);
    assert_int_equal(holder.process_id, getpid());
    assert_int_equal(holder.run_id, 1);
    assert_true(holder.host[0] != '\0');
    assert_int_equal(db_claim_find(one, key, &holder, &error), 0);
    make_key(77, key);
    assert_int_equal(db_claim_find(one, key, &holder, &error), 0);
    db_close(one);
    db_close(two);
}

static void test_claims_end_with_their_worker(void **state) {
    Folder *folder = *state;
    Error error = {0};
    Db *one = open_worker(folder->database, "one"), *two = open_worker(folder->database, "two");
    claim_keys(one, 0, 10, 1);
    succeed(db_worker_end(one, &error), &error);
    claim_keys(two, 0, 10, 1);
    db_close(two);
    db_close(one);
    Db *db = open_database(folder->database, DB_READ);
    assert_int_equal(query_integer(db, "SELECT count(*) FROM workers"), 0);
    assert_int_equal(query_integer(db, "SELECT count(*) FROM claims"), 0);
    db_close(db);
}

/* A child that claims keys, says so through a pipe and waits to be killed. */
static pid_t start_holder(const char *path) {
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        Db *db = open_worker(path, "killed");
        claim_keys(db, 0, 10, 1);
        if (write(ready[1], "y", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(ready[1]);
    char ok = 'n';
    assert_int_equal(read(ready[0], &ok, 1), 1);
    close(ready[0]);
    return child;
}

static void test_claims_of_a_killed_process_are_void(void **state) {
    Folder *folder = *state;
    char link_path[400];
    snprintf(link_path, sizeof link_path, "%s/link.db", folder->path);
    pid_t child = start_holder(folder->database);
    assert_int_equal(symlink(folder->database, link_path), 0);
    Db *db = open_worker(link_path, "other"); /* another name, the same locks */
    claim_keys(db, 0, 10, 0);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    claim_keys(db, 0, 10, 1);
    assert_int_equal(query_integer(db, "SELECT count(*) FROM workers"), 1);
    db_close(db);
}

enum { N_PROCESSES = 4, N_KEYS = 300 };

/* Claims and answers all keys that it can get, each in a transaction of its own. */
static void answer_keys(const char *path, int number) {
    char fingerprint[32], key[65];
    Error error = {0};
    snprintf(fingerprint, sizeof fingerprint, "run %d", number);
    Db *db = open_worker(path, fingerprint);
    for (int64_t i = 0; i < N_KEYS; i++) {
        make_key((i + number * N_KEYS / N_PROCESSES) % N_KEYS, key);
        DbResponse response = {.loglikelihood = number};
        int claimed = db_claim(db, key, &error);
        if (claimed < 0 || (claimed && db_response_put(db, key, &response, &error))) {
            fprintf(stderr, "%s\n", error.message);
            _exit(1);
        }
    }
    while (db_worker_end(db, &error))
        _exit(2);
    db_close(db);
    _exit(0);
}

static void test_processes_write_at_once(void **state) {
    Folder *folder = *state;
    pid_t children[N_PROCESSES];
    for (int i = 0; i < N_PROCESSES; i++)
        if ((children[i] = fork()) == 0)
            answer_keys(folder->database, i);
    for (int i = 0; i < N_PROCESSES; i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    Db *db = open_database(folder->database, DB_READ);
    assert_int_equal(query_integer(db, "SELECT count(*) FROM responses"), N_KEYS);
    assert_int_equal(query_integer(db, "SELECT count(*) FROM claims"), 0);
    db_close(db);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)
const struct CMUnitTest worker_tests[] = {
    TEST(test_a_key_has_one_worker), TEST(test_claims_end_with_their_worker),
    TEST(test_claims_of_a_killed_process_are_void), TEST(test_processes_write_at_once)};
const size_t n_worker_tests = sizeof worker_tests / sizeof *worker_tests;
