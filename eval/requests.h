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
    bool is_new;                                     /* the engine has to answer it */
    uint32_t n_context, n_continuation, n_truncated; /* tokens */
    uint32_t document;
    Answer answer; /* valid if !is_new, or once the plan has answered it */
} RunRequest;

typedef struct RunDocument {
    uint32_t task, index; /* document `index` of the run's task number `task` */
    uint32_t first, n;    /* its requests */
    uint32_t open;        /* those that are not answered */
} RunDocument;

typedef struct RunRequests {
    RunRequest *requests;
    size_t n_requests, requests_capacity;
    RunDocument *documents;
    size_t n_documents, documents_capacity;
    uint32_t *planned; /* [n_planned] request of each number in the plan */
    size_t n_planned, planned_capacity;
    size_t n_truncated; /* requests that were cut */
    Plan *plan;         /* not settled */
} RunRequests;

/* Makes every document of every task in turn. `db` is where responses are looked up; NULL: nowhere.
 * Zero-initialise *out first; call requests_free also after a failure. ERROR_STOPPED as eval_run. */
int requests_collect(RunRequests *out, const RunParts *parts, Db *db, Error *error);
void requests_free(RunRequests *requests);

#endif
