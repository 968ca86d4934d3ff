/* Candidates lie in a heap, the most likely one on top, and are taken off as long as they are kept. */
#include "runner/sample.h"

#include <math.h>
#include <stdbool.h>

static bool comes_before(const Candidate *a, const Candidate *b) {
    return a->logit > b->logit || (a->logit == b->logit && a->token < b->token);
}

/* The heap lies at the end of the array, its top at the very end, so that what is taken off it can be put in
 * order at the beginning: slot i is heap[-i]. */
static void sift_down(Candidate *heap, size_t n, size_t i) {
    Candidate moving = heap[-(ptrdiff_t)i];
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && comes_before(&heap[-(ptrdiff_t)child - 1], &heap[-(ptrdiff_t)child]))
            child++;
        if (!comes_before(&heap[-(ptrdiff_t)child], &moving))
            break;
        heap[-(ptrdiff_t)i] = heap[-(ptrdiff_t)child];
    }
    heap[-(ptrdiff_t)i] = moving;
}

/* Of all candidates; the largest has weight 1. */
static double weigh(Candidate *candidates, size_t n, float largest, double temperature) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        Candidate *c = &candidates[i];
        c->weight = c->logit == largest ? 1 : exp(((double)c->logit - (double)largest) / temperature);
        sum += c->weight;
    }
    return sum;
}

size_t sample_keep(Candidate *candidates, const float *logits, size_t n, const SampleOptions *options) {
    size_t most = options->top_k > 0 && (size_t)options->top_k < n ? (size_t)options->top_k : n;
    float largest = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        float logit = isnan(logits[i]) ? -INFINITY : logits[i];
        candidates[i] = (Candidate){.token = (int32_t)i, .logit = logit};
        largest = logit > largest ? logit : largest;
    }
    double sum = weigh(candidates, n, largest, options->temperature);
    if (most == n && options->top_p >= 1)
        return n;
    Candidate *heap = candidates + n - 1;
    for (size_t i = n / 2; i-- > 0;)
        sift_down(heap, n, i);
    /* The probabilities that top_p counts are those among the top_k, whose sum is known at the end. */
    bool cut_by_k = most < n;
    double kept = 0;
    size_t n_kept = 0;
    while (n_kept < most && (n_kept == 0 || cut_by_k || kept < options->top_p * sum)) {
        Candidate top = *heap;
        size_t left = n - n_kept - 1;
        if (left) {
            *heap = heap[-(ptrdiff_t)left];
            sift_down(heap, left, 0);
        }
        candidates[n_kept++] = top;
        kept += top.weight;
    }
    if (!cut_by_k || options->top_p >= 1)
        return n_kept;
    sum = kept;
    kept = 0;
    for (n_kept = 0; n_kept < most && (n_kept == 0 || kept < options->top_p * sum); n_kept++)
        kept += candidates[n_kept].weight;
    return n_kept;
}

int32_t sample_draw(const Candidate *candidates, size_t n, Random *random) {
    double sum = 0;
    while (n > 1 && candidates[n - 1].weight == 0) /* rounding must not fall through to it */
        n--;
    for (size_t i = 0; i < n; i++)
        sum += candidates[i].weight;
    double point = random_double(random) * sum;
    for (size_t i = 0; i + 1 < n; i++) {
        point -= candidates[i].weight;
        if (point < 0)
            return candidates[i].token;
    }
    return candidates[n - 1].token;
}
