/* Which metrics a task or a group asks for, and how they are added up. */
#include "tasks/config_scoring.h"

#include <string.h>

static const struct {
    const char *name, *aggregation;
    bool higher_is_better;
} metric_defaults[] = {{"acc", "mean", true},
                       {"acc_norm", "mean", true},
                       {"acc_bytes", "mean", true},
                       {"exact_match", "mean", true},
                       {"likelihood", "mean", true},
                       {"perplexity", "perplexity", false},
                       {"word_perplexity", "weighted_perplexity", false},
                       {"byte_perplexity", "weighted_perplexity", false},
                       {"bits_per_byte", "bits_per_byte", false},
                       {"brier_score", "brier_score", false},
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

static int read_metric(const Reader *reader, const Key *list, const Value *item, TaskMetric *out) {
    const Key key = {list->name, list->file, item};
    const Value *name = value_get(item, "metric"), *aggregation = value_get(item, "aggregation"),
                *higher = value_get(item, "higher_is_better");
    if (!name || name->kind != VALUE_STRING)
        return config_fail(reader, &key, "each item must be a mapping with the key 'metric' and a name");
    out->name = name->as.text;
    if (metric_default(reader, &key, out))
        return -1;
    if (aggregation && aggregation->kind != VALUE_STRING)
        return config_fail(reader, &key, "aggregation: a name was expected");
    if (higher && higher->kind != VALUE_BOOL)
        return config_fail(reader, &key, "higher_is_better: true or false was expected");
    if (aggregation)
        out->aggregation = aggregation->as.text;
    if (higher)
        out->higher_is_better = higher->as.boolean;
    return 0;
}

static void default_metrics(const Reader *reader, TaskConfig *out) {
    static const TaskMetric choice[] = {{"acc", "mean", true}, {"acc_norm", "mean", true}};
    static const TaskMetric likelihood[] = {{"perplexity", "perplexity", false}, {"acc", "mean", true}};
    static const TaskMetric rolling[] = {{"word_perplexity", "weighted_perplexity", false},
                                         {"byte_perplexity", "weighted_perplexity", false},
                                         {"bits_per_byte", "bits_per_byte", false}};
    static const TaskMetric generate[] = {{"exact_match", "mean", true}};
    static const struct {
        const TaskMetric *metrics;
        size_t n;
    } lists[] = {{choice, 2}, {likelihood, 2}, {rolling, 3}, {generate, 1}};
    out->n_metrics = lists[out->output_type].n;
    out->metrics = arena_alloc(reader->arena, out->n_metrics * sizeof(TaskMetric));
    memcpy(out->metrics, lists[out->output_type].metrics, out->n_metrics * sizeof(TaskMetric));
}

int config_metrics(const Reader *reader, TaskConfig *out) {
    Key list = config_key(reader, "metric_list");
    if (!list.value) {
        default_metrics(reader, out);
        return 0;
    }
    if (list.value->kind != VALUE_LIST || list.value->n == 0)
        return config_fail(reader, &list, "a list of metrics was expected");
    out->n_metrics = list.value->n;
    out->metrics = arena_alloc(reader->arena, out->n_metrics * sizeof(TaskMetric));
    for (size_t i = 0; i < out->n_metrics; i++)
        if (read_metric(reader, &list, &list.value->as.items[i], &out->metrics[i]))
            return -1;
    return 0;
}

/* Upstream's functions that score a document themselves; their twins belong to the scoring. */
static const struct {
    const char *folder, *name;
} results_functions[] = {{"truthfulqa", "utils.process_results_mc2"},
                         {"wikitext", "preprocess_wikitext.process_results"}};

int config_unscored(const Reader *reader, TaskConfig *out) {
    Key results = config_key(reader, "process_results");
    if (out->output_type > OUTPUT_LOGLIKELIHOOD)
        out->unscored = arena_printf(
            reader->arena, "%s: the task '%s' has the output type %s, which this version cannot run",
            out->file, out->name, output_type_name(out->output_type));
    if (!results.value || !value_truth(results.value))
        return 0;
    const char *folder = config_folder(reader->arena, results.file);
    bool known = false;
    for (size_t i = 0; i < sizeof results_functions / sizeof *results_functions; i++)
        known |= results.value->kind == VALUE_FUNCTION && strcmp(results_functions[i].folder, folder) == 0 &&
                 strcmp(results_functions[i].name, results.value->as.text) == 0;
    if (!known)
        return error_set(reader->error, "%s:%u: the key 'process_results' is not supported", results.file,
                         results.value->line);
    if (!out->unscored)
        out->unscored = arena_printf(
            reader->arena, "%s: the task '%s' is scored by the function %s, which this version cannot run",
            out->file, out->name, results.value->as.text);
    return 0;
}

int config_aggregate(const Reader *reader, GroupConfig *out) {
    Key list = config_key(reader, "aggregate_metric_list");
    if (!list.value)
        return 0;
    if (list.value->kind != VALUE_LIST || list.value->n != 1)
        return config_fail(reader, &list, "a list with one metric was expected");
    const Value *item = &list.value->as.items[0], *metric = value_get(item, "metric"),
                *aggregation = value_get(item, "aggregation"), *weight = value_get(item, "weight_by_size");
    if (!metric || metric->kind != VALUE_STRING)
        return config_fail(reader, &list, "the item must be a mapping with the key 'metric' and a name");
    if (aggregation && (aggregation->kind != VALUE_STRING || strcmp(aggregation->as.text, "mean") != 0))
        return config_fail(reader, &list, "the only aggregation of groups is 'mean'");
    if (weight && weight->kind != VALUE_BOOL)
        return config_fail(reader, &list, "weight_by_size: true or false was expected");
    out->metric = metric->as.text;
    out->weight_by_size = !weight || weight->as.boolean;
    return 0;
}
