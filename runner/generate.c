/* Greedy and sampled generation over engine_score; see generate.h. */
#include "runner/generate.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/memory.h"
#include "runner/sample.h"

static bool is_stop(const GenerateOptions *options, int32_t token) {
    for (size_t i = 0; i < options->n_stop_ids; i++)
        if (options->stop_ids[i] == token)
            return true;
    return false;
}

static bool is_penalised(const GenerateOptions *options) {
    return options->repetition_penalty > 0 && options->repetition_penalty != 1;
}

/* A sequence: `state` and then what has yet to be fed, the prompt or the token drawn last. */
typedef struct Sequence {
    GenerateOptions options;
    GenerateCallback *callback;
    void *context;
    State *state;
    int32_t token;
    size_t n_made;
    Random random;
    float *logits; /* [vocab_size]; NULL: greedy and without penalty, the arg-max is enough */
    bool *has;     /* [vocab_size] tokens of the sequence; NULL: without penalty */
} Sequence;

struct Generator {
    Engine *engine;
    size_t vocab_size;
    Sequence *sequences;
    size_t n, capacity;
    void **ended;
    size_t n_ended, ended_capacity;
    Candidate *candidates; /* [vocab_size]; NULL until something is drawn */
    Segment *segments;     /* [capacity], as the following */
    Target *targets;
    TargetResult *results;
};

Generator *generator_create(Engine *engine) {
    Generator *generator = mem_alloc_zero(1, sizeof *generator);
    generator->engine = engine;
    generator->vocab_size = (size_t)engine_info(engine)->vocab_size;
    return generator;
}

static void end_sequence(Sequence *sequence) {
    state_release(sequence->state);
    free(sequence->logits);
    free(sequence->has);
}

void generator_free(Generator *generator) {
    if (!generator)
        return;
    for (size_t i = 0; i < generator->n; i++)
        end_sequence(&generator->sequences[i]);
    free(generator->sequences);
    free(generator->ended);
    free(generator->candidates);
    free(generator->segments);
    free(generator->targets);
    free(generator->results);
    free(generator);
}

void generator_add(Generator *generator, const GenerateOptions *options, State *state,
                   GenerateCallback *callback, void *context) {
    if (generator->n == generator->capacity) {
        size_t n = generator->capacity = generator->capacity ? generator->capacity * 2 : 1;
        generator->sequences = mem_realloc(generator->sequences, n * sizeof *generator->sequences);
        generator->segments = mem_realloc(generator->segments, n * sizeof *generator->segments);
        generator->targets = mem_realloc(generator->targets, n * sizeof *generator->targets);
        generator->results = mem_realloc(generator->results, n * sizeof *generator->results);
    }
    Sequence *sequence = &generator->sequences[generator->n++];
    *sequence = (Sequence){.options = *options, .callback = callback, .context = context, .state = state};
    random_seed(&sequence->random, options->seed);
    if (is_penalised(options))
        sequence->has = mem_alloc_zero(generator->vocab_size, sizeof *sequence->has);
    generator_note_context(generator, options->prompt, options->n_prompt);
    if (options->temperature > 0 || is_penalised(options))
        sequence->logits = mem_alloc(generator->vocab_size * sizeof *sequence->logits);
    if (options->temperature > 0 && !generator->candidates)
        generator->candidates = mem_alloc(generator->vocab_size * sizeof *generator->candidates);
}

void generator_note_context(Generator *generator, const int32_t *tokens, size_t n) {
    bool *has = generator->sequences[generator->n - 1].has;
    for (size_t i = 0; has && i < n; i++)
        if (tokens[i] >= 0 && (size_t)tokens[i] < generator->vocab_size) /* others fail when they are fed */
            has[tokens[i]] = true;
}

size_t generator_bytes(const GenerateOptions *options, size_t vocab_size) {
    size_t numbers = options->temperature > 0 || is_penalised(options) ? sizeof(float) : 0;
    return sizeof(Sequence) + vocab_size * (numbers + (is_penalised(options) ? sizeof(bool) : 0));
}

size_t generator_count(const Generator *generator) {
    return generator->n;
}

