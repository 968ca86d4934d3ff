/* Workers and their claims: see db.h. A worker whose lock is gone is dead; whoever meets its claims removes
 * it, and them with it. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "db/internal.h"

static int start_worker(Db *db, int64_t run_id, Error *error) {
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    if (db_execute(db, STATEMENT_WORKER_INSERT,
                   VALUES(value_integer(run_id), value_text(host), value_integer(getpid())), error) != 0)
        return -1;
    db->worker = sqlite3_last_insert_rowid(db->connection);
    return lock_byte(db->lock, db->worker, db->path, error);
}

/* The lock is taken before others can see the row. */
int db_worker_start(Db *db, int64_t run_id, Error *error) {
    bool opened;
    if (scope_open(db, &opened, error) != 0)
        return -1;
    return scope_close(db, opened, start_worker(db, run_id, error), error);
}

int db_worker_end(Db *db, Error *error) {
    int64_t worker = db->worker;
    db->worker = 0;
    if (worker == 0)
        return 0;
    int result = db_execute(db, STATEMENT_WORKER_DELETE, VALUES(value_integer(worker)), error);
    unlock_byte(db->lock, worker);
    return result;
}

static bool is_alive(const Db *db, int64_t worker) {
    return worker == db->worker || lock_is_held(db->lock, worker);
}

static void read_holder(sqlite3_stmt *statement, DbWorker *out) {
    const char *host = (const char *)sqlite3_column_text(statement, 3);
    *out = (DbWorker){.worker_id = sqlite3_column_int64(statement, 0),
                      .run_id = sqlite3_column_int64(statement, 1),
                      .process_id = sqlite3_column_int64(statement, 2)};
    strncpy(out->host, host ? host : "", sizeof out->host - 1);
}

int db_claim_find(Db *db, const char *key, DbWorker *out, Error *error) {
    uint8_t bytes[SHA256_BYTES];
    if (db_parse_key(db, key, bytes, error) != 0)
        return -1;
    sqlite3_stmt *statement = db_statement(db, STATEMENT_CLAIM_FIND, VALUES(value_key(bytes)), error);
    if (!statement)
        return -1;
    int code = sqlite3_step(statement), result = 0;
    if (code == SQLITE_ROW) {
        read_holder(statement, out);
        result = out->worker_id != db->worker && is_alive(db, out->worker_id);
    } else if (code != SQLITE_DONE) {
        result = db_fail(db, code, error);
    }
    sqlite3_reset(statement);
    return result;
}

/* What db_claim does, inside a transaction. */
static int claim(Db *db, const char *key, Error *error) {
    uint8_t bytes[SHA256_BYTES];
    DbWorker holder = {0};
    int found = db_claim_find(db, key, &holder, error);
    if (found != 0)
        return found < 0 ? -1 : 0;
    if (holder.worker_id == db->worker)
        return 1;
    if (holder.worker_id != 0 && /* it is dead */
        db_execute(db, STATEMENT_WORKER_DELETE, VALUES(value_integer(holder.worker_id)), error) != 0)
        return -1;
    if (db_parse_key(db, key, bytes, error) != 0 ||
        db_execute(db, STATEMENT_CLAIM_INSERT, VALUES(value_key(bytes), value_integer(db->worker)), error) !=
            0)
        return -1;
    return 1;
}

int db_claim(Db *db, const char *key, Error *error) {
    bool opened;
    if (scope_open(db, &opened, error) != 0)
        return -1;
    int claimed = claim(db, key, error);
    return scope_close(db, opened, claimed < 0 ? -1 : 0, error) == 0 ? claimed : -1;
}
