/* Metrics anew from stored responses; see eval_rescore in eval.h. The documents of the run are chosen by a
 * file of their numbers, which serves whatever --limit or --samples the run had. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "eval/eval.h"
#include "eval/parts.h"
#include "eval/scores.h"

/* What is known of the run before its tasks are open. */
typedef struct Stored {
    int64_t run_id, num_fewshot, fewshot_seed;
    Compat compat;
    bool chat; /* prompts went through a chat template, and are not made again */
    const char *fingerprint, *system_instruction;
    const char **names;
    size_t n_names;
} Stored;

typedef struct Rescore {
    const RescoreOptions *options;
    Db *db;
    Arena arena;    /* of the run */
    Arena document; /* of one document */
    Stored stored;
    TaskSet *set;
    RunScores scores;
    Error *error;
} Rescore;

static sqlite3_stmt *query(Rescore *rescore, const char *sql) {
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(db_handle(rescore->db), sql, -1, &statement, NULL) == SQLITE_OK)
        return statement;
    error_set(rescore->error, "cannot read results database '%s': %s", db_path(rescore->db),
              sqlite3_errmsg(db_handle(rescore->db)));
    return NULL;
}

/* 1: a row; 0: none; -1: failure. */
static int step(Rescore *rescore, sqlite3_stmt *statement) {
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW || code == SQLITE_DONE)
        return code == SQLITE_ROW;
    return error_set(rescore->error, "cannot read results database '%s': %s", db_path(rescore->db),
                     sqlite3_errmsg(db_handle(rescore->db)));
}

static const char *text_of(sqlite3_stmt *statement, int column, Arena *arena) {
    const char *text = (const char *)sqlite3_column_text(statement, column);
    return text ? arena_strdup(arena, text) : NULL;
}

/* ---- the run */

static int read_names(Rescore *rescore, const char *settings) {
    cJSON *json;
    const cJSON *names, *name;
    Stored *stored = &rescore->stored;
    if (!settings || json_parse(&json, settings, strlen(settings), "the run's settings", rescore->error))
        return error_set(rescore->error, "run %lld: its settings cannot be read", (long long)stored->run_id);
    int result = json_get_array(json, "tasks", &names, "the run's settings", rescore->error);
    stored->num_fewshot = -1;
    if (result == 0)
        result = json_opt_int(json, "num_fewshot", 0, 1000, &stored->num_fewshot, "the run's settings",
                              rescore->error);
    if (result == 0) {
        stored->names =
            arena_alloc(&rescore->arena, ((size_t)cJSON_GetArraySize(names) + 1) * sizeof *stored->names);
        cJSON_ArrayForEach(name, names) if (cJSON_IsString(name)) stored->names[stored->n_names++] =
            arena_strdup(&rescore->arena, name->valuestring);
    }
    cJSON_Delete(json);
    return result;
}

static int read_run(Rescore *rescore) {
    Stored *stored = &rescore->stored;
    sqlite3_stmt *statement = query(
        rescore, "SELECT run_id, settings, compat, fingerprint, fewshot_seed, system_instruction,"
                 " chat_template IS NOT NULL FROM runs"
                 " WHERE finished_at IS NOT NULL AND (?1 = 0 OR run_id = ?1) ORDER BY run_id DESC LIMIT 1");
    if (!statement)
        return -1;
    sqlite3_bind_int64(statement, 1, rescore->options->run_id);
    int found = step(rescore, statement), result = found < 0 ? -1 : 0;
    if (found == 0 && rescore->options->run_id)
        result = error_set_kind(rescore->error, ERROR_USAGE, "%s has no complete run %lld",
                                db_path(rescore->db), (long long)rescore->options->run_id);
    else if (found == 0)
        result = error_set_kind(rescore->error, ERROR_USAGE, "%s has no complete run", db_path(rescore->db));
    if (found > 0) {
        const char *compat = text_of(statement, 2, &rescore->arena);
        stored->run_id = sqlite3_column_int64(statement, 0);
        stored->fingerprint = text_of(statement, 3, &rescore->arena);
        stored->fewshot_seed = sqlite3_column_int64(statement, 4);
        stored->system_instruction = text_of(statement, 5, &rescore->arena);
        stored->chat = sqlite3_column_int(statement, 6) != 0;
        result = read_names(rescore, text_of(statement, 1, &rescore->arena));
        if (result == 0 && (!compat || !compat_parse(compat, &stored->compat)))
            result = error_set(rescore->error, "run %lld: there is no profile '%s'",
                               (long long)stored->run_id, compat ? compat : "");
    }
    sqlite3_finalize(statement);
    return result;
}

