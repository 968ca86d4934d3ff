/* Twins of upstream's functions that score a document themselves (`process_results` of task files). */
#ifndef ZEVAL_EVAL_RESULTS_H
#define ZEVAL_EVAL_RESULTS_H

#include "eval/metrics.h"

/* The probability of the true choices among all (lm_eval/tasks/truthfulqa/utils.py). The document says which
 * are true; in v0.4.0 all before the first false one are. */
int results_mc2(const Scored *scored, MetricItem *out, Error *error);

/* The log-likelihood of the page and how many words or bytes it had before it was detokenized
 * (lm_eval/tasks/wikitext/preprocess_wikitext.py). */
int results_wikitext(const Scored *scored, bool words, MetricItem *out, Error *error);

/* len(re.split(r"\s+", text)). */
size_t results_words(const char *text);

#endif
