/* See requests.h. Documents are made and encoded by all threads, a few at a time, and added in their order.
 */
#include "eval/requests.h"

#include <stdlib.h>
#include <string.h>

#include "eval/parts.h"

/* A document made ready by one thread, to be added in its turn. */
typedef struct Prepared {
    uint32_t task;
    size_t index;
    EncodedRequest *encoded; /* [n]; kept for the next document */
    char (*keys)[SHA256_HEX];
    size_t n, capacity;
    Error error;
    int status;
} Prepared;

enum { PREPARED_PER_THREAD = 16 };

typedef struct Collector {
    RunRequests *out;
    const RunParts *parts;
    Db *db;
    ThreadPool *pool;
    Arena *arenas; /* one for each thread, of its document */
    Prepared *prepared;
    size_t n_prepared, prepared_capacity;
    Progress progress;
} Collector;

/* Room for one more element. */
static void *grow(void *array, size_t n, size_t *capacity, size_t bytes_each) {
    if (n < *capacity)
        return array;
    *capacity = *capacity ? *capacity * 2 : 256;
    return mem_realloc(array, *capacity * bytes_each);
}

/* ---- in the threads: texts to tokens and keys */

static void make_room(Prepared *prepared, size_t n) {
    if (n <= prepared->capacity)
        return;
    prepared->encoded = mem_realloc(prepared->encoded, n * sizeof *prepared->encoded);
    prepared->keys = mem_realloc(prepared->keys, n * sizeof *prepared->keys);
    memset(prepared->encoded + prepared->capacity, 0, (n - prepared->capacity) * sizeof *prepared->encoded);
    prepared->capacity = n;
}

static int prepare_document(const RunParts *parts, Prepared *prepared, Arena *arena, Error *error) {
    const Task *task = task_set_task(parts->tasks, prepared->task);
    TaskDocument document;
    arena_reset(arena);
    if (task_document(task, prepared->index, arena, &document, error))
        return -1;
    if (document.n_requests == 0)
        return error_set(error, "task %s, document %lld: it makes no requests", task_info(task)->name,
                         (long long)document.doc_id);
    prepared->n = document.n_requests;
    make_room(prepared, prepared->n);
    for (size_t i = 0; i < prepared->n; i++) {
        const TaskRequest *request = &document.requests[i];
        if (request->type != OUTPUT_LOGLIKELIHOOD)
            return error_set(
                error, "task %s, document %lld, request %zu: found a %s request, expected loglikelihood",
                task_info(task)->name, (long long)document.doc_id, i, output_type_name(request->type));
        bool same = i > 0 && text_equal(request->context, request[-1].context);
        if (encode_pair_after(&parts->encoder, same ? &prepared->encoded[i - 1] : NULL, request->context,
                              request->continuation, &prepared->encoded[i], error))
            return error_prefix(error, "task %s, document %lld, request %zu", task_info(task)->name,
                                (long long)document.doc_id, i);
        identity_response_key(parts, &prepared->encoded[i], prepared->keys[i]);
    }
    return 0;
}

static void prepare_in_thread(void *context, size_t i, int thread) {
    Collector *collector = context;
    Prepared *prepared = &collector->prepared[i];
    prepared->status =
        prepare_document(collector->parts, prepared, &collector->arenas[thread], &prepared->error);
}

/* ---- in order: looking up and planning */

static int find_or_plan(Collector *collector, RunRequest *request, const EncodedRequest *encoded,
                        Error *error) {
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
    if (plan_add(out->plan, encoded, &planned, error))
        return -1;
    request->is_new = true;
    out->planned = grow(out->planned, out->n_planned, &out->planned_capacity, sizeof *out->planned);
    out->planned[out->n_planned++] = (uint32_t)(request - out->requests);
    return 0;
}

