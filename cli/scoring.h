/* What `run` and `demo` have in common: a run, what it did in one line on stderr, its table on stdout. */
#ifndef ZEVAL_CLI_SCORING_H
#define ZEVAL_CLI_SCORING_H

#include <stdbool.h>

#include "eval/eval.h"

typedef enum ScoringOutput { SCORING_TABLE, SCORING_JSON } ScoringOutput;

/* html_path NULL: no page. */
int scoring_run(const EvalOptions *options, ScoringOutput output, const char *html_path, Error *error);

/* What a run would have to do, on stdout; nothing is scored or written. */
int scoring_plan(const EvalOptions *options, bool json, Error *error);

#endif
