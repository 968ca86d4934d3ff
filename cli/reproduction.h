/* Bringing a paper's table to a database: find or pull each row's model, score it on the table's tasks. */
#ifndef ZEVAL_CLI_REPRODUCTION_H
#define ZEVAL_CLI_REPRODUCTION_H

#include "eval/eval.h"
#include "reports/reports.h"
#include "zoo/zoo.h"

/* Tasks that are asked with the same number of examples: one run. */
typedef struct ReproductionGroup {
    int64_t shots; /* -1: each task's own */
    const char **tasks;
    size_t n_tasks;
} ReproductionGroup;

typedef struct ReproductionJob {
    const Reproduction *table;
    EvalOptions eval; /* model, tasks and shots are filled in run by run */
    PullOptions pull;
    bool
        data_is_ours; /* no data folder was named: data sets are pulled, and read from where that puts them */
    char *data_folder; /* there; freed by whoever made the job */
    Arena *arena;
    ReproductionGroup *groups; /* of what can be run here */
    size_t n_groups;
    int64_t n_bytes;    /* about how much text they ask a model to read */
    int64_t n_requests; /* likewise */
    double ceiling;     /* operations a second that this machine can do; 0: not measured yet */
    size_t n_problems;  /* rows and columns that could not be run */
} ReproductionJob;

/* Opens every column's task by itself, its data set pulled before if need be; one that cannot be opened (no
 * data to be had, say) is told of in one sentence on the log and left out. None left: an error. `measure`:
 * pull nothing, but count texts and requests. */
int reproduction_check_tasks(ReproductionJob *job, bool measure, Error *error);

/* What a row would take; computes nothing but a plan. */
ReproductionCost reproduction_cost(ReproductionJob *job, const ReproductionRow *row);

/* Pulls a row's model unless it is here, and scores it. What stands in the way is told of in one sentence on
 * the log, and 0 is returned; -1 only if the user stopped it (ERROR_STOPPED). */
int reproduction_run_row(ReproductionJob *job, const ReproductionRow *row, Error *error);

#endif
