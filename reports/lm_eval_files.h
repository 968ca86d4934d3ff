/* lm-evaluation-harness's own output files, from stored results: results_TIME.json and
 * samples_TASK_TIME.jsonl, with its keys, nesting, order and hashes (4e7e0d4), so that what reads those files
 * goes on working. Where upstream puts Python source, ours names the function; what describes its own
 * environment (versions, git) is ours or null, and the special tokens are null where answers are recorded
 * ones. */
#ifndef ZEVAL_REPORTS_LM_EVAL_FILES_H
#define ZEVAL_REPORTS_LM_EVAL_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"
#include "db/db.h"

typedef struct LmEvalOptions {
    int64_t run_id;
    const char *output_path; /* a folder, below which one is made for the model; or FILE.json, whose name gets
                                the time */
    bool samples;            /* also one file of documents for each task */
} LmEvalOptions;

/* Writes the files of one complete run. The time in their names is the run's start. `path` gets the results
 * file's. */
int report_lm_eval_files(Db *db, const LmEvalOptions *options, Buffer *path, Error *error);

#endif
