/* The schema and its history. steps[v] brings a file from version v to v + 1; a released step never changes.
 * All steps that a file needs run in one transaction together with the version number, so a file has a schema
 * whole or not at all. docs/DATABASE.md describes the tables for people. */
#include "base/error.h"
#include "db/internal.h"

/* PRAGMA application_id: "zevl", which also lets file(1) tell our databases from others. */
#define APPLICATION_ID 0x7a65766c

static const char version_1[] =
    "CREATE TABLE runs ("
    " run_id INTEGER PRIMARY KEY,"
    " fingerprint TEXT NOT NULL UNIQUE,"
    " model_name TEXT, model_path TEXT, model_sha256 TEXT, family TEXT, architecture TEXT,"
    " n_parameters INTEGER, state_bytes_per_token INTEGER, state_bytes_fixed INTEGER,"
    " dtype TEXT, backend TEXT, numerics_version INTEGER, compat TEXT,"
    " max_length INTEGER, add_bos INTEGER, fewshot_seed INTEGER, sample_limit REAL,"
    " build TEXT, settings TEXT,"
    " started_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')), finished_at TEXT);"

    "CREATE TABLE run_files ("
    " run_id INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,"
    " role TEXT NOT NULL, name TEXT NOT NULL, sha256 TEXT, bytes INTEGER,"
    " PRIMARY KEY (run_id, role, name)) WITHOUT ROWID;"

    "CREATE TABLE tasks ("
    " task_id INTEGER PRIMARY KEY,"
    " run_id INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,"
    " name TEXT NOT NULL, alias TEXT, version TEXT, output_type TEXT,"
    " dataset_path TEXT, dataset_name TEXT, split TEXT,"
    " num_fewshot INTEGER, n_documents INTEGER, n_documents_total INTEGER,"
    " UNIQUE (run_id, name));"

    "CREATE TABLE task_groups ("
    " group_id INTEGER PRIMARY KEY,"
    " run_id INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,"
    " name TEXT NOT NULL, alias TEXT, version TEXT, weight_by_size INTEGER NOT NULL,"
    " UNIQUE (run_id, name));"

    "CREATE TABLE group_members ("
    " group_id INTEGER NOT NULL REFERENCES task_groups ON DELETE CASCADE,"
    " position INTEGER NOT NULL, child TEXT NOT NULL,"
    " PRIMARY KEY (group_id, position)) WITHOUT ROWID;"

    "CREATE TABLE texts ("
    " text_id INTEGER PRIMARY KEY,"
    " sha256 BLOB NOT NULL UNIQUE,"
    " text TEXT NOT NULL);"

    "CREATE TABLE documents ("
    " task_id INTEGER NOT NULL REFERENCES tasks ON DELETE CASCADE,"
    " doc_id INTEGER NOT NULL,"
    " json_id INTEGER REFERENCES texts, target_id INTEGER REFERENCES texts,"
    " gold INTEGER, prompt_sha256 TEXT,"
    " PRIMARY KEY (task_id, doc_id)) WITHOUT ROWID;"

    "CREATE TABLE requests ("
    " task_id INTEGER NOT NULL, doc_id INTEGER NOT NULL, idx INTEGER NOT NULL,"
    " request_type TEXT,"
    " context_id INTEGER REFERENCES texts, continuation_id INTEGER REFERENCES texts,"
    " choice_id INTEGER REFERENCES texts,"
    " response_key BLOB,"
    " n_context_tokens INTEGER, n_continuation_tokens INTEGER, n_truncated INTEGER,"
    " PRIMARY KEY (task_id, doc_id, idx),"
    " FOREIGN KEY (task_id, doc_id) REFERENCES documents ON DELETE CASCADE) WITHOUT ROWID;"

    /* Not tied to runs: a later run with the same key takes its answer from here. */
    "CREATE TABLE responses ("
    " key BLOB PRIMARY KEY NOT NULL,"
    " loglikelihood REAL, is_greedy INTEGER NOT NULL) WITHOUT ROWID;"

    "CREATE TABLE document_metrics ("
    " task_id INTEGER NOT NULL, doc_id INTEGER NOT NULL,"
    " metric TEXT NOT NULL, filter TEXT NOT NULL, value REAL,"
    " PRIMARY KEY (task_id, doc_id, metric, filter),"
    " FOREIGN KEY (task_id, doc_id) REFERENCES documents ON DELETE CASCADE) WITHOUT ROWID;"

    "CREATE TABLE results ("
    " run_id INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,"
    " name TEXT NOT NULL, metric TEXT NOT NULL, filter TEXT NOT NULL,"
    " value REAL, stderr REAL, n INTEGER, higher_is_better INTEGER, is_group INTEGER NOT NULL,"
    " PRIMARY KEY (run_id, name, metric, filter)) WITHOUT ROWID;"

    "CREATE VIEW v_runs AS"
    " SELECT run_id, model_name AS model, family, dtype, backend, sample_limit, started_at, finished_at,"
    "  (SELECT count(*) FROM tasks t WHERE t.run_id = r.run_id) AS n_tasks,"
    "  (SELECT count(*) FROM tasks t JOIN requests q USING (task_id) WHERE t.run_id = r.run_id) AS "
    "n_requests,"
    "  (SELECT count(*) FROM tasks t JOIN requests q USING (task_id)"
    "    JOIN responses a ON a.key = q.response_key WHERE t.run_id = r.run_id) AS n_done"
    " FROM runs r;"

    "CREATE VIEW v_results AS"
    " SELECT s.run_id, r.model_name AS model, r.dtype, s.name, s.is_group,"
    "  coalesce(t.version, g.version) AS version, t.num_fewshot, s.filter, s.metric,"
    "  s.value, s.stderr, s.n, s.higher_is_better"
    " FROM results s JOIN runs r USING (run_id)"
    " LEFT JOIN tasks t ON t.run_id = s.run_id AND t.name = s.name AND NOT s.is_group"
    " LEFT JOIN task_groups g ON g.run_id = s.run_id AND g.name = s.name AND s.is_group;"

    "CREATE VIEW v_documents AS"
    " SELECT t.run_id, t.name AS task, d.doc_id, d.gold, y.text AS target, x.text AS document,"
    "  d.prompt_sha256, d.task_id"
    " FROM documents d JOIN tasks t USING (task_id)"
    " LEFT JOIN texts x ON x.text_id = d.json_id LEFT JOIN texts y ON y.text_id = d.target_id;"

    "CREATE VIEW v_requests AS"
    " SELECT t.run_id, t.name AS task, q.doc_id, q.idx, q.request_type, c.text AS context,"
    "  n.text AS continuation, o.text AS choice, a.loglikelihood, a.is_greedy,"
    "  q.n_context_tokens, q.n_continuation_tokens, q.n_truncated, lower(hex(q.response_key)) AS "
    "response_key,"
    "  q.task_id"
    " FROM requests q JOIN tasks t USING (task_id)"
    " LEFT JOIN texts c ON c.text_id = q.context_id LEFT JOIN texts n ON n.text_id = q.continuation_id"
    " LEFT JOIN texts o ON o.text_id = q.choice_id LEFT JOIN responses a ON a.key = q.response_key;"

    "CREATE VIEW v_metrics AS"
    " SELECT t.run_id, t.name AS task, m.doc_id, m.metric, m.filter, m.value, m.task_id"
    " FROM document_metrics m JOIN tasks t USING (task_id);";