static int add_document(Collector *collector, const Prepared *prepared, Error *error) {
    RunRequests *out = collector->out;
    RunDocument row = {.task = prepared->task,
                       .index = (uint32_t)prepared->index,
                       .first = (uint32_t)out->n_requests,
                       .n = (uint32_t)prepared->n};
    for (size_t i = 0; i < prepared->n; i++) {
        const EncodedRequest *encoded = &prepared->encoded[i];
        out->requests = grow(out->requests, out->n_requests, &out->requests_capacity, sizeof *out->requests);
        RunRequest *request = &out->requests[out->n_requests++];
        *request = (RunRequest){.n_context = (uint32_t)encoded->n_context,
                                .n_continuation = (uint32_t)(encoded->tokens.n - encoded->n_context),
                                .n_truncated = (uint32_t)encoded->n_truncated,
                                .document = (uint32_t)out->n_documents};
        memcpy(request->key, prepared->keys[i], sizeof request->key);
        out->n_truncated += encoded->n_truncated > 0;
        if (find_or_plan(collector, request, encoded, error))
            return -1;
        row.open += request->is_new;
    }
    out->documents = grow(out->documents, out->n_documents, &out->documents_capacity, sizeof *out->documents);
    out->documents[out->n_documents++] = row;
    return 0;
}

static int add_prepared(Collector *collector, Error *error) {
    thread_pool_run(collector->pool, collector->n_prepared, prepare_in_thread, collector);
    for (size_t i = 0; i < collector->n_prepared; i++) {
        const Prepared *prepared = &collector->prepared[i];
        if (prepared->status) {
            if (error)
                *error = prepared->error;
            return -1;
        }
        if (add_document(collector, prepared, error))
            return -1;
    }
    collector->n_prepared = 0;
    progress_update(&collector->progress, (int64_t)collector->out->n_documents);
    return parts_stopped(collector->parts, error);
}

static int collect(Collector *collector, Error *error) {
    TaskSet *tasks = collector->parts->tasks;
    for (uint32_t t = 0; t < task_set_count(tasks); t++)
        for (size_t i = 0; i < task_info(task_set_task(tasks, t))->n_documents; i++) {
            Prepared *next = &collector->prepared[collector->n_prepared++];
            next->task = t;
            next->index = i;
            if (collector->n_prepared == collector->prepared_capacity && add_prepared(collector, error))
                return -1;
        }
    return collector->n_prepared ? add_prepared(collector, error) : 0;
}

static void free_collector(Collector *collector) {
    for (size_t i = 0; i < collector->prepared_capacity; i++) {
        Prepared *prepared = &collector->prepared[i];
        for (size_t r = 0; r < prepared->capacity; r++)
            encoded_request_free(&prepared->encoded[r]);
        free(prepared->encoded);
        free(prepared->keys);
    }
    for (int i = 0; i < thread_pool_size(collector->pool); i++)
        arena_free(&collector->arenas[i]);
    free(collector->prepared);
    free(collector->arenas);
    thread_pool_destroy(collector->pool);
}

int requests_collect(RunRequests *out, const RunParts *parts, Db *db, Error *error) {
    Collector collector = {.out = out, .parts = parts, .db = db};
    int64_t n_documents = 0;
    for (size_t i = 0; i < task_set_count(parts->tasks); i++)
        n_documents += (int64_t)task_info(task_set_task(parts->tasks, i))->n_documents;
    out->plan = plan_create();
    if (thread_pool_create(&collector.pool, parts->options->n_threads, error))
        return -1;
    size_t n_threads = (size_t)thread_pool_size(collector.pool);
    collector.arenas = mem_alloc_zero(n_threads, sizeof *collector.arenas);
    collector.prepared_capacity = n_threads * PREPARED_PER_THREAD;
    collector.prepared = mem_alloc_zero(collector.prepared_capacity, sizeof *collector.prepared);
    progress_begin(&collector.progress, parts->options->progress, "reading", "documents", 0, n_documents);
    int result = collect(&collector, error);
    progress_end(&collector.progress);
    free_collector(&collector);
    return result;
}

void requests_free(RunRequests *requests) {
    plan_free(requests->plan);
    free(requests->requests);
    free(requests->documents);
    free(requests->planned);
    *requests = (RunRequests){0};
}
