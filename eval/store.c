/* See store.h. */
#include "eval/store.h"

#include <string.h>

#include "base/base.h"

/* Where a document goes. */
typedef struct Destination {
    Db *db;
    int64_t run_id;
    RunScores *scores;
    Arena arena;
} Destination;

static int store_request(const Destination *to, const TaskDocument *document, const char *task, size_t i,
                         const RunRequest *request, Error *error) {
    const TaskRequest *texts = &document->requests[i];
    DbRequest row = {.task = task,
                     .doc_id = document->doc_id,
                     .idx = texts->idx,
                     .request_type = output_type_name(texts->type),
                     .context = texts->context,
                     .continuation = texts->continuation,
                     .generation = texts->generation,
                     .choice = i < document->n_choices ? document->choices[i] : NULL,
                     .response_key = request->key,
                     .n_context_tokens = request->n_context,
                     .n_continuation_tokens = request->n_continuation,
                     .n_truncated = request->n_truncated};
    return db_request(to->db, to->run_id, &row, error);
}

static int store_rows(Destination *to, const RunDocument *row, const RunRequest *requests, Error *error) {
    const TaskScores *scores = &to->scores->tasks[row->task];
    TaskDocument document;
    char prompt[SHA256_HEX];
    if (task_document_dropping(scores->task, row->index, row->n_dropped, &to->arena, &document, error))
        return -1;
    if (document.n_requests != row->n)
        return error_set(error, "task %s, document %lld: found %zu requests, expected %u as before",
                         scores->info->name, (long long)document.doc_id, document.n_requests, row->n);
    sha256_text(document.requests[0].context, strlen(document.requests[0].context), prompt);
    DbDocument stored = {.task = scores->info->name,
                         .doc_id = document.doc_id,
                         .json = document.json,
                         .target = document.target,
                         .gold = document.gold,
                         .prompt_sha256 = prompt,
                         .n_dropped_shots = row->n_dropped};
    if (db_document(to->db, to->run_id, &stored, error))
        return -1;
    Answer *answers = arena_alloc(&to->arena, row->n * sizeof *answers);
    for (uint32_t i = 0; i < row->n; i++) {
        answers[i] = requests[i].answer;
        if (store_request(to, &document, scores->info->name, i, &requests[i], error))
            return -1;
    }
    return scores_document(to->scores, row->task, row->index, &document, answers, to->db, to->run_id, error);
}

int store_document(Db *db, int64_t run_id, RunScores *scores, const RunDocument *row,
                   const RunRequest *requests, Error *error) {
    Destination to = {.db = db, .run_id = run_id, .scores = scores};
    int result = store_rows(&to, row, requests, error);
    arena_free(&to.arena);
    return result;
}
