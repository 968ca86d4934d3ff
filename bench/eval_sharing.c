/* What sharing prefixes saves: the same requests on the same engine, walked as one tree and each fed alone.
 *
 *     build/bench/eval_sharing [MODEL TASKS [DATA [SHOTS [LIMIT [THREADS]]]]]      default: the built-in
 * model and tasks
 *
 * TASKS is one name or wildcard; SHOTS -1 is the task's own, LIMIT 0 every document, THREADS 0 one per
 * processor. Prints tokens and seconds of the engine for both, and fails unless every score is the same to
 * the bit. bench/sharing.sh puts whole runs and lm-eval beside it. */
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "eval/parts.h"
#include "eval/requests.h"

enum { BATCH_TOKENS = 4096 };

/* Requests that are fed on their own, a batch at a time. */
typedef struct Alone {
    const RunParts *parts;
    const RunRequests *all;
    Segment *segments;
    size_t n, n_tokens, next; /* in the batch; the next request */
    Arena arena;
    EncodedRequest encoded;
    double seconds;
    size_t tokens_fed, n_different;
} Alone;

static void fail(const Error *error) {
    fprintf(stderr, "eval_sharing: %s\n", error->message);
    exit(1);
}

static void run_batch(Alone *alone) {
    Error error = {0};
    double start = clock_seconds();
    if (alone->n && engine_score(alone->parts->engine, alone->segments, alone->n, &error))
        fail(&error);
    alone->seconds += clock_seconds() - start;
    for (size_t i = 0; i < alone->n; i++) {
        const Segment *segment = &alone->segments[i];
        Answer answer = {.is_greedy = true}, planned = plan_answer(alone->all->plan, (uint32_t)alone->next++);
        for (size_t t = 0; t < segment->n_targets; t++) {
            answer.loglikelihood += segment->results[t].logprob;
            answer.is_greedy &= segment->results[t].argmax == segment->targets[t].token;
        }
        alone->n_different +=
            answer.loglikelihood != planned.loglikelihood || answer.is_greedy != planned.is_greedy;
    }
    alone->tokens_fed += alone->n_tokens;
    alone->n = alone->n_tokens = 0;
    arena_reset(&alone->arena);
}

static void add_request(Alone *alone, const TaskRequest *request) {
    Error error = {0};
    EncodedRequest *encoded = &alone->encoded;
    if (encode_pair(&alone->parts->encoder, request->context, request->continuation, encoded, &error))
        fail(&error);
    size_t n = encoded->tokens.n, n_targets = n - encoded->n_context;
    int32_t *ids = arena_alloc(&alone->arena, n * sizeof *ids);
    Target *targets = arena_alloc(&alone->arena, n_targets * sizeof *targets);
    for (size_t i = 0; i < n; i++)
        ids[i] = encoded->tokens.ids[i];
    for (size_t i = 0; i < n_targets; i++)
        targets[i] = (Target){(int32_t)(encoded->n_context - 1 + i), ids[encoded->n_context + i]};
    alone->segments[alone->n++] =
        (Segment){.tokens = ids,
                  .n_tokens = n - 1,
                  .targets = targets,
                  .n_targets = n_targets,
                  .results = arena_alloc(&alone->arena, n_targets * sizeof(TargetResult))};
    alone->n_tokens += n - 1;
    if (alone->n_tokens >= BATCH_TOKENS)
        run_batch(alone);
}

static void score_alone(Alone *alone) {
    Error error = {0};
    Arena arena = {0};
    TaskDocument document;
    alone->segments = mem_alloc_zero(BATCH_TOKENS, sizeof *alone->segments);
    for (size_t i = 0; i < alone->all->n_documents; i++) {
        const RunDocument *row = &alone->all->documents[i];
        arena_reset(&arena);
        if (task_document(task_set_task(alone->parts->tasks, row->task), row->index, &arena, &document,
                          &error))
            fail(&error);
        for (size_t r = 0; r < document.n_requests; r++)
            add_request(alone, &document.requests[r]);
    }
    run_batch(alone);
    arena_free(&arena);
    free(alone->segments);
    arena_free(&alone->arena);
    encoded_request_free(&alone->encoded);
}

static double score_shared(const RunParts *parts, Plan *plan) {
    Error error = {0};
    double start = clock_seconds();
    int more;
    plan_settle(plan, engine_info(parts->engine), (size_t)4 << 30);
    while ((more = plan_step(plan, parts->engine, BATCH_TOKENS, &error)) > 0)
        continue;
    if (more < 0)
        fail(&error);
    return clock_seconds() - start;
}

int main(int argc, char **argv) {
    const char *task = argc > 2 ? argv[2] : "demo";
    EvalOptions options = {.model = argc > 1 ? argv[1] : "demo",
                           .tasks = {.names = &task,
                                     .n_names = 1,
                                     .data_root = argc > 3 ? argv[3] : NULL,
                                     .num_fewshot = argc > 4 ? atoi(argv[4]) : -1,
                                     .limit = argc > 5 ? atof(argv[5]) : 0,
                                     .fewshot_seed = 1234},
                           .n_threads = argc > 6 ? atoi(argv[6]) : 0,
                           .max_length = 1 << 20};
    Error error = {0};
    RunParts parts;
    RunRequests all = {0};
    if (parts_open(&parts, &options, &error) || requests_collect(&all, &parts, NULL, false, &error))
        fail(&error);
    double shared = score_shared(&parts, all.plan);
    Alone alone = {.parts = &parts, .all = &all};
    score_alone(&alone);
    size_t fed = plan_tokens_fed(all.plan);
    printf("%s, %s: %zu requests, engine time\n", options.model, task, all.n_requests);
    printf("  one tree:   %10zu tokens %9.2f s\n", fed, shared);
    printf("  each alone: %10zu tokens %9.2f s\n", alone.tokens_fed, alone.seconds);
    printf("  %.2f times fewer tokens, %.2f times less time; %zu scores differ\n",
           (double)alone.tokens_fed / (double)fed, alone.seconds / shared, alone.n_different);
    int status = alone.n_different > 0;
    requests_free(&all);
    parts_close(&parts);
    return status;
}
