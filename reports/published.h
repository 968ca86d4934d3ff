/* The papers' printed numbers, from the tables under reports/published/ that ship inside the binary. Values
 * are texts, exactly as printed; docs/REPORTS.md describes the files' format. Everything lives in an arena.
 */
#ifndef ZEVAL_REPORTS_PUBLISHED_H
#define ZEVAL_REPORTS_PUBLISHED_H

#include "base/error.h"
#include "base/memory.h"

typedef struct PublishedColumn {
    const char *heading;    /* "ARC" */
    const char *task;       /* "arc_challenge" */
    const char *metric;     /* as the source names it, or why it does not */
    const char *our_task;   /* the task and metric of lm-evaluation-harness that it means; "" if none */
    const char *our_metric; /* is known */
    int64_t shots;          /* -1: does not apply or not known */
    const size_t *members;  /* a column of means: the columns it is over */
    size_t n_members;       /* 0: not a mean, or not one that can be recomputed */
    int decimals;           /* the most that a number in it is printed with; shorter ones lost their zeros */
} PublishedColumn;

/* What a note is about: a column, or one of these. */
enum { PUBLISHED_ROW = -1, PUBLISHED_KV = -2 };

typedef struct PublishedNote {
    int column;
    bool is_slip; /* a known error in the source */
    const char *text;
} PublishedNote;

/* KV-cache size against the base model's: 100 * layers / all_layers * cached / base_cached. */
typedef struct PublishedFormula {
    int64_t layers, all_layers; /* layers with a key-value cache */
    int64_t cached;             /* values that such a layer keeps per token */
    int64_t base_cached;        /* the same of a layer of the base model */
} PublishedFormula;

typedef struct PublishedRow {
    const char *model, *repo, *kv, *tokens, *teacher, *params, *source; /* "" where the source says nothing */
    const char **values;  /* [n_columns], "" where there is none */
    const char **metrics; /* [n_columns], NULL except where a value is of another metric than its column */
    PublishedNote *notes;
    size_t n_notes;
    PublishedFormula formula; /* all_layers 0: not known */
    bool rule_before;
} PublishedRow;

typedef struct PublishedTable {
    const char *paper_key, *paper; /* "zebra-llama", "Zebra-Llama" */
    const char *key, *title;       /* "1", "Table 1 (zero-shot)" */
    const char *version;
    const char *compat, *dtype; /* how its numbers were made: lm-eval profile, data type; "" if not known */
    int64_t max_length;         /* and the longest request in tokens; 0 likewise */
    const char **about;         /* sentences that hold for the whole table */
    size_t n_about;
    PublishedColumn *columns;
    size_t n_columns;
    PublishedRow *rows;
    size_t n_rows;
} PublishedTable;

typedef struct Published {
    PublishedTable *tables;
    size_t n_tables;
} Published;

/* Reads all tables that ship with the program, after those of the file that $ZEVAL_PUBLISHED names, if it
 * does. */
int published_load(Published *out, Arena *arena, Error *error);
/* Appends the tables of one file's text; `where` names it in messages. */
int published_parse(Published *out, const char *text, size_t bytes, const char *where, Arena *arena,
                    Error *error);

/* The table of a paper (its key or name; case and punctuation do not matter) by its key or title. What is not
 * there is an error that lists what is. */
int published_find(const Published *published, const char *paper, const char *table,
                   const PublishedTable **out, Error *error);
/* Whether two names are the same but for case and punctuation. */
bool published_same_name(const char *a, const char *b);

/* Whether a name contains the text, whatever the case, or is what a pattern with * or ? says; NULL matches
 * all. */
bool published_matches(const char *pattern, const char *name, Arena *arena);

/* The number that a value is, and with how many decimals it is printed; false for texts, ranges, values with
 * a unit. */
bool published_number(const char *value, double *out, int *decimals);
/* Column `column` of a row that is a mean: the mean of the printed values, and how far the printed one may be
 * from it: half a unit of the values' last digit, and a whole one of its own, since papers cut as often as
 * they round. False if a value is missing or the column is not such a mean. */
bool published_mean(const PublishedTable *table, const PublishedRow *row, size_t column, double *mean,
                    double *tolerance);
/* The metric of a cell, as compared with ours; "" if there is none. */
const char *published_our_metric(const PublishedTable *table, const PublishedRow *row, size_t column);
/* The printed KV-cache size in per cent; false if it is no number. */
bool published_kv(const PublishedRow *row, double *out, int *decimals);
/* In per cent; NAN if the formula's numbers are not known. */
double published_formula_kv(const PublishedRow *row);

#endif