/* Generated texts, filtered answers, what a run had to compute and how it asked, several processes on one
 * file. The responses are copied into a table whose columns may be NULL: a generated text has no
 * log-likelihood. */
static const char version_2[] =
    "DROP VIEW v_runs; DROP VIEW v_requests; DROP VIEW v_results; DROP VIEW v_metrics;"

    "CREATE TABLE responses_2 ("
    " key BLOB PRIMARY KEY NOT NULL,"
    " loglikelihood REAL, is_greedy INTEGER, text TEXT) WITHOUT ROWID;"
    "INSERT INTO responses_2 SELECT key, loglikelihood, is_greedy, NULL FROM responses;"
    "DROP TABLE responses;"
    "ALTER TABLE responses_2 RENAME TO responses;"

    "ALTER TABLE runs ADD COLUMN threads INTEGER;"
    "ALTER TABLE runs ADD COLUMN chat_template TEXT;"
    "ALTER TABLE runs ADD COLUMN chat_template_name TEXT;"
    "ALTER TABLE runs ADD COLUMN chat_template_sha256 TEXT;"
    "ALTER TABLE runs ADD COLUMN system_instruction TEXT;"
    "ALTER TABLE runs ADD COLUMN fewshot_as_multiturn INTEGER;"
    "ALTER TABLE runs ADD COLUMN on_truncation TEXT;"
    "ALTER TABLE runs ADD COLUMN plan_requests INTEGER;"
    "ALTER TABLE runs ADD COLUMN plan_reused INTEGER;"
    "ALTER TABLE runs ADD COLUMN tokens_alone INTEGER;"
    "ALTER TABLE runs ADD COLUMN tokens_distinct INTEGER;"
    "ALTER TABLE runs ADD COLUMN tokens_again INTEGER;"
    "ALTER TABLE runs ADD COLUMN memory_bytes INTEGER;"
    "ALTER TABLE runs ADD COLUMN state_budget_bytes INTEGER;"
    "ALTER TABLE runs ADD COLUMN tokens_computed INTEGER;"
    "ALTER TABLE runs ADD COLUMN tokens_generated INTEGER;"
    "ALTER TABLE runs ADD COLUMN planning_seconds REAL;"
    "ALTER TABLE runs ADD COLUMN scoring_seconds REAL;"
    "ALTER TABLE tasks ADD COLUMN config TEXT;"
    "ALTER TABLE documents ADD COLUMN n_dropped_shots INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE requests ADD COLUMN generation_id INTEGER REFERENCES texts;"
    "ALTER TABLE document_metrics ADD COLUMN weight REAL;"
    "ALTER TABLE results ADD COLUMN n_unextracted INTEGER NOT NULL DEFAULT 0;"

    "CREATE TABLE document_outputs ("
    " task_id INTEGER NOT NULL, doc_id INTEGER NOT NULL, filter TEXT NOT NULL, value TEXT NOT NULL,"
    " extracted INTEGER NOT NULL,"
    " PRIMARY KEY (task_id, doc_id, filter),"
    " FOREIGN KEY (task_id, doc_id) REFERENCES documents ON DELETE CASCADE) WITHOUT ROWID;"

    /* Who computes what at this moment. A worker lives as long as its lock (db/lock.c). */
    "CREATE TABLE workers ("
    " worker_id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " run_id INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,"
    " host TEXT, process_id INTEGER,"
    " started_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')));"
    "CREATE TABLE claims ("
    " key BLOB PRIMARY KEY NOT NULL,"
    " worker_id INTEGER NOT NULL REFERENCES workers ON DELETE CASCADE) WITHOUT ROWID;"
    "CREATE INDEX claims_of_worker ON claims (worker_id);"

    "CREATE VIEW v_runs AS"
    " SELECT run_id, model_name AS model, family, dtype, backend, sample_limit, started_at, finished_at,"
    "  (SELECT count(*) FROM tasks t WHERE t.run_id = r.run_id) AS n_tasks,"
    "  (SELECT count(*) FROM tasks t JOIN requests q USING (task_id) WHERE t.run_id = r.run_id) AS "
    "n_requests,"
    "  (SELECT count(*) FROM tasks t JOIN requests q USING (task_id)"
    "    JOIN responses a ON a.key = q.response_key WHERE t.run_id = r.run_id) AS n_done,"
    "  compat, max_length, threads, chat_template_name, chat_template_sha256, system_instruction,"
    "  fewshot_as_multiturn, on_truncation, plan_requests, plan_reused, tokens_alone, tokens_distinct,"
    "  tokens_again, tokens_computed, tokens_generated, memory_bytes, state_budget_bytes,"
    "  planning_seconds, scoring_seconds"
    " FROM runs r;"

    "CREATE VIEW v_requests AS"
    " SELECT t.run_id, t.name AS task, q.doc_id, q.idx, q.request_type, c.text AS context,"
    "  n.text AS continuation, g.text AS generation, o.text AS choice, a.loglikelihood, a.is_greedy, a.text,"
    "  q.n_context_tokens, q.n_continuation_tokens, q.n_truncated, lower(hex(q.response_key)) AS "
    "response_key,"
    "  q.task_id"
    " FROM requests q JOIN tasks t USING (task_id)"
    " LEFT JOIN texts c ON c.text_id = q.context_id LEFT JOIN texts n ON n.text_id = q.continuation_id"
    " LEFT JOIN texts o ON o.text_id = q.choice_id LEFT JOIN texts g ON g.text_id = q.generation_id"
    " LEFT JOIN responses a ON a.key = q.response_key;"

    "CREATE VIEW v_results AS"
    " SELECT s.run_id, r.model_name AS model, r.dtype, s.name, s.is_group,"
    "  coalesce(t.version, g.version) AS version, t.num_fewshot, s.filter, s.metric,"
    "  s.value, s.stderr, s.n, s.higher_is_better, s.n_unextracted"
    " FROM results s JOIN runs r USING (run_id)"
    " LEFT JOIN tasks t ON t.run_id = s.run_id AND t.name = s.name AND NOT s.is_group"
    " LEFT JOIN task_groups g ON g.run_id = s.run_id AND g.name = s.name AND s.is_group;"

    "CREATE VIEW v_metrics AS"
    " SELECT t.run_id, t.name AS task, m.doc_id, m.metric, m.filter, m.value, m.weight, m.task_id"
    " FROM document_metrics m JOIN tasks t USING (task_id);"

    "CREATE VIEW v_outputs AS"
    " SELECT t.run_id, t.name AS task, u.doc_id, u.filter, u.value, u.extracted, u.task_id"
    " FROM document_outputs u JOIN tasks t USING (task_id);"

    "CREATE VIEW v_truncated AS"
    " SELECT t.run_id, t.name AS task, d.doc_id,"
    "  (SELECT count(*) FROM requests q"
    "    WHERE q.task_id = d.task_id AND q.doc_id = d.doc_id AND q.n_truncated > 0) AS n_requests,"
    "  (SELECT coalesce(max(q.n_truncated), 0) FROM requests q"
    "    WHERE q.task_id = d.task_id AND q.doc_id = d.doc_id) AS n_tokens,"
    "  d.n_dropped_shots, d.task_id"
    " FROM documents d JOIN tasks t USING (task_id)"
    " WHERE d.n_dropped_shots > 0 OR EXISTS (SELECT 1 FROM requests q"
    "    WHERE q.task_id = d.task_id AND q.doc_id = d.doc_id AND q.n_truncated > 0);";

