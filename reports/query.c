/* Reading rows. The file may come from elsewhere, so any column may be NULL or of another type. */
#include <math.h>
#include <string.h>

#include "reports/results.h"

static int query_failed(Db *db, Error *error) {
    return error_set(error, "cannot read results database '%s': %s", db_path(db),
                     sqlite3_errmsg(db_handle(db)));
}

sqlite3_stmt *report_query(Db *db, const char *sql, int64_t parameter, Error *error) {
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(db_handle(db), sql, -1, &statement, NULL) != SQLITE_OK) {
        query_failed(db, error);
        return NULL;
    }
    if (sqlite3_bind_parameter_count(statement) > 0)
        sqlite3_bind_int64(statement, 1, parameter);
    return statement;
}

int report_step(Db *db, sqlite3_stmt *statement, Error *error) {
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        return 1;
    return code == SQLITE_DONE ? 0 : query_failed(db, error);
}

const char *report_text(sqlite3_stmt *statement, int column, Arena *arena) {
    const char *text = (const char *)sqlite3_column_text(statement, column);
    return text ? arena_strdup(arena, text) : "";
}

int64_t report_counter(sqlite3_stmt *statement, int column) {
    const int64_t most = (int64_t)1 << 44; /* 16 TB: more than any file or count has */
    int64_t value = sqlite3_column_int64(statement, column);
    return value < 0 ? 0 : value > most ? most : value;
}

double report_real(sqlite3_stmt *statement, int column) {
    return sqlite3_column_type(statement, column) == SQLITE_NULL ? NAN
                                                                 : sqlite3_column_double(statement, column);
}
