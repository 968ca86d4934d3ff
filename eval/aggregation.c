/* Aggregations and their standard errors; see statistics.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "eval/statistics.h"

typedef double Aggregate(const MetricItem *items, size_t n);

typedef enum ErrorForm { FORM_NONE, FORM_CLOSED, FORM_BOOTSTRAP } ErrorForm;

struct Aggregation {
    const char *name;
    MetricShape shape;
    ErrorForm form;
    Aggregate *function;
};

static double mean(const MetricItem *items, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += items[i].value;
    return sum / (double)n;
}

static double perplexity(const MetricItem *items, size_t n) {
    return exp(-mean(items, n));
}

static double weighted_mean(const MetricItem *items, size_t n) {
    double sum = 0, weights = 0;
    for (size_t i = 0; i < n; i++) {
        sum += items[i].value;
        weights += items[i].second;
    }
    return sum / weights;
}

static double weighted_perplexity(const MetricItem *items, size_t n) {
    return exp(-weighted_mean(items, n));
}

static double bits_per_byte(const MetricItem *items, size_t n) {
    return -weighted_mean(items, n) / log(2);
}

static int compare_values(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

/* The item in the middle, of an even number the second of two. */
static double median(const MetricItem *items, size_t n) {
    double *values = mem_alloc(n * sizeof *values);
    for (size_t i = 0; i < n; i++)
        values[i] = items[i].value;
    qsort(values, n, sizeof *values, compare_values);
    double middle = values[n / 2];
    free(values);
    return middle;
}

/* v0.4.0 took the item in the middle of the documents without sorting. */
static double middle_item(const MetricItem *items, size_t n) {
    return items[n / 2].value;
}

/* Of what is a number. */
static double nanmean(const MetricItem *items, size_t n) {
    double sum = 0;
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        sum += isnan(items[i].value) ? 0 : items[i].value;
        kept += !isnan(items[i].value);
    }
    return kept ? sum / (double)kept : (double)NAN;
}

/* Of two classes, 1 the positive one; 0 where nothing is 1. */
static double f1(const MetricItem *items, size_t n) {
    double both = 0, right = 0, taken = 0;
    for (size_t i = 0; i < n; i++) {
        both += items[i].value == 1 && items[i].second == 1;
        right += items[i].value == 1;
        taken += items[i].second == 1;
    }
    return right + taken > 0 ? 2 * both / (right + taken) : 0;
}

enum { MOST_CLASSES = 64 };

static size_t class_of(double choice) {
    return choice >= 0 && choice < MOST_CLASSES - 1 ? (size_t)choice + 1 : 0;
}

/* The correlation of the right choices with those taken, over all classes; 0 where one of them is constant.
 */
static double matthews(const MetricItem *items, size_t n) {
    double right[MOST_CLASSES] = {0}, taken[MOST_CLASSES] = {0}, both = 0, total = (double)n;
    for (size_t i = 0; i < n; i++) {
        right[class_of(items[i].value)]++;
        taken[class_of(items[i].second)]++;
        both += items[i].value == items[i].second;
    }
    double cross = 0, squares_right = 0, squares_taken = 0;
    for (size_t k = 0; k < MOST_CLASSES; k++) {
        cross += right[k] * taken[k];
        squares_right += right[k] * right[k];
        squares_taken += taken[k] * taken[k];
    }
    double covariance = both * total - cross, spread_right = total * total - squares_right,
           spread_taken = total * total - squares_taken;
    return spread_right * spread_taken == 0 ? 0 : covariance / sqrt(spread_right * spread_taken);
}

static const Aggregation aggregations[] = {
    {"mean", METRIC_NUMBER, FORM_CLOSED, mean},
    {"median", METRIC_NUMBER, FORM_BOOTSTRAP, median},
    {"nanmean", METRIC_NUMBER, FORM_BOOTSTRAP, nanmean},
    {"perplexity", METRIC_NUMBER, FORM_BOOTSTRAP, perplexity},
    {"weighted_perplexity", METRIC_WEIGHTED, FORM_NONE, weighted_perplexity},
    {"bits_per_byte", METRIC_WEIGHTED, FORM_NONE, bits_per_byte},
    {"f1", METRIC_CHOICES, FORM_BOOTSTRAP, f1},
    {"matthews_corrcoef", METRIC_CHOICES, FORM_BOOTSTRAP, matthews},
};

