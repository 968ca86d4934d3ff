/* See replay_run.h. */
#include "eval/replay_run.h"

#include <stdlib.h>
#include <string.h>

#include "eval/replay.h"
#include "eval/store.h"

enum { DOCUMENTS_PER_COMMIT = 1024 };

int replay_parts_open(RunParts *parts, Error *error) {
    const char *path = replay_path(parts->options->model);
    if (replay_open(&parts->replay, path, error))
        return -1;
    size_t n = replay_file_count(parts->replay);
    const char **files = mem_alloc_zero(n, sizeof *files);
    for (size_t i = 0; i < n; i++)
        files[i] = replay_file(parts->replay, i);
    char *folder = file_is_directory(path) ? mem_strdup(path) : path_folder(path);
    char *name = mem_alloc(strlen(path) + sizeof "replay:");
    sprintf(name, "replay:%s", path_name(path));
    int result = zoo_identify(&parts->model, name, folder, files, n, error);
    snprintf(parts->backend, sizeof parts->backend, "replay");
    free(name);
    free(folder);
    free(files);
    return result;
}

/* What a recorded answer is kept under: the records, and whom they answer. */
static void response_key(const RunParts *parts, const char *task, const TaskDocument *document, size_t i,
                         char key[SHA256_HEX]) {
    const TaskRequest *request = &document->requests[i];
    char place[64];
    Sha256 *hash = sha256_begin();
    snprintf(place, sizeof place, "%lld %zu", (long long)document->doc_id, i);
    sha256_update_field(hash, "zeval replay 1", strlen("zeval replay 1"));
    sha256_update_field(hash, parts->model.sha256, strlen(parts->model.sha256));
    sha256_update_field(hash, task, strlen(task));
    sha256_update_field(hash, place, strlen(place));
    sha256_update_field(hash, request->context, strlen(request->context));
    if (request->continuation)
        sha256_update_field(hash, request->continuation, strlen(request->continuation));
    sha256_end(hash, key);
}

/* One task's work. */
typedef struct Work {
    const RunParts *parts;
    RunScores *scores;
    size_t task;
    Db *db;
    int64_t run_id;
    int64_t *n_requests;
    Arena arena;
} Work;

static int replay_document(Work *work, size_t index, Error *error) {
    const TaskScores *scores = &work->scores->tasks[work->task];
    TaskDocument document;
    arena_reset(&work->arena);
    if (task_document(scores->task, index, &work->arena, &document, error))
        return -1;
    RunRequest *requests = arena_alloc(&work->arena, document.n_requests * sizeof *requests);
    for (size_t i = 0; i < document.n_requests; i++) {
        Answer *answer = &requests[i].answer;
        if (replay_answer(work->parts->replay, scores->info->name, &document, i, answer, error))
            return -1;
        response_key(work->parts, scores->info->name, &document, i, requests[i].key);
        const DbResponse response = {
            .loglikelihood = answer->loglikelihood, .is_greedy = answer->is_greedy, .text = answer->text};
        if (db_response_put(work->db, requests[i].key, &response, error))
            return -1;
    }
    const RunDocument row = {
        .task = (uint32_t)work->task, .index = (uint32_t)index, .n = (uint32_t)document.n_requests};
    *work->n_requests += row.n;
    return store_document(work->db, work->run_id, work->scores, &row, requests, error);
}

/* Documents from *next on, a transaction's worth. */
static int replay_some(Work *work, size_t *next, Error *error) {
    size_t n = work->scores->tasks[work->task].info->n_documents, end = *next + DOCUMENTS_PER_COMMIT;
    if (db_begin(work->db, error))
        return -1;
    for (; *next < n && *next < end; ++*next)
        if (replay_document(work, *next, error)) {
            db_rollback(work->db);
            return -1;
        }
    return db_commit(work->db, error);
}

int replay_score(const RunParts *parts, RunScores *scores, Db *db, int64_t run_id, int64_t *n, Error *error) {
    Work work = {.parts = parts, .scores = scores, .db = db, .run_id = run_id, .n_requests = n};
    int result = 0;
    for (; work.task < scores->n_tasks && result == 0; work.task++)
        for (size_t next = 0; next < scores->tasks[work.task].info->n_documents && result == 0;)
            result = replay_some(&work, &next, error) || parts_stopped(parts, error) ? -1 : 0;
    arena_free(&work.arena);
    return result;
}
