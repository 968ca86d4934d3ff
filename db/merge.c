/* Taking in another file's runs.
 *
 * Ids are a file's own, so every id that comes in is mapped: texts by their hash, runs by their fingerprint,
 * tasks and groups by their run and name. Which columns hold such ids the schema itself says, so a column or
 * table that a later version adds comes along without a word here. */
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "db/internal.h"

enum { MOST_TOLD = 20 };

/* Who works on what at this moment says nothing about another file. */
static bool is_left_out(const char *table) {
    return strcmp(table, "workers") == 0 || strcmp(table, "claims") == 0;
}

/* Tables whose rows are known by other columns than their id, and the temporary table that maps their ids. */
static const struct {
    const char *table, *id, *map;
} keyed[] = {{"texts", "text_id", "map_texts"},
             {"runs", "run_id", "map_runs"},
             {"tasks", "task_id", "map_tasks"},
             {"task_groups", "group_id", "map_groups"}};
enum { N_KEYED = sizeof keyed / sizeof *keyed };

static int execute(Db *db, const char *sql, int64_t *changed, Error *error) {
    int code = sqlite3_exec(db->connection, sql, NULL, NULL, NULL);
    if (code != SQLITE_OK)
        return db_fail(db, code, error);
    if (changed)
        *changed = sqlite3_changes64(db->connection);
    return 0;
}

static int count_rows(Db *db, const char *sql, int64_t *out, Error *error) {
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db->connection, sql, -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *out = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return code == SQLITE_ROW ? 0 : db_fail(db, code, error);
}

/* The map of the ids in a column; NULL if it holds none. */
static const char *map_of_column(const char *column, const char *references) {
    for (size_t i = 0; i < N_KEYED; i++)
        if (strcmp(column, keyed[i].id) == 0 || (references && strcmp(references, keyed[i].table) == 0))
            return keyed[i].map;
    return NULL;
}

/* The columns of a table as they are inserted, and what is selected for them. The table's own id is left to
 * the file that it comes to. */
static int list_columns(Db *db, const char *table, Buffer *names, Buffer *values, Error *error) {
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(
        db->connection,
        "SELECT c.name, (SELECT f.\"table\" FROM pragma_foreign_key_list(?1) f WHERE f.\"from\" = c.name"
        " AND f.\"table\" = 'texts') FROM pragma_table_info(?1) c"
        " WHERE EXISTS (SELECT 1 FROM pragma_table_info(?1, 'other') o WHERE o.name = c.name)",
        -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_bind_text(statement, 1, table, -1, SQLITE_STATIC);
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(statement);
        if (code != SQLITE_ROW)
            break;
        const char *name = (const char *)sqlite3_column_text(statement, 0);
        const char *map = map_of_column(name, (const char *)sqlite3_column_text(statement, 1));
        bool is_own_id = false;
        for (size_t i = 0; i < N_KEYED; i++)
            is_own_id = is_own_id || (strcmp(table, keyed[i].table) == 0 && strcmp(name, keyed[i].id) == 0);
        if (is_own_id)
            continue;
        buffer_printf(names, "%s%s", names->size ? ", " : "", name);
        if (map)
            buffer_printf(values, "%s(SELECT ours FROM temp.%s WHERE theirs = s.%s)",
                          values->size ? ", " : "", map, name);
        else
            buffer_printf(values, "%ss.%s", values->size ? ", " : "", name);
    }
    sqlite3_finalize(statement);
    return code == SQLITE_DONE ? 0 : db_fail(db, code, error);
}

/* Inserts the rows of a table that `where` names. */
static int copy_table(Db *db, const char *table, const char *where, int64_t *n, Error *error) {
    Buffer names = {0}, values = {0}, sql = {0};
    int result = list_columns(db, table, &names, &values, error);
    if (result == 0 && names.size > 0) {
        buffer_printf(&sql, "INSERT OR IGNORE INTO main.%s (%s) SELECT %s FROM other.%s s WHERE %s", table,
                      names.data, values.data, table, where);
        result = execute(db, sql.data, n, error);
    }
    buffer_free(&names);
    buffer_free(&values);
    buffer_free(&sql);
    return result;
}