/* What lm-evaluation-harness's files say of a run and its groups beyond their numbers. */
static const char version_3[] = "ALTER TABLE runs ADD COLUMN special_tokens TEXT;"
                                "ALTER TABLE task_groups ADD COLUMN config TEXT;";

static const char *const steps[DB_SCHEMA_VERSION] = {version_1, version_2, version_3};

static int read_integer(Db *db, const char *sql, int64_t *out, Error *error) {
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db->connection, sql, -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *out = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return code == SQLITE_ROW ? 0 : db_fail(db, code, error);
}

static int run_step(Db *db, int version, Error *error) {
    char *sql = sqlite3_mprintf("%s; PRAGMA application_id = %d; PRAGMA user_version = %d;", steps[version],
                                APPLICATION_ID, version + 1);
    int code = sql ? sqlite3_exec(db->connection, sql, NULL, NULL, NULL) : SQLITE_NOMEM;
    sqlite3_free(sql);
    return code == SQLITE_OK ? 0 : db_fail(db, code, error);
}

/* Sets *version to the file's schema version; 0 for a file that holds nothing yet. */
static int read_version(Db *db, int64_t *version, Error *error) {
    int64_t application = 0, n_objects = 0;
    if (read_integer(db, "PRAGMA application_id", &application, error) != 0 ||
        read_integer(db, "PRAGMA user_version", version, error) != 0 ||
        read_integer(db, "SELECT count(*) FROM sqlite_schema", &n_objects, error) != 0)
        return -1;
    if (n_objects == 0 && application == 0 && *version == 0)
        return 0;
    if (application != APPLICATION_ID)
        return error_set(error,
                         "'%s' is an SQLite database of another program (application id %lld, expected %d): "
                         "give --db another file",
                         db->path, (long long)application, APPLICATION_ID);
    if (*version > DB_SCHEMA_VERSION)
        return error_set(
            error,
            "results database '%s' was made by a newer zeval: its schema is version %lld and this "
            "build knows versions up to %d; update zeval, or give --db another file",
            db->path, (long long)*version, DB_SCHEMA_VERSION);
    if (*version < 1)
        return error_set(error,
                         "results database '%s' is damaged: its schema version is %lld, expected 1 to %d",
                         db->path, (long long)*version, DB_SCHEMA_VERSION);
    return 0;
}

