/* Which metrics a task or a group asks for, and how they are added up. */
#include "tasks/config_scoring.h"

#include <string.h>

static const struct {
    const char *name, *aggregation;
    bool higher_is_better;
} metric_defaults[] = {{"acc", "mean", true},
                       {"acc_norm", "mean", true},
                       {"acc_bytes", "mean", true},
                       {"acc_mutual_info", "mean", true},
                       {"exact_match", "mean", true},
                       {"perplexity", "perplexity", false},
                       {"word_perplexity", "weighted_perplexity", false},
                       {"byte_perplexity", "weighted_perplexity", false},
                       {"bits_per_byte", "bits_per_byte", false},
                       {"f1", "f1", true},
                       {"mcc", "matthews_corrcoef", true}};

static int metric_default(const Reader *reader, const Key *key, TaskMetric *metric) {
    for (size_t i = 0; i < sizeof metric_defaults / sizeof *metric_defaults; i++) {
        if (strcmp(metric_defaults[i].name, metric->name) != 0)
            continue;
        metric->aggregation = metric_defaults[i].aggregation;
        metric->higher_is_better = metric_defaults[i].higher_is_better;
        return 0;
    }
    return config_fail(reader, key, "the metric '%.50s' is not known here", metric->name);
}

int config_strings(const Reader *reader, const Key *key, const char *name, const Value *list,
                   const char *const **out, size_t *n) {
    bool right = list->kind == VALUE_LIST;
    for (size_t i = 0; right && i < list->n; i++)
        right = list->as.items[i].kind == VALUE_STRING;
    if (!right)
        return config_fail(reader, key, "%s: a list of strings was expected", name);
    const char **texts = arena_alloc(reader->arena, (list->n + 1) * sizeof *texts);
    for (size_t i = 0; i < list->n; i++)
        texts[i] = list->as.items[i].as.text;
    *out = texts;
    *n = list->n;
    return 0;
}

int config_flag(const Reader *reader, const Key *key, const ValuePair *pair, bool *out) {
    if (pair->value.kind != VALUE_BOOL)
        return config_fail(reader, key, "%s: true or false was expected", pair->key);
    *out = pair->value.as.boolean;
    return 0;
}

/* What a metric or its aggregation names as a Python function. */
static int refuse_function(const Reader *reader, const Key *key, const char *what, const Value *name) {
    return config_fail(
        reader, key,
        "%s: the function '%.100s' has no twin in this program (Python is never run); take one "
        "of docs/SCORING.md's names, or add it to eval/metrics.c and eval/aggregation.c",
        what, name->as.text);
}

/* One key of a metric's item: what all metrics have, and the options of exact_match, which are true or false
 * as Python takes them. Metrics of log-likelihoods have no options: upstream passes over what stands there.
 */
static int read_metric_key(const Reader *reader, const Key *key, const ValuePair *pair, OutputType type,
                           TaskMetric *out) {
    const struct {
        const char *name;
        bool *flag;
    } flags[] = {{"higher_is_better", &out->higher_is_better},
                 {"ignore_case", &out->ignore_case},
                 {"ignore_punctuation", &out->ignore_punctuation},
                 {"ignore_numbers", &out->ignore_numbers}};
    if (strcmp(pair->key, "metric") == 0 || pair->value.kind == VALUE_NULL)
        return 0;
    if (strcmp(pair->key, "aggregation") == 0) {
        if (pair->value.kind == VALUE_FUNCTION)
            return refuse_function(reader, key, "aggregation", &pair->value);
        if (pair->value.kind != VALUE_STRING)
            return config_fail(reader, key, "aggregation: a name was expected");
        out->aggregation = pair->value.as.text;
        return 0;
    }
    if (strcmp(pair->key, "hf_evaluate") == 0 && !value_truth(&pair->value))
        return 0;
    bool is_option = strcmp(pair->key, "higher_is_better") != 0;
    if (is_option && type != OUTPUT_GENERATE_UNTIL)
        return 0;
    if (is_option && strcmp(out->name, "exact_match") != 0)
        return config_fail(reader, key, "the metric '%s' has no option '%.50s'", out->name, pair->key);
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (strcmp(flags[i].name, pair->key) == 0) {
            *flags[i].flag = value_truth(&pair->value);
            return 0;
        }
    if (strcmp(pair->key, "regexes_to_ignore") == 0)
        return config_strings(reader, key, pair->key, &pair->value, &out->ignored_regexes,
                              &out->n_ignored_regexes);
    return config_fail(reader, key, "the metric '%s' has no option '%.50s'", out->name, pair->key);
}

static int read_metric(const Reader *reader, const Key *list, const Value *item, OutputType type,
                       TaskMetric *out) {
    const Key key = {list->name, list->file, item};
    const Value *name = value_get(item, "metric");
    if (name && name->kind == VALUE_FUNCTION)
        return refuse_function(reader, &key, "metric", name);
    if (!name || name->kind != VALUE_STRING)
        return config_fail(reader, &key, "each item must be a mapping with the key 'metric' and a name");
    *out = (TaskMetric){.name = name->as.text};
    if (metric_default(reader, &key, out))
        return -1;
    for (size_t i = 0; i < item->n; i++)
        if (read_metric_key(reader, &key, &item->as.pairs[i], type, out))
            return -1;
    return 0;
}