void *const *generator_ended(const Generator *generator, size_t *n) {
    *n = generator->n_ended;
    return generator->ended;
}

static void make_segment(Generator *generator, size_t i) {
    Sequence *sequence = &generator->sequences[i];
    bool first = sequence->n_made == 0;
    size_t n = first ? sequence->options.n_prompt : 1;
    generator->targets[i] = (Target){.position = (int32_t)n - 1};
    generator->segments[i] = (Segment){.parent = sequence->state,
                                       .tokens = first ? sequence->options.prompt : &sequence->token,
                                       .n_tokens = n,
                                       .targets = &generator->targets[i],
                                       .n_targets = sequence->logits ? 0 : 1,
                                       .results = &generator->results[i],
                                       .logits = sequence->logits,
                                       .logits_from = n - 1,
                                       .move_parent = true,
                                       .want_state = true};
    sequence->state = NULL; /* the call takes it over */
}

static void penalise(const Sequence *sequence, size_t vocab_size) {
    float penalty = (float)sequence->options.repetition_penalty, *logits = sequence->logits;
    for (size_t i = 0; sequence->has && i < vocab_size; i++)
        if (sequence->has[i])
            logits[i] = logits[i] < 0 ? logits[i] * penalty : logits[i] / penalty;
}

static int32_t most_likely(const float *logits, size_t n) {
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (logits[i] > logits[best])
            best = i;
    return (int32_t)best;
}

static int32_t draw(Generator *generator, Sequence *sequence) {
    penalise(sequence, generator->vocab_size);
    if (sequence->options.temperature <= 0)
        return most_likely(sequence->logits, generator->vocab_size);
    SampleOptions options = {sequence->options.temperature, sequence->options.top_k, sequence->options.top_p};
    size_t n = sample_keep(generator->candidates, sequence->logits, generator->vocab_size, &options);
    return sample_draw(generator->candidates, n, &sequence->random);
}

/* 1 if the sequence ends with this token, 0 if it goes on. */
static int take_token(Generator *generator, size_t i, Error *error) {
    Sequence *sequence = &generator->sequences[i];
    sequence->state = generator->segments[i].state;
    sequence->token = sequence->logits ? draw(generator, sequence) : generator->results[i].argmax;
    if (sequence->has)
        sequence->has[sequence->token] = true;
    sequence->n_made++;
    if (is_stop(&sequence->options, sequence->token))
        return 1;
    int result = sequence->callback(sequence->context, sequence->token, error);
    return result == 0 && sequence->n_made == sequence->options.max_new_tokens ? 1 : result;
}

static void note_ended(Generator *generator, void *context) {
    if (generator->n_ended == generator->ended_capacity) {
        generator->ended_capacity = generator->ended_capacity ? generator->ended_capacity * 2 : 16;
        generator->ended = mem_realloc(generator->ended, generator->ended_capacity * sizeof(void *));
    }
    generator->ended[generator->n_ended++] = context;
}

int generator_step(Generator *generator, Error *error) {
    size_t n = generator->n, kept = 0;
    int failed = 0;
    generator->n_ended = 0;
    for (size_t i = 0; i < n; i++)
        make_segment(generator, i);
    if (n && engine_score(generator->engine, generator->segments, n, error))
        return -1;
    for (size_t i = 0; i < n; i++) {
        int ended = take_token(generator, i, failed ? NULL : error);
        failed |= ended < 0;
        if (ended) {
            note_ended(generator, generator->sequences[i].context);
            end_sequence(&generator->sequences[i]);
        } else {
            generator->sequences[kept++] = generator->sequences[i];
        }
    }
    generator->n = kept;
    return failed ? -1 : 0;
}

int engine_generate(Engine *engine, const GenerateOptions *options, GenerateCallback *callback, void *context,
                    Error *error) {
    Generator *generator = generator_create(engine);
    int result = 0;
    if (options->max_new_tokens > 0)
        generator_add(generator, options, NULL, callback, context);
    while (result == 0 && generator_count(generator) > 0)
        result = generator_step(generator, error);
    generator_free(generator);
    return result;
}
