/* Generation: sequences gone on with one token after another, one alone or many at once. What a sequence
 * becomes depends on its own tokens and options only, whatever else is in the batch. */
#ifndef ZEVAL_RUNNER_GENERATE_H
#define ZEVAL_RUNNER_GENERATE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "runner/runner.h"

typedef struct GenerateOptions {
    const int32_t *prompt; /* [n_prompt], n_prompt >= 1 */
    size_t n_prompt;
    size_t max_new_tokens;
    double temperature;        /* 0: greedy, the lowest id among equally likely tokens */
    int64_t top_k;             /* keep the k most likely tokens; 0: all */
    double top_p;              /* keep the most likely tokens whose probabilities reach top_p; 1: all */
    double repetition_penalty; /* logits of tokens that the sequence has are divided by it if positive, else
                                * multiplied (CTRL, arXiv 1909.05858, section 4.1, as transformers does it); 1
                                * or 0: none */
    uint64_t seed;             /* of the draws; the same seed gives the same text */
    const int32_t *stop_ids;   /* [n_stop_ids] tokens that end the text; they are not handed out */
    size_t n_stop_ids;
} GenerateOptions;

/* Called with each new token; 0 goes on, 1 ends the text, -1 (with an Error) fails. */
typedef int GenerateCallback(void *context, int32_t token, Error *error);

/* Draws tokens until a stop id, max_new_tokens, or the callback says so. */
int engine_generate(Engine *engine, const GenerateOptions *options, GenerateCallback *callback, void *context,
                    Error *error);

/* Sequences that go on together: each step feeds what is new of all of them in one batch. They may join and
 * end at any time. */
typedef struct Generator Generator;
Generator *generator_create(Engine *engine);
void generator_free(Generator *generator);
/* Adds the sequence of `state` (taken over; NULL: the empty one) and options->prompt, which is fed by the
 * next step and must live until then; the stop ids must live until the sequence has ended. */
void generator_add(Generator *generator, const GenerateOptions *options, State *state,
                   GenerateCallback *callback, void *context);
/* Tells the sequence added last about n tokens that its state holds, for its repetition penalty. */
void generator_note_context(Generator *generator, const int32_t *tokens, size_t n);
/* Bytes that a sequence with these options takes besides its state. */
size_t generator_bytes(const GenerateOptions *options, size_t vocab_size);
/* Sequences that have not ended. */
size_t generator_count(const Generator *generator);
/* One more token for each of them. After a failure the generator can only be freed. */
int generator_step(Generator *generator, Error *error);
/* The contexts of the sequences that the last step ended. */
void *const *generator_ended(const Generator *generator, size_t *n);

#endif
