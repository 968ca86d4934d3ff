/* The SQL of the room, prepared once per connection, and the one place that turns SQLite's result codes into
 * sentences.
 *
 * The upserts write only when something differs: a resumed run tells us again what it told us before, and
 * that must cost no disk writes. */
#include <errno.h>
#include <string.h>

#include "db/internal.h"

static const char *const statement_sql[N_STATEMENTS] = {
    [STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
    [STATEMENT_COMMIT] = "COMMIT",
    [STATEMENT_ROLLBACK] = "ROLLBACK",
    [STATEMENT_RUN_FIND] = "SELECT run_id, finished_at IS NOT NULL FROM runs WHERE fingerprint = ?1",
    [STATEMENT_RUN_INSERT] =
        "INSERT INTO runs (fingerprint, model_name, model_path, model_sha256, family, architecture,"
        " n_parameters, state_bytes_per_token, state_bytes_fixed, dtype, backend, numerics_version, compat,"
        " max_length, add_bos, fewshot_seed, sample_limit, build, settings, threads, chat_template,"
        " chat_template_name, chat_template_sha256, system_instruction, fewshot_as_multiturn, on_truncation,"
        " special_tokens)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20,"
        " ?21, ?22, ?23, ?24, ?25, ?26, ?27)",
    [STATEMENT_RUN_FINISH] = "UPDATE runs SET finished_at = strftime('%Y-%m-%dT%H:%M:%SZ', 'now')"
                             " WHERE run_id = ?1 AND finished_at IS NULL",
    [STATEMENT_RUN_PROGRESS] = "SELECT count(*), count(r.key) FROM tasks t JOIN requests q USING (task_id)"
                               " LEFT JOIN responses r ON r.key = q.response_key WHERE t.run_id = ?1",
    [STATEMENT_RUN_PLAN] =
        "UPDATE runs SET plan_requests = ?2, plan_reused = ?3, tokens_alone = ?4, tokens_distinct = ?5,"
        " tokens_again = ?6, memory_bytes = ?7, state_budget_bytes = ?8, planning_seconds = ?9"
        " WHERE run_id = ?1 AND plan_requests IS NULL",
    [STATEMENT_RUN_WORK] = "UPDATE runs SET tokens_computed = coalesce(tokens_computed, 0) + ?2,"
                           " tokens_generated = coalesce(tokens_generated, 0) + ?3,"
                           " scoring_seconds = coalesce(scoring_seconds, 0) + ?4 WHERE run_id = ?1",
    [STATEMENT_FILE_PUT] =
        "INSERT INTO run_files (run_id, role, name, sha256, bytes) VALUES (?1, ?2, ?3, ?4, ?5)"
        " ON CONFLICT DO UPDATE SET sha256 = excluded.sha256, bytes = excluded.bytes"
        " WHERE (sha256, bytes) IS NOT (excluded.sha256, excluded.bytes)",
    [STATEMENT_TASK_PUT] =
        "INSERT INTO tasks (run_id, name, alias, version, output_type, dataset_path, dataset_name, split,"
        " num_fewshot, n_documents, n_documents_total, config)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
        " ON CONFLICT (run_id, name) DO UPDATE SET alias = excluded.alias, version = excluded.version,"
        " output_type = excluded.output_type, dataset_path = excluded.dataset_path,"
        " dataset_name = excluded.dataset_name, split = excluded.split, num_fewshot = excluded.num_fewshot,"
        " n_documents = excluded.n_documents, n_documents_total = excluded.n_documents_total,"
        " config = coalesce(excluded.config, config)"
        " WHERE (alias, version, output_type, dataset_path, dataset_name, split, num_fewshot, n_documents,"
        " n_documents_total, config) IS NOT (excluded.alias, excluded.version, excluded.output_type,"
        " excluded.dataset_path, excluded.dataset_name, excluded.split, excluded.num_fewshot,"
        " excluded.n_documents, excluded.n_documents_total, coalesce(excluded.config, config))",
    [STATEMENT_TASK_FIND] = "SELECT task_id FROM tasks WHERE run_id = ?1 AND name = ?2",
    [STATEMENT_GROUP_PUT] =
        "INSERT INTO task_groups (run_id, name, alias, version, weight_by_size, config)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
        " ON CONFLICT (run_id, name) DO UPDATE SET alias = excluded.alias, version = excluded.version,"
        " weight_by_size = excluded.weight_by_size, config = excluded.config",
    [STATEMENT_GROUP_FIND] = "SELECT group_id FROM task_groups WHERE run_id = ?1 AND name = ?2",
    [STATEMENT_GROUP_CLEAR] = "DELETE FROM group_members WHERE group_id = ?1",
    [STATEMENT_GROUP_MEMBER] = "INSERT INTO group_members (group_id, position, child) VALUES (?1, ?2, ?3)",
    [STATEMENT_TEXT_FIND] = "SELECT text_id FROM texts WHERE sha256 = ?1",
    [STATEMENT_TEXT_INSERT] = "INSERT INTO texts (sha256, text) VALUES (?1, ?2)",
    [STATEMENT_DOCUMENT_PUT] =
        "INSERT INTO documents (task_id, doc_id, json_id, target_id, gold, prompt_sha256, n_dropped_shots)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
        " ON CONFLICT (task_id, doc_id) DO UPDATE SET json_id = excluded.json_id,"
        " target_id = excluded.target_id, gold = excluded.gold, prompt_sha256 = excluded.prompt_sha256,"
        " n_dropped_shots = excluded.n_dropped_shots"
        " WHERE (json_id, target_id, gold, prompt_sha256, n_dropped_shots)"
        " IS NOT (excluded.json_id, excluded.target_id, excluded.gold, excluded.prompt_sha256,"
        " excluded.n_dropped_shots)",
    [STATEMENT_REQUEST_PUT] =
        "INSERT INTO requests (task_id, doc_id, idx, request_type, context_id, continuation_id, choice_id,"
        " response_key, n_context_tokens, n_continuation_tokens, n_truncated, generation_id)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
        " ON CONFLICT (task_id, doc_id, idx) DO UPDATE SET request_type = excluded.request_type,"
        " context_id = excluded.context_id, continuation_id = excluded.continuation_id,"
        " choice_id = excluded.choice_id, response_key = excluded.response_key,"
        " n_context_tokens = excluded.n_context_tokens,"
        " n_continuation_tokens = excluded.n_continuation_tokens, n_truncated = excluded.n_truncated,"
        " generation_id = excluded.generation_id"
        " WHERE (request_type, context_id, continuation_id, choice_id, response_key, n_context_tokens,"
        " n_continuation_tokens, n_truncated, generation_id) IS NOT (excluded.request_type, "
        "excluded.context_id,"
        " excluded.continuation_id, excluded.choice_id, excluded.response_key, excluded.n_context_tokens,"
        " excluded.n_continuation_tokens, excluded.n_truncated, excluded.generation_id)",
    [STATEMENT_RESPONSE_FIND] = "SELECT loglikelihood, is_greedy, text FROM responses WHERE key = ?1",
    [STATEMENT_RESPONSE_PUT] = "INSERT INTO responses (key, loglikelihood, is_greedy, text)"
                               " VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
    [STATEMENT_METRIC_PUT] =
        "INSERT INTO document_metrics (task_id, doc_id, metric, filter, value, weight)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
        " ON CONFLICT (task_id, doc_id, metric, filter) DO UPDATE SET value = excluded.value,"
        " weight = excluded.weight WHERE (value, weight) IS NOT (excluded.value, excluded.weight)",
    [STATEMENT_OUTPUT_PUT] =
        "INSERT INTO document_outputs (task_id, doc_id, filter, value, extracted) VALUES (?1, ?2, ?3, ?4, ?5)"
        " ON CONFLICT (task_id, doc_id, filter) DO UPDATE SET value = excluded.value,"
        " extracted = excluded.extracted WHERE (value, extracted) IS NOT (excluded.value, "
        "excluded.extracted)",
    [STATEMENT_WORKER_INSERT] = "INSERT INTO workers (run_id, host, process_id) VALUES (?1, ?2, ?3)",
    [STATEMENT_WORKER_DELETE] = "DELETE FROM workers WHERE worker_id = ?1",
    [STATEMENT_CLAIM_FIND] =
        "SELECT worker_id, run_id, process_id, host FROM claims JOIN workers USING (worker_id)"
        " WHERE key = ?1",
    [STATEMENT_CLAIM_INSERT] = "INSERT INTO claims (key, worker_id) VALUES (?1, ?2)",
    [STATEMENT_RESULT_PUT] =
        "INSERT INTO results (run_id, name, metric, filter, value, stderr, n, higher_is_better, is_group,"
        " n_unextracted) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
        " ON CONFLICT (run_id, name, metric, filter) DO UPDATE SET value = excluded.value,"
        " stderr = excluded.stderr, n = excluded.n, higher_is_better = excluded.higher_is_better,"
        " is_group = excluded.is_group, n_unextracted = excluded.n_unextracted",
    [STATEMENT_METRICS_CLEAR] =
        "DELETE FROM document_metrics WHERE task_id IN (SELECT task_id FROM tasks WHERE run_id = ?1)",
    [STATEMENT_OUTPUTS_CLEAR] =
        "DELETE FROM document_outputs WHERE task_id IN (SELECT task_id FROM tasks WHERE run_id = ?1)",
    [STATEMENT_RESULTS_CLEAR] = "DELETE FROM results WHERE run_id = ?1",
    [STATEMENT_TASK_FILES_CLEAR] = "DELETE FROM run_files WHERE run_id = ?1 AND role = 'task'",
    [STATEMENT_RUN_FINGERPRINT] = "UPDATE runs SET fingerprint = ?2 WHERE run_id = ?1",
};

DbValue value_integer(int64_t integer) {
    return (DbValue){.kind = VALUE_INTEGER, .integer = integer};
}

DbValue value_real(double real) {
    return (DbValue){.kind = VALUE_REAL, .real = real};
}

DbValue value_text(const char *text) {
    return text ? (DbValue){.kind = VALUE_TEXT, .text = text} : (DbValue){.kind = VALUE_NULL};
}

DbValue value_key(const uint8_t key[SHA256_BYTES]) {
    return (DbValue){.kind = VALUE_KEY, .key = key};
}

static bool disk_is_full(int code, int reason) {
    return (code & 0xff) == SQLITE_FULL ||
           ((code & 0xff) == SQLITE_IOERR && (reason == ENOSPC || reason == EDQUOT || reason == EFBIG));
}

int db_fail(Db *db, int code, Error *error) {
    int last_errno = errno;
    const char *detail = sqlite3_errmsg(db->connection);
    /* SQLite forgets the reason of some failed writes, but errno still has it. */
    int reason = sqlite3_system_errno(db->connection) ? sqlite3_system_errno(db->connection) : last_errno;
    if (disk_is_full(code, reason))
        return error_set(
            error,
            "the disk that holds results database '%s' is full: the batch in hand was not stored, "
            "everything before it was; free some space and start the same run again",
            db->path);
    switch (code & 0xff) {
    case SQLITE_NOTADB:
        return error_set(error, "'%s' is not a results database: it is not an SQLite file", db->path);
    case SQLITE_CORRUPT:
        return error_set(
            error,
            "results database '%s' is damaged (%s): restore a copy, or save what can be read with "
            "`sqlite3 FILE .recover`",
            db->path, detail);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return error_set(error, "results database '%s' is locked by another program that is writing to it",
                         db->path);
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return error_set(error, "cannot write to results database '%s': it is read-only", db->path);
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR:
        return error_set(error, "cannot read or write results database '%s': %s (%s)", db->path, detail,
                         reason ? strerror(reason) : "no further reason given");
    case SQLITE_CONSTRAINT:
        return error_set(
            error,
            "results database '%s': a row was stored before the one it belongs to, or lacks its name (%s)",
            db->path, detail);
    default:
        return error_set(error, "results database '%s': %s", db->path, detail);
    }
}

static int bind(sqlite3_stmt *statement, int index, const DbValue *value) {
    switch (value->kind) {
    case VALUE_NULL:
        return sqlite3_bind_null(statement, index);
    case VALUE_INTEGER:
        return sqlite3_bind_int64(statement, index, value->integer);
    case VALUE_REAL:
        return sqlite3_bind_double(statement, index, value->real);
    case VALUE_TEXT:
        return sqlite3_bind_text(statement, index, value->text, -1, SQLITE_STATIC);
    case VALUE_KEY:
        return sqlite3_bind_blob(statement, index, value->key, SHA256_BYTES, SQLITE_STATIC);
    }
    return SQLITE_MISUSE;
}

sqlite3_stmt *db_statement(Db *db, Statement which, const DbValue *values, int n_values, Error *error) {
    int code = SQLITE_OK;
    if (!db->statements[which])
        code = sqlite3_prepare_v3(db->connection, statement_sql[which], -1, SQLITE_PREPARE_PERSISTENT,
                                  &db->statements[which], NULL);
    sqlite3_stmt *statement = db->statements[which];
    for (int i = 0; i < n_values && code == SQLITE_OK; i++)
        code = bind(statement, i + 1, &values[i]);
    if (code == SQLITE_OK)
        return statement;
    db_fail(db, code, error);
    return NULL;
}

int db_execute(Db *db, Statement which, const DbValue *values, int n_values, Error *error) {
    sqlite3_stmt *statement = db_statement(db, which, values, n_values, error);
    if (!statement)
        return -1;
    int code = sqlite3_step(statement);
    int result = code == SQLITE_DONE ? 0 : db_fail(db, code, error);
    sqlite3_reset(statement);
    return result;
}

int db_query_integer(Db *db, Statement which, const DbValue *values, int n_values, int64_t *out,
                     Error *error) {
    sqlite3_stmt *statement = db_statement(db, which, values, n_values, error);
    if (!statement)
        return -1;
    int code = sqlite3_step(statement), result = 0;
    if (code == SQLITE_ROW) {
        *out = sqlite3_column_int64(statement, 0);
        result = 1;
    } else if (code != SQLITE_DONE) {
        result = db_fail(db, code, error);
    }
    sqlite3_reset(statement);
    return result;
}
