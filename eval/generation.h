/* generate_until requests: their settings, and tokens becoming the text that lm-evaluation-harness would have
 * taken (lm_eval/models/huggingface.py generate_until, lm_eval/models/utils.py). */
#ifndef ZEVAL_EVAL_GENERATION_H
#define ZEVAL_EVAL_GENERATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "runner/stop_text.h"
#include "runner/tokenizer/tokenizer.h"
#include "tasks/tasks.h"

/* What holds for all generated texts of a run. */
typedef struct GenerationRules {
    const Tokenizer *tokenizer;
    TokenIds stop_ids; /* end a text: what the model's generation_config.json or config.json calls EOS, and in
                          the profile main the tokenizer's EOS */
    bool eos_always;   /* the EOS string is a stop string even if a task has others (profile main) */
    bool keep_special; /* texts keep special tokens (profile v0.4.0) */
    bool clean_up;     /* the tokenizer's clean_up_tokenization_spaces: " ." becomes "." and so on */
    bool ask_to_draw;  /* a temperature alone draws nothing, do_sample must be there too (profile v0.4.0) */
    int64_t
        top_k;    /* of drawn texts whose task does not say: the model's generation_config.json, else 50 as */
    double top_p; /* transformers has it; likewise, else 1 */
    double repetition_penalty; /* of all texts, drawn or not: that file's, else 1 */
    const char *refused;       /* a setting of that file that would change texts and is not built; or NULL */
} GenerationRules;

/* Reads the model's and tokenizer's files in `folder`. Free also after a failure. */
int generation_rules_init(GenerationRules *rules, const Tokenizer *tokenizer, const char *folder,
                          Compat compat, Error *error);
void generation_rules_free(GenerationRules *rules);

/* The settings of a request. */
typedef struct Generation {
    char *json; /* what they were read from */
    const char **stops;
    size_t n_stops; /* none empty; EOS among them where the rules want it */
    bool has_empty; /* an empty stop string, which upstream finds in every text: one token and no more */
    size_t max_new_tokens;
    double temperature; /* 0: greedy */
    int64_t top_k;
    double top_p;
    double repetition_penalty;
    cJSON *parsed; /* owns the stop strings */
} Generation;

/* From generation_kwargs: until, max_gen_toks (max_new_tokens, max_tokens, max_completion_tokens), do_sample,
 * temperature, top_k, top_p, repetition_penalty. Any other key is an error, for it would change the text. The
 * defaults are upstream's: greedy, 256 tokens, and of drawn texts the rules' top_k and top_p. */
int generation_parse(Generation *out, const GenerationRules *rules, const char *json, Error *error);
void generation_free(Generation *generation);

/* A text that grows token by token. Zero-initialise, set the first two, free with writer_free. */
typedef struct Writer {
    const GenerationRules *rules;
    const Generation *settings;
    TokenIds ids;
    TokenStream stream;
    StopText stop;
    size_t n_tokens; /* handed in so far */
} Writer;
/* A GenerateCallback; its context is the Writer. */
int writer_token(void *writer, int32_t token, Error *error);
/* Appends the finished text: all tokens decoded at once and cut before the first stop string. */
int writer_finish(Writer *writer, Buffer *text, Error *error);
void writer_free(Writer *writer);

#endif
