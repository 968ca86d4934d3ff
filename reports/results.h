/* What a report is made of: runs read from the database into one tree of tasks and groups, in the order in
 * which they are printed. Everything lives in an arena. */
#ifndef ZEVAL_REPORTS_RESULTS_H
#define ZEVAL_REPORTS_RESULTS_H

#include "base/memory.h"
#include "reports/reports.h"

typedef struct ReportMetric {
    const char *metric, *filter;
    double value, stderr_value; /* NAN: not available */
    int64_t n;                  /* documents */
    int64_t n_unextracted;      /* of these, where the filter found nothing in the answer */
    bool higher_is_better;
    size_t place; /* of a run of v0.4.0: among those of its task, as it computes them */
} ReportMetric;

/* A task or a group. */
typedef struct ReportEntry {
    const char *name, *alias, *version;
    bool is_group;
    const ReportMetric
        *metrics; /* sorted as lm-eval sorts the keys "metric,filter"; v0.4.0: as it computes them */
    size_t n_metrics;

    /* tasks */
    bool version_is_text; /* in its file: tables leave such a one as it is */
    const char *config;   /* JSON; "" if unknown */
    int64_t task_id, num_fewshot;
    const char *output_type, *dataset_path, *dataset_name, *split;
    int64_t n_documents, n_documents_total, n_requests, n_truncated;
    int64_t n_dropped; /* documents that lost few-shot examples so that they fit */
    double chance;     /* accuracy of guessing among the choices; NAN when it is not multiple choice */

    /* groups */
    const char **children; /* names, sorted */
    size_t n_children;
    bool weight_by_size;

    bool placed; /* used while rows are laid out: an entry has one row */
} ReportEntry;

/* A line of the table of results: depth 0 is not indented. A group without numbers has no line, but those in
 * it are indented. */
typedef struct ReportRow {
    const ReportEntry *entry;
    int depth;
    bool in_sum; /* below a group that has numbers */
} ReportRow;

typedef struct ReportFile {
    const char *role, *name, *sha256;
    int64_t bytes;
} ReportFile;

typedef struct ReportSetting {
    const char *name, *value;
} ReportSetting;

typedef struct ReportRun {
    int64_t run_id;
    const char *fingerprint, *model, *model_sha256, *family, *architecture, *dtype, *backend, *compat, *build;
    const char *settings_json;
    int64_t n_parameters, state_bytes_per_token, state_bytes_fixed, numerics_version, max_length,
        fewshot_seed;
    bool add_bos;
    double limit;         /* 0: none */
    ReportEntry *entries; /* sorted by name */
    size_t n_entries;
    ReportRow *rows;
    size_t n_rows;
    const ReportEntry **tops; /* [n_tops] the entries that are in none, in the order of their rows */
    size_t n_tops;
    const ReportFile *files; /* model, tokenizer, task, dataset; by name within a role */
    size_t n_files;
    size_t n_folded; /* tasks inside groups when they are so many that they would drown the rest, else 0 */
    int64_t n_documents, n_requests, n_truncated, n_dropped;

    /* What it took; -1 where nobody counted. Of several passes over one run, the sum. */
    int64_t tokens_alone, tokens_distinct, tokens_computed, tokens_generated, memory_bytes, n_threads;
    double planning_seconds, scoring_seconds; /* NAN: not measured */
    const char *chat_template_name, *chat_template_sha256, *system_instruction, *on_truncation;
    bool fewshot_as_multiturn;
} ReportRun;

typedef struct ReportSet {
    ReportRun *runs;
    size_t n_runs;
} ReportSet;

/* Loads the run that `options` names, or every complete one, and appends what `write` makes of it, all from
 * one snapshot of the database. A run that is not there or not complete, or a database without a complete
 * run, is an error; on an error nothing is appended. `context` is the writer's own. */
typedef int ReportWriter(Db *db, const ReportSet *set, void *context, Arena *arena, Buffer *out,
                         Error *error);
int report_make(Db *db, const ReportOptions *options, ReportWriter *write, void *context, Buffer *out,
                Error *error);

/* The entry of that name and kind, NULL if none. */
const ReportEntry *report_find(const ReportRun *run, const char *name, bool is_group);
/* Whether the run has the profile v0.4.0, whose tables are others. */
bool report_is_v0_4_0(const ReportRun *run);
/* lm-eval's n-shot of a row: a group shows it when all tasks directly below it agree. -1: blank. */
int64_t report_num_fewshot(const ReportRun *run, const ReportEntry *entry);
/* lm-eval's arrow of a row: 1 higher is better, 0 lower, -1 blank (a group with no such task right below it).
 */
int report_direction(const ReportRun *run, const ReportEntry *entry, const ReportMetric *metric);

/* Whether a row is one of the folded tasks: reports show these apart, or in sum. */
bool report_is_folded(const ReportRun *run, const ReportRow *row);

/* Several runs side by side: one line per entry and metric that any of them has, in the first run's order. */
typedef struct ComparisonRow {
    const ReportEntry *entry; /* of the first run that has it */
    int depth;
    bool in_sum;
    const char *metric, *filter;
    const ReportMetric **values; /* [n_runs], NULL where a run has none */
} ComparisonRow;
/* Returns how many rows. */
size_t report_compare(const ReportSet *set, Arena *arena, ComparisonRow **out);
/* A run's name among others: "model, float32, 0-shot". */
const char *report_label(const ReportRun *run, Arena *arena);

/* A prepared SELECT with one integer bound to ?1; NULL on failure. */
sqlite3_stmt *report_query(Db *db, const char *sql, int64_t parameter, Error *error);
/* 1: a row; 0: no more rows; -1: failure. */
int report_step(Db *db, sqlite3_stmt *statement, Error *error);
/* A text column in the arena, "" for NULL. */
const char *report_text(sqlite3_stmt *statement, int column, Arena *arena);
/* A column that counts something, kept within what can be added up without overflow. */
int64_t report_counter(sqlite3_stmt *statement, int column);
/* A real column, NAN for NULL. */
double report_real(sqlite3_stmt *statement, int column);

/* How a report calls a model or file that was named by a path of one machine: by its last part. */
const char *report_public_name(const char *name, Arena *arena);
/* "0-shot", "5-shot", "mixed shots". */
const char *report_shots(const ReportRun *run, Arena *arena);
/* What was run, as pairs for people, in a fixed order; returns how many (at most REPORT_MAX_SETTINGS). */
enum { REPORT_MAX_SETTINGS = 32 };
size_t report_settings(const ReportRun *run, Arena *arena, ReportSetting out[REPORT_MAX_SETTINGS]);
/* The shortest text that reads back as the same double; "" for what is not finite. */
const char *report_exact(double value, Arena *arena);
/* "1,234,567". */
const char *report_grouped(int64_t value, Arena *arena);
/* "1.28 B", "260 k": a count of parameters as people say it. */
const char *report_count(int64_t value, Arena *arena);
/* "12 s", "2 h 10 min"; "" for what is not known. */
const char *report_duration(double seconds, Arena *arena);
/* "1.05 MB". */
const char *report_bytes(int64_t bytes, Arena *arena);

#endif
