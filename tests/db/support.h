/* A folder of its own for each test, and short ways to fill a database. */
#ifndef ZEVAL_TESTS_DB_SUPPORT_H
#define ZEVAL_TESTS_DB_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "db/db.h"

typedef struct Folder {
    char path[256];
    char database[320]; /* path/results.db */
} Folder;

int folder_setup(void **state);
int folder_teardown(void **state);

/* Fails the test with the message when a call failed. */
void succeed(int result, const Error *error);
/* Opening fails with a message that contains `expected`. */
void assert_open_fails(const char *path, DbMode mode, const char *expected);

Db *open_database(const char *path, DbMode mode);
/* A run of that fingerprint with a task "task". */
int64_t start_run(Db *db, const char *fingerprint);
/* Document number `doc_id` of task "task" with two requests and their responses. */
void store_document(Db *db, int64_t run_id, int64_t doc_id);
/* 64 hex digits made from a number. */
void make_key(int64_t number, char key[65]);
/* The integer that a SELECT gives. */
int64_t query_integer(Db *db, const char *sql);
void write_file(const char *path, const void *data, size_t bytes);

extern const struct CMUnitTest storing_tests[], opening_tests[], crash_tests[], keeping_tests[],
    worker_tests[];
extern const size_t n_storing_tests, n_opening_tests, n_crash_tests, n_keeping_tests, n_worker_tests;

#endif