static int default_metrics(const Reader *reader, const Key *key, TaskConfig *out) {
    static const TaskMetric choice[] = {{.name = "acc"}, {.name = "acc_norm"}};
    static const TaskMetric likelihood[] = {{.name = "perplexity"}, {.name = "acc"}};
    static const TaskMetric rolling[] = {
        {.name = "word_perplexity"}, {.name = "byte_perplexity"}, {.name = "bits_per_byte"}};
    static const TaskMetric generate[] = {{.name = "exact_match"}};
    static const struct {
        const TaskMetric *metrics;
        size_t n;
    } lists[] = {{choice, 2}, {likelihood, 2}, {rolling, 3}, {generate, 1}};
    out->n_metrics = lists[out->output_type].n;
    out->metrics = arena_alloc(reader->arena, out->n_metrics * sizeof(TaskMetric));
    memcpy(out->metrics, lists[out->output_type].metrics, out->n_metrics * sizeof(TaskMetric));
    for (size_t i = 0; i < out->n_metrics; i++)
        if (metric_default(reader, key, &out->metrics[i]))
            return -1;
    return 0;
}

static int read_metrics(const Reader *reader, TaskConfig *out) {
    Key list = config_key(reader, "metric_list");
    if (!list.value)
        return default_metrics(reader, &list, out);
    if (list.value->kind != VALUE_LIST || list.value->n == 0)
        return config_fail(reader, &list, "a list of metrics was expected");
    out->n_metrics = list.value->n;
    out->metrics = arena_alloc(reader->arena, out->n_metrics * sizeof(TaskMetric));
    for (size_t i = 0; i < out->n_metrics; i++)
        if (read_metric(reader, &list, &list.value->as.items[i], out->output_type, &out->metrics[i]))
            return -1;
    for (size_t i = 0; i < out->n_metrics; i++)
        out->wants_unconditional |= strcmp(out->metrics[i].name, "acc_mutual_info") == 0;
    return 0;
}

/* Upstream's functions that score a document themselves. Their twins are metrics of the same name
 * (eval/results.c). */
static const char *const results_functions[] = {"truthfulqa/utils.process_results_mc2",
                                                "wikitext/preprocess_wikitext.process_results"};

static int read_results_function(const Reader *reader, TaskConfig *out) {
    Key results = config_key(reader, "process_results");
    if (!results.value)
        return 0;
    if (results.value->kind != VALUE_FUNCTION)
        return config_fail(reader, &results, "found %s; a !function was expected",
                           value_kind_name(results.value->kind));
    const char *name = arena_printf(reader->arena, "%s/%s", config_folder(reader->arena, results.file),
                                    results.value->as.text);
    for (size_t i = 0; i < sizeof results_functions / sizeof *results_functions; i++)
        if (strcmp(results_functions[i], name) == 0) {
            out->results_function = name;
            return 0;
        }
    return config_fail(reader, &results,
                       "the function '%.100s' has no twin in this program (Python is never run); add one to "
                       "eval/results.c and its name to tasks/config_scoring.c",
                       name);
}

int config_scoring(const Reader *reader, TaskConfig *out) {
    return read_results_function(reader, out) || read_metrics(reader, out) || config_filters(reader, out) ? -1
                                                                                                          : 0;
}

static int read_group_filters(const Reader *reader, const Key *key, const Value *list, GroupMetric *out) {
    if (!list || list->kind == VALUE_NULL)
        return 0;
    if (list->kind == VALUE_STRING) {
        const char **name = arena_alloc(reader->arena, sizeof *name);
        *name = list->as.text;
        out->filters = name;
        out->n_filters = 1;
        return 0;
    }
    return config_strings(reader, key, "filter_list", list, &out->filters, &out->n_filters);
}

static int read_group_metric(const Reader *reader, const Key *list, const Value *item, GroupMetric *out) {
    const Key key = {list->name, list->file, item};
    const Value *metric = value_get(item, "metric"), *aggregation = value_get(item, "aggregation"),
                *weight = value_get(item, "weight_by_size");
    if (!metric || metric->kind != VALUE_STRING)
        return config_fail(reader, &key, "the item must be a mapping with the key 'metric' and a name");
    if (aggregation && (aggregation->kind != VALUE_STRING || strcmp(aggregation->as.text, "mean") != 0))
        return config_fail(reader, &key, "the only aggregation of groups is 'mean'");
    if (weight && weight->kind != VALUE_BOOL)
        return config_fail(reader, &key, "weight_by_size: true or false was expected");
    *out = (GroupMetric){.metric = metric->as.text, .weight_by_size = !weight || weight->as.boolean};
    return read_group_filters(reader, &key, value_get(item, "filter_list"), out);
}

int config_aggregate(const Reader *reader, GroupConfig *out) {
    Key list = config_key(reader, "aggregate_metric_list");
    if (!list.value)
        return 0;
    bool is_list = list.value->kind == VALUE_LIST;
    const Value *items = is_list ? list.value->as.items : list.value;
    size_t n = is_list ? list.value->n : 1;
    GroupMetric *metrics = arena_alloc(reader->arena, (n + 1) * sizeof *metrics);
    for (size_t i = 0; i < n; i++)
        if (read_group_metric(reader, &list, &items[i], &metrics[i]))
            return -1;
    out->metrics = metrics;
    out->n_metrics = n;
    return 0;
}
