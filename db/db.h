/* db: every result with its provenance, in one SQLite file. The only room that changes rows. Crash-safe: WAL,
 * and one transaction per finished batch; what a call has committed survives SIGKILL and power loss.
 *
 * What is stored once: texts by hash, responses by a key of everything that determines them (so that a second
 * run with other tasks or metrics reuses them, and two models can never share one). What hangs on a run: its
 * settings, files, tasks, documents, requests, metrics, results. */
#ifndef ZEVAL_DB_DB_H
#define ZEVAL_DB_DB_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* PRAGMA user_version of the newest schema. */
#define DB_SCHEMA_VERSION 3

typedef struct Db Db;

typedef enum DbMode {
    DB_READ, /* for reports; the file must exist */
    DB_WRITE /* creates the file if need be and migrates an older schema; several processes may write at once
              */
} DbMode;

/* Fails on a file that is not a database, is another program's, or has a newer schema than this build knows.
 */
int db_open(Db **out, const char *path, DbMode mode, Error *error);
void db_close(Db *db);
/* The connection, for SELECTs. */
sqlite3 *db_handle(Db *db);
const char *db_path(const Db *db);

/* Groups the calls between them into one transaction; without them each call is one of its own. On any
 * failure inside, call db_rollback. */
int db_begin(Db *db, Error *error);
int db_commit(Db *db, Error *error);
void db_rollback(Db *db);

/* What makes a run: the fingerprint covers everything that determines its results, so starting the same run
 * again finds the row and goes on with it. */
typedef struct DbRun {
    const char *fingerprint; /* SHA-256 hex of all settings and file hashes */
    const char *model_name;  /* as the user named it */
    const char *model_path;
    const char *model_sha256; /* over the model's files */
    const char *family, *architecture;
    int64_t n_parameters;
    int64_t state_bytes_per_token, state_bytes_fixed;
    const char *dtype, *backend;
    int64_t numerics_version;
    const char *compat; /* profile of lm-eval that is followed: "main" */
    int64_t max_length; /* tokens; longer requests are cut on the left */
    bool add_bos;
    int64_t fewshot_seed;
    double limit;              /* 0: none */
    const char *build;         /* version and commit of this program */
    const char *settings_json; /* everything the user set, for people */
    int64_t threads;
    const char *chat_template, *chat_template_name, *chat_template_sha256; /* NULL: none was applied */
    const char *system_instruction;                                        /* NULL: none */
    bool fewshot_as_multiturn;
    const char *on_truncation;       /* "match", "error", "drop-shots" */
    const char *special_tokens_json; /* the tokenizer's, as lm-eval writes them; NULL: none is known */
} DbRun;

/* Finds the run of that fingerprint or inserts it; *run_id is its id, *complete tells whether it was
 * finished. */
int db_run_start(Db *db, const DbRun *run, int64_t *run_id, bool *complete, Error *error);
/* Marks it finished. */
int db_run_finish(Db *db, int64_t run_id, Error *error);

/* What a run had to compute, as planned when it was first started: a later plan of the same run, which has
 * less left to do, changes nothing. */
typedef struct DbPlan {
    int64_t n_requests;
    int64_t n_reused;        /* of these, answered by the database then; the tokens are about the others */
    int64_t tokens_alone;    /* were each request fed on its own */
    int64_t tokens_distinct; /* distinct prefixes */
    int64_t tokens_again;    /* fed once more because states have no room */
    int64_t memory_bytes, state_budget_bytes;
    double planning_seconds;
} DbPlan;
int db_run_plan(Db *db, int64_t run_id, const DbPlan *plan, Error *error);
/* Adds to what the run has cost so far: tokens fed, generated ones among them, and seconds. */
int db_run_work(Db *db, int64_t run_id, int64_t tokens_computed, int64_t tokens_generated, double seconds,
                Error *error);

/* role: "model", "tokenizer", "task", "dataset". Idempotent. */
int db_run_file(Db *db, int64_t run_id, const char *role, const char *name, const char *sha256, int64_t bytes,
                Error *error);

typedef struct DbTask {
    const char *name, *alias, *version, *output_type;
    const char *dataset_path, *dataset_name, *split;
    int64_t num_fewshot, n_documents, n_documents_total;
    const char *config_json; /* the configuration as lm-eval writes it; NULL keeps what is stored */
} DbTask;
/* Idempotent, as all of the following are. Each row needs the one it belongs to: a run its tasks, a task its
 * documents, a document its requests and metrics, in this order. */
int db_run_task(Db *db, int64_t run_id, const DbTask *task, Error *error);
typedef struct DbGroup {
    const char *name, *alias, *version;
    bool weight_by_size;
    const char *const *children; /* [n_children] names of tasks or groups in their order */
    size_t n_children;
    const char *config_json; /* {"aggregate_metric_list": [...]}, {} if it adds up nothing; NULL: unknown */
} DbGroup;
int db_run_group(Db *db, int64_t run_id, const DbGroup *group, Error *error);

typedef struct DbDocument {
    const char *task;
    int64_t doc_id;
    const char *json, *target;
    int64_t gold;
    const char *prompt_sha256; /* of the first request's context */
    int64_t n_dropped_shots;   /* few-shot examples left out so that it fits max_length */
} DbDocument;
int db_document(Db *db, int64_t run_id, const DbDocument *document, Error *error);