int aggregation_find(const Aggregation **out, const char *name, MetricShape shape, bool v0_4_0,
                     Error *error) {
    static const Aggregation old_median = {"median", METRIC_NUMBER, FORM_BOOTSTRAP, middle_item};
    Buffer known = {0};
    *out = NULL;
    for (size_t i = 0; i < sizeof aggregations / sizeof *aggregations; i++) {
        if (aggregations[i].shape != shape)
            continue;
        if (strcmp(aggregations[i].name, name) == 0)
            *out = &aggregations[i];
        buffer_printf(&known, "%s%s", known.size ? ", " : "", aggregations[i].name);
    }
    if (*out && v0_4_0 && strcmp(name, "median") == 0)
        *out = &old_median;
    if (!*out)
        error_set(error, "aggregation \"%s\": expected one of: %s", name, known.data);
    buffer_free(&known);
    return *out ? 0 : -1;
}

double aggregation_value(const Aggregation *aggregation, const MetricItem *items, size_t n) {
    return aggregation->function(items, n);
}

/* ---- resampling */

enum { CHUNK = 1000 };

typedef struct Bootstrap {
    const Aggregation *aggregation;
    const MetricItem *items;
    size_t n, chunk;
    MetricItem **scratch; /* [threads][n] */
    double *values;       /* [chunks * chunk] */
} Bootstrap;

static void resample(void *context, size_t i, int thread) {
    const Bootstrap *bootstrap = context;
    MetricItem *drawn = bootstrap->scratch[thread];
    Random random;
    random_seed(&random, i);
    for (size_t k = 0; k < bootstrap->chunk; k++) {
        for (size_t d = 0; d < bootstrap->n; d++) /* choices(items, k=n) */
            drawn[d] = bootstrap->items[(size_t)(random_double(&random) * (double)bootstrap->n)];
        bootstrap->values[i * bootstrap->chunk + k] = bootstrap->aggregation->function(drawn, bootstrap->n);
    }
}

static double sample_deviation(const double *values, size_t n) {
    double average = stat_mean(values, n), squares = 0;
    for (size_t i = 0; i < n; i++)
        squares += (values[i] - average) * (values[i] - average);
    return sqrt(squares / (double)(n - 1));
}

static int bootstrap_stderr(Bootstrap *bootstrap, size_t iterations, int n_threads, double *out,
                            Error *error) {
    ThreadPool *pool;
    bootstrap->chunk = iterations < CHUNK ? iterations : CHUNK;
    size_t n_chunks = iterations / bootstrap->chunk;
    if (thread_pool_create(&pool, n_threads, error))
        return -1;
    int n_scratch = thread_pool_size(pool);
    bootstrap->scratch = mem_alloc_zero((size_t)n_scratch, sizeof *bootstrap->scratch);
    bootstrap->values = mem_alloc_zero(n_chunks * bootstrap->chunk, sizeof(double));
    for (int i = 0; i < n_scratch; i++)
        bootstrap->scratch[i] = mem_alloc_zero(bootstrap->n, sizeof(MetricItem));
    thread_pool_run(pool, n_chunks, resample, bootstrap);
    *out = sample_deviation(bootstrap->values, n_chunks * bootstrap->chunk);
    for (int i = 0; i < n_scratch; i++)
        free(bootstrap->scratch[i]);
    free(bootstrap->scratch);
    free(bootstrap->values);
    thread_pool_destroy(pool);
    return 0;
}

int aggregation_stderr(const Aggregation *aggregation, const MetricItem *items, size_t n, size_t iterations,
                       int n_threads, double *out, Error *error) {
    *out = (double)NAN;
    if (n < 2 || iterations < 2 || aggregation->form == FORM_NONE)
        return 0;
    if (aggregation->form == FORM_BOOTSTRAP) {
        Bootstrap bootstrap = {.aggregation = aggregation, .items = items, .n = n};
        return bootstrap_stderr(&bootstrap, iterations, n_threads, out, error);
    }
    double *values = mem_alloc_zero(n, sizeof *values);
    for (size_t i = 0; i < n; i++)
        values[i] = items[i].value;
    *out = stat_mean_stderr(values, n);
    free(values);
    return 0;
}
