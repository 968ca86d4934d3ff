/* The run loop. Documents are taken in order; those whose requests are not all answered in the database go
 * into a plan; when the plan is full it is run and everything about its documents is committed in one
 * transaction. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "db/db.h"
#include "eval/eval.h"
#include "eval/identity.h"
#include "eval/metrics.h"
#include "eval/parts.h"
#include "eval/plan.h"
#include "eval/statistics.h"

enum { DEFAULT_BATCH_TOKENS = 4096, MAX_PENDING_DOCUMENTS = 1024 };

/* A request of a document that waits for its batch. */
typedef struct PendingRequest {
    char key[SHA256_HEX];
    size_t n_context, n_continuation, n_truncated;
    bool is_new; /* the engine has to answer it */
} PendingRequest;

typedef struct PendingDocument {
    TaskDocument document;
    size_t index; /* in the task */
    PendingRequest *requests;
    Answer *answers;
} PendingDocument;

/* A task while its documents are scored: values[metric][document]. */
typedef struct TaskScores {
    const Task *task;
    const TaskInfo *info;
    MetricFunction **functions;
    double **values;
    double *means, *stderrs; /* per metric, once the task is done */
} TaskScores;

typedef struct Run {
    RunParts *parts;
    Db *db;
    int64_t id;
    TaskScores *scores; /* [n_tasks] */
    size_t n_tasks;
    TaskScores *current;
    Plan *plan;
    Arena arena; /* of the pending documents */
    PendingDocument pending[MAX_PENDING_DOCUMENTS];
    size_t n_pending;
    EncodedRequest encoded; /* reused */
    EvalSummary *summary;
    Progress progress;
    int64_t n_documents_done;
} Run;

static int store_request(Run *run, const PendingDocument *pending, size_t i, Error *error) {
    const TaskDocument *document = &pending->document;
    const TaskRequest *request = &document->requests[i];
    const PendingRequest *state = &pending->requests[i];
    DbRequest row = {.task = run->current->info->name,
                     .doc_id = document->doc_id,
                     .idx = request->idx,
                     .request_type = output_type_name(request->type),
                     .context = request->context,
                     .continuation = request->continuation,
                     .choice = i < document->n_choices ? document->choices[i] : NULL,
                     .response_key = state->key,
                     .n_context_tokens = (int64_t)state->n_context,
                     .n_continuation_tokens = (int64_t)state->n_continuation,
                     .n_truncated = (int64_t)state->n_truncated};
    DbResponse response = {.loglikelihood = pending->answers[i].loglikelihood,
                           .is_greedy = pending->answers[i].is_greedy};
    if (state->is_new && db_response_put(run->db, state->key, &response, error))
        return -1;
    return db_request(run->db, run->id, &row, error);
}

static int store_document(Run *run, const PendingDocument *pending, Error *error) {
    const TaskDocument *document = &pending->document;
    TaskScores *scores = run->current;
    char prompt[SHA256_HEX];
    sha256_text(document->requests[0].context, strlen(document->requests[0].context), prompt);
    DbDocument row = {.task = scores->info->name,
                      .doc_id = document->doc_id,
                      .json = document->json,
                      .target = document->target,
                      .gold = document->gold,
                      .prompt_sha256 = prompt};
    if (db_document(run->db, run->id, &row, error))
        return -1;
    for (size_t i = 0; i < document->n_requests; i++)
        if (store_request(run, pending, i, error))
            return -1;
    for (size_t m = 0; m < scores->info->n_metrics; m++) {
        double value = scores->functions[m](document, pending->answers);
        scores->values[m][pending->index] = value;
        if (db_document_metric(run->db, run->id, scores->info->name, document->doc_id,
                               scores->info->metrics[m].name, "none", value, error))
            return -1;
    }
    return 0;
}

static int stopped(const Run *run, Error *error) {
    const EvalOptions *options = run->parts->options;
    if (!options->stop || !*options->stop)
        return 0;
    return error_set_kind(error, ERROR_STOPPED,
                          "stopped: what was scored so far is in %s, and the same command goes on from there",
                          options->db_path);
}

/* Scores what is pending and commits it. */
static int flush(Run *run, Error *error) {
    size_t n_new = plan_requests(run->plan), asked = plan_tokens(run->plan), computed;
    if (plan_run(run->plan, run->parts->engine, &computed, error))
        return error_prefix(error, "task %s", run->current->info->name);
    if (db_begin(run->db, error))
        return -1;
    for (size_t i = 0; i < run->n_pending; i++) {
        if (store_document(run, &run->pending[i], error)) {
            db_rollback(run->db);
            return -1;
        }
    }
    if (db_commit(run->db, error))
        return -1;
    run->summary->n_scored += (int64_t)n_new;
    run->summary->tokens_asked += (int64_t)asked;
    run->summary->tokens_computed += (int64_t)computed;
    run->n_documents_done += (int64_t)run->n_pending;
    run->n_pending = 0;
    arena_reset(&run->arena);
    progress_update(&run->progress, run->n_documents_done);
    return stopped(run, error);
}

