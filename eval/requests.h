/* All requests of a run: encoded, looked up among the stored responses, the others planned. A document's
 * texts are not kept, since the tasks room can make them again; what is kept is a few numbers for each
 * request. */
#ifndef ZEVAL_EVAL_REQUESTS_H
#define ZEVAL_EVAL_REQUESTS_H

#include "db/db.h"
#include "eval/identity.h"
#include "eval/plan.h"

typedef struct RunRequest {
    char key[SHA256_HEX];                            /* of its response */
    uint32_t open;                                   /* answers of the engine that it waits for */
    uint32_t n_context, n_continuation, n_truncated; /* tokens */
    uint32_t document;
    uint32_t first_window, n_windows; /* of a text scored in windows; n_windows 0 for all others */
    Answer answer;                    /* valid once nothing is open */
} RunRequest;

/* A part of a text scored in windows, with an answer of its own. */
typedef struct RunWindow {
    char key[SHA256_HEX];
    Answer answer;
} RunWindow;

typedef struct RunDocument {
    uint32_t task, index; /* document `index` of the run's task number `task` */
    uint32_t first, n;    /* its requests */
    uint32_t open;        /* those that are not answered */
    uint32_t n_dropped;   /* few-shot examples left out so that they fit max_length */
} RunDocument;

/* What a number in the plan stands for. */
typedef struct Planned {
    uint32_t request;
    uint32_t window; /* number among the run's windows; NO_WINDOW: the request itself */
} Planned;
#define NO_WINDOW UINT32_MAX

typedef struct RunRequests {
    RunRequest *requests;
    size_t n_requests, requests_capacity;
    RunWindow *windows;
    size_t n_windows, windows_capacity;
    RunDocument *documents;
    size_t n_documents, documents_capacity;
    Planned *planned; /* [n_planned] by the plan's numbers */
    size_t n_planned, planned_capacity;
    Generation **generations; /* [n_generations] settings of prompts, each kind once */
    size_t n_generations, generations_capacity;
    Arena texts;                   /* generated, that answers point to */
    size_t n_new;                  /* requests that the engine has to answer, wholly or in part */
    char (*elsewhere)[SHA256_HEX]; /* [n_elsewhere] keys that other processes are computing */
    size_t n_elsewhere, elsewhere_capacity;
    DbWorker holder;    /* one of those processes */
    size_t n_truncated; /* requests that were cut */
    size_t n_shortened; /* documents that lost examples */
    size_t n_bos_missing, n_bos_twice;
    Plan *plan;       /* not settled */
    double reading_s; /* spent on making and encoding documents */
} RunRequests;

/* Makes every document of every task in turn. `db` is where responses are looked up; NULL: nowhere. With
 * `claims`, what other processes are computing is not planned. Zero-initialise *out first; call requests_free
 * also after a failure. ERROR_STOPPED as eval_run. */
int requests_collect(RunRequests *out, const RunParts *parts, Db *db, bool claims, Error *error);
/* Claims everything that is planned; *all is false if another process was faster with some of it. */
int requests_claim(const RunRequests *requests, Db *db, bool *all, Error *error);
void requests_free(RunRequests *requests);

/* A text's answer from those of its windows, added in their order. */
Answer requests_rolling_answer(const RunRequests *requests, const RunRequest *request);

#endif
