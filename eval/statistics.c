/* See statistics.h. */
#include "eval/statistics.h"

#include <math.h>

double stat_mean(const double *values, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += values[i];
    return n ? sum / (double)n : (double)NAN;
}

double stat_mean_stderr(const double *values, size_t n) {
    if (n < 2)
        return (double)NAN;
    double mean = stat_mean(values, n), squares = 0;
    for (size_t i = 0; i < n; i++)
        squares += (values[i] - mean) * (values[i] - mean);
    return sqrt(squares / (double)(n - 1)) / sqrt((double)n);
}

double stat_group_mean(const double *values, const size_t *sizes, size_t n, bool weight_by_size) {
    double sum = 0, weights = 0;
    for (size_t i = 0; i < n; i++) {
        double weight = weight_by_size ? (double)sizes[i] : 1;
        sum += values[i] * weight;
        weights += weight;
    }
    return weights > 0 ? sum / weights : (double)NAN;
}

double stat_pooled_stderr(const double *stderrs, const size_t *sizes, size_t n) {
    double sum = 0, total = 0;
    for (size_t i = 0; i < n; i++) {
        double size = (double)sizes[i];
        sum += (size - 1) * size * stderrs[i] * stderrs[i];
        total += size;
    }
    if (total <= (double)n)
        return (double)NAN;
    return sqrt(sum / (total - (double)n) / total);
}

double stat_combined_stderr(const double *values, const double *stderrs, const size_t *sizes,
                            const size_t *others, size_t n, double *value) {
    double variance = stderrs[0] * stderrs[0], total = (double)sizes[0] + (others ? (double)others[0] : 0);
    *value = values[0];
    for (size_t i = 1; i < n; i++) {
        total += others ? (double)others[i] : 0;
        double size = (double)sizes[i], both = total + size;
        *value = (*value * total + values[i] * size) / both;
        double difference = *value - values[i];
        variance = ((total - 1) * variance + (size - 1) * (stderrs[i] * stderrs[i])) / (both - 1) +
                   total * size / (both * (both - 1)) * (difference * difference);
        total = both;
    }
    return sqrt(variance);
}
