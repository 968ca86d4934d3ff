/* One function per metric, found through a table; see metrics.h. Ties go to the first choice, and what is no
 * number (0 by the length of an empty choice) is more than all numbers, as numpy's argmax has it. */
#include "eval/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "eval/filters.h"
#include "eval/results.h"

typedef int MetricFunction(const Metric *metric, const Scored *scored, MetricItem *out, Error *error);

typedef struct MetricKind {
    OutputType type;
    const char *results_function; /* NULL: a metric of the output type */
    const char *name;
    MetricShape shape;
    MetricFunction *function;
} MetricKind;

struct Metric {
    const MetricKind *kind;
    const TaskMetric *config;
    Regex **ignored; /* [config->n_ignored_regexes] */
    int rank;
};

/* ---- multiple_choice */

/* Answer number i of the choices themselves, or of those without context. */
static const Answer *conditional(const Scored *scored, size_t i) {
    return &scored->answers[i];
}

static const Answer *unconditional(const Scored *scored, size_t i) {
    return &scored->answers[scored->document->n_choices + i];
}

/* v0.4.0 has the answers with and without context in turns, and takes the flag of answer number i of them
 * all. */
static bool is_greedy_choice(const Scored *scored, size_t i) {
    if (!scored->v0_4_0 || scored->document->n_requests == scored->document->n_choices)
        return conditional(scored, i)->is_greedy;
    return (i % 2 ? unconditional(scored, i / 2) : conditional(scored, i / 2))->is_greedy;
}

typedef double ChoiceScore(const Scored *scored, size_t i);

static double plain(const Scored *scored, size_t i) {
    return conditional(scored, i)->loglikelihood;
}

static double per_char(const Scored *scored, size_t i) {
    const char *choice = scored->document->choices[i];
    return plain(scored, i) / (double)utf8_length(choice, strlen(choice));
}

static double per_byte(const Scored *scored, size_t i) {
    return plain(scored, i) / (double)strlen(scored->document->choices[i]);
}

static double mutual_information(const Scored *scored, size_t i) {
    return plain(scored, i) - unconditional(scored, i)->loglikelihood;
}

static size_t best(const Scored *scored, ChoiceScore *score) {
    size_t choice = 0;
    double most = score(scored, 0);
    for (size_t i = 1; i < scored->document->n_choices && !isnan(most); i++) {
        double value = score(scored, i);
        if (value > most || isnan(value)) {
            choice = i;
            most = value;
        }
    }
    return choice;
}

static bool is_right(const TaskDocument *document, size_t choice) {
    if (document->n_golds == 0)
        return (int64_t)choice == document->gold;
    for (size_t i = 0; i < document->n_golds; i++)
        if ((int64_t)choice == document->golds[i])
            return true;
    return false;
}

static int right(const Scored *scored, ChoiceScore *score, MetricItem *out) {
    out->value = is_right(scored->document, best(scored, score)) ? 1 : 0;
    return 0;
}

static int acc(const Metric *metric, const Scored *scored, MetricItem *out, Error *error) {
    (void)metric, (void)error;
    return right(scored, plain, out);
}

static int acc_norm(const Metric *metric, const Scored *scored, MetricItem *out, Error *error) {
    (void)metric, (void)error;
    return right(scored, per_char, out);
}

static int acc_bytes(const Metric *metric, const Scored *scored, MetricItem *out, Error *error) {
    (void)metric, (void)error;
    return right(scored, per_byte, out);
}

static int acc_mutual_info(const Metric *metric, const Scored *scored, MetricItem *out, Error *error) {
    (void)metric, (void)error;
    return right(scored, mutual_information, out);
}

/* The right choice is what greedy decoding would have said. */
static int greedy(const Metric *metric, const Scored *scored, MetricItem *out, Error *error) {
    (void)metric, (void)error;
    out->value = 0;
    for (size_t i = 0; i < scored->document->n_choices; i++)
        if (is_right(scored->document, i) && is_greedy_choice(scored, i))
            out->value = 1;
    return 0;
}

/* The right choice and the one taken: what f1 and matthews_corrcoef count. */
static int choices(const Metric *metric, const Scored *scored, MetricItem *out, Error *error) {
    (void)metric;
    const TaskDocument *document = scored->document;
    if (document->n_golds > 0)
        return error_set(error, "%s: found several right choices, expected one", metric->config->name);
    *out = (MetricItem){(double)document->gold, (double)best(scored, plain)};
    return 0;
}

