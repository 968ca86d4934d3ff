/* A run on recorded answers. */
#ifndef ZEVAL_EVAL_REPLAY_RUN_H
#define ZEVAL_EVAL_REPLAY_RUN_H

#include "eval/parts.h"
#include "eval/scores.h"

/* Opens the records that options->model names in place of an engine and hashes their files. */
int replay_parts_open(RunParts *parts, Error *error);
/* Stores every document with its recorded answers and its metrics; counts requests into *n. */
int replay_score(const RunParts *parts, RunScores *scores, Db *db, int64_t run_id, int64_t *n, Error *error);

#endif
