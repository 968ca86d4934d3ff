/* Statistics of two runs on the same documents. Every function works on differences or disagreements of
 * pairs; nothing here treats the two as independent samples. */
#ifndef ZEVAL_REPORTS_PAIRED_H
#define ZEVAL_REPORTS_PAIRED_H

#include <stddef.h>
#include <stdint.h>

/* McNemar's exact test, two-sided: the chance, when either is as likely as the other, of a split of the
 * disagreements at least as uneven. 1 when there are none. */
double paired_mcnemar(uint64_t only_a, uint64_t only_b);

/* Mean, standard error (NAN for n < 2) and standardised mean d_z = mean / standard deviation (0 when all
 * differences are 0, NAN or infinite when they do not vary otherwise) of n > 0 differences. */
typedef struct PairedMean {
    double mean, stderr_value, effect;
} PairedMean;
PairedMean paired_mean(const double *differences, size_t n);

/* The paired bootstrap: `resamples` means of n differences drawn with replacement, by Python's
 * random.Random(seed).choices(range(n), k=n) for each in turn. low and high: the 2.5 and 97.5 percentiles
 * (linear interpolation). p: how often a resampled mean is at least as far from the observed one as that is
 * from 0, (count + 1) / (resamples + 1). n > 0, resamples > 0. */
typedef struct PairedBootstrap {
    double low, high, p;
} PairedBootstrap;
PairedBootstrap paired_bootstrap(const double *differences, size_t n, size_t resamples, uint64_t seed);

/* Holm's correction: adjusted[i] for p[i]; a NAN stays out of the family and stays NAN. */
void paired_holm(const double *p, size_t n, double *adjusted);

#endif
