#include "tests/db/support.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int folder_setup(void **state) {
    Folder *folder = calloc(1, sizeof *folder);
    const char *base = getenv("TMPDIR");
    snprintf(folder->path, sizeof folder->path, "%.200s/zeval-db-XXXXXX", base && *base ? base : "/tmp");
    if (!folder || !mkdtemp(folder->path))
        return -1;
    snprintf(folder->database, sizeof folder->database, "%s/results.db", folder->path);
    *state = folder;
    return 0;
}

static void remove_files(const char *path) {
    DIR *directory = opendir(path);
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        char name[600];
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 && unlink(name) != 0) {
            remove_files(name);
            rmdir(name);
        }
    }
    if (directory)
        closedir(directory);
}

int folder_teardown(void **state) {
    Folder *folder = *state;
    remove_files(folder->path);
    int result = rmdir(folder->path);
    free(folder);
    return result;
}

void succeed(int result, const Error *error) {
    if (result < 0)
        fail_msg("unexpected failure: %s", error->message);
}

void assert_open_fails(const char *path, DbMode mode, const char *expected) {
    Db *db = NULL;
    Error error = {0};
    if (db_open(&db, path, mode, &error) == 0) {
        db_close(db);
        fail_msg("opening '%s' succeeded; expected a failure with '%s'", path, expected);
    }
    assert_int_equal(error.kind, ERROR_FAILED);
    if (!strstr(error.message, expected))
        fail_msg("message is '%s'; expected it to contain '%s'", error.message, expected);
    if (!strstr(error.message, path))
        fail_msg("message is '%s'; expected it to name '%s'", error.message, path);
}

Db *open_database(const char *path, DbMode mode) {
    Db *db = NULL;
    Error error = {0};
    succeed(db_open(&db, path, mode, &error), &error);
    return db;
}

int64_t start_run(Db *db, const char *fingerprint) {
    Error error = {0};
    int64_t run_id;
    bool complete;
    DbRun run = {.fingerprint = fingerprint, .model_name = "model", .dtype = "float32", .limit = 0};
    succeed(db_run_start(db, &run, &run_id, &complete, &error), &error);
    DbTask task = {.name = "task", .alias = "task", .version = "1.0", .n_documents = 1000};
    succeed(db_run_task(db, run_id, &task, &error), &error);
    return run_id;
}

void make_key(int64_t number, char key[65]) {
    snprintf(key, 65, "%064llx", (unsigned long long)number);
}

void store_document(Db *db, int64_t run_id, int64_t doc_id) {
    Error error = {0};
    char json[64], context[64], key[65];
    snprintf(json, sizeof json, "{\"id\": %lld}", (long long)doc_id);
    snprintf(context, sizeof context, "Question %lld", (long long)doc_id);
    DbDocument document = {.task = "task", .doc_id = doc_id, .json = json, .target = "A", .gold = 0};
    succeed(db_document(db, run_id, &document, &error), &error);
    for (int64_t idx = 0; idx < 2; idx++) {
        make_key(2 * doc_id + idx, key);
        DbRequest request = {.task = "task",
                             .doc_id = doc_id,
                             .idx = idx,
                             .request_type = "loglikelihood",
                             .context = context,
                             .continuation = idx ? " B" : " A",
                             .response_key = key};
        succeed(db_request(db, run_id, &request, &error), &error);
        DbResponse response = {.loglikelihood = -1.5 - (double)idx, .is_greedy = idx == 0};
        succeed(db_response_put(db, key, &response, &error), &error);
    }
    succeed(db_document_metric(db, run_id, "task", doc_id, "acc", "none", 1, &error), &error);
}

int64_t query_integer(Db *db, const char *sql) {
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(db_handle(db), sql, -1, &statement, NULL) != SQLITE_OK ||
        sqlite3_step(statement) != SQLITE_ROW)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db_handle(db)));
    int64_t value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return value;
}

void write_file(const char *path, const void *data, size_t bytes) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}
