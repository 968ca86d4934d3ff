/* The results part of a model card: YAML that hubs read as `model-index`. Texts are written as JSON strings,
 * which YAML reads as they are whatever they hold. */
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "reports/results.h"

static void text_field(Buffer *out, const char *indent, const char *name, const char *value) {
    buffer_printf(out, "%s%s: ", indent, name);
    text_append_json(out, value, strlen(value));
    buffer_append_char(out, '\n');
}

/* The task that says where an entry's documents are from: itself, or of a group the first task below it. */
static const ReportEntry *source_of(const ReportRun *run, const ReportEntry *entry, int depth) {
    enum { MAX_DEPTH = 16 };
    if (!entry->is_group)
        return entry;
    for (size_t i = 0; i < entry->n_children && depth < MAX_DEPTH; i++) {
        const ReportEntry *child = report_find(run, entry->children[i], false);
        if (!child)
            child = report_find(run, entry->children[i], true);
        const ReportEntry *found = child ? source_of(run, child, depth + 1) : NULL;
        if (found)
            return found;
    }
    return NULL;
}

static void write_metric(const ReportMetric *metric, Buffer *out) {
    bool plain = !*metric->filter || strcmp(metric->filter, "none") == 0;
    text_field(out, "    - ", "type", metric->metric);
    buffer_printf(out, "      value: %.4f\n", metric->value);
    buffer_append_text(out, "      args:\n");
    if (!plain)
        text_field(out, "        ", "filter", metric->filter);
    if (isfinite(metric->stderr_value))
        buffer_printf(out, "        stderr: %.4f\n", metric->stderr_value);
    buffer_printf(out, "        documents: %lld\n", (long long)metric->n);
}

static void write_entry(const ReportRun *run, const ReportEntry *entry, Buffer *out) {
    const ReportEntry *source = source_of(run, entry, 0);
    int64_t shots = report_num_fewshot(run, entry);
    bool any = false;
    for (size_t m = 0; m < entry->n_metrics; m++)
        any = any || isfinite(entry->metrics[m].value);
    if (!any)
        return;
    buffer_append_text(out, "  - task:\n      type: text-generation\n    dataset:\n");
    text_field(out, "      ", "name", entry->name);
    text_field(out, "      ", "type", source && *source->dataset_path ? source->dataset_path : entry->name);
    if (source && !entry->is_group && *source->dataset_name)
        text_field(out, "      ", "config", source->dataset_name);
    if (source && *source->split)
        text_field(out, "      ", "split", source->split);
    if (shots >= 0)
        buffer_printf(out, "      args:\n        num_few_shot: %lld\n", (long long)shots);
    buffer_append_text(out, "    metrics:\n");
    for (size_t m = 0; m < entry->n_metrics; m++)
        if (isfinite(entry->metrics[m].value))
            write_metric(&entry->metrics[m], out);
}

static int write_card(Db *db, const ReportSet *set, void *context, Arena *arena, Buffer *out, Error *error) {
    (void)db;
    (void)context;
    (void)arena;
    (void)error;
    const ReportRun *run = &set->runs[0];
    buffer_append_text(out, "model-index:\n");
    text_field(out, "- ", "name", run->model);
    buffer_append_text(out, run->n_rows ? "  results:\n" : "  results: []\n");
    for (size_t i = 0; i < run->n_rows; i++)
        if (!report_is_folded(run, &run->rows[i]))
            write_entry(run, run->rows[i].entry, out);
    return 0;
}

int report_model_card(Db *db, int64_t run_id, Buffer *out, Error *error) {
    const ReportOptions options = {.run_id = run_id};
    return report_make(db, &options, write_card, NULL, out, error);
}
