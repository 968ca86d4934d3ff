/* Opening, closing and transactions.
 *
 * WAL lets reports read while a run writes. synchronous=FULL: with WAL, NORMAL would survive a killed process
 * but may lose the last commits when the power fails; a commit happens once per batch, so the sync costs
 * little. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "db/internal.h"

/* Other processes commit batches, which takes milliseconds, or migrate, which takes longer. */
enum { BUSY_TIMEOUT_MS = 60000, OPENING_BYTE = 0 };

/* The absolute path without links, so that two names of one file meet the same lock; and never a name that
 * SQLite gives a meaning of its own (":memory:", "file:..."). */
static int resolve(char **out, const char *path, DbMode mode, Error *error) {
    if (path[0] == '\0')
        return error_set(error, "the results database has an empty name; expected a file's path");
    if (file_is_directory(path))
        return error_set(error, "cannot open results database '%s': it is a folder, expected a file", path);
    char *full = realpath(path, NULL);
    if (full) {
        *out = mem_strdup(full);
        free(full);
        return 0;
    }
    if (errno != ENOENT)
        return error_set(error, "cannot open results database '%s': %s", path, strerror(errno));
    char *folder = path_folder(path);
    char *full_folder = realpath(folder, NULL);
    int result = 0;
    if (!full_folder)
        result =
            error_set(error, "cannot open results database '%s': folder '%s' does not exist", path, folder);
    else if (mode == DB_READ)
        result = error_set(error, "there is no results database '%s': `zeval run --db %s ...` makes one",
                           path, path);
    else if (access(full_folder, W_OK) != 0)
        result = error_set(error, "cannot make results database '%s': folder '%s' is not writable (%s)", path,
                           folder, strerror(errno));
    else
        *out = path_join(full_folder, path_name(path));
    free(full_folder);
    free(folder);
    return result;
}

/* A read-only folder has no room for the WAL index; without a WAL file the database is complete by itself and
 * can be read as immutable. */
static int open_immutable(Db *db) {
    Buffer wal = {0}, uri = {0};
    buffer_printf(&wal, "%s-wal", db->full_path);
    bool has_wal = file_exists(wal.data);
    buffer_free(&wal);
    if (has_wal)
        return SQLITE_CANTOPEN;
    buffer_append_text(&uri, "file:");
    for (const char *c = db->full_path; *c; c++) {
        if (*c == '%' || *c == '?' || *c == '#')
            buffer_printf(&uri, "%%%02X", (unsigned char)*c);
        else
            buffer_append_char(&uri, *c);
    }
    buffer_append_text(&uri, "?immutable=1");
    sqlite3_close(db->connection);
    int code = sqlite3_open_v2(uri.data, &db->connection,
                               SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL);
    buffer_free(&uri);
    return code;
}

