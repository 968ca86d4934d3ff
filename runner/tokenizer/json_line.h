/* One field of a JSON object on a line, read without building a tree: NUL characters stay, nothing is
 * allocated but the value. The whole line must be valid JSON. */
#ifndef ZEVAL_RUNNER_TOKENIZER_JSON_LINE_H
#define ZEVAL_RUNNER_TOKENIZER_JSON_LINE_H

#include "base/base.h"
#include "runner/tokenizer/tokenizer.h"

/* Puts the string under `key` into text (cleared first). Bytes that are not UTF-8 are kept as they are. A key
 * that is there twice has its last value. `where` names the line in errors. */
int json_line_text(const char *line, size_t bytes, const char *key, Buffer *text, const char *where,
                   Error *error);
/* The same for an array of token ids. */
int json_line_ids(const char *line, size_t bytes, const char *key, TokenIds *ids, const char *where,
                  Error *error);

#endif
