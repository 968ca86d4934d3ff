/* What the benchmarks share: medians, and numbers printed beside the machine's ceilings (base/ceiling.h),
 * which are measured in the same run. With --json a benchmark prints one JSON object a line instead. */
#ifndef ZEVAL_BENCH_CEILING_H
#define ZEVAL_BENCH_CEILING_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/ceiling.h"

static inline int bench_compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts values. */
static inline double bench_median(double *values, size_t n) {
    qsort(values, n, sizeof *values, bench_compare);
    return values[n / 2];
}

/* Removes the argument `name`; true if it was there. */
static inline bool bench_flag(int *argc, char **argv, const char *name) {
    for (int i = 1; i < *argc; i++)
        if (strcmp(argv[i], name) == 0) {
            memmove(argv + i, argv + i + 1, (size_t)(*argc - i) * sizeof *argv);
            --*argc;
            return true;
        }
    return false;
}

/* Removes the argument `name` and what follows it, which is returned; NULL if it is not there. */
static inline const char *bench_value(int *argc, char **argv, const char *name) {
    for (int i = 1; i + 1 < *argc; i++)
        if (strcmp(argv[i], name) == 0) {
            const char *value = argv[i + 1];
            memmove(argv + i, argv + i + 2, (size_t)(*argc - i - 1) * sizeof *argv);
            *argc -= 2;
            return value;
        }
    return NULL;
}

/* One measurement: `what`, its rate, the ceiling beside it (0: none) and their ratio. `unit` is printed after
 * rates divided by `scale`. */
static inline void bench_print(bool json, const char *what, double rate, double ceiling, double scale,
                               const char *unit) {
    if (json && ceiling > 0)
        printf("{\"what\":\"%s\",\"rate\":%.6g,\"unit\":\"%s\",\"ceiling\":%.6g,\"ratio\":%.4f}\n", what,
               rate / scale, unit, ceiling / scale, rate / ceiling);
    else if (json)
        printf("{\"what\":\"%s\",\"rate\":%.6g,\"unit\":\"%s\"}\n", what, rate / scale, unit);
    else if (ceiling > 0)
        printf("%-46s %10.1f %-8s of %10.1f = %.3f\n", what, rate / scale, unit, ceiling / scale,
               rate / ceiling);
    else
        printf("%-46s %10.1f %s\n", what, rate / scale, unit);
    fflush(stdout);
}

static inline void bench_check(int failed, const Error *error) {
    if (!failed)
        return;
    fprintf(stderr, "%s\n", error->message);
    exit(1);
}

#endif