int schema_check(Db *db, DbMode mode, Error *error) {
    int64_t version = 0;
    if (read_version(db, &version, error) != 0)
        return -1;
    if (mode == DB_READ && version == 0)
        return error_set(error,
                         "results database '%s' is empty: `zeval run --db %s ...` stores results in it",
                         db->path, db->path);
    if (mode == DB_READ && version < DB_SCHEMA_VERSION)
        return error_set(error,
                         "results database '%s' has schema version %lld and this build reads version %d: "
                         "`zeval db vacuum %s`, or any run into it, brings it up to date",
                         db->path, (long long)version, DB_SCHEMA_VERSION, db->path);
    return 0;
}

static int migrate_in_transaction(Db *db, Error *error) {
    int64_t version = 0;
    if (read_version(db, &version, error) != 0)
        return -1;
    for (int step = (int)version; step < DB_SCHEMA_VERSION; step++)
        if (run_step(db, step, error) != 0)
            return -1;
    return db_commit(db, error);
}

int schema_migrate(Db *db, Error *error) {
    int64_t version = 0;
    if (read_version(db, &version, error) != 0)
        return -1;
    if (version == DB_SCHEMA_VERSION)
        return 0;
    /* The version is read again inside: another process may have been faster. */
    if (db_begin(db, error) == 0 && migrate_in_transaction(db, error) == 0)
        return 0;
    db_rollback(db);
    return -1;
}
