/* A batch of encoded requests becomes segments: requests that come in one group (those of one document) share
 * the tokens they have in common. The shared prefix is one segment, each request's own rest another one that
 * forks from it; the last token of a request is a target and is never fed.
 *
 * Invariant: a target is read off the segment that holds the token before it, so each request's
 * log-probabilities are those of feeding it alone. */
#ifndef ZEVAL_EVAL_PLAN_H
#define ZEVAL_EVAL_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "eval/encode.h"
#include "eval/metrics.h"
#include "runner/runner.h"

typedef struct Plan Plan;

Plan *plan_create(void);
void plan_free(Plan *plan);
void plan_clear(Plan *plan);

/* Begins a group; requests added until the next one share what they can. */
void plan_begin_group(Plan *plan);
/* Adds a request to the current group; its answer goes to *answer when the plan runs. The tokens are copied.
 */
void plan_add(Plan *plan, const EncodedRequest *request, Answer *answer);

size_t plan_requests(const Plan *plan);
/* Tokens of the requests were each fed on its own: the batch's size, and what sharing is measured against. */
size_t plan_tokens(const Plan *plan);

/* Scores everything: *computed is how many tokens the engine was fed. The plan is empty afterwards. */
int plan_run(Plan *plan, Engine *engine, size_t *computed, Error *error);

#endif