/* Texts that come in: all, or those that rows of the wanted run refer to. */
static int choose_texts(Db *db, int64_t run_id, Error *error) {
    sqlite3_stmt *statement = NULL;
    Buffer sql = {0};
    int code = sqlite3_prepare_v2(db->connection,
                                  "SELECT m.name, f.\"from\" FROM other.sqlite_schema m,"
                                  " pragma_foreign_key_list(m.name, 'other') f"
                                  " WHERE m.type = 'table' AND f.\"table\" = 'texts'",
                                  -1, &statement, NULL);
    buffer_append_text(&sql, "CREATE TEMP TABLE wanted_texts AS SELECT text_id FROM other.texts WHERE ");
    buffer_append_text(&sql, run_id ? "text_id IN (SELECT NULL WHERE 0" : "1");
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW && run_id)
            buffer_printf(
                &sql,
                " UNION SELECT %s FROM other.%s JOIN other.tasks t USING (task_id) WHERE t.run_id = %lld",
                (const char *)sqlite3_column_text(statement, 1),
                (const char *)sqlite3_column_text(statement, 0), (long long)run_id);
    }
    buffer_append_text(&sql, run_id ? ")" : "");
    sqlite3_finalize(statement);
    int result = code == SQLITE_DONE ? execute(db, sql.data, NULL, error) : db_fail(db, code, error);
    buffer_free(&sql);
    return result;
}

static int copy_texts(Db *db, int64_t run_id, DbMerged *out, Error *error) {
    if (choose_texts(db, run_id, error) != 0 ||
        copy_table(db, "texts", "text_id IN (SELECT text_id FROM temp.wanted_texts)", &out->n_texts, error) !=
            0)
        return -1;
    return execute(
        db,
        "CREATE TEMP TABLE map_texts (theirs INTEGER PRIMARY KEY, ours INTEGER);"
        "INSERT INTO map_texts SELECT s.text_id, m.text_id FROM other.texts s"
        " JOIN main.texts m USING (sha256) WHERE s.text_id IN (SELECT text_id FROM temp.wanted_texts)",
        NULL, error);
}

/* A row of a conflict is a sentence; told of up to a limit, counted without. */
static int tell_conflicts(Db *db, const char *sql, DbComplain *complain, void *context, DbMerged *out,
                          Error *error) {
    sqlite3_stmt *statement = NULL;
    int64_t n = 0;
    int code = sqlite3_prepare_v2(db->connection, sql, -1, &statement, NULL);
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW && n++ < MOST_TOLD)
            complain(context, (const char *)sqlite3_column_text(statement, 0));
    }
    out->n_conflicts += n;
    sqlite3_finalize(statement);
    return code == SQLITE_DONE ? 0 : db_fail(db, code, error);
}

static int copy_responses(Db *db, int64_t run_id, DbComplain *complain, void *context, DbMerged *out,
                          Error *error) {
    Buffer where = {0};
    if (tell_conflicts(
            db,
            "SELECT 'the answer under key ' || lower(hex(key)) || ' differs: ours stays'"
            " FROM other.responses s JOIN main.responses m USING (key) WHERE"
            " (m.loglikelihood, m.is_greedy, m.text) IS NOT (s.loglikelihood, s.is_greedy, s.text)",
            complain, context, out, error) != 0)
        return -1;
    buffer_append_text(&where, "1");
    if (run_id)
        buffer_printf(
            &where,
            " AND key IN (SELECT response_key FROM other.requests JOIN other.tasks t USING (task_id)"
            " WHERE t.run_id = %lld)",
            (long long)run_id);
    int result = copy_table(db, "responses", where.data, &out->n_responses, error);
    buffer_free(&where);
    return result;
}