/* {"TASK": [doc_ids], ...} of all that the run has. */
static int list_documents(Rescore *rescore, Buffer *json) {
    sqlite3_stmt *statement =
        query(rescore, "SELECT t.name, d.doc_id FROM tasks t JOIN documents d USING (task_id)"
                       " WHERE t.run_id = ?1 ORDER BY t.task_id, d.doc_id");
    Buffer task = {0};
    int more = statement ? 1 : -1;
    if (statement)
        sqlite3_bind_int64(statement, 1, rescore->stored.run_id);
    buffer_append_char(json, '{');
    while (statement && (more = step(rescore, statement)) > 0) {
        const char *name = (const char *)sqlite3_column_text(statement, 0);
        bool same = task.size > 0 && strcmp(task.data, name) == 0;
        if (!same) {
            buffer_append_text(json, task.size ? "], " : "");
            text_append_json(json, name, strlen(name));
            buffer_append_text(json, ": [");
            buffer_clear(&task);
            buffer_append_text(&task, name);
        }
        buffer_printf(json, "%s%lld", same ? ", " : "", (long long)sqlite3_column_int64(statement, 1));
    }
    buffer_append_text(json, task.size ? "]}" : "}");
    buffer_free(&task);
    sqlite3_finalize(statement);
    return more < 0 ? -1 : 0;
}

static int open_tasks(Rescore *rescore) {
    const Stored *stored = &rescore->stored;
    const char *folder = getenv("TMPDIR");
    char path[4096];
    Buffer json = {0};
    snprintf(path, sizeof path, "%s/zeval-rescore-XXXXXX", folder && *folder ? folder : "/tmp");
    int file = mkstemp(path);
    if (file < 0)
        return error_set(rescore->error, "cannot make a temporary file %s: %s", path, strerror(errno));
    close(file);
    TaskOptions options = {.names = stored->names,
                           .n_names = stored->n_names,
                           .data_root = rescore->options->data_root,
                           .include_path = rescore->options->include_path,
                           .num_fewshot = (int)stored->num_fewshot,
                           .fewshot_seed = (uint64_t)stored->fewshot_seed,
                           .log = rescore->options->log,
                           .compat = stored->compat,
                           .system_instruction = stored->system_instruction,
                           .samples = path};
    int result = list_documents(rescore, &json);
    if (result == 0)
        result = file_write_atomic(path, json.data, json.size, rescore->error);
    if (result == 0)
        result = task_set_open(&rescore->set, &options, rescore->error);
    unlink(path);
    buffer_free(&json);
    return result ? error_prefix(rescore->error, "run %lld", (long long)stored->run_id) : 0;
}

/* ---- one document */

static int differs(const Rescore *rescore, const TaskInfo *task, int64_t doc_id, const char *what) {
    return error_set_kind(
        rescore->error, ERROR_CHECK,
        "run %lld, task %s, document %lld: %s than when it was answered: its answers do not fit",
        (long long)rescore->stored.run_id, task->name, (long long)doc_id, what);
}

/* A stored row of v_requests must be the request that is made now. */
static int check_request(const Rescore *rescore, const TaskInfo *task, const TaskDocument *document, size_t i,
                         sqlite3_stmt *row) {
    const TaskRequest *request = &document->requests[i];
    const char *context = (const char *)sqlite3_column_text(row, 0),
               *choice = (const char *)sqlite3_column_text(row, 2);
    bool dropped = sqlite3_column_int64(row, 6) > 0; /* its prompt is shorter, to fit the model */
    if (!rescore->stored.chat && !dropped && !text_equal(context, request->context))
        return differs(rescore, task, document->doc_id, "another prompt");
    if (!rescore->stored.chat &&
        !text_equal((const char *)sqlite3_column_text(row, 1), request->continuation))
        return differs(rescore, task, document->doc_id, "another continuation");
    if (i < document->n_choices && choice && !text_equal(choice, document->choices[i]))
        return differs(rescore, task, document->doc_id, "another choice");
    return 0;
}

static int read_answers(Rescore *rescore, sqlite3_stmt *statement, const TaskInfo *task,
                        const TaskDocument *document, Answer *answers) {
    size_t n = 0;
    int more;
    while ((more = step(rescore, statement)) > 0) {
        if (n == document->n_requests)
            return differs(rescore, task, document->doc_id, "fewer requests");
        if (check_request(rescore, task, document, n, statement))
            return -1;
        bool is_null = sqlite3_column_type(statement, 3) == SQLITE_NULL;
        answers[n++] = (Answer){.loglikelihood = is_null ? (double)NAN : sqlite3_column_double(statement, 3),
                                .is_greedy = sqlite3_column_int(statement, 4) != 0,
                                .text = text_of(statement, 5, &rescore->document)};
        if (document->requests[n - 1].type == OUTPUT_GENERATE_UNTIL && !answers[n - 1].text)
            return differs(rescore, task, document->doc_id, "another kind of request");
    }
    if (more == 0 && n < document->n_requests)
        return differs(rescore, task, document->doc_id, "more requests");
    return more;
}