static int probe(Db *db) {
    return sqlite3_exec(db->connection, "SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL);
}

static int connect_reader(Db *db) {
    int code =
        sqlite3_open_v2(db->full_path, &db->connection, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
    if (code == SQLITE_OK)
        code = probe(db);
    if ((code & 0xff) == SQLITE_CANTOPEN || (code & 0xff) == SQLITE_READONLY)
        code = open_immutable(db);
    return code;
}

static int connect_database(Db *db, DbMode mode) {
    int code = mode == DB_READ
                   ? connect_reader(db)
                   : sqlite3_open_v2(db->full_path, &db->connection,
                                     SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK)
        return code;
    sqlite3_extended_result_codes(db->connection, 1);
    sqlite3_busy_timeout(db->connection, BUSY_TIMEOUT_MS);
    /* A file from elsewhere may hold triggers and views of its own: they get no dangerous functions. */
    sqlite3_db_config(db->connection, SQLITE_DBCONFIG_DEFENSIVE, 1, (int *)NULL);
    sqlite3_db_config(db->connection, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, (int *)NULL);
    return sqlite3_exec(db->connection,
                        "PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -65536",
                        NULL, NULL, NULL);
}

static int switch_to_wal(Db *db, bool *is_wal) {
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db->connection, "PRAGMA journal_mode = WAL", -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        const char *mode = (const char *)sqlite3_column_text(statement, 0);
        *is_wal = mode && strcmp(mode, "wal") == 0;
    }
    sqlite3_finalize(statement);
    return code;
}

/* SQLite itself does not wait here: it reads the file first, and who reads may not wait to write. A process
 * that was killed while it made the database gives back our lock a moment before SQLite's. */
static int set_journal(Db *db, Error *error) {
    enum { STEP_MS = 10 };
    bool is_wal = false;
    int code = switch_to_wal(db, &is_wal);
    for (int waited = 0; (code & 0xff) == SQLITE_BUSY && waited < BUSY_TIMEOUT_MS; waited += STEP_MS) {
        sqlite3_sleep(STEP_MS);
        code = switch_to_wal(db, &is_wal);
    }
    if (code != SQLITE_ROW)
        return db_fail(db, code, error);
    if (!is_wal)
        return error_set(error,
                         "results database '%s': this file system cannot keep a write-ahead log (no shared "
                         "memory or locks, as on some network disks); give --db a path on a local disk",
                         db->path);
    code = sqlite3_exec(db->connection, "PRAGMA synchronous = FULL", NULL, NULL, NULL);
    return code == SQLITE_OK ? 0 : db_fail(db, code, error);
}

static int open_steps(Db *db, DbMode mode, Error *error) {
    if (resolve(&db->full_path, db->path, mode, error) != 0)
        return -1;
    if (mode == DB_WRITE && lock_open(&db->lock, db->full_path, db->path, error) != 0)
        return -1;
    int code = connect_database(db, mode);
    if (code != SQLITE_OK)
        return db_fail(db, code, error);
    /* Checked before the journal mode is set: another program's file stays as it was. */
    if (schema_check(db, mode, error) != 0)
        return -1;
    if (mode == DB_READ)
        return 0;
    /* SQLite opens what it may not write read-only, without a word. */
    if (sqlite3_db_readonly(db->connection, "main") == 1)
        return error_set(error, "cannot write to results database '%s': it is read-only", db->path);
    if (lock_byte(db->lock, OPENING_BYTE, db->path, error) != 0)
        return -1;
    int result = set_journal(db, error) != 0 || schema_migrate(db, error) != 0 ? -1 : 0;
    unlock_byte(db->lock, OPENING_BYTE);
    return result;
}

int db_open(Db **out, const char *path, DbMode mode, Error *error) {
    Db *db = mem_alloc_zero(1, sizeof *db);
    db->path = mem_strdup(path);
    db->lock = -1;
    if (open_steps(db, mode, error) != 0) {
        db_close(db);
        return -1;
    }
    *out = db;
    return 0;
}

void db_close(Db *db) {
    if (!db)
        return;
    db_worker_end(db, NULL);
    for (int i = 0; i < N_STATEMENTS; i++)
        sqlite3_finalize(db->statements[i]);
    sqlite3_close(db->connection);
    if (db->lock >= 0)
        close(db->lock);
    db_forget(db);
    free(db->found_text);
    free(db->full_path);
    free(db->path);
    free(db);
}

sqlite3 *db_handle(Db *db) {
    return db->connection;
}

const char *db_path(const Db *db) {
    return db->path;
}

int db_begin(Db *db, Error *error) {
    return db_execute(db, STATEMENT_BEGIN, NULL, 0, error);
}

int db_commit(Db *db, Error *error) {
    return db_execute(db, STATEMENT_COMMIT, NULL, 0, error);
}

void db_rollback(Db *db) {
    db_forget(db);
    /* After some failures (a full disk, for one) SQLite has rolled back by itself. */
    if (!sqlite3_get_autocommit(db->connection))
        db_execute(db, STATEMENT_ROLLBACK, NULL, 0, NULL);
}

void db_forget(Db *db) {
    free(db->recent.task);
    free(db->recent.text);
    db->recent = (DbRecent){0};
}

int scope_open(Db *db, bool *opened, Error *error) {
    *opened = sqlite3_get_autocommit(db->connection) != 0;
    return *opened ? db_begin(db, error) : 0;
}

int scope_close(Db *db, bool opened, int result, Error *error) {
    if (!opened)
        return result;
    if (result == 0 && db_commit(db, error) == 0)
        return 0;
    db_rollback(db);
    return -1;
}
