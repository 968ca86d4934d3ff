/* A tokenizer's special tokens by their names in tokenizer_config.json and special_tokens_map.json. */
#ifndef ZEVAL_EVAL_SPECIAL_TOKENS_H
#define ZEVAL_EVAL_SPECIAL_TOKENS_H

#include "base/base.h"
#include "base/json.h"
#include "runner/tokenizer/tokenizer.h"

/* A JSON file of a model's folder; *out is NULL if it is not there. */
int special_tokens_read_file(const char *folder, const char *name, cJSON **out, Error *error);

/* The token that `key` ("eos_token") names in the first of both files that names one; NULL if none does. */
const char *special_token_text(const cJSON *config, const cJSON *map, const char *key);

/* Those that lm-eval's results files name, as they have them: {"tokenizer_pad_token": [TEXT, "ID"],
 * "tokenizer_eos_token": ..., "tokenizer_bos_token": ..., "eot_token_id": ID}. A padding token that the files
 * do not name is the one that lm-eval takes. New string. */
int special_tokens_json(const char *folder, const Tokenizer *tokenizer, char **out, Error *error);

#endif
