/* Two runs paired document by document. */
#ifndef ZEVAL_REPORTS_COMPARISON_H
#define ZEVAL_REPORTS_COMPARISON_H

#include "reports/paired.h"
#include "reports/results.h"

/* One metric of one task, over the documents that both runs have with the same content. */
typedef struct PairTest {
    const char *task, *metric, *filter;
    bool is_group; /* every document of the tasks below a group, pooled: no flips are listed */
    size_t n;
    double mean_a, mean_b, low, high; /* low, high: 95 % interval of the mean of b - a */
    PairedMean difference;            /* of b - a */
    bool is_binary;                   /* all values are 0 or 1: McNemar; else the bootstrap */
    size_t resamples;                 /* of the bootstrap */
    double p, p_holm;                 /* NAN: nothing to test */
    size_t only_a, only_b;            /* binary: documents that one alone has right */
    int64_t *flips_a, *flips_b;       /* their ids, as many as were asked for */
    size_t n_flips_a, n_flips_b;
    size_t n_other_document; /* same id, other content: left out */
    size_t n_other_prompt;   /* of the n: asked with another prompt */
    size_t n_not_number;     /* NaN in either run: left out */
} PairTest;

typedef struct PairComparison {
    const ReportRun *a, *b;
    PairTest *tests; /* by task, metric, filter */
    size_t n_tests;
    const char **warnings; /* sentences */
    size_t n_warnings;
} PairComparison;

/* Groups whose value is the mean over all documents (MMLU) are tested on these too. Holm's correction is over
 * the tasks of one metric and filter, and over the groups apart from them. At most `flips` ids are kept per
 * side. */
int comparison_make(Db *db, const ReportRun *a, const ReportRun *b, size_t flips, Arena *arena,
                    PairComparison *out, Error *error);

#endif
