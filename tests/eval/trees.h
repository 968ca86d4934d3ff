/* Random trees of requests and prompts, with the answer that each gets alone. */
#ifndef ZEVAL_TESTS_EVAL_TREES_H
#define ZEVAL_TESTS_EVAL_TREES_H

#include "base/base.h"
#include "eval/plan.h"

enum { N_REQUESTS = 150, MAX_TOKENS = 120, N_SETTINGS = 4 };

typedef struct Trees {
    EncodedRequest items[N_REQUESTS];
    const Generation *settings[N_REQUESTS]; /* of a prompt; NULL: a request with a continuation */
    uint64_t seeds[N_REQUESTS];
    Answer alone[N_REQUESTS];
    size_t tokens_alone, tokens_distinct;
    Tokenizer *tokenizer;
    GenerationRules rules;
    Generation kinds[N_SETTINGS];
    Arena texts;
} Trees;

Trees *trees_make(Engine *engine, uint64_t seed);
void trees_free(Trees *trees);

#endif
