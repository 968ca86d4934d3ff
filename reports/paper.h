/* A paper's table laid against stored runs: each cell's ours, difference and verdict. */
#ifndef ZEVAL_REPORTS_PAPER_H
#define ZEVAL_REPORTS_PAPER_H

#include "reports/published.h"
#include "reports/results.h"

typedef enum Verdict {
    VERDICT_NONE,      /* nothing was published, or it is no number */
    VERDICT_NO_METRIC, /* the cell has no task and metric of ours */
    VERDICT_NOT_RUN,
    VERDICT_REPRODUCED, /* inside the 95 % interval of our standard error plus the print's precision */
    VERDICT_CLOSE,      /* outside of it, within PAPER_CLOSE points */
    VERDICT_DIFFERS,
    N_VERDICTS
} Verdict;

/* Points within which the papers' own tables disagree on one checkpoint. */
#define PAPER_CLOSE 2.0

typedef struct PaperCell {
    Verdict verdict;
    const ReportRun *run; /* NULL: a mean, or nothing of ours */
    double published;
    double ours, stderr_ours; /* in per cent; NAN: not available */
    int64_t n;                /* documents */
} PaperCell;

const char *verdict_name(Verdict verdict);
/* The verdict on a published number printed with `decimals` decimals. */
Verdict paper_verdict(double published, int decimals, double ours, double stderr_ours);
/* Whether a run is of the model that a row names: by its repository, or by the last part of it. */
bool paper_is_model(const ReportRun *run, const PublishedRow *row);
/* [n_rows][n_columns] in the arena. A cell takes the newest run that has it, one over all documents first.
 * Means are over ours when all members are there. */
PaperCell *paper_cells(const PublishedTable *table, const ReportSet *set, Arena *arena);
/* The newest run of a row's model; NULL if none. */
const ReportRun *paper_run_of_row(const PublishedRow *row, const ReportSet *set);

#endif