static int rescore_document(Rescore *rescore, size_t t, size_t index, sqlite3_stmt *statement) {
    const TaskScores *task = &rescore->scores.tasks[t];
    TaskDocument document;
    arena_reset(&rescore->document);
    if (task_document(task->task, index, &rescore->document, &document, rescore->error))
        return -1;
    Answer *answers = arena_alloc(&rescore->document, document.n_requests * sizeof *answers);
    sqlite3_reset(statement);
    sqlite3_bind_int64(statement, 1, rescore->stored.run_id);
    sqlite3_bind_text(statement, 2, task->info->name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 3, document.doc_id);
    if (read_answers(rescore, statement, task->info, &document, answers))
        return -1;
    return scores_document(&rescore->scores, t, index, &document, answers, rescore->db,
                           rescore->stored.run_id, rescore->error);
}

/* ---- everything */

/* What the run is known by from now on: NULL if the task files are those it was made with. */
static int new_fingerprint(Rescore *rescore, char hex[SHA256_HEX], bool *changed) {
    sqlite3_stmt *statement =
        query(rescore, "SELECT 1 FROM run_files WHERE run_id = ?1 AND role = 'task' AND sha256 = ?2");
    if (!statement)
        return -1;
    Sha256 *hash = sha256_begin();
    int found = 1;
    *changed = false;
    sha256_update_field(hash, "zeval rescore 1", strlen("zeval rescore 1"));
    sha256_update_field(hash, rescore->stored.fingerprint, strlen(rescore->stored.fingerprint));
    for (size_t t = 0; t < task_set_count(rescore->set) && found >= 0; t++) {
        const TaskInfo *task = task_info(task_set_task(rescore->set, t));
        for (size_t f = 0; f < task->n_files && found >= 0; f++) {
            const TaskFile *file = &task->files[f];
            if (strcmp(file->role, "task") != 0)
                continue;
            sqlite3_reset(statement);
            sqlite3_bind_int64(statement, 1, rescore->stored.run_id);
            sqlite3_bind_text(statement, 2, file->sha256, -1, SQLITE_STATIC);
            found = step(rescore, statement);
            *changed |= found == 0;
            sha256_update_field(hash, file->sha256, strlen(file->sha256));
        }
    }
    sqlite3_finalize(statement);
    sha256_end(hash, hex);
    return found < 0 ? -1 : 0;
}

static int rescore_tasks(Rescore *rescore) {
    sqlite3_stmt *statement =
        query(rescore, "SELECT r.context, r.continuation, r.choice, r.loglikelihood, r.is_greedy, r.text,"
                       " d.n_dropped_shots FROM v_requests r JOIN documents d USING (task_id, doc_id)"
                       " WHERE r.task_id = (SELECT task_id FROM tasks WHERE run_id = ?1 AND name = ?2)"
                       " AND r.doc_id = ?3 ORDER BY r.idx");
    int result = statement ? 0 : -1;
    for (size_t t = 0; t < rescore->scores.n_tasks && result == 0; t++) {
        const TaskInfo *info = rescore->scores.tasks[t].info;
        result = parts_describe_task(info, rescore->options->data_root, rescore->db, rescore->stored.run_id,
                                     rescore->error);
        for (size_t i = 0; i < info->n_documents && result == 0; i++) {
            result = rescore_document(rescore, t, i, statement);
            if (result == 0 && rescore->options->stop && *rescore->options->stop)
                result = error_set_kind(rescore->error, ERROR_STOPPED, "stopped: nothing was changed");
        }
    }
    sqlite3_finalize(statement);
    if (result)
        return -1;
    return scores_store(&rescore->scores, BOOTSTRAP_ITERATIONS, rescore->options->n_threads, rescore->db,
                        rescore->stored.run_id, rescore->options->log, rescore->error);
}

static int rescore_run(Rescore *rescore) {
    char fingerprint[SHA256_HEX];
    bool changed;
    if (read_run(rescore) || open_tasks(rescore) ||
        scores_init(&rescore->scores, rescore->set, rescore->error) ||
        new_fingerprint(rescore, fingerprint, &changed) || db_begin(rescore->db, rescore->error))
        return -1;
    if (db_run_forget_scores(rescore->db, rescore->stored.run_id, changed ? fingerprint : NULL,
                             rescore->error) ||
        rescore_tasks(rescore)) {
        db_rollback(rescore->db);
        return -1;
    }
    return db_commit(rescore->db, rescore->error);
}

int eval_rescore(const RescoreOptions *options, int64_t *run_id, Error *error) {
    Rescore rescore = {.options = options, .error = error};
    if (!file_exists(options->db_path))
        return error_set_kind(error, ERROR_USAGE, "there is no results database %s", options->db_path);
    int result = db_open(&rescore.db, options->db_path, DB_WRITE, error);
    if (result == 0)
        result = rescore_run(&rescore);
    *run_id = rescore.stored.run_id;
    scores_free(&rescore.scores);
    task_set_close(rescore.set);
    db_close(rescore.db);
    arena_free(&rescore.arena);
    arena_free(&rescore.document);
    return result;
}
