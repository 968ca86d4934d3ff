/* See eta.h. */
#include "eval/eta.h"

#include <math.h>

/* What is older than RECENT_SHARE of the run, or RECENT_SECONDS, hardly counts as recent. */
static const double RECENT_SHARE = 0.25, RECENT_SECONDS = 20;

/* Of the evidence, how much speaks for equal costs; the least that an operation costs, of their mean. */
static const double PRIOR_SHARE = 0.02, LEAST_COST = 0.125;

/* Steps shorter than this are mostly noise. */
static const double SHORT_SECONDS = 0.01;

/* A program that was stopped for a while, or a machine that slept, says nothing about how fast it is. */
static const double INTERRUPTED_TIMES = 4, INTERRUPTED_SECONDS = 1;

static double total(EtaWork work) {
    double sum = 0;
    for (int i = 0; i < ETA_KINDS; i++)
        sum += work.operations[i];
    return sum;
}

EtaWork eta_work_sum(EtaWork a, EtaWork b) {
    for (int i = 0; i < ETA_KINDS; i++)
        a.operations[i] += b.operations[i];
    return a;
}

EtaWork eta_work_difference(EtaWork a, EtaWork b) {
    for (int i = 0; i < ETA_KINDS; i++)
        a.operations[i] -= b.operations[i];
    return a;
}

/* Errors are taken to grow as the steps do, so long steps do not outweigh the short ones by more than their
 * length. */
void eta_note(Eta *eta, EtaWork work, double seconds) {
    if (total(work) <= 0)
        return;
    if (eta->seconds > 0)
        seconds = fmin(seconds, fmax(INTERRUPTED_TIMES * eta_left(eta, work), INTERRUPTED_SECONDS));
    double weight = 1 / (seconds + SHORT_SECONDS);
    for (int i = 0; i < ETA_KINDS; i++) {
        for (int j = 0; j < ETA_KINDS; j++)
            eta->products[i][j] += weight * work.operations[i] * work.operations[j];
        eta->with_seconds[i] += weight * work.operations[i] * seconds;
    }
    eta->done = eta_work_sum(eta->done, work);
    eta->seconds += seconds;
    double span = fmax(RECENT_SECONDS, RECENT_SHARE * eta->seconds), keep = exp(-seconds / span);
    for (int i = 0; i < ETA_KINDS; i++)
        eta->recent.operations[i] = keep * eta->recent.operations[i] + work.operations[i];
    eta->recent_seconds = keep * eta->recent_seconds + seconds;
}

/* The costs of least squared error, each at least LEAST_COST of the mean: one after the other is put where it
 * is best given the others, which ends at the best of all since the error is convex. */
static void fit(const Eta *eta, double costs[ETA_KINDS]) {
    enum { ROUNDS = 200 };
    double mean = eta->seconds / total(eta->done), prior = 0;
    for (int i = 0; i < ETA_KINDS; i++) {
        prior += PRIOR_SHARE * eta->products[i][i];
        costs[i] = mean;
    }
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < ETA_KINDS; i++) {
            double rest = eta->with_seconds[i] + prior * mean;
            for (int j = 0; j < ETA_KINDS; j++)
                rest -= j == i ? 0 : eta->products[i][j] * costs[j];
            costs[i] = fmax(rest / (eta->products[i][i] + prior), LEAST_COST * mean);
        }
}

static double cost_of(EtaWork work, const double costs[ETA_KINDS]) {
    double sum = 0;
    for (int i = 0; i < ETA_KINDS; i++)
        sum += work.operations[i] * costs[i];
    return sum;
}

double eta_left(const Eta *eta, EtaWork left) {
    double costs[ETA_KINDS];
    if (total(eta->done) <= 0)
        return 0;
    fit(eta, costs);
    return cost_of(left, costs) * eta->recent_seconds / cost_of(eta->recent, costs);
}