/* Runs that come in are new here, or finished there and unfinished here; the others are known. */
static int copy_runs(Db *db, int64_t run_id, DbComplain *complain, void *context, DbMerged *out,
                     Error *error) {
    Buffer sql = {0};
    int64_t n_wanted = 0;
    buffer_printf(
        &sql,
        "CREATE TEMP TABLE new_runs AS SELECT s.run_id FROM other.runs s LEFT JOIN main.runs m USING"
        " (fingerprint) WHERE (%lld = 0 OR s.run_id = %lld)"
        " AND (m.run_id IS NULL OR (m.finished_at IS NULL AND s.finished_at IS NOT NULL));"
        "DELETE FROM main.runs WHERE fingerprint IN (SELECT fingerprint FROM other.runs"
        " JOIN temp.new_runs USING (run_id))",
        (long long)run_id, (long long)run_id);
    int result = execute(db, sql.data, NULL, error);
    buffer_clear(&sql);
    buffer_printf(&sql,
                  "CREATE TEMP TABLE wanted AS SELECT run_id FROM other.runs WHERE %lld = 0 OR run_id = %lld",
                  (long long)run_id, (long long)run_id);
    if (result == 0)
        result = execute(db, sql.data, NULL, error);
    buffer_free(&sql);
    if (result == 0)
        result = tell_conflicts(
            db,
            "SELECT 'run ' || m.run_id || ' (run ' || s.run_id || ' there) has other numbers for ' || a.name "
            "|| ', '"
            " || a.metric || ': ours stay' FROM other.runs s JOIN temp.wanted USING (run_id)"
            " JOIN main.runs m USING (fingerprint)"
            " JOIN main.results a ON a.run_id = m.run_id JOIN other.results b ON b.run_id = s.run_id"
            " AND b.name = a.name AND b.metric = a.metric AND b.filter = a.filter"
            " WHERE m.finished_at IS NOT NULL AND s.finished_at IS NOT NULL"
            " AND (a.value, a.stderr, a.n) IS NOT (b.value, b.stderr, b.n)",
            complain, context, out, error);
    if (result == 0)
        result = copy_table(db, "runs", "run_id IN (SELECT run_id FROM temp.new_runs)", &out->n_runs, error);
    if (result == 0)
        result =
            execute(db,
                    "CREATE TEMP TABLE map_runs (theirs INTEGER PRIMARY KEY, ours INTEGER);"
                    "INSERT INTO map_runs SELECT s.run_id, m.run_id FROM other.runs s JOIN temp.new_runs n"
                    " ON n.run_id = s.run_id JOIN main.runs m USING (fingerprint)",
                    NULL, error);
    if (result == 0)
        result = count_rows(db, "SELECT count(*) FROM temp.wanted", &n_wanted, error);
    out->n_known = n_wanted - out->n_runs;
    return result;
}

#define OF_NEW_RUNS "run_id IN (SELECT theirs FROM temp.map_runs)"

/* Tasks and groups of the runs that came in, with the maps of their ids. */
static int copy_parts(Db *db, Error *error) {
    if (copy_table(db, "tasks", OF_NEW_RUNS, NULL, error) != 0 ||
        copy_table(db, "task_groups", OF_NEW_RUNS, NULL, error) != 0)
        return -1;
    return execute(db,
                   "CREATE TEMP TABLE map_tasks (theirs INTEGER PRIMARY KEY, ours INTEGER);"
                   "INSERT INTO map_tasks SELECT s.task_id, m.task_id FROM other.tasks s"
                   " JOIN temp.map_runs r ON r.theirs = s.run_id"
                   " JOIN main.tasks m ON m.run_id = r.ours AND m.name = s.name;"
                   "CREATE TEMP TABLE map_groups (theirs INTEGER PRIMARY KEY, ours INTEGER);"
                   "INSERT INTO map_groups SELECT s.group_id, m.group_id FROM other.task_groups s"
                   " JOIN temp.map_runs r ON r.theirs = s.run_id"
                   " JOIN main.task_groups m ON m.run_id = r.ours AND m.name = s.name",
                   NULL, error);
}

/* Whether a table has a column of that name. */
static bool has_column(Db *db, const char *table, const char *column) {
    return sqlite3_table_column_metadata(db->connection, "main", table, column, NULL, NULL, NULL, NULL,
                                         NULL) == SQLITE_OK;
}

static int copy_rest_of(Db *db, const char *table, Error *error) {
    if (has_column(db, table, "task_id"))
        return copy_table(db, table, "task_id IN (SELECT theirs FROM temp.map_tasks)", NULL, error);
    if (has_column(db, table, "group_id"))
        return copy_table(db, table, "group_id IN (SELECT theirs FROM temp.map_groups)", NULL, error);
    if (has_column(db, table, "run_id"))
        return copy_table(db, table, OF_NEW_RUNS, NULL, error);
    return error_set(error, "results database '%s': table %s hangs on no run, so it cannot be merged",
                     db->path, table);
}

