#include "reports/paired.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/random.h"

double paired_mcnemar(uint64_t only_a, uint64_t only_b) {
    uint64_t n = only_a + only_b, fewer = only_a < only_b ? only_a : only_b;
    /* The terms C(n, k) / 2^n for k = fewer, fewer - 1, ...: each from the one before, largest first, in long
     * double so that neither the logarithm of the first nor the sum costs digits. */
    long double first = expl(lgammal((long double)n + 1) - lgammal((long double)fewer + 1) -
                             lgammal((long double)(n - fewer) + 1) - (long double)n * logl(2.0L));
    long double term = first, sum = 0;
    for (uint64_t k = fewer;; k--) {
        sum += term;
        if (k == 0 || term < sum * 1e-21L)
            break;
        term *= (long double)k / (long double)(n - k + 1);
    }
    double p = (double)(2 * sum);
    return only_a == only_b || p > 1 ? 1 : p;
}

PairedMean paired_mean(const double *differences, size_t n) {
    PairedMean out = {0};
    double squares = 0;
    for (size_t i = 0; i < n; i++)
        out.mean += differences[i];
    out.mean /= (double)n;
    for (size_t i = 0; i < n; i++)
        squares += (differences[i] - out.mean) * (differences[i] - out.mean);
    double deviation = n > 1 ? sqrt(squares / (double)(n - 1)) : NAN;
    out.stderr_value = deviation / sqrt((double)n);
    out.effect = out.mean == 0 ? 0 : out.mean / deviation;
    return out;
}

static int compare_doubles(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static double percentile(const double *sorted, size_t n, double fraction) {
    double place = fraction * (double)(n - 1);
    size_t below = (size_t)place;
    double rest = place - (double)below;
    return below + 1 < n ? sorted[below] + rest * (sorted[below + 1] - sorted[below]) : sorted[n - 1];
}

PairedBootstrap paired_bootstrap(const double *differences, size_t n, size_t resamples, uint64_t seed) {
    double *means = mem_alloc_zero(resamples, sizeof *means);
    size_t *picks = mem_alloc_zero(n, sizeof *picks), as_far = 0;
    double observed = paired_mean(differences, n).mean;
    /* Equal distances must count as equal however their sums were rounded. */
    double slack = 1e-12 * (1 + fabs(observed));
    Random random;
    random_seed(&random, seed);
    for (size_t r = 0; r < resamples; r++) {
        random_choices(&random, n, n, picks);
        for (size_t i = 0; i < n; i++)
            means[r] += differences[picks[i]];
        means[r] /= (double)n;
        as_far += fabs(means[r] - observed) >= fabs(observed) - slack;
    }
    qsort(means, resamples, sizeof *means, compare_doubles);
    PairedBootstrap out = {.low = percentile(means, resamples, 0.025),
                           .high = percentile(means, resamples, 0.975),
                           .p = (double)(as_far + 1) / (double)(resamples + 1)};
    free(means);
    free(picks);
    return out;
}

typedef struct Ranked {
    double p;
    size_t index;
} Ranked;

static int compare_ranked(const void *a, const void *b) {
    const Ranked *left = a, *right = b;
    int order = (left->p > right->p) - (left->p < right->p);
    return order ? order : (left->index > right->index) - (left->index < right->index);
}

void paired_holm(const double *p, size_t n, double *adjusted) {
    Ranked *ranked = mem_alloc_zero(n, sizeof *ranked);
    size_t family = 0;
    for (size_t i = 0; i < n; i++) {
        adjusted[i] = NAN;
        if (!isnan(p[i]))
            ranked[family++] = (Ranked){p[i], i};
    }
    qsort(ranked, family, sizeof *ranked, compare_ranked);
    double highest = 0;
    for (size_t rank = 0; rank < family; rank++) {
        double scaled = fmin(1, (double)(family - rank) * ranked[rank].p);
        highest = fmax(highest, scaled);
        adjusted[ranked[rank].index] = highest;
    }
    free(ranked);
}
