/* Metrics of a run: each document's values while they come in, then the tasks' and groups' aggregates. */
#ifndef ZEVAL_EVAL_SCORES_H
#define ZEVAL_EVAL_SCORES_H

#include "db/db.h"
#include "eval/filters.h"
#include "eval/metrics.h"
#include "eval/statistics.h"

/* A metric behind one filter: a row of the results. */
typedef struct ScoreRow {
    const Metric *metric;
    const TaskMetric *config;
    const Aggregation *aggregation;
    const char *filter;
    size_t filter_index;
    MetricItem *items;   /* [n_documents] */
    double value, error; /* set by scores_store */
} ScoreRow;

typedef struct TaskScores {
    const Task *task;
    const TaskInfo *info;
    Metric **metrics;    /* [n_metrics] */
    Filter **filters;    /* [n_filters] */
    size_t *unextracted; /* [n_filters] documents in whose answers the filter found nothing */
    ScoreRow *rows;      /* [n_rows] filter by filter */
    size_t n_rows;
} TaskScores;

typedef struct RunScores {
    TaskScores *tasks;
    size_t n_tasks;
    const TaskSet *set;
} RunScores;

/* How many resamples an error takes that has no closed form: upstream's number. */
enum { BOOTSTRAP_ITERATIONS = 100000 };

/* Finds the metrics, filters and aggregations of every task; one that this build does not know is an error.
 * Call scores_free also after a failure. */
int scores_init(RunScores *scores, const TaskSet *set, Error *error);
void scores_free(RunScores *scores);

/* Computes a document's metrics, once, and stores them with what the filters made of generated text. `index`
 * counts the task's documents of this run. */
int scores_document(RunScores *scores, size_t task, size_t index, const TaskDocument *document,
                    const Answer *answers, Db *db, int64_t run_id, Error *error);
/* Aggregates and stores what all tasks and groups come to. Every document must have been scored. Errors
 * without closed form are resampled so many times on n_threads threads (0: one per processor). */
int scores_store(RunScores *scores, size_t iterations, int n_threads, Db *db, int64_t run_id, Log *log,
                 Error *error);

#endif
