/* Generation: one sequence, one token after another. */
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
    double temperature;      /* 0: greedy, the lowest id among equally likely tokens */
    int64_t top_k;           /* keep the k most likely tokens; 0: all */
    double top_p;            /* keep the most likely tokens whose probabilities reach top_p; 1: all */
    uint64_t seed;           /* of the draws; the same seed gives the same text */
    const int32_t *stop_ids; /* [n_stop_ids] tokens that end the text; they are not handed out */
    size_t n_stop_ids;
} GenerateOptions;

/* Called with each new token; 0 goes on, 1 ends the text, -1 (with an Error) fails. */
typedef int GenerateCallback(void *context, int32_t token, Error *error);

/* Draws tokens until a stop id, max_new_tokens, or the callback says so. */
int engine_generate(Engine *engine, const GenerateOptions *options, GenerateCallback *callback, void *context,
                    Error *error);

#endif
