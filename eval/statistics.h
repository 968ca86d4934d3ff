/* Means and standard errors as lm-evaluation-harness reports them (lm_eval/api/metrics.py). */
#ifndef ZEVAL_EVAL_STATISTICS_H
#define ZEVAL_EVAL_STATISTICS_H

#include <stdbool.h>
#include <stddef.h>

#include "eval/metrics.h"

/* Sum in order over n; NAN for n = 0. */
double stat_mean(const double *values, size_t n);
/* Sample standard deviation over the square root of n; NAN for n < 2. */
double stat_mean_stderr(const double *values, size_t n);

/* What a task's items come to: an aggregation by upstream's name. */
typedef struct Aggregation Aggregation;
/* The profile's aggregation for items of that shape; an unknown one, or one of other items, is an error that
 * lists those there are. */
int aggregation_find(const Aggregation **out, const char *name, MetricShape shape, bool v0_4_0, Error *error);
/* Items in the order of their documents; n > 0. */
double aggregation_value(const Aggregation *aggregation, const MetricItem *items, size_t n);
/* Its standard error: in closed form where there is one, by `iterations` resamples where upstream draws them
 * (in chunks of 1000, each by Python's generator seeded with the chunk's number, so that any number of
 * threads gives the same); NAN where upstream has none, and for n < 2. */
int aggregation_stderr(const Aggregation *aggregation, const MetricItem *items, size_t n, size_t iterations,
                       int n_threads, double *out, Error *error);

/* A group's value and standard error from its tasks': the mean, weighted by the tasks' sizes if asked, and
 * the pooled error (aggregate_subtask_metrics, pooled_sample_stderr). NAN where any part is. */
double stat_group_mean(const double *values, const size_t *sizes, size_t n, bool weight_by_size);
double stat_pooled_stderr(const double *stderrs, const size_t *sizes, size_t n);
/* The same of v0.4.0, which merges the members one after the other and counts the differences of their means:
 * *value is the weighted mean and the result its error. others: [n] documents of members without the metric
 * that stand before each since the one before it, which it counts as if they had it; NULL: none. */
double stat_combined_stderr(const double *values, const double *stderrs, const size_t *sizes,
                            const size_t *others, size_t n, double *value);

#endif
