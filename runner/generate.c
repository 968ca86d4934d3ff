/* Greedy and sampled generation over engine_score; see generate.h. */
#include "runner/generate.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/random.h"

typedef struct Candidate {
    int32_t token;
    float logit;
    double weight;
} Candidate;

static int compare_candidates(const void *a, const void *b) {
    const Candidate *x = a, *y = b;
    if (x->logit != y->logit)
        return x->logit < y->logit ? 1 : -1;
    return x->token < y->token ? -1 : 1;
}

static int32_t most_likely(const float *logits, size_t vocab_size) {
    size_t best = 0;
    for (size_t i = 1; i < vocab_size; i++)
        if (logits[i] > logits[best])
            best = i;
    return (int32_t)best;
}

/* Sorts by likelihood, cuts to top_k and then top_p, and draws in proportion to exp(logit / temperature). */
static int32_t draw(const GenerateOptions *options, Random *random, const float *logits, size_t vocab_size,
                    Candidate *candidates) {
    for (size_t i = 0; i < vocab_size; i++)
        candidates[i] = (Candidate){.token = (int32_t)i, .logit = logits[i]};
    qsort(candidates, vocab_size, sizeof *candidates, compare_candidates);
    size_t n = vocab_size;
    if (options->top_k > 0 && (size_t)options->top_k < n)
        n = (size_t)options->top_k;
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        candidates[i].weight = exp((candidates[i].logit - candidates[0].logit) / options->temperature);
        sum += candidates[i].weight;
    }
    double kept = 0;
    size_t n_kept = 0;
    while (n_kept < n && (n_kept == 0 || kept < options->top_p * sum))
        kept += candidates[n_kept++].weight;
    double point = random_double(random) * kept;
    for (size_t i = 0; i + 1 < n_kept; i++) {
        point -= candidates[i].weight;
        if (point < 0)
            return candidates[i].token;
    }
    return candidates[n_kept - 1].token;
}

static bool is_stop(const GenerateOptions *options, int32_t token) {
    for (size_t i = 0; i < options->n_stop_ids; i++)
        if (options->stop_ids[i] == token)
            return true;
    return false;
}

int engine_generate(Engine *engine, const GenerateOptions *options, GenerateCallback *callback, void *context,
                    Error *error) {
    size_t vocab_size = (size_t)engine_info(engine)->vocab_size;
    float *logits = mem_alloc(vocab_size * sizeof *logits);
    Candidate *candidates = mem_alloc(vocab_size * sizeof *candidates);
    Random random;
    random_seed(&random, options->seed);
    State *state = NULL;
    int32_t token = 0;
    int result = 0;
    for (size_t made = 0; made < options->max_new_tokens && result == 0; made++) {
        Segment segment = {.parent = state,
                           .tokens = made ? &token : options->prompt,
                           .n_tokens = made ? 1 : options->n_prompt,
                           .logits = logits,
                           .logits_from = made ? 0 : options->n_prompt - 1,
                           .move_parent = true,
                           .want_state = true};
        state = NULL; /* the call takes it over */
        result = engine_score(engine, &segment, 1, error);
        if (result)
            break;
        state = segment.state;
        token = options->temperature > 0 ? draw(options, &random, logits, vocab_size, candidates)
                                         : most_likely(logits, vocab_size);
        if (is_stop(options, token))
            break;
        result = callback(context, token, error);
    }
    state_release(state);
    free(candidates);
    free(logits);
    return result < 0 ? -1 : 0;
}