/* All other tables, those first that rows of others refer to. */
static int copy_rest(Db *db, Error *error) {
    sqlite3_stmt *statement = NULL;
    char *tables[64];
    size_t n = 0;
    int code = sqlite3_prepare_v2(
        db->connection,
        "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE"
        " 'sqlite_%' AND name NOT IN ('texts', 'runs', 'tasks', 'task_groups', 'responses')"
        " ORDER BY name <> 'documents', name",
        -1, &statement, NULL);
    while ((code == SQLITE_OK || code == SQLITE_ROW) && n < sizeof tables / sizeof *tables) {
        code = sqlite3_step(statement);
        const char *name = code == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : NULL;
        if (name && !is_left_out(name))
            tables[n++] = mem_strdup(name);
    }
    sqlite3_finalize(statement);
    int result = code == SQLITE_DONE ? 0 : db_fail(db, code, error);
    for (size_t i = 0; i < n; i++) {
        if (result == 0)
            result = copy_rest_of(db, tables[i], error);
        free(tables[i]);
    }
    return result;
}

static int take_in(Db *db, int64_t run_id, DbComplain *complain, void *context, DbMerged *out, Error *error) {
    return copy_texts(db, run_id, out, error) || copy_responses(db, run_id, complain, context, out, error) ||
                   copy_runs(db, run_id, complain, context, out, error) || copy_parts(db, error) ||
                   copy_rest(db, error)
               ? -1
               : 0;
}

static int attach(Db *db, const char *path, Error *error) {
    char *sql = sqlite3_mprintf("ATTACH %Q AS other", path);
    int result = sql ? execute(db, sql, NULL, error) : db_fail(db, SQLITE_NOMEM, error);
    sqlite3_free(sql);
    return result;
}

static int merge_attached(Db *db, int64_t run_id, DbComplain *complain, void *context, DbMerged *out,
                          Error *error) {
    int64_t n = 0;
    Buffer sql = {0};
    buffer_printf(&sql, "SELECT count(*) FROM other.runs WHERE run_id = %lld", (long long)run_id);
    int result = db_begin(db, error);
    if (result == 0 && run_id)
        result = count_rows(db, sql.data, &n, error);
    if (result == 0 && run_id && n == 0)
        result = error_set_kind(error, ERROR_USAGE, "there is no run %lld in it", (long long)run_id);
    if (result == 0)
        result = take_in(db, run_id, complain, context, out, error);
    if (result == 0)
        result = db_commit(db, error);
    if (result != 0)
        db_rollback(db);
    buffer_free(&sql);
    return result;
}

int db_merge(Db *db, const char *from, int64_t run_id, DbComplain *complain, void *context, DbMerged *out,
             Error *error) {
    Db *other;
    *out = (DbMerged){0};
    /* Opened as a reader first: what is no database of ours is told of, and nothing is made. */
    if (db_open(&other, from, DB_READ, error) != 0)
        return -1;
    bool is_same = strcmp(other->full_path, db->full_path) == 0;
    int result = is_same ? error_set_kind(error, ERROR_USAGE, "'%s' cannot be merged into itself", from)
                         : attach(db, other->full_path, error);
    if (result == 0) {
        result = merge_attached(db, run_id, complain, context, out, error);
        for (size_t i = 0; i < N_KEYED; i++) {
            char *sql = sqlite3_mprintf("DROP TABLE IF EXISTS temp.%s", keyed[i].map);
            execute(db, sql, NULL, NULL);
            sqlite3_free(sql);
        }
        execute(db,
                "DROP TABLE IF EXISTS temp.wanted_texts; DROP TABLE IF EXISTS temp.new_runs;"
                "DROP TABLE IF EXISTS temp.wanted",
                NULL, NULL);
        execute(db, "DETACH other", NULL, NULL);
    }
    db_close(other);
    if (result != 0)
        error_prefix(error, "merging '%s'", from);
    return result;
}
