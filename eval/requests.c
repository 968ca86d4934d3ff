/* See requests.h. */
#include "eval/requests.h"

#include <stdlib.h>

#include "eval/parts.h"

typedef struct Collector {
    RunRequests *out;
    const RunParts *parts;
    Db *db;
    Arena arena; /* of one document */
    EncodedRequest encoded;
    Progress progress;
} Collector;

/* Room for one more element. */
static void *grow(void *array, size_t n, size_t *capacity, size_t bytes_each) {
    if (n < *capacity)
        return array;
    *capacity = *capacity ? *capacity * 2 : 256;
    return mem_realloc(array, *capacity * bytes_each);
}

static int find_or_plan(Collector *collector, RunRequest *request, size_t number, Error *error) {
    RunRequests *out = collector->out;
    DbResponse stored;
    int found = collector->db ? db_response_find(collector->db, request->key, &stored, error) : 0;
    if (found < 0)
        return -1;
    if (found) {
        request->answer = (Answer){.loglikelihood = stored.loglikelihood, .is_greedy = stored.is_greedy};
        return 0;
    }
    uint32_t planned;
    if (plan_add(out->plan, &collector->encoded, &planned, error))
        return -1;
    request->is_new = true;
    out->planned = grow(out->planned, out->n_planned, &out->planned_capacity, sizeof *out->planned);
    out->planned[out->n_planned++] = (uint32_t)number;
    return 0;
}

static int add_request(Collector *collector, const TaskRequest *task_request, Error *error) {
    RunRequests *out = collector->out;
    EncodedRequest *encoded = &collector->encoded;
    if (encode_pair(&collector->parts->encoder, task_request->context, task_request->continuation, encoded,
                    error))
        return -1;
    out->requests = grow(out->requests, out->n_requests, &out->requests_capacity, sizeof *out->requests);
    RunRequest *request = &out->requests[out->n_requests];
    *request = (RunRequest){.n_context = (uint32_t)encoded->n_context,
                            .n_continuation = (uint32_t)(encoded->tokens.n - encoded->n_context),
                            .n_truncated = (uint32_t)encoded->n_truncated,
                            .document = (uint32_t)out->n_documents};
    identity_response_key(collector->parts, encoded, request->key);
    out->n_truncated += encoded->n_truncated > 0;
    return find_or_plan(collector, request, out->n_requests++, error);
}

static int add_document(Collector *collector, uint32_t task_number, size_t index, Error *error) {
    RunRequests *out = collector->out;
    const Task *task = task_set_task(collector->parts->tasks, task_number);
    TaskDocument document;
    arena_reset(&collector->arena);
    if (task_document(task, index, &collector->arena, &document, error))
        return -1;
    if (document.n_requests == 0)
        return error_set(error, "task %s, document %lld: it makes no requests", task_info(task)->name,
                         (long long)document.doc_id);
    RunDocument row = {.task = task_number, .index = (uint32_t)index, .first = (uint32_t)out->n_requests};
    for (; row.n < document.n_requests; row.n++) {
        if (add_request(collector, &document.requests[row.n], error))
            return error_prefix(error, "task %s, document %lld, request %u", task_info(task)->name,
                                (long long)document.doc_id, row.n);
        row.open += out->requests[out->n_requests - 1].is_new;
    }
    out->documents = grow(out->documents, out->n_documents, &out->documents_capacity, sizeof *out->documents);
    out->documents[out->n_documents++] = row;
    return 0;
}

static int collect(Collector *collector, Error *error) {
    TaskSet *tasks = collector->parts->tasks;
    for (uint32_t t = 0; t < task_set_count(tasks); t++)
        for (size_t i = 0; i < task_info(task_set_task(tasks, t))->n_documents; i++) {
            if (parts_stopped(collector->parts, error) || add_document(collector, t, i, error))
                return -1;
            progress_update(&collector->progress, (int64_t)collector->out->n_documents);
        }
    return 0;
}

int requests_collect(RunRequests *out, const RunParts *parts, Db *db, Error *error) {
    Collector collector = {.out = out, .parts = parts, .db = db};
    int64_t n_documents = 0;
    for (size_t i = 0; i < task_set_count(parts->tasks); i++)
        n_documents += (int64_t)task_info(task_set_task(parts->tasks, i))->n_documents;
    out->plan = plan_create();
    progress_begin(&collector.progress, parts->options->progress, "reading", "documents", 0, n_documents);
    int result = collect(&collector, error);
    progress_end(&collector.progress);
    encoded_request_free(&collector.encoded);
    arena_free(&collector.arena);
    return result;
}

void requests_free(RunRequests *requests) {
    plan_free(requests->plan);
    free(requests->requests);
    free(requests->documents);
    free(requests->planned);
    *requests = (RunRequests){0};
}