static int prepare_request(Run *run, PendingDocument *pending, size_t i, Error *error) {
    const TaskRequest *request = &pending->document.requests[i];
    PendingRequest *state = &pending->requests[i];
    if (encode_pair(&run->parts->encoder, request->context, request->continuation, &run->encoded, error))
        return error_prefix(error, "task %s, document %lld, request %zu", run->current->info->name,
                            (long long)pending->document.doc_id, i);
    state->n_context = run->encoded.n_context;
    state->n_continuation = run->encoded.tokens.n - run->encoded.n_context;
    state->n_truncated = run->encoded.n_truncated;
    identity_response_key(run->parts, &run->encoded, state->key);
    run->summary->n_requests++;
    run->summary->n_truncated += state->n_truncated > 0;
    DbResponse stored;
    int found = db_response_find(run->db, state->key, &stored, error);
    if (found < 0)
        return -1;
    if (found) {
        pending->answers[i] = (Answer){.loglikelihood = stored.loglikelihood, .is_greedy = stored.is_greedy};
        run->summary->n_reused++;
        return 0;
    }
    state->is_new = true;
    plan_add(run->plan, &run->encoded, &pending->answers[i]);
    return 0;
}

static int take_document(Run *run, size_t index, Error *error) {
    PendingDocument *pending = &run->pending[run->n_pending];
    *pending = (PendingDocument){.index = index};
    if (task_document(run->current->task, index, &run->arena, &pending->document, error))
        return -1;
    size_t n = pending->document.n_requests;
    if (n == 0)
        return error_set(error, "task %s, document %lld: it makes no requests", run->current->info->name,
                         (long long)pending->document.doc_id);
    pending->requests = arena_alloc(&run->arena, n * sizeof *pending->requests);
    pending->answers = arena_alloc(&run->arena, n * sizeof *pending->answers);
    plan_begin_group(run->plan);
    for (size_t i = 0; i < n; i++)
        if (prepare_request(run, pending, i, error))
            return -1;
    run->n_pending++;
    return 0;
}

static int store_task_results(Run *run, TaskScores *scores, Error *error) {
    size_t n = scores->info->n_documents;
    for (size_t m = 0; m < scores->info->n_metrics; m++) {
        const TaskMetric *metric = &scores->info->metrics[m];
        scores->means[m] = stat_mean(scores->values[m], n);
        scores->stderrs[m] = stat_mean_stderr(scores->values[m], n);
        DbResult row = {.name = scores->info->name,
                        .metric = metric->name,
                        .filter = "none",
                        .value = scores->means[m],
                        .stderr_value = scores->stderrs[m],
                        .n = (int64_t)n,
                        .higher_is_better = metric->higher_is_better};
        if (db_result(run->db, run->id, &row, error))
            return -1;
    }
    return 0;
}

static int run_task(Run *run, TaskScores *scores, Error *error) {
    size_t batch_tokens = run->parts->options->batch_tokens;
    if (batch_tokens == 0)
        batch_tokens = DEFAULT_BATCH_TOKENS;
    run->current = scores;
    for (size_t i = 0; i < scores->info->n_documents; i++) {
        if (take_document(run, i, error))
            return -1;
        bool full = run->n_pending == MAX_PENDING_DOCUMENTS || plan_tokens(run->plan) >= batch_tokens;
        if (full && flush(run, error))
            return -1;
    }
    if (run->n_pending && flush(run, error))
        return -1;
    return store_task_results(run, scores, error);
}

static const TaskScores *scores_of(const Run *run, const Task *task) {
    for (size_t i = 0; i < run->n_tasks; i++)
        if (run->scores[i].task == task)
            return &run->scores[i];
    return NULL;
}

