/* Writing a finished document: its row, its requests, its metrics. */
#ifndef ZEVAL_EVAL_STORE_H
#define ZEVAL_EVAL_STORE_H

#include "eval/requests.h"
#include "eval/scores.h"

/* Builds the document anew and stores it with its requests, whose answers must be there and stored, and its
 * metrics: requests[row->n]. To be called inside a transaction. */
int store_document(Db *db, int64_t run_id, RunScores *scores, const RunDocument *row,
                   const RunRequest *requests, Error *error);

#endif
