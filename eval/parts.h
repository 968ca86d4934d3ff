/* Opening what a run needs, and writing its head into the database. */
#ifndef ZEVAL_EVAL_PARTS_H
#define ZEVAL_EVAL_PARTS_H

#include "eval/identity.h"

/* Opens tasks, model and tokenizer and hashes their files. Call parts_close also after a failure. */
int parts_open(RunParts *parts, const EvalOptions *options, Error *error);
void parts_close(RunParts *parts);

/* Finds or inserts the run's row with its files, tasks and groups. */
int parts_describe(const RunParts *parts, Db *db, int64_t *run_id, bool *complete, Error *error);

/* A task's row and files alone. */
int parts_describe_task(const TaskInfo *task, const char *data_root, Db *db, int64_t run_id, Error *error);

/* 0, or -1 with ERROR_STOPPED once `stop` is set. */
int parts_stopped(const RunParts *parts, Error *error);

#endif
