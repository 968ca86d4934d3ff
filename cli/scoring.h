/* What `run` and `demo` have in common: a run, what it did in one line on stderr, its table on stdout. */
#ifndef ZEVAL_CLI_SCORING_H
#define ZEVAL_CLI_SCORING_H

#include <stdbool.h>

#include "eval/eval.h"

typedef enum ScoringOutput { SCORING_TABLE, SCORING_JSON } ScoringOutput;

/* Files to be written beside the output; NULL: not wanted. */
typedef struct ScoringFiles {
    const char *html;
    const char *lm_eval; /* where lm-eval's result files go */
    bool samples;        /* its samples too */
} ScoringFiles;

/* clang-format off */
#define LM_EVAL_OPTIONS(files) \
    {"output-path", "DIR", OPTION_TEXT, &(files).lm_eval, 0, 0, false, \
     "also write lm-eval's results_TIME.json, into DIR/MODEL (or beside\nDIR if it ends in .json)"}, \
    {"log-samples", NULL, OPTION_FLAG, &(files).samples, 0, 0, false, \
     "with --output-path: samples_TASK_TIME.jsonl too"}
/* clang-format on */

int scoring_run(const EvalOptions *options, ScoringOutput output, const ScoringFiles *files, Error *error);

/* Prints what a finished run came to and writes the files. */
int scoring_show(const EvalOptions *options, int64_t run_id, ScoringOutput output, const ScoringFiles *files,
                 Error *error);

/* What a run would have to do, on stdout; nothing is scored or written. */
int scoring_plan(const EvalOptions *options, bool json, Error *error);

#endif
