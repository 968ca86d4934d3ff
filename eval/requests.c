/* See requests.h. Documents are made and encoded by all threads, a few at a time, and added in their order.
 */
#include "eval/requests.h"

#include <stdlib.h>
#include <string.h>

#include "eval/parts.h"

/* A request made ready: one sequence, or as many as it has windows. */
typedef struct PreparedRequest {
    OutputType type;
    size_t first, n;        /* its sequences */
    Generation *generation; /* generate_until: its settings, until somebody else owns them */
    char key[SHA256_HEX];
} PreparedRequest;

/* A document made ready by one thread, to be added in its turn. */
typedef struct Prepared {
    uint32_t task;
    size_t index, n_dropped;
    PreparedRequest *requests; /* [n]; the memory is kept for the next document, as that of the following */
    size_t n, capacity;
    EncodedList encoded;
    char (*keys)[SHA256_HEX]; /* one for each sequence */
    size_t keys_capacity;
    Error error;
    int status;
} Prepared;

enum { PREPARED_PER_THREAD = 16 };

typedef struct Collector {
    RunRequests *out;
    const RunParts *parts;
    Db *db;
    bool claims;
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

static void free_generations(Prepared *prepared) {
    for (size_t i = 0; i < prepared->n; i++)
        if (prepared->requests[i].generation) {
            generation_free(prepared->requests[i].generation);
            free(prepared->requests[i].generation);
        }
    prepared->n = 0;
}

static void make_room(Prepared *prepared, size_t n) {
    free_generations(prepared);
    prepared->encoded.n = 0;
    if (n <= prepared->capacity)
        return;
    prepared->requests = mem_realloc(prepared->requests, n * sizeof *prepared->requests);
    prepared->capacity = n;
}

/* A repeat has the tokens of the request before it. */
static int encode_generation(const RunParts *parts, Prepared *prepared, PreparedRequest *to,
                             const TaskRequest *request, bool same, Error *error) {
    Generation *generation = mem_alloc_zero(1, sizeof *generation);
    if (generation_parse(generation, &parts->generation, request->generation, error)) {
        free(generation);
        return -1;
    }
    to->generation = generation;
    EncodedRequest *out = encoded_list_add(&prepared->encoded);
    if (!same)
        return encode_prompt(&parts->encoder, request->context, generation->max_new_tokens, out, error);
    const EncodedRequest *former = out - 1;
    out->tokens.n = 0;
    for (size_t i = 0; i < former->tokens.n; i++)
        token_ids_append(&out->tokens, former->tokens.ids[i]);
    out->n_context = former->n_context;
    out->n_truncated = former->n_truncated;
    return 0;
}

/* Appends the sequences of one request. `same` tells that its context is that of the former one. */
static int encode_request(const RunParts *parts, Prepared *prepared, PreparedRequest *to,
                          const TaskRequest *request, bool same, Error *error) {
    const Encoder *encoder = &parts->encoder;
    EncodedList *list = &prepared->encoded;
    if (request->type == OUTPUT_LOGLIKELIHOOD_ROLLING)
        return encode_rolling(encoder, request->context, list, error);
    if (request->type == OUTPUT_GENERATE_UNTIL)
        return encode_generation(parts, prepared, to, request, same, error);
    EncodedRequest *out = encoded_list_add(list);
    return encode_pair_after(encoder, same ? out - 1 : NULL, request->context, request->continuation, out,
                             error);
}

static void make_keys(const RunParts *parts, Prepared *prepared, PreparedRequest *request) {
    size_t end = request->first + request->n;
    if (end > prepared->keys_capacity) {
        prepared->keys_capacity = end * 2;
        prepared->keys = mem_realloc(prepared->keys, prepared->keys_capacity * sizeof *prepared->keys);
    }
    if (request->generation) {
        identity_generation_key(parts, &prepared->encoded.items[request->first], request->generation,
                                (size_t)(request - prepared->requests), request->key);
        return;
    }
    for (size_t i = request->first; i < end; i++)
        identity_response_key(parts, &prepared->encoded.items[i], prepared->keys[i]);
    if (request->type == OUTPUT_LOGLIKELIHOOD_ROLLING)
        identity_rolling_key((const char(*)[SHA256_HEX])prepared->keys + request->first, request->n,
                             request->key);
    else
        memcpy(request->key, prepared->keys[request->first], sizeof request->key);
}

static int refuse_truncation(const RunParts *parts, const Prepared *prepared, const char *task,
                             int64_t doc_id, size_t request, Error *error) {
    const EncodedRequest *encoded = &prepared->encoded.items[prepared->requests[request].first];
    return error_set(
        error,
        "task %s, document %lld, request %zu: it has %zu tokens, %zu more than max_length %lld has "
        "room for; --on-truncation match cuts them off on the left, drop-shots leaves out examples",
        task, (long long)doc_id, request, encoded->tokens.n + encoded->n_truncated, encoded->n_truncated,
        (long long)parts->encoder.max_length);
}

static int encode_document(const RunParts *parts, Prepared *prepared, Arena *arena, bool *truncated,
                           Error *error) {
    const Task *task = task_set_task(parts->tasks, prepared->task);
    TaskDocument document;
    *truncated = false;
    arena_reset(arena);
    if (task_document_dropping(task, prepared->index, prepared->n_dropped, arena, &document, error))
        return -1;
    if (document.n_requests == 0)
        return error_set(error, "task %s, document %lld: it makes no requests", task_info(task)->name,
                         (long long)document.doc_id);
    make_room(prepared, document.n_requests);
    for (size_t i = 0; i < document.n_requests; i++) {
        const TaskRequest *from = &document.requests[i];
        bool same = i > 0 && from->type == from[-1].type && text_equal(from->context, from[-1].context);
        PreparedRequest *to = &prepared->requests[prepared->n++];
        *to = (PreparedRequest){.type = from->type, .first = prepared->encoded.n};
        if (encode_request(parts, prepared, to, from, same, error))
            return error_prefix(error, "task %s, document %lld, request %zu", task_info(task)->name,
                                (long long)document.doc_id, i);
        to->n = prepared->encoded.n - to->first;
        *truncated |= to->n == 1 && prepared->encoded.items[to->first].n_truncated > 0;
        if (*truncated && parts->options->on_truncation == TRUNCATION_ERROR)
            return refuse_truncation(parts, prepared, task_info(task)->name, document.doc_id, i, error);
    }
    return 0;
}

static int prepare_document(const RunParts *parts, Prepared *prepared, Arena *arena, Error *error) {
    size_t n_shots = (size_t)task_info(task_set_task(parts->tasks, prepared->task))->num_fewshot;
    bool truncated;
    prepared->n_dropped = 0;
    if (encode_document(parts, prepared, arena, &truncated, error))
        return -1;
    while (truncated && parts->options->on_truncation == TRUNCATION_DROP_SHOTS &&
           prepared->n_dropped < n_shots) {
        prepared->n_dropped++;
        if (encode_document(parts, prepared, arena, &truncated, error))
            return -1;
    }
    for (size_t i = 0; i < prepared->n; i++)
        make_keys(parts, prepared, &prepared->requests[i]);
    return 0;
}

static void prepare_in_thread(void *context, size_t i, int thread) {
    Collector *collector = context;
    Prepared *prepared = &collector->prepared[i];
    prepared->status =
        prepare_document(collector->parts, prepared, &collector->arenas[thread], &prepared->error);
}

/* ---- in order: looking up and planning */

/* 1 and *answer if the database has it, else 0; -1 on failure. */
static int find_answer(Collector *collector, const char *key, Answer *answer, Error *error) {
    DbResponse stored;
    int found = collector->db ? db_response_find(collector->db, key, &stored, error) : 0;
    if (found > 0)
        *answer = (Answer){.loglikelihood = stored.loglikelihood,
                           .is_greedy = stored.is_greedy,
                           .text = stored.text ? arena_strdup(&collector->out->texts, stored.text) : NULL};
    return found;
}

/* The run's own copy of settings: those of a task are the same for all of its documents. */
static const Generation *keep_generation(RunRequests *out, PreparedRequest *from) {
    for (size_t i = out->n_generations; i-- > 0;)
        if (strcmp(out->generations[i]->json, from->generation->json) == 0)
            return out->generations[i];
    out->generations =
        grow(out->generations, out->n_generations, &out->generations_capacity, sizeof *out->generations);
    Generation *kept = out->generations[out->n_generations++] = from->generation;
    from->generation = NULL;
    return kept;
}

static void note_planned(RunRequests *out, uint32_t request, uint32_t window) {
    out->planned = grow(out->planned, out->n_planned, &out->planned_capacity, sizeof *out->planned);
    out->planned[out->n_planned++] = (Planned){request, window};
    out->requests[request].open++;
}

/* 1 if another process computes it: then it is not planned here, and the request stays open. */
static int is_elsewhere(Collector *collector, const char *key, uint32_t request, Error *error) {
    RunRequests *out = collector->out;
    DbWorker holder;
    int found = collector->claims ? db_claim_find(collector->db, key, &holder, error) : 0;
    if (found <= 0)
        return found;
    out->holder = holder;
    out->elsewhere = grow(out->elsewhere, out->n_elsewhere, &out->elsewhere_capacity, sizeof *out->elsewhere);
    memcpy(out->elsewhere[out->n_elsewhere++], key, SHA256_HEX);
    out->requests[request].open++;
    return 1;
}

static int plan_sequence(RunRequests *out, const EncodedRequest *encoded, uint32_t request, uint32_t window,
                         Error *error) {
    uint32_t number;
    if (plan_add(out->plan, encoded, &number, error))
        return -1;
    note_planned(out, request, window);
    return 0;
}

static int plan_prompt(RunRequests *out, const EncodedRequest *encoded, PreparedRequest *from,
                       uint32_t request, Error *error) {
    uint32_t number;
    const Generation *settings = keep_generation(out, from);
    if (plan_add_prompt(out->plan, encoded, settings, identity_seed(from->key), &number, error))
        return -1;
    note_planned(out, request, NO_WINDOW);
    return 0;
}

static int add_windows(Collector *collector, const Prepared *prepared, const PreparedRequest *from,
                       uint32_t request, Error *error) {
    RunRequests *out = collector->out;
    out->requests[request].first_window = (uint32_t)out->n_windows;
    out->requests[request].n_windows = (uint32_t)from->n;
    for (size_t i = from->first; i < from->first + from->n; i++) {
        out->windows = grow(out->windows, out->n_windows, &out->windows_capacity, sizeof *out->windows);
        uint32_t number = (uint32_t)out->n_windows++;
        RunWindow *window = &out->windows[number];
        memcpy(window->key, prepared->keys[i], sizeof window->key);
        int found = find_answer(collector, window->key, &window->answer, error);
        if (found == 0)
            found = is_elsewhere(collector, window->key, request, error);
        if (found < 0 ||
            (found == 0 && plan_sequence(out, &prepared->encoded.items[i], request, number, error)))
            return -1;
    }
    /* Every window may be there and the whole not: the process that scored the last one was killed. */
    if (out->requests[request].open == 0)
        out->requests[request].answer = requests_rolling_answer(out, &out->requests[request]);
    return 0;
}

static int find_or_plan(Collector *collector, const Prepared *prepared, PreparedRequest *from,
                        uint32_t number, Error *error) {
    RunRequest *request = &collector->out->requests[number];
    int found = find_answer(collector, request->key, &request->answer, error);
    if (found == 0 && from->type != OUTPUT_LOGLIKELIHOOD_ROLLING)
        found = is_elsewhere(collector, request->key, number, error);
    if (found)
        return found < 0 ? -1 : 0;
    if (from->generation)
        return plan_prompt(collector->out, &prepared->encoded.items[from->first], from, number, error);
    return from->type == OUTPUT_LOGLIKELIHOOD_ROLLING
               ? add_windows(collector, prepared, from, number, error)
               : plan_sequence(collector->out, &prepared->encoded.items[from->first], number, NO_WINDOW,
                               error);
}

/* Of a text in windows the prefix token stands before a BOS of its own, which is as upstream has it. */
static void count_bos(RunRequests *out, const Tokenizer *tokenizer, const Prepared *prepared,
                      const PreparedRequest *from) {
    int32_t bos = tokenizer_bos_id(tokenizer);
    if (bos < 0 || from->n == 0 || from->type == OUTPUT_LOGLIKELIHOOD_ROLLING)
        return;
    const TokenIds *tokens = &prepared->encoded.items[from->first].tokens;
    bool first = tokens->ids[0] == bos;
    out->n_bos_missing += tokenizer_adds_bos(tokenizer) && !first;
    out->n_bos_twice += first && tokens->n > 1 && tokens->ids[1] == bos;
}

static void count_tokens(const Prepared *prepared, const PreparedRequest *from, RunRequest *to) {
    for (size_t i = from->first; i < from->first + from->n; i++) {
        const EncodedRequest *encoded = &prepared->encoded.items[i];
        to->n_context = i == from->first ? (uint32_t)encoded->n_context : to->n_context;
        to->n_continuation += (uint32_t)(encoded->tokens.n - encoded->n_context);
        to->n_truncated += (uint32_t)encoded->n_truncated;
    }
}

static int add_document(Collector *collector, Prepared *prepared, Error *error) {
    RunRequests *out = collector->out;
    RunDocument row = {.task = prepared->task,
                       .index = (uint32_t)prepared->index,
                       .first = (uint32_t)out->n_requests,
                       .n = (uint32_t)prepared->n,
                       .n_dropped = (uint32_t)prepared->n_dropped};
    out->n_shortened += prepared->n_dropped > 0;
    for (size_t i = 0; i < prepared->n; i++) {
        PreparedRequest *from = &prepared->requests[i];
        out->requests = grow(out->requests, out->n_requests, &out->requests_capacity, sizeof *out->requests);
        uint32_t number = (uint32_t)out->n_requests++;
        RunRequest *request = &out->requests[number];
        *request = (RunRequest){.document = (uint32_t)out->n_documents};
        memcpy(request->key, from->key, sizeof request->key);
        count_tokens(prepared, from, request);
        count_bos(out, collector->parts->tokenizer, prepared, from);
        out->n_truncated += request->n_truncated > 0;
        if (find_or_plan(collector, prepared, from, number, error))
            return -1;
        row.open += request->open > 0;
        out->n_new += request->open > 0;
    }
    out->documents = grow(out->documents, out->n_documents, &out->documents_capacity, sizeof *out->documents);
    out->documents[out->n_documents++] = row;
    return 0;
}

static int add_prepared(Collector *collector, Error *error) {
    double start = clock_seconds();
    thread_pool_run(collector->pool, collector->n_prepared, prepare_in_thread, collector);
    collector->out->reading_s += clock_seconds() - start;
    for (size_t i = 0; i < collector->n_prepared; i++) {
        Prepared *prepared = &collector->prepared[i];
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
        free_generations(prepared);
        encoded_list_free(&prepared->encoded);
        free(prepared->requests);
        free(prepared->keys);
    }
    for (int i = 0; i < thread_pool_size(collector->pool); i++)
        arena_free(&collector->arenas[i]);
    free(collector->prepared);
    free(collector->arenas);
    thread_pool_destroy(collector->pool);
}

int requests_collect(RunRequests *out, const RunParts *parts, Db *db, bool claims, Error *error) {
    Collector collector = {.out = out, .parts = parts, .db = db, .claims = claims};
    int64_t n_documents = 0;
    for (size_t i = 0; i < task_set_count(parts->tasks); i++)
        n_documents += (int64_t)task_info(task_set_task(parts->tasks, i))->n_documents;
    out->plan = plan_create();
    plan_generate_with(out->plan, &parts->generation);
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
    for (size_t i = 0; i < requests->n_generations; i++) {
        generation_free(requests->generations[i]);
        free(requests->generations[i]);
    }
    free(requests->generations);
    arena_free(&requests->texts);
    free(requests->requests);
    free(requests->windows);
    free(requests->elsewhere);
    free(requests->documents);
    free(requests->planned);
    *requests = (RunRequests){0};
}

Answer requests_rolling_answer(const RunRequests *requests, const RunRequest *request) {
    Answer answer = {.is_greedy = true};
    for (uint32_t i = 0; i < request->n_windows; i++) {
        const Answer *window = &requests->windows[request->first_window + i].answer;
        answer.loglikelihood += window->loglikelihood;
        answer.is_greedy &= window->is_greedy;
    }
    return answer;
}

/* 1 if the answer is ours to compute; 0 if another process has claimed it, or answered it meanwhile. */
static int claim(Db *db, const char *key, Error *error) {
    DbResponse response;
    int found = db_response_find(db, key, &response, error);
    return found ? (found < 0 ? -1 : 0) : db_claim(db, key, error);
}

int requests_claim(const RunRequests *requests, Db *db, bool *all, Error *error) {
    enum { CLAIMS_PER_COMMIT = 16384 };
    *all = true;
    for (size_t i = 0; i < requests->n_planned;) {
        if (db_begin(db, error))
            return -1;
        for (size_t n = 0; n < CLAIMS_PER_COMMIT && i < requests->n_planned; n++, i++) {
            const Planned *planned = &requests->planned[i];
            bool whole = planned->window == NO_WINDOW;
            int claimed = claim(
                db, whole ? requests->requests[planned->request].key : requests->windows[planned->window].key,
                error);
            if (claimed < 0) {
                db_rollback(db);
                return -1;
            }
            *all &= claimed > 0;
        }
        if (db_commit(db, error))
            return -1;
    }
    return 0;
}
