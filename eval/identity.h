/* What determines a result: the fingerprint of a run and the key of a response. */
#ifndef ZEVAL_EVAL_IDENTITY_H
#define ZEVAL_EVAL_IDENTITY_H

#include "base/base.h"
#include "db/db.h"
#include "eval/encode.h"
#include "eval/eval.h"
#include "eval/generation.h"
#include "zoo/zoo.h"

/* Everything opened for a run. */
typedef struct RunParts {
    const EvalOptions *options;
    TaskSet *tasks;
    Tokenizer *tokenizer;
    Engine *engine;
    Encoder encoder;
    GenerationRules generation;
    ZooModel model; /* hashed model files */
    ZooModel tokenizer_files;
    double hashing_s;      /* spent on both */
    char *special_tokens;  /* special_tokens_json; NULL: none */
    struct Replay *replay; /* recorded answers in place of tokenizer and engine (replay.h); NULL: none */
    char backend[64];      /* backend and instruction set: "cpu/avx512"; "replay" */
} RunParts;

/* SHA-256 over settings, model, tokenizer, task and data files: the same for a run that would store the same
 * rows. */
void identity_fingerprint(const RunParts *parts, char hex[SHA256_HEX]);
/* SHA-256 over what determines one response and nothing else: model files, arithmetic, token ids, where the
 * continuation begins. */
void identity_response_key(const RunParts *parts, const EncodedRequest *request, char hex[SHA256_HEX]);
/* The same of a text scored in windows, whose keys these are. */
void identity_rolling_key(const char (*windows)[SHA256_HEX], size_t n, char hex[SHA256_HEX]);
/* The same of a generated text: also the tokenizer, the settings and the rules, and where it is drawn, which
 * of a prompt's repeats it is, from 0 on. */
void identity_generation_key(const RunParts *parts, const EncodedRequest *prompt, const Generation *settings,
                             size_t repeat, char hex[SHA256_HEX]);
/* A seed of its own for each key. */
uint64_t identity_seed(const char hex[SHA256_HEX]);
/* The settings as one JSON object, for people. New string. */
char *identity_settings_json(const RunParts *parts);

#endif
