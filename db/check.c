/* Is a file whole, and is everything in it what it says? */
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/hash.h"
#include "db/internal.h"

enum { MOST_TOLD = 20 };

typedef struct Checker {
    Db *db;
    DbComplain *complain;
    void *context;
    int64_t n_problems;
} Checker;

static void tell(Checker *checker, int64_t nth, const char *sentence) {
    checker->n_problems++;
    if (nth < MOST_TOLD)
        checker->complain(checker->context, sentence);
}

/* A statement whose every row is a finding, its first column the sentence. `fine`: the row of an all-clear.
 */
static int run_query(Checker *checker, const char *sql, const char *fine, Error *error) {
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(checker->db->connection, sql, -1, &statement, NULL);
    int64_t n = 0;
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(statement);
        const char *sentence = code == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : NULL;
        if (sentence && (!fine || strcmp(sentence, fine) != 0))
            tell(checker, n++, sentence);
    }
    sqlite3_finalize(statement);
    return code == SQLITE_DONE ? 0 : db_fail(checker->db, code, error);
}

/* Rows that refer to rows that are not there, and rows that say they are what they are not. */
static const char *const queries[] = {
    "SELECT 'a row of table ' || \"table\" || ' refers to a row of ' || parent || ' that is not there'"
    " FROM pragma_foreign_key_check",
    "SELECT 'run ' || run_id || ' is finished, but task ' || t.name || ' has ' ||"
    " (SELECT count(*) FROM documents d WHERE d.task_id = t.task_id) || ' documents where it says '"
    " || t.n_documents FROM runs JOIN tasks t USING (run_id) WHERE finished_at IS NOT NULL"
    " AND t.n_documents <> (SELECT count(*) FROM documents d WHERE d.task_id = t.task_id)",
    "SELECT 'run ' || run_id || ' is finished, but ' || count(*) || ' requests of task ' || t.name ||"
    " ' have no answer' FROM runs JOIN tasks t USING (run_id) JOIN requests q USING (task_id)"
    " WHERE finished_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM responses a WHERE a.key = q.response_key)"
    " GROUP BY t.task_id",
    "SELECT 'run ' || run_id || ' is finished, but task ' || t.name || ' has no result' FROM runs JOIN tasks "
    "t"
    " USING (run_id) WHERE finished_at IS NOT NULL AND t.n_documents > 0 AND NOT EXISTS"
    " (SELECT 1 FROM results s WHERE s.run_id = t.run_id AND s.name = t.name AND NOT s.is_group)",
    "SELECT 'run ' || s.run_id || ' has a result of ' || s.name || ', which is no task or group of it'"
    " FROM results s WHERE NOT EXISTS (SELECT 1 FROM tasks t WHERE t.run_id = s.run_id AND t.name = s.name)"
    " AND NOT EXISTS (SELECT 1 FROM task_groups g WHERE g.run_id = s.run_id AND g.name = s.name)",
    "SELECT 'a response has a key of ' || length(key) || ' bytes, expected 32' FROM responses"
    " WHERE length(key) <> 32"};

/* What the schema of this version does not have: a trigger could change what is written. */
static int check_objects(Checker *checker, Error *error) {
    sqlite3 *fresh = NULL;
    sqlite3_stmt *statement = NULL;
    Db empty = {.path = checker->db->path};
    int code = sqlite3_open_v2(":memory:", &fresh, SQLITE_OPEN_READWRITE | SQLITE_OPEN_MEMORY, NULL),
        result = 0;
    empty.connection = fresh;
    if (code != SQLITE_OK || schema_migrate(&empty, error) != 0)
        result = code != SQLITE_OK ? db_fail(&empty, code, error) : -1;
    if (result == 0 && sqlite3_prepare_v2(fresh, "SELECT 1 FROM sqlite_schema WHERE type = ?1 AND name = ?2",
                                          -1, &statement, NULL) == SQLITE_OK) {
        sqlite3_stmt *objects = NULL;
        int64_t n = 0;
        sqlite3_prepare_v2(
            checker->db->connection,
            "SELECT type, name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY name", -1, &objects,
            NULL);
        while (objects && sqlite3_step(objects) == SQLITE_ROW) {
            Buffer sentence = {0};
            for (int i = 0; i < 2; i++)
                sqlite3_bind_text(statement, i + 1, (const char *)sqlite3_column_text(objects, i), -1,
                                  SQLITE_TRANSIENT);
            buffer_printf(&sentence, "%s \"%s\" is not of this schema",
                          (const char *)sqlite3_column_text(objects, 0),
                          (const char *)sqlite3_column_text(objects, 1));
            if (sqlite3_step(statement) != SQLITE_ROW)
                tell(checker, n++, sentence.data);
            sqlite3_reset(statement);
            buffer_free(&sentence);
        }
        sqlite3_finalize(objects);
    }
    sqlite3_finalize(statement);
    for (int i = 0; i < N_STATEMENTS; i++)
        sqlite3_finalize(empty.statements[i]);
    sqlite3_close(fresh);
    return result;
}

