/* A run as lm-eval's files see it: its tasks and groups in upstream's orders. */
#ifndef ZEVAL_REPORTS_LM_EVAL_RUN_H
#define ZEVAL_REPORTS_LM_EVAL_RUN_H

#include "base/base.h"
#include "db/db.h"

typedef struct LmMetric {
    const char *name, *filter;
    double value, error; /* NAN: not available */
    int64_t n;           /* documents */
    bool higher_is_better;
    size_t major, minor; /* its place among the entry's metrics */
} LmMetric;

/* A task or a group. */
typedef struct LmEntry {
    const char *name, *alias, *version;
    bool is_group;
    LmMetric *metrics; /* [n_metrics] in upstream's order */
    size_t n_metrics;
    int64_t first_task; /* where it stands among those asked for: the lowest task_id at or below it */
    bool is_member;     /* of a group */
    /* a task */
    int64_t task_id, num_fewshot, n_documents, n_documents_total; /* n_documents: also of a group's tasks */
    const char *output_type, *config;                             /* config: JSON object, "{}" if unknown */
    const char *hash;                                             /* over its samples; NULL: not computed */
    /* a group */
    bool adds_up; /* has a list of metrics to add up */
    struct LmEntry **children;
    size_t n_children;
} LmEntry;

typedef struct LmRun {
    Arena arena;
    int64_t run_id, n_parameters, max_length, fewshot_seed;
    const char *model, *dtype, *backend, *build, *started, *finished;
    const char *chat_template, *system_instruction; /* NULL: none */
    const char *special_tokens;                     /* a JSON object; NULL: unknown */
    bool fewshot_as_multiturn;
    double limit;
    LmEntry *entries; /* tasks, then groups */
    size_t n_entries, n_tasks;
} LmRun;

/* Reads a complete run; call lm_run_free also after a failure. */
int lm_run_read(Db *db, int64_t run_id, LmRun *out, Error *error);
void lm_run_free(LmRun *run);

/* Entries that no group contains, in the order in which they were asked for: *n of them, allocated in arena.
 */
LmEntry **lm_run_roots(LmRun *run, size_t *n);
/* Entries as they are reached from roots, each once; allocated in the run's arena. */
typedef struct LmOrder {
    LmEntry **entries;
    size_t n;
    bool *seen;
} LmOrder;
LmOrder lm_order_new(LmRun *run);
/* Adds root and all below it that is not there yet, groups before their members or behind them. */
void lm_order_add(LmOrder *order, LmRun *run, LmEntry *root, bool children_first);

/* Names of a task's filters in the order of its configuration, JSON, [n] allocated in arena. */
const char **lm_filters(const char *config, Arena *arena, size_t *n);
/* Where upstream's dictionaries have a metric. */
int lm_metric_rank(const char *name);

/* Python's json.dumps(..., indent=2) of a text that json.dumps made without. */
void lm_indent(const char *json, Buffer *out);
void lm_append_string(Buffer *out, const char *text); /* NULL is null */

#endif
