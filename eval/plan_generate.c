/* The part of the walk that goes on from prompts; see plan.h and plan_tree.h.
 *
 * A job is a sequence in the generator and the prompts that it answers: those of one node with the same
 * settings and seed. A node stays open until its jobs are done, for they share its cache blocks. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "eval/plan_tree.h"

typedef struct Job {
    Writer writer;
    size_t first, n; /* its prompts */
    int32_t last;    /* the prompt's last token, fed first */
    uint32_t node;
} Job;

/* ---- settling */

static int compare_prompts(const void *a, const void *b) {
    const Prompt *x = a, *y = b;
    if (x->node != y->node)
        return x->node < y->node ? -1 : 1;
    if (x->seed != y->seed)
        return x->seed < y->seed ? -1 : 1;
    if (x->settings != y->settings)
        return x->settings < y->settings ? -1 : 1;
    return x->item < y->item ? -1 : x->item > y->item;
}

static bool same_job(const Plan *plan, const Prompt *a, const Prompt *b) {
    return a->node == b->node && a->seed == b->seed && a->settings == b->settings &&
           plan->items[a->item].last == plan->items[b->item].last;
}

void prompts_settle(Plan *plan) {
    for (size_t i = 0; i < plan->n_prompts; i++)
        plan->prompts[i].node = plan->items[plan->prompts[i].item].end;
    if (plan->n_prompts)
        qsort(plan->prompts, plan->n_prompts, sizeof *plan->prompts, compare_prompts);
    for (size_t i = 0; i < plan->n_prompts; i++) {
        const Prompt *prompt = &plan->prompts[i];
        plan->nodes[prompt->node].generates = true;
        if (i > 0 && same_job(plan, prompt - 1, prompt))
            continue;
        plan->counts.n_prompts++;
        plan->counts.tokens_to_make += prompt->settings->max_new_tokens;
    }
}

