/* Per-document metrics of multiple_choice tasks (lm_eval/api/task.py, ConfigurableTask.process_results). */
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

typedef double MetricFunction(const TaskDocument *document, const Answer *answers);

/* The function of a metric for tasks of that output type; an unknown one is an error that lists the known
 * ones. */
int metric_find(MetricFunction **out, OutputType type, const char *name, Error *error);

#endif
