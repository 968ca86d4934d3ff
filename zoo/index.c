/* The index of a store; see index.h. */
#include "zoo/index.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"

/* PRAGMA application_id "zevi", which tells it from the results' databases. */
#define APPLICATION "PRAGMA application_id = 2053469801;"
static const char schema[] =
    APPLICATION "CREATE TABLE IF NOT EXISTS blobs (shelf TEXT NOT NULL, hash TEXT NOT NULL, verified INTEGER "
                "NOT NULL, PRIMARY KEY (shelf, hash)) WITHOUT ROWID;";

struct ZooIndex {
    sqlite3 *connection;
    sqlite3_stmt *find, *put, *drop;
};

static bool prepare(ZooIndex *index) {
    sqlite3 *connection = index->connection;
    sqlite3_busy_timeout(connection, 2000);
    return sqlite3_exec(connection, schema, NULL, NULL, NULL) == SQLITE_OK &&
           sqlite3_prepare_v2(connection, "SELECT verified FROM blobs WHERE shelf = ?1 AND hash = ?2", -1,
                              &index->find, NULL) == SQLITE_OK &&
           sqlite3_prepare_v2(connection, "INSERT OR REPLACE INTO blobs VALUES (?1, ?2, ?3)", -1, &index->put,
                              NULL) == SQLITE_OK &&
           sqlite3_prepare_v2(connection, "DELETE FROM blobs WHERE shelf = ?1 AND hash = ?2", -1,
                              &index->drop, NULL) == SQLITE_OK;
}

static ZooIndex *open_once(const char *path, int *code) {
    ZooIndex *index = mem_alloc_zero(1, sizeof *index);
    bool good = sqlite3_open_v2(path, &index->connection, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) ==
                    SQLITE_OK &&
                prepare(index);
    *code = index->connection ? sqlite3_errcode(index->connection) : SQLITE_NOMEM;
    if (good)
        return index;
    index_close(index);
    return NULL;
}

ZooIndex *index_open(const char *store) {
    char *path = path_join(store, ".locks/index.sqlite");
    int code;
    ZooIndex *index = open_once(path, &code);
    if (!index && (code == SQLITE_NOTADB || code == SQLITE_CORRUPT || code == SQLITE_ERROR)) {
        unlink(path); /* it holds nothing that cannot be found out again */
        index = open_once(path, &code);
    }
    free(path);
    return index;
}

static void bind(sqlite3_stmt *statement, const char *shelf, const char *hash) {
    sqlite3_bind_text(statement, 1, shelf, -1, SQLITE_TRANSIENT);
    sqlite3_bind_text(statement, 2, hash, -1, SQLITE_TRANSIENT);
}

int64_t index_verified(ZooIndex *index, const char *shelf, const char *hash) {
    if (!index)
        return 0;
    bind(index->find, shelf, hash);
    int64_t verified = sqlite3_step(index->find) == SQLITE_ROW ? sqlite3_column_int64(index->find, 0) : 0;
    sqlite3_reset(index->find);
    return verified;
}

void index_note(ZooIndex *index, const char *shelf, const char *hash, bool good) {
    if (!index)
        return;
    sqlite3_stmt *statement = good ? index->put : index->drop;
    bind(statement, shelf, hash);
    if (good)
        sqlite3_bind_int64(statement, 3, (sqlite3_int64)time(NULL));
    sqlite3_step(statement);
    sqlite3_reset(statement);
}

void index_begin(ZooIndex *index) {
    if (index)
        sqlite3_exec(index->connection, "BEGIN", NULL, NULL, NULL);
}

void index_commit(ZooIndex *index) {
    if (index)
        sqlite3_exec(index->connection, "COMMIT", NULL, NULL, NULL);
}

void index_close(ZooIndex *index) {
    if (!index)
        return;
    sqlite3_finalize(index->find);
    sqlite3_finalize(index->put);
    sqlite3_finalize(index->drop);
    sqlite3_close(index->connection);
    free(index);
}