/* The first prompt of a node that has some. */
static size_t first_prompt(const Plan *plan, uint32_t node) {
    size_t low = 0, high = plan->n_prompts;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (plan->prompts[middle].node < node)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Prompts from `first` on that one job answers; 0 when the node has no more. */
static size_t job_prompts(const Plan *plan, uint32_t node, size_t first) {
    size_t n = 0;
    while (first + n < plan->n_prompts && plan->prompts[first + n].node == node &&
           (n == 0 || same_job(plan, &plan->prompts[first], &plan->prompts[first + n])))
        n++;
    return n;
}

/* All but the prompt. */
static GenerateOptions options_of(const Prompt *prompt) {
    const Generation *settings = prompt->settings;
    return (GenerateOptions){.max_new_tokens = settings->max_new_tokens,
                             .temperature = settings->temperature,
                             .top_k = settings->top_k,
                             .top_p = settings->top_p,
                             .repetition_penalty = settings->repetition_penalty,
                             .seed = prompt->seed};
}

static size_t job_bytes(const Plan *plan, const Prompt *prompt) {
    GenerateOptions options = options_of(prompt);
    size_t tokens = prompt->settings->max_new_tokens + 1 + BLOCK_SLACK_TOKENS;
    return generator_bytes(&options, plan->vocab_size) + tokens * plan->bytes_per_token + plan->bytes_fixed +
           256 + node_end(&plan->nodes[prompt->node]) + tokens;
}

uint32_t prompts_longest(const Plan *plan, uint32_t node) {
    size_t longest = 0;
    if (!plan->nodes[node].generates)
        return 0;
    for (size_t i = first_prompt(plan, node); i < plan->n_prompts && plan->prompts[i].node == node; i++) {
        size_t n = plan->prompts[i].settings->max_new_tokens + 1;
        longest = n > longest ? n : longest;
    }
    return (uint32_t)longest;
}

size_t prompts_jobs(const Plan *plan, uint32_t node) {
    size_t jobs = 0, n;
    if (plan->nodes[node].generates)
        for (size_t i = first_prompt(plan, node); (n = job_prompts(plan, node, i)) > 0; i += n)
            jobs++;
    return jobs;
}

size_t prompts_bytes(const Plan *plan, uint32_t node) {
    size_t bytes = 0, n;
    if (plan->nodes[node].generates)
        for (size_t i = first_prompt(plan, node); (n = job_prompts(plan, node, i)) > 0; i += n)
            bytes += job_bytes(plan, &plan->prompts[i]);
    return bytes;
}

/* ---- walking */

static void begin_job(Plan *plan, uint32_t node, size_t first, size_t n, State *state) {
    const Prompt *prompt = &plan->prompts[first];
    Job *job = mem_alloc_zero(1, sizeof *job);
    *job = (Job){.writer = {.rules = plan->rules, .settings = prompt->settings},
                 .first = first,
                 .n = n,
                 .last = plan->items[prompt->item].last,
                 .node = node};
    if (plan->n_jobs == plan->jobs_capacity) {
        plan->jobs_capacity = plan->jobs_capacity ? plan->jobs_capacity * 2 : 16;
        plan->jobs = mem_realloc(plan->jobs, plan->jobs_capacity * sizeof *plan->jobs);
    }
    plan->jobs[plan->n_jobs++] = job;
    plan->nodes[node].open++;
    plan->used += job_bytes(plan, prompt);
    GenerateOptions options = options_of(prompt);
    options.prompt = &job->last;
    options.n_prompt = 1;
    generator_add(plan->generator, &options, state ? state_retain(state) : NULL, writer_token, &job->writer);
    for (uint32_t i = node;; i = plan->nodes[i].parent) {
        generator_note_context(plan->generator, plan->tree.tokens + plan->nodes[i].first, plan->nodes[i].n);
        if (i == 0)
            break;
    }
}

void prompts_begin(Plan *plan, Engine *engine, uint32_t node, State *state) {
    size_t n;
    if (!plan->nodes[node].generates)
        return;
    if (!plan->generator)
        plan->generator = generator_create(engine);
    for (size_t i = first_prompt(plan, node); (n = job_prompts(plan, node, i)) > 0; i += n)
        begin_job(plan, node, i, n, state);
}

static void drop_job(Plan *plan, Job *job) {
    for (size_t i = 0; i < plan->n_jobs; i++)
        if (plan->jobs[i] == job) {
            plan->jobs[i] = plan->jobs[--plan->n_jobs];
            break;
        }
    writer_free(&job->writer);
    free(job);
}

static int finish_job(Plan *plan, Job *job, Error *error) {
    Buffer text = {0};
    if (writer_finish(&job->writer, &text, error)) {
        buffer_free(&text);
        return -1;
    }
    Answer answer = {.loglikelihood = NAN, .text = arena_strndup(&plan->texts, text.data, text.size)};
    buffer_free(&text);
    for (size_t i = job->first; i < job->first + job->n; i++) {
        uint32_t item = plan->prompts[i].item;
        plan->items[item].answer = answer;
        plan_push(&plan->answered, &plan->n_answered, &plan->answered_capacity, item);
    }
    plan->used -= job_bytes(plan, &plan->prompts[job->first]);
    plan->prompts_done++;
    plan->tokens_of_done += job->writer.n_tokens;
    plan_close(plan, job->node);
    drop_job(plan, job);
    return 0;
}

int prompts_grow(Plan *plan, Error *error) {
    enum { MOST_STEPS = 16 };
    size_t n_ended = 0;
    for (int step = 0; step < MOST_STEPS && n_ended == 0; step++) {
        plan->tokens_made += generator_count(plan->generator);
        if (generator_step(plan->generator, error))
            return -1;
        void *const *ended = generator_ended(plan->generator, &n_ended);
        for (size_t i = 0; i < n_ended; i++)
            if (finish_job(plan, (Job *)ended[i], error)) /* its first member is the writer */
                return -1;
    }
    return 0;
}

void prompts_free(Plan *plan) {
    generator_free(plan->generator);
    for (size_t i = 0; i < plan->n_jobs; i++) {
        writer_free(&plan->jobs[i]->writer);
        free(plan->jobs[i]);
    }
    free(plan->jobs);
    free(plan->prompts);
    arena_free(&plan->texts);
}
