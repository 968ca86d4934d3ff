/* Metrics of a run: each document's values while they come in, then the tasks' and groups' aggregates. */
#ifndef ZEVAL_EVAL_SCORES_H
#define ZEVAL_EVAL_SCORES_H

#include "db/db.h"
#include "eval/metrics.h"

typedef struct TaskScores {
    const Task *task;
    const TaskInfo *info;
    MetricFunction **functions; /* [n_metrics] */
    double **values;            /* [n_metrics][n_documents] */
    double *means, *stderrs;    /* [n_metrics], set by scores_store */
} TaskScores;

typedef struct RunScores {
    TaskScores *tasks;
    size_t n_tasks;
    const TaskSet *set;
} RunScores;

/* Finds the function of every metric of every task; one that this build does not know is an error. Call
 * scores_free also after a failure. */
int scores_init(RunScores *scores, const TaskSet *set, Error *error);
void scores_free(RunScores *scores);

/* Computes a document's metrics and stores them. */
int scores_document(RunScores *scores, size_t task, size_t index, const TaskDocument *document,
                    const Answer *answers, Db *db, int64_t run_id, Error *error);
/* Aggregates and stores what all tasks and groups come to. Every document must have been scored. */
int scores_store(RunScores *scores, Db *db, int64_t run_id, Error *error);

#endif