/* A group's metric over its leaves; leaves that lack it are left out, as upstream leaves them out. */
static int store_group_result(Run *run, const TaskGroup *group, Error *error) {
    double *values = arena_alloc(&run->arena, group->n_leaves * sizeof *values);
    double *stderrs = arena_alloc(&run->arena, group->n_leaves * sizeof *stderrs);
    size_t *sizes = arena_alloc(&run->arena, group->n_leaves * sizeof *sizes), n = 0;
    DbResult row = {.name = group->name, .metric = group->metric, .filter = "none", .is_group = true};
    for (size_t i = 0; i < group->n_leaves; i++) {
        const TaskScores *scores = scores_of(run, group->leaves[i]);
        for (size_t m = 0; scores && m < scores->info->n_metrics; m++) {
            if (strcmp(scores->info->metrics[m].name, group->metric) != 0)
                continue;
            values[n] = scores->means[m];
            stderrs[n] = scores->stderrs[m];
            sizes[n++] = scores->info->n_documents;
            row.n += (int64_t)scores->info->n_documents;
            row.higher_is_better = scores->info->metrics[m].higher_is_better;
        }
    }
    if (n == 0)
        return error_set(error, "group %s: no task in it has the metric \"%s\"", group->name, group->metric);
    row.value = stat_group_mean(values, sizes, n, group->weight_by_size);
    row.stderr_value = stat_pooled_stderr(stderrs, sizes, n);
    return db_result(run->db, run->id, &row, error);
}

static int prepare_scores(Run *run, Error *error) {
    TaskSet *tasks = run->parts->tasks;
    run->n_tasks = task_set_count(tasks);
    run->scores = mem_alloc_zero(run->n_tasks, sizeof *run->scores);
    for (size_t i = 0; i < run->n_tasks; i++) {
        TaskScores *scores = &run->scores[i];
        scores->task = task_set_task(tasks, i);
        scores->info = task_info(scores->task);
        size_t n = scores->info->n_metrics;
        scores->functions = mem_alloc_zero(n, sizeof *scores->functions);
        scores->values = mem_alloc_zero(n, sizeof *scores->values);
        scores->means = mem_alloc_zero(n, sizeof(double));
        scores->stderrs = mem_alloc_zero(n, sizeof(double));
        for (size_t m = 0; m < n; m++) {
            if (metric_find(&scores->functions[m], scores->info->output_type, scores->info->metrics[m].name,
                            error))
                return error_prefix(error, "task %s", scores->info->name);
            scores->values[m] = mem_alloc_zero(scores->info->n_documents, sizeof(double));
        }
    }
    return 0;
}

static void free_scores(Run *run) {
    for (size_t i = 0; i < run->n_tasks; i++) {
        TaskScores *scores = &run->scores[i];
        for (size_t m = 0; scores->values && m < scores->info->n_metrics; m++)
            free(scores->values[m]);
        free(scores->values);
        free(scores->functions);
        free(scores->means);
        free(scores->stderrs);
    }
    free(run->scores);
}

static int score_everything(Run *run, Error *error) {
    const EvalOptions *options = run->parts->options;
    int64_t n_documents = 0;
    for (size_t i = 0; i < run->n_tasks; i++)
        n_documents += (int64_t)run->scores[i].info->n_documents;
    progress_begin(&run->progress, options->progress, "scoring", "documents", 0, n_documents);
    int result = 0;
    for (size_t i = 0; i < run->n_tasks && result == 0; i++)
        result = run_task(run, &run->scores[i], error);
    progress_end(&run->progress);
    return result;
}

static int store_groups(Run *run, Error *error) {
    for (size_t i = 0; i < task_set_group_count(run->parts->tasks); i++)
        if (store_group_result(run, task_set_group(run->parts->tasks, i), error))
            return -1;
    return 0;
}

static int run_in_db(RunParts *parts, Db *db, EvalSummary *summary, Error *error) {
    int64_t id;
    if (parts_describe(parts, db, &id, &summary->was_complete, error))
        return -1;
    summary->run_id = id;
    if (summary->was_complete)
        return 0;
    Run *run = mem_alloc_zero(1, sizeof *run);
    *run = (Run){.parts = parts, .db = db, .id = id, .plan = plan_create(), .summary = summary};
    int result = prepare_scores(run, error);
    if (result == 0)
        result = score_everything(run, error);
    if (result == 0)
        result = store_groups(run, error);
    if (result == 0)
        result = db_run_finish(db, id, error);
    encoded_request_free(&run->encoded);
    plan_free(run->plan);
    arena_free(&run->arena);
    free_scores(run);
    free(run);
    return result;
}

int eval_run(const EvalOptions *options, EvalSummary *summary, Error *error) {
    RunParts parts;
    Db *db = NULL;
    *summary = (EvalSummary){0};
    int result = parts_open(&parts, options, error);
    if (result == 0)
        result = db_open(&db, options->db_path, DB_WRITE, error);
    if (result == 0)
        result = run_in_db(&parts, db, summary, error);
    db_close(db);
    parts_close(&parts);
    return result;
}
