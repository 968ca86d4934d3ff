/* eval: the run. Tasks give requests, the tokenizer makes them token sequences, the engine scores them,
 * metrics are computed, and the db keeps everything as it comes, so that a run that was killed goes on where
 * it was. */
#ifndef ZEVAL_EVAL_EVAL_H
#define ZEVAL_EVAL_EVAL_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"
#include "base/log.h"
#include "runner/runner.h"
#include "tasks/tasks.h"

typedef enum BosPolicy {
    BOS_DEFAULT, /* as the tokenizer does */
    BOS_ADD,
    BOS_NONE
} BosPolicy;

typedef struct EvalOptions {
    const char *model; /* a name zoo_resolve understands */
    TaskOptions tasks;
    const char *db_path;
    Dtype dtype;
    const char *backend;
    int n_threads;
    BosPolicy bos;
    int64_t max_length; /* tokens; 0: the config's max_position_embeddings, else the tokenizer's, else 2048 */
    size_t
        batch_tokens;  /* about how many tokens one engine call gets; 0: 4096. Scores do not depend on it. */
    const char *build; /* version and commit of the program, for provenance */
    const volatile sig_atomic_t *stop; /* set by a signal handler: finish the batch, commit, return */
    FILE *progress;                    /* where the progress line goes; NULL: nowhere */
    Log *log;
} EvalOptions;

typedef struct EvalSummary {
    int64_t run_id;
    bool was_complete; /* the same run was in the database already, finished */
    int64_t n_requests;
    int64_t n_reused;        /* answered from the database */
    int64_t n_scored;        /* answered by the engine now */
    int64_t n_truncated;     /* requests cut on the left to max_length */
    int64_t tokens_asked;    /* tokens of the scored requests, were each fed on its own */
    int64_t tokens_computed; /* tokens the engine was fed */
} EvalSummary;

/* Runs everything that is not in the database yet and stores results. ERROR_STOPPED when `stop` was set: what
 * was finished is committed, and the same call goes on from there. */
int eval_run(const EvalOptions *options, EvalSummary *summary, Error *error);

#endif
