/* Runs and what hangs on them as a whole: files, tasks, groups, results. */
#include <stdlib.h>

#include "base/memory.h"
#include "base/text.h"
#include "db/internal.h"

static int run_find(Db *db, const char *fingerprint, int64_t *run_id, bool *complete, Error *error) {
    sqlite3_stmt *statement = db_statement(db, STATEMENT_RUN_FIND, VALUES(value_text(fingerprint)), error);
    if (!statement)
        return -1;
    int code = sqlite3_step(statement), result = 0;
    if (code == SQLITE_ROW) {
        *run_id = sqlite3_column_int64(statement, 0);
        *complete = sqlite3_column_int(statement, 1) != 0;
        result = 1;
    } else if (code != SQLITE_DONE) {
        result = db_fail(db, code, error);
    }
    sqlite3_reset(statement);
    return result;
}

static int run_insert(Db *db, const DbRun *run, int64_t *run_id, Error *error) {
    int result = db_execute(
        db, STATEMENT_RUN_INSERT,
        VALUES(value_text(run->fingerprint), value_text(run->model_name), value_text(run->model_path),
               value_text(run->model_sha256), value_text(run->family), value_text(run->architecture),
               value_integer(run->n_parameters), value_integer(run->state_bytes_per_token),
               value_integer(run->state_bytes_fixed), value_text(run->dtype), value_text(run->backend),
               value_integer(run->numerics_version), value_text(run->compat), value_integer(run->max_length),
               value_integer(run->add_bos), value_integer(run->fewshot_seed), value_real(run->limit),
               value_text(run->build), value_text(run->settings_json), value_integer(run->threads),
               value_text(run->chat_template), value_text(run->chat_template_name),
               value_text(run->chat_template_sha256), value_text(run->system_instruction),
               value_integer(run->fewshot_as_multiturn), value_text(run->on_truncation),
               value_text(run->special_tokens_json)),
        error);
    *run_id = sqlite3_last_insert_rowid(db->connection);
    return result;
}

static int find_or_insert(Db *db, const DbRun *run, int64_t *run_id, bool *complete, Error *error) {
    int found = run_find(db, run->fingerprint, run_id, complete, error);
    if (found != 0)
        return found < 0 ? -1 : 0;
    return run_insert(db, run, run_id, error);
}

int db_run_start(Db *db, const DbRun *run, int64_t *run_id, bool *complete, Error *error) {
    bool opened;
    *complete = false;
    if (scope_open(db, &opened, error) != 0)
        return -1;
    return scope_close(db, opened, find_or_insert(db, run, run_id, complete, error), error);
}

int db_run_finish(Db *db, int64_t run_id, Error *error) {
    return db_execute(db, STATEMENT_RUN_FINISH, VALUES(value_integer(run_id)), error);
}

int db_run_plan(Db *db, int64_t run_id, const DbPlan *plan, Error *error) {
    return db_execute(db, STATEMENT_RUN_PLAN,
                      VALUES(value_integer(run_id), value_integer(plan->n_requests),
                             value_integer(plan->n_reused), value_integer(plan->tokens_alone),
                             value_integer(plan->tokens_distinct), value_integer(plan->tokens_again),
                             value_integer(plan->memory_bytes), value_integer(plan->state_budget_bytes),
                             value_real(plan->planning_seconds)),
                      error);
}

int db_run_work(Db *db, int64_t run_id, int64_t tokens_computed, int64_t tokens_generated, double seconds,
                Error *error) {
    return db_execute(db, STATEMENT_RUN_WORK,
                      VALUES(value_integer(run_id), value_integer(tokens_computed),
                             value_integer(tokens_generated), value_real(seconds)),
                      error);
}

int db_run_file(Db *db, int64_t run_id, const char *role, const char *name, const char *sha256, int64_t bytes,
                Error *error) {
    return db_execute(db, STATEMENT_FILE_PUT,
                      VALUES(value_integer(run_id), value_text(role), value_text(name), value_text(sha256),
                             value_integer(bytes)),
                      error);
}

int db_run_task(Db *db, int64_t run_id, const DbTask *task, Error *error) {
    return db_execute(db, STATEMENT_TASK_PUT,
                      VALUES(value_integer(run_id), value_text(task->name), value_text(task->alias),
                             value_text(task->version), value_text(task->output_type),
                             value_text(task->dataset_path), value_text(task->dataset_name),
                             value_text(task->split), value_integer(task->num_fewshot),
                             value_integer(task->n_documents), value_integer(task->n_documents_total),
                             value_text(task->config_json)),
                      error);
}