/* ---- loglikelihood */

static int loglikelihood(const Metric *metric, const Scored *scored, MetricItem *out, Error *error) {
    (void)metric, (void)error;
    out->value = scored->answers[0].loglikelihood;
    return 0;
}

static int is_greedy(const Metric *metric, const Scored *scored, MetricItem *out, Error *error) {
    (void)metric, (void)error;
    out->value = scored->answers[0].is_greedy ? 1 : 0;
    return 0;
}

/* ---- loglikelihood_rolling */

static int per_word_of_request(const Metric *metric, const Scored *scored, MetricItem *out, Error *error) {
    (void)metric, (void)error;
    const char *text = scored->document->requests[0].context;
    *out = (MetricItem){scored->answers[0].loglikelihood, (double)results_words(text)};
    return 0;
}

static int per_byte_of_request(const Metric *metric, const Scored *scored, MetricItem *out, Error *error) {
    (void)metric, (void)error;
    *out =
        (MetricItem){scored->answers[0].loglikelihood, (double)strlen(scored->document->requests[0].context)};
    return 0;
}

static int mc2(const Metric *metric, const Scored *scored, MetricItem *out, Error *error) {
    (void)metric;
    return results_mc2(scored, out, error);
}

static int wikitext_words(const Metric *metric, const Scored *scored, MetricItem *out, Error *error) {
    (void)metric;
    return results_wikitext(scored, true, out, error);
}

static int wikitext_bytes(const Metric *metric, const Scored *scored, MetricItem *out, Error *error) {
    (void)metric;
    return results_wikitext(scored, false, out, error);
}

/* ---- generate_until */

/* Upstream keeps the texts of a list in an array as wide as the longest, where a text that grows when it is
 * written small (only with the Turkish capital I) loses what stands out. */
static const char *lower_within(Arena *arena, const char *text, size_t width) {
    const char *small = text_lower(arena, text);
    size_t bytes = strlen(small), at = 0, n = 0;
    for (uint32_t code; at < bytes && n < width; n++)
        at += utf8_decode(small + at, bytes - at, &code);
    return at < bytes ? arena_strndup(arena, small, at) : small;
}

static size_t longest(const char *const *texts, size_t n) {
    size_t most = 0;
    for (size_t i = 0; i < n; i++) {
        size_t length = utf8_length(texts[i], strlen(texts[i]));
        most = length > most ? length : most;
    }
    return most;
}

/* What of the texts of a list is compared: in place. */
static int simplify(const Metric *metric, const char **texts, size_t n, Arena *arena, Error *error) {
    const TaskMetric *config = metric->config;
    for (size_t i = 0; i < n; i++)
        if (text_without_matches(arena, metric->ignored, config->n_ignored_regexes, texts[i], &texts[i],
                                 error))
            return -1;
    size_t width = config->ignore_case ? longest(texts, n) : 0;
    for (size_t i = 0; i < n; i++) {
        if (config->ignore_case)
            texts[i] = lower_within(arena, texts[i], width);
        if (config->ignore_punctuation)
            texts[i] = text_without_punctuation(arena, texts[i], true);
        if (config->ignore_numbers)
            texts[i] = text_without_digits(arena, texts[i]);
    }
    return 0;
}

static int exact_match(const Metric *metric, const Scored *scored, MetricItem *out, Error *error) {
    size_t n = scored->document->n_targets, at_once = scored->v0_4_0 ? 1 : n;
    const char *text = scored->text, **targets = arena_alloc(scored->arena, n * sizeof *targets);
    out->value = 0;
    if (!text)
        return 0;
    if (n > 0)
        memcpy(targets, scored->document->targets, n * sizeof *targets);
    if (simplify(metric, &text, 1, scored->arena, error))
        return -1;
    for (size_t i = 0; i < n; i += at_once)
        if (simplify(metric, targets + i, at_once, scored->arena, error))
            return -1;
    for (size_t i = 0; i < n; i++)
        if (strcmp(text, targets[i]) == 0)
            out->value = 1;
    return 0;
}

/* ---- the table, in the order of upstream's dictionaries */

