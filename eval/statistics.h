/* Means and standard errors as lm-evaluation-harness reports them (lm_eval/api/metrics.py). */
#ifndef ZEVAL_EVAL_STATISTICS_H
#define ZEVAL_EVAL_STATISTICS_H

#include <stdbool.h>
#include <stddef.h>

/* Sum in order over n; NAN for n = 0. */
double stat_mean(const double *values, size_t n);
/* Sample standard deviation over the square root of n; NAN for n < 2. */
double stat_mean_stderr(const double *values, size_t n);

/* A group's value and standard error from its tasks': the mean, weighted by the tasks' sizes if asked, and
 * the pooled error (aggregate_subtask_metrics, pooled_sample_stderr). NAN where any part is. */
double stat_group_mean(const double *values, const size_t *sizes, size_t n, bool weight_by_size);
double stat_pooled_stderr(const double *stderrs, const size_t *sizes, size_t n);

#endif
