/* Making a run's plan and saying what it comes to. */
#ifndef ZEVAL_EVAL_RUN_PLAN_H
#define ZEVAL_EVAL_RUN_PLAN_H

#include "eval/requests.h"

/* Reads, encodes, looks up in `db` (NULL: nowhere) and settles. With `claims`, what is planned is claimed for
 * the database's worker, and what others have claimed is not planned. */
int run_plan_make(const RunParts *parts, Db *db, bool claims, RunRequests *all, EvalPlan *plan, Error *error);
/* The plan, and warnings about requests that are not what a user may think they are. */
void run_plan_log(const RunParts *parts, const EvalPlan *plan);
/* How long the rest takes, once its beginning was measured. */
void run_plan_log_eta(const RunParts *parts, double seconds, double tokens_per_second);

#endif
