/* Per-document metrics (lm_eval/api/task.py, ConfigurableTask.process_results, and the functions of task
 * files that take its place). */
#ifndef ZEVAL_EVAL_METRICS_H
#define ZEVAL_EVAL_METRICS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "tasks/tasks.h"

typedef struct Answer {
    double loglikelihood;
    bool is_greedy;
    const char *text; /* generated text, borrowed from whoever gave the answer; NULL but for generate_until */
} Answer;

/* What a metric is computed from. */
typedef struct Scored {
    const TaskDocument *document;
    const Answer *answers; /* [document->n_requests] */
    const char *text;      /* generate_until: what the filter made of the generated texts; NULL: nothing */
    bool v0_4_0;           /* in the profile v0.4.0 */
    Arena *arena;
} Scored;

/* A metric's item for one document. What the second number is, the aggregation knows: nothing (mean), the
 * weight (weighted_perplexity, bits_per_byte), the choice taken where `value` is the right one (f1,
 * matthews_corrcoef). */
typedef struct MetricItem {
    double value, second;
} MetricItem;

typedef enum MetricShape { METRIC_NUMBER, METRIC_WEIGHTED, METRIC_CHOICES } MetricShape;

/* A metric of a task, its patterns compiled. */
typedef struct Metric Metric;

/* The metric for tasks of that output type, or of the function that scores them; an unknown one is an error
 * that lists the known ones. `config` must live as long. */
int metric_create(Metric **out, const TaskInfo *task, const TaskMetric *config, Error *error);
void metric_free(Metric *metric);
MetricShape metric_shape(const Metric *metric);
int metric_compute(const Metric *metric, const Scored *scored, MetricItem *out, Error *error);

/* Where upstream's dictionary of a document's metrics has this one: metrics are shown in that order. */
int metric_rank(const Metric *metric);

#endif