static int put_members(Db *db, int64_t group_id, const char *const *children, size_t n_children,
                       Error *error) {
    if (db_execute(db, STATEMENT_GROUP_CLEAR, VALUES(value_integer(group_id)), error) != 0)
        return -1;
    for (size_t i = 0; i < n_children; i++)
        if (db_execute(db, STATEMENT_GROUP_MEMBER,
                       VALUES(value_integer(group_id), value_integer((int64_t)i), value_text(children[i])),
                       error) != 0)
            return -1;
    return 0;
}

static int put_group(Db *db, int64_t run_id, const DbGroup *group, Error *error) {
    if (db_execute(db, STATEMENT_GROUP_PUT,
                   VALUES(value_integer(run_id), value_text(group->name), value_text(group->alias),
                          value_text(group->version), value_integer(group->weight_by_size),
                          value_text(group->config_json)),
                   error) != 0)
        return -1;
    int64_t group_id = 0;
    if (db_query_integer(db, STATEMENT_GROUP_FIND, VALUES(value_integer(run_id), value_text(group->name)),
                         &group_id, error) < 0)
        return -1;
    return put_members(db, group_id, group->children, group->n_children, error);
}

int db_run_group(Db *db, int64_t run_id, const DbGroup *group, Error *error) {
    bool opened;
    if (scope_open(db, &opened, error) != 0)
        return -1;
    return scope_close(db, opened, put_group(db, run_id, group, error), error);
}

int db_run_progress(Db *db, int64_t run_id, int64_t *n_requests, int64_t *n_done, Error *error) {
    sqlite3_stmt *statement = db_statement(db, STATEMENT_RUN_PROGRESS, VALUES(value_integer(run_id)), error);
    if (!statement)
        return -1;
    int code = sqlite3_step(statement);
    int result = code == SQLITE_ROW ? 0 : db_fail(db, code, error);
    if (result == 0) {
        *n_requests = sqlite3_column_int64(statement, 0);
        *n_done = sqlite3_column_int64(statement, 1);
    }
    sqlite3_reset(statement);
    return result;
}

static int forget_scores(Db *db, int64_t run_id, const char *fingerprint, Error *error) {
    static const Statement cleared[] = {STATEMENT_METRICS_CLEAR, STATEMENT_OUTPUTS_CLEAR,
                                        STATEMENT_RESULTS_CLEAR, STATEMENT_TASK_FILES_CLEAR};
    for (size_t i = 0; i < sizeof cleared / sizeof *cleared; i++)
        if (db_execute(db, cleared[i], VALUES(value_integer(run_id)), error) != 0)
            return -1;
    if (!fingerprint)
        return 0;
    return db_execute(db, STATEMENT_RUN_FINGERPRINT, VALUES(value_integer(run_id), value_text(fingerprint)),
                      error);
}

int db_run_forget_scores(Db *db, int64_t run_id, const char *fingerprint, Error *error) {
    bool opened;
    if (scope_open(db, &opened, error) != 0)
        return -1;
    return scope_close(db, opened, forget_scores(db, run_id, fingerprint, error), error);
}

int db_result(Db *db, int64_t run_id, const DbResult *result, Error *error) {
    return db_execute(db, STATEMENT_RESULT_PUT,
                      VALUES(value_integer(run_id), value_text(result->name), value_text(result->metric),
                             value_text(result->filter), value_real(result->value),
                             value_real(result->stderr_value), value_integer(result->n),
                             value_integer(result->higher_is_better), value_integer(result->is_group),
                             value_integer(result->n_unextracted)),
                      error);
}

static void remember_task(Db *db, int64_t run_id, const char *task, int64_t task_id) {
    free(db->recent.task);
    db->recent.task = mem_strdup(task);
    db->recent.run_id = run_id;
    db->recent.task_id = task_id;
}

int db_task_id(Db *db, int64_t run_id, const char *task, int64_t *task_id, Error *error) {
    if (db->recent.task && db->recent.run_id == run_id && text_equal(db->recent.task, task)) {
        *task_id = db->recent.task_id;
        return 0;
    }
    int found = db_query_integer(db, STATEMENT_TASK_FIND, VALUES(value_integer(run_id), value_text(task)),
                                 task_id, error);
    if (found < 0)
        return -1;
    if (found == 0)
        return error_set(error,
                         "results database '%s': run %lld has no task '%s'; expected the task to be stored "
                         "before its documents",
                         db->path, (long long)run_id, task);
    remember_task(db, run_id, task, *task_id);
    return 0;
}
