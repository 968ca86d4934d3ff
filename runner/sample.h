/* The draw of a token: which ones may come next, and one of them at random. */
#ifndef ZEVAL_RUNNER_SAMPLE_H
#define ZEVAL_RUNNER_SAMPLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/random.h"

typedef struct Candidate {
    int32_t token;
    float logit;
    double weight; /* exp((logit - the largest) / temperature) */
} Candidate;

typedef struct SampleOptions {
    double temperature; /* > 0 */
    int64_t top_k;      /* keep the k most likely tokens; 0: all */
    double top_p;       /* of those, keep the most likely ones whose probabilities reach top_p; 1: all */
} SampleOptions;

/* Fills candidates[0 .. result) with the tokens that are kept, at least one; `candidates` has room for all n.
 * Where something is cut off they are in descending order of likelihood, the lower id first among equals, as
 * transformers' temperature, top-k and top-p (in this order) keep them, except that of equals at the end of
 * top-k only so many as make k are kept; else they are in the order of their ids. A NaN is as -infinity. Time
 * grows with n, and with the number that is kept times log n: nothing is sorted that is not kept. */
size_t sample_keep(Candidate *candidates, const float *logits, size_t n, const SampleOptions *options);

/* One of the n candidates, in proportion to their weights. */
int32_t sample_draw(const Candidate *candidates, size_t n, Random *random);

#endif