static const MetricKind kinds[] = {
    {OUTPUT_MULTIPLE_CHOICE, NULL, "acc", METRIC_NUMBER, acc},
    {OUTPUT_MULTIPLE_CHOICE, NULL, "f1", METRIC_CHOICES, choices},
    {OUTPUT_MULTIPLE_CHOICE, NULL, "mcc", METRIC_CHOICES, choices},
    {OUTPUT_MULTIPLE_CHOICE, NULL, "acc_norm", METRIC_NUMBER, acc_norm},
    {OUTPUT_MULTIPLE_CHOICE, NULL, "acc_bytes", METRIC_NUMBER, acc_bytes},
    {OUTPUT_MULTIPLE_CHOICE, NULL, "exact_match", METRIC_NUMBER, greedy},
    {OUTPUT_MULTIPLE_CHOICE, NULL, "acc_mutual_info", METRIC_NUMBER, acc_mutual_info},
    {OUTPUT_LOGLIKELIHOOD, NULL, "perplexity", METRIC_NUMBER, loglikelihood},
    {OUTPUT_LOGLIKELIHOOD, NULL, "acc", METRIC_NUMBER, is_greedy},
    {OUTPUT_LOGLIKELIHOOD_ROLLING, NULL, "word_perplexity", METRIC_WEIGHTED, per_word_of_request},
    {OUTPUT_LOGLIKELIHOOD_ROLLING, NULL, "byte_perplexity", METRIC_WEIGHTED, per_byte_of_request},
    {OUTPUT_LOGLIKELIHOOD_ROLLING, NULL, "bits_per_byte", METRIC_WEIGHTED, per_byte_of_request},
    {OUTPUT_GENERATE_UNTIL, NULL, "exact_match", METRIC_NUMBER, exact_match},
    {OUTPUT_MULTIPLE_CHOICE, "truthfulqa/utils.process_results_mc2", "acc", METRIC_NUMBER, mc2},
    {OUTPUT_LOGLIKELIHOOD_ROLLING, "wikitext/preprocess_wikitext.process_results", "word_perplexity",
     METRIC_WEIGHTED, wikitext_words},
    {OUTPUT_LOGLIKELIHOOD_ROLLING, "wikitext/preprocess_wikitext.process_results", "byte_perplexity",
     METRIC_WEIGHTED, wikitext_bytes},
    {OUTPUT_LOGLIKELIHOOD_ROLLING, "wikitext/preprocess_wikitext.process_results", "bits_per_byte",
     METRIC_WEIGHTED, wikitext_bytes},
};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

static const MetricKind *find(const TaskInfo *task, const char *name, Error *error) {
    Buffer known = {0};
    const MetricKind *found = NULL;
    for (size_t i = 0; i < N_KINDS; i++) {
        if (kinds[i].type != task->output_type ||
            !text_equal(kinds[i].results_function, task->results_function))
            continue;
        if (strcmp(kinds[i].name, name) == 0)
            found = &kinds[i];
        buffer_printf(&known, "%s%s", known.size ? ", " : "", kinds[i].name);
    }
    if (!found)
        error_set(error, "metric \"%s\" of a %s task%s%s: expected one of: %s", name,
                  output_type_name(task->output_type), task->results_function ? " scored by " : "",
                  task->results_function ? task->results_function : "", known.size ? known.data : "(none)");
    buffer_free(&known);
    return found;
}

int metric_create(Metric **out, const TaskInfo *task, const TaskMetric *config, Error *error) {
    const MetricKind *kind = find(task, config->name, error);
    if (!kind)
        return -1;
    Metric *metric = mem_alloc_zero(1, sizeof *metric);
    *metric = (Metric){.kind = kind,
                       .config = config,
                       .ignored = mem_alloc_zero(config->n_ignored_regexes, sizeof *metric->ignored),
                       .rank = (int)(kind - kinds)};
    for (size_t i = 0; i < config->n_ignored_regexes; i++)
        if (regex_compile(&metric->ignored[i], config->ignored_regexes[i], error)) {
            metric_free(metric);
            return error_prefix(error, "metric \"%s\"", config->name);
        }
    *out = metric;
    return 0;
}

void metric_free(Metric *metric) {
    if (!metric)
        return;
    for (size_t i = 0; i < metric->config->n_ignored_regexes; i++)
        regex_free(metric->ignored[i]);
    free(metric->ignored);
    free(metric);
}

MetricShape metric_shape(const Metric *metric) {
    return metric->kind->shape;
}

int metric_rank(const Metric *metric) {
    return metric->rank;
}

int metric_compute(const Metric *metric, const Scored *scored, MetricItem *out, Error *error) {
    *out = (MetricItem){0};
    return metric->kind->function(metric, scored, out, error);
}
