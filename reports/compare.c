/* Several runs side by side. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "reports/results.h"

const char *report_label(const ReportRun *run, Arena *arena) {
    return arena_printf(arena, "%s, %s, %s", run->model, run->dtype, report_shots(run, arena));
}

static const ReportMetric *find_metric(const ReportEntry *entry, const char *metric, const char *filter) {
    for (size_t i = 0; entry && i < entry->n_metrics; i++)
        if (text_equal(entry->metrics[i].metric, metric) && text_equal(entry->metrics[i].filter, filter))
            return &entry->metrics[i];
    return NULL;
}

static bool in_earlier_run(const ReportSet *set, size_t run, const ReportEntry *entry,
                           const ReportMetric *metric) {
    for (size_t r = 0; r < run; r++) {
        const ReportEntry *other = report_find(&set->runs[r], entry->name, entry->is_group);
        if (find_metric(other, metric->metric, metric->filter))
            return true;
    }
    return false;
}

static void fill_values(const ReportSet *set, Arena *arena, ComparisonRow *row) {
    row->values = arena_alloc(arena, set->n_runs * sizeof *row->values);
    for (size_t r = 0; r < set->n_runs; r++)
        row->values[r] = find_metric(report_find(&set->runs[r], row->entry->name, row->entry->is_group),
                                     row->metric, row->filter);
}

size_t report_compare(const ReportSet *set, Arena *arena, ComparisonRow **out) {
    size_t room = 0, n = 0;
    for (size_t r = 0; r < set->n_runs; r++)
        for (size_t i = 0; i < set->runs[r].n_entries; i++)
            room += set->runs[r].entries[i].n_metrics;
    ComparisonRow *rows = arena_alloc(arena, (room + 1) * sizeof *rows);
    for (size_t r = 0; r < set->n_runs; r++)
        for (size_t i = 0; i < set->runs[r].n_rows; i++) {
            const ReportEntry *entry = set->runs[r].rows[i].entry;
            for (size_t m = 0; m < entry->n_metrics; m++) {
                if (in_earlier_run(set, r, entry, &entry->metrics[m]))
                    continue;
                rows[n] = (ComparisonRow){.entry = entry,
                                          .depth = set->runs[r].rows[i].depth,
                                          .in_sum = set->runs[r].rows[i].in_sum,
                                          .metric = entry->metrics[m].metric,
                                          .filter = entry->metrics[m].filter};
                fill_values(set, arena, &rows[n++]);
            }
        }
    *out = rows;
    return n;
}
