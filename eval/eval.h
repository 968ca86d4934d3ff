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

#include "base/buffer.h"
#include "base/error.h"
#include "base/log.h"
#include "eval/profile.h"
#include "runner/runner.h"
#include "tasks/tasks.h"

typedef enum BosPolicy {
    BOS_DEFAULT, /* as the tokenizer does */
    BOS_ADD,
    BOS_NONE
} BosPolicy;

/* What is done about a request that is longer than max_length. */
typedef enum TruncationPolicy {
    TRUNCATION_MATCH,     /* it is cut on the left, as upstream does */
    TRUNCATION_ERROR,     /* the run is refused before anything is scored */
    TRUNCATION_DROP_SHOTS /* few-shot examples of its document are left out, the first one first, until all of
                             the document's requests fit; what is too long without examples is cut on the left
                           */
} TruncationPolicy;
const char *truncation_name(TruncationPolicy policy); /* "match", "error", "drop-shots" */
/* False if there is no policy of that name. */
bool truncation_parse(const char *name, TruncationPolicy *out);

typedef struct EvalOptions {
    const char *model; /* a name zoo_resolve understands */
    TaskOptions tasks;
    const char *db_path;
    Dtype dtype;
    const char *backend;
    int n_threads;
    BosPolicy bos;
    TruncationPolicy on_truncation;
    int64_t max_length; /* tokens; 0: the config's max_position_embeddings, else the tokenizer's, else 2048 */
    size_t
        batch_tokens; /* about how many tokens one engine call gets; 0: 4096. Scores do not depend on it. */
    size_t
        memory_bytes; /* what the process may take, weights included; 0: weights and half of what is free */
    bool pin_threads, copy_weights;    /* as in EngineOptions */
    const char *instruction_set;       /* likewise */
    bool profile;                      /* measure the engine's phases too: EvalSummary.profile.detailed */
    bool no_reuse;                     /* score everything anew and hold it against what the database has */
    const char *build;                 /* version and commit of the program, for provenance */
    const volatile sig_atomic_t *stop; /* set by a signal handler: finish the batch, commit, return */
    FILE *progress;                    /* where the progress line goes; NULL: nowhere */
    Log *log;
} EvalOptions;

/* What a run has to do, known before the first token is computed. */
typedef struct EvalPlan {
    int64_t n_requests;
    int64_t n_reused;         /* answered from the database; the following is about the others */
    int64_t n_truncated;      /* requests cut on the left to max_length, of all */
    int64_t n_shortened;      /* documents that lost few-shot examples instead, of all */
    int64_t n_bos_missing;    /* requests that do not begin with BOS though the tokenizer puts it first */
    int64_t n_bos_twice;      /* requests that begin with BOS twice */
    int64_t n_prompts;        /* texts to be generated */
    int64_t tokens_to_make;   /* most that these may have */
    int64_t tokens_alone;     /* were each request fed on its own */
    int64_t tokens_distinct;  /* distinct prefixes of all inputs: the least that can be computed */
    int64_t tokens_again;     /* fed once more because states have no room */
    int64_t memory_bytes;     /* for the whole process: what was asked for, or what it is going to take */
    int64_t budget_bytes;     /* of these, for states */
    int64_t fixed_bytes;      /* the weights and the program take without any state */
    int64_t state_bytes;      /* states take at most, feeding one segment at a time */
    double seconds;           /* reading, encoding and planning took */
    double tokens_per_second; /* fed, measured on this machine; 0: not measured */
    double eta_seconds;       /* reckoned from what was measured; 0: not measured */
} EvalPlan;

/* Plans a run and measures the engine's rate for some seconds; scores nothing and writes nothing. The
 * database is read if it is there. */
int eval_plan(const EvalOptions *options, EvalPlan *plan, Error *error);
/* Appends the plan for people, a few lines, or as one JSON object. */
void eval_plan_text(const EvalPlan *plan, Buffer *out);
void eval_plan_json(const EvalPlan *plan, Buffer *out);

typedef struct EvalSummary {
    int64_t run_id;
    bool was_complete; /* the same run was in the database already, finished */
    EvalPlan plan;
    int64_t n_scored;        /* requests answered by the engine now */
    int64_t tokens_computed; /* tokens the engine was fed */
    EvalProfile profile;
    int64_t tokens_made; /* and those it generated */
} EvalSummary;

/* Runs everything that is not in the database yet and stores results. The plan goes to the log first.
 * ERROR_STOPPED when `stop` was set: what was finished is committed, and the same call goes on from there. */
int eval_run(const EvalOptions *options, EvalSummary *summary, Error *error);

typedef struct RescoreOptions {
    const char *db_path;
    int64_t run_id;                       /* 0: the newest complete run */
    const char *data_root, *include_path; /* as in TaskOptions */
    int n_threads;
    const volatile sig_atomic_t *stop;
    Log *log;
} RescoreOptions;

/* Computes a complete run's metrics anew from its stored responses, by the task files as they are now: all in
 * one transaction, with no model. Documents and requests must be those that were answered; a difference is an
 * error. If the task files are others than before, the run gets another fingerprint, so that a run with the
 * former ones is not taken for it. */
int eval_rescore(const RescoreOptions *options, int64_t *run_id, Error *error);

#endif
