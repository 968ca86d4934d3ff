/* reports: SQL in, documents out. Knows nothing of models. A report is a function of stored results alone: no
 * clock, no path of this machine. Without what the run cost the same results give the same bytes, however the
 * run was cut, batched or spread over threads. */
#ifndef ZEVAL_REPORTS_REPORTS_H
#define ZEVAL_REPORTS_REPORTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/memory.h"
#include "db/db.h"

typedef struct ReportOptions {
    int64_t run_id;         /* 0: every complete run, one column of models each */
    const int64_t *run_ids; /* or these; NULL: run_id counts */
    size_t n_run_ids;
    bool without_cost; /* leaves out what a run took: time, threads, memory, tokens that were fed */
} ReportOptions;

/* Appends the report: lm-eval's table of tasks and groups for each run, then what was run (model, files with
 * their hashes, settings). A database with no complete run is an error that says how to make one. */
int report_markdown(Db *db, const ReportOptions *options, Buffer *out, Error *error);
/* One self-contained page: nothing is loaded from elsewhere, readable in light and dark and when printed. */
int report_html(Db *db, const ReportOptions *options, Buffer *out, Error *error);
/* Tables for papers (booktabs). */
int report_latex(Db *db, const ReportOptions *options, Buffer *out, Error *error);
/* One record per number, unrounded. */
int report_csv(Db *db, const ReportOptions *options, Buffer *out, Error *error);
/* The same numbers for scripts: {"runs": [{..., "results": [...]}]}. */
int report_json(Db *db, const ReportOptions *options, Buffer *out, Error *error);

/* One run's results as the `model-index` of a model card, YAML; subjects of large groups are left out. */
int report_model_card(Db *db, int64_t run_id, Buffer *out, Error *error);

/* The papers' printed numbers that match; NULL matches all. Model and task match when they occur in the name,
 * whatever the case, or as patterns when they have a * or ?. Without any filter: which papers and tables
 * there are. `format`: markdown, latex, csv or json. Nothing that matches is an error. */
typedef struct PublishedQuery {
    const char *paper, *table, *model, *task;
} PublishedQuery;
int report_published(const PublishedQuery *query, const char *format, Buffer *out, Error *error);

/* A paper's table as printed, its means and KV-cache sizes recomputed and compared, slips of the source
 * named. With a database, ours beside it: value, difference and a verdict per cell. db NULL: published values
 * alone. Formats as above; CSV and JSON have one record per cell. */
int report_paper(Db *db, const char *paper, const char *table, const char *format, Buffer *out, Error *error);

/* Runs, by number or by model name, against each other on the documents that both scored: paired tests per
 * task and metric, which documents flipped, and a warning for everything else in which the runs differ.
 * Formats as above; CSV has one record per test, JSON also the flips and warnings. */
typedef struct CompareOptions {
    const char *const *runs; /* 2 to 8 */
    size_t n_runs;
    int64_t flips; /* at most so many flipped documents are listed per task, metric and side */
} CompareOptions;
int report_comparison(Db *db, const CompareOptions *options, const char *format, Buffer *out, Error *error);

/* What has to be run so that a table's cells can be compared. */
typedef struct ReproductionColumn {
    const char *heading, *task; /* lm-eval's name of the task */
    int64_t shots;              /* -1: the task's own */
} ReproductionColumn;
typedef struct ReproductionRow {
    const char *name;    /* as printed */
    const char *model;   /* repository; "" if no checkpoint of it is known */
    double n_parameters; /* as printed; NAN if it is not */
} ReproductionRow;
typedef struct Reproduction {
    const char *paper, *title, *compat, *dtype; /* compat, dtype: "" where the paper does not say */
    int64_t max_length;                         /* 0 likewise */
    ReproductionColumn *columns;                /* each task and shots once, means left out */
    size_t n_columns;
    ReproductionRow *rows;
    size_t n_rows;
} Reproduction;
/* `rows`: texts that occur in the names or repositories of the rows wanted, or patterns with * and ?; none
 * means all. A text that no row has, or a table without a task of ours, is an error. */
int report_reproduction(const char *paper, const char *table, const char *const *rows, size_t n_rows,
                        Arena *arena, Reproduction *out, Error *error);

/* What one row would take; numbers below 0 (NAN for hours) are not known. */
typedef struct ReproductionCost {
    const ReproductionRow *row;
    bool is_here, is_estimate; /* the checkpoint is on this machine; tokens and hours are guesses */
    double gigabytes;          /* to pull */
    int64_t n_requests, n_reused, n_tokens;
    double hours;
    const char *problem; /* why it cannot be run; NULL if it can */
} ReproductionCost;
/* Appends the costs as a table with a sum. Formats as for report_published. */
int report_reproduction_costs(const Reproduction *reproduction, const ReproductionCost *costs, size_t n,
                              const char *format, Arena *arena, Buffer *out, Error *error);

/* `zeval runs`: a table of the runs in a database, finished or not, with how far each got; as JSON when
 * `json`. */
int report_runs(Db *db, bool json, Buffer *out, Error *error);

#endif