static int check_texts(Checker *checker, Error *error) {
    sqlite3_stmt *statement = NULL;
    int64_t n = 0;
    int code = sqlite3_prepare_v2(
        checker->db->connection, "SELECT text_id, lower(hex(sha256)), text FROM texts", -1, &statement, NULL);
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(statement);
        if (code != SQLITE_ROW)
            break;
        char hex[SHA256_HEX];
        const char *text = (const char *)sqlite3_column_text(statement, 2);
        const char *said = (const char *)sqlite3_column_text(statement, 1);
        sha256_text(text ? text : "", (size_t)sqlite3_column_bytes(statement, 2), hex);
        if (said && strcmp(hex, said) == 0)
            continue;
        Buffer sentence = {0};
        buffer_printf(&sentence, "text %lld has SHA-256 %s, but is stored as %s",
                      (long long)sqlite3_column_int64(statement, 0), hex, said ? said : "nothing");
        tell(checker, n++, sentence.data);
        buffer_free(&sentence);
    }
    sqlite3_finalize(statement);
    return code == SQLITE_DONE ? 0 : db_fail(checker->db, code, error);
}

int db_check(Db *db, DbComplain *complain, void *context, int64_t *n_problems, Error *error) {
    Checker checker = {.db = db, .complain = complain, .context = context};
    int result = run_query(&checker, "PRAGMA integrity_check", "ok", error);
    if (result == 0)
        result = check_objects(&checker, error);
    for (size_t i = 0; i < sizeof queries / sizeof *queries && result == 0; i++)
        result = run_query(&checker, queries[i], NULL, error);
    if (result == 0)
        result = check_texts(&checker, error);
    *n_problems = checker.n_problems;
    return result;
}

/* ---- what nobody uses */

static int execute(Db *db, const char *sql, int64_t *changed, Error *error) {
    int code = sqlite3_exec(db->connection, sql, NULL, NULL, NULL);
    if (code != SQLITE_OK)
        return db_fail(db, code, error);
    if (changed)
        *changed = sqlite3_changes64(db->connection);
    return 0;
}

static int file_bytes(Db *db, int64_t *out, Error *error) {
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db->connection,
                                  "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
                                  -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *out = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return code == SQLITE_ROW ? 0 : db_fail(db, code, error);
}

/* Every column that refers to a text, in one list. */
static int unused_texts(Db *db, Buffer *sql, Error *error) {
    sqlite3_stmt *statement = NULL;
    int code =
        sqlite3_prepare_v2(db->connection,
                           "SELECT m.name, f.\"from\" FROM sqlite_schema m, pragma_foreign_key_list(m.name) f"
                           " WHERE m.type = 'table' AND f.\"table\" = 'texts'",
                           -1, &statement, NULL);
    buffer_append_text(sql, "DELETE FROM texts WHERE text_id NOT IN (SELECT NULL WHERE 0");
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW)
            buffer_printf(sql, " UNION ALL SELECT %s FROM %s WHERE %s IS NOT NULL",
                          (const char *)sqlite3_column_text(statement, 1),
                          (const char *)sqlite3_column_text(statement, 0),
                          (const char *)sqlite3_column_text(statement, 1));
    }
    buffer_append_text(sql, ")");
    sqlite3_finalize(statement);
    return code == SQLITE_DONE ? 0 : db_fail(db, code, error);
}

int db_vacuum(Db *db, bool responses, DbVacuumed *out, Error *error) {
    Buffer texts = {0};
    *out = (DbVacuumed){0};
    int result = file_bytes(db, &out->bytes_before, error);
    if (result == 0)
        result = unused_texts(db, &texts, error);
    /* Each row that goes would otherwise look for rows that refer to it, and none does. */
    if (result == 0)
        result = execute(db, "PRAGMA foreign_keys = OFF", NULL, error);
    if (result == 0)
        result = execute(db, texts.data, &out->n_texts, error);
    if (result == 0 && responses)
        result = execute(db,
                         "DELETE FROM responses WHERE key NOT IN"
                         " (SELECT response_key FROM requests WHERE response_key IS NOT NULL)",
                         &out->n_responses, error);
    execute(db, "PRAGMA foreign_keys = ON", NULL, NULL);
    if (result == 0)
        result = execute(db, "VACUUM; PRAGMA wal_checkpoint(TRUNCATE)", NULL, error);
    if (result == 0)
        result = file_bytes(db, &out->bytes_after, error);
    db_forget(db);
    buffer_free(&texts);
    return result;
}