typedef struct DbRequest {
    const char *task;
    int64_t doc_id, idx;
    const char *request_type;
    const char *context, *continuation;
    const char *generation;   /* generate_until: its settings as JSON; otherwise NULL */
    const char *choice;       /* the choice's own text, NULL if the task has none */
    const char *response_key; /* SHA-256 hex: model files, tokens, dtype, backend, numerics version */
    int64_t n_context_tokens, n_continuation_tokens;
    int64_t n_truncated; /* tokens cut off on the left */
} DbRequest;
int db_request(Db *db, int64_t run_id, const DbRequest *request, Error *error);

typedef struct DbResponse {
    double loglikelihood; /* NAN where there is none, as for a generated text */
    bool is_greedy;
    const char *text; /* generated text; otherwise NULL */
} DbResponse;
/* 1 if the key has a response (then *out is set), 0 if not, -1 on failure. A text is the database's own and
 * lives until the next call of this function. */
int db_response_find(Db *db, const char *key, DbResponse *out, Error *error);
/* Inserts; a key that is already there keeps its first response. */
int db_response_put(Db *db, const char *key, const DbResponse *response, Error *error);
/* Several processes share a database by claiming the keys of the responses that they are going to compute. A
 * worker is one of them, for one run; when its process ends, however that ends, its claims are worth nothing.
 */
typedef struct DbWorker {
    int64_t worker_id, run_id, process_id;
    char host[64];
} DbWorker;
int db_worker_start(Db *db, int64_t run_id, Error *error);
/* Gives back all claims; db_close does it too. */
int db_worker_end(Db *db, Error *error);
/* 1 and *out if a worker that is alive, and not ours, has claimed the key; else 0; -1 on failure. */
int db_claim_find(Db *db, const char *key, DbWorker *out, Error *error);
/* Claims a key for our worker: 1, or 0 if another one that is alive has it, or -1. */
int db_claim(Db *db, const char *key, Error *error);

/* How many of a run's requests have a response. */
int db_run_progress(Db *db, int64_t run_id, int64_t *n_requests, int64_t *n_done, Error *error);

/* A metric's value for one document. filter is "none" where the task has no filters. */
int db_document_metric(Db *db, int64_t run_id, const char *task, int64_t doc_id, const char *metric,
                       const char *filter, double value, Error *error);
/* The same of a metric that is a quotient over all documents: `weight` is what this one adds to the divisor.
 */
int db_document_weighted(Db *db, int64_t run_id, const char *task, int64_t doc_id, const char *metric,
                         const char *filter, double value, double weight, Error *error);

/* What a filter made of a document's responses: a JSON list, one element for each request. `extracted` false:
 * the filter did not find what it looked for. */
int db_document_output(Db *db, int64_t run_id, const char *task, int64_t doc_id, const char *filter,
                       const char *value_json, bool extracted, Error *error);

/* Takes a run's scores away, so that they can be computed anew from its responses: metrics, outputs of
 * filters, results, and which task files they came from. The run is then known by `fingerprint`, unless that
 * is NULL. */
int db_run_forget_scores(Db *db, int64_t run_id, const char *fingerprint, Error *error);

typedef struct DbResult {
    const char *name; /* task or group */
    const char *metric, *filter;
    double value;
    double stderr_value; /* NAN: not available */
    int64_t n;           /* documents */
    bool higher_is_better;
    bool is_group;
    int64_t n_unextracted; /* documents in whose answers the filter found nothing */
} DbResult;
int db_result(Db *db, int64_t run_id, const DbResult *result, Error *error);

/* ---- keeping files well */

/* Told of once per finding, a sentence. */
typedef void DbComplain(void *context, const char *sentence);

/* Reads everything: SQLite's own integrity check, rows that refer to what is not there, texts and keys that
 * are not what their hash says, finished runs that lack documents, answers or results, objects that are not
 * of this schema. At most 20 findings of a kind are told; *n_problems counts them all. */
int db_check(Db *db, DbComplain *complain, void *context, int64_t *n_problems, Error *error);

typedef struct DbVacuumed {
    int64_t n_texts, n_responses; /* removed: no row used them */
    int64_t bytes_before, bytes_after;
} DbVacuumed;
/* Removes texts that no row uses and, with `responses`, answers that no request asks for (they are kept
 * otherwise: a later run may), then rewrites the file without holes. */
int db_vacuum(Db *db, bool responses, DbVacuumed *out, Error *error);

typedef struct DbMerged {
    int64_t n_runs;  /* new ones, or unfinished ones that were replaced by finished ones */
    int64_t n_known; /* runs that were here already */
    int64_t n_responses, n_texts;
    int64_t n_conflicts; /* the same run or key with other numbers: ours stay, and each is told of */
} DbMerged;
/* Takes in what the database at `from` has: all of it, or with run_id the one run with its answers and texts.
 * A run or answer is known by its fingerprint or key and comes in once, however often this is done. All or
 * nothing. */
int db_merge(Db *db, const char *from, int64_t run_id, DbComplain *complain, void *context, DbMerged *out,
             Error *error);

#endif
