/* One samples_TASK_TIME.jsonl. */
#ifndef ZEVAL_REPORTS_LM_EVAL_SAMPLES_H
#define ZEVAL_REPORTS_LM_EVAL_SAMPLES_H

#include "reports/lm_eval_run.h"

/* Writes a task's samples, a line for each document and filter, and sets task->hash. */
int lm_samples_write(Db *db, LmRun *run, LmEntry *task, const char *path, Error *error);

#endif
