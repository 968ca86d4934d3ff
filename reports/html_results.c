/* The numbers of runs: facts, tables of results, runs side by side. */
#include <math.h>

#include "base/text.h"
#include "reports/html.h"

static void number(Buffer *out, double value, const char *class_name) {
    buffer_printf(out, "<td class=\"n%s\"", class_name);
    if (isnan(value))
        buffer_append_text(out, ">—</td>");
    else if (isinf(value))
        buffer_printf(out, " data-v=\"%s1e999\">%s∞</td>", value < 0 ? "-" : "", value < 0 ? "-" : "");
    else
        buffer_printf(out, ">%.4f</td>", value);
}

static void name_cell(const ReportEntry *entry, int depth, Buffer *out) {
    buffer_printf(out, "<th scope=\"row\" style=\"padding-left:%.2frem\">", 0.7 + 1.1 * depth);
    html_text(out, *entry->alias ? entry->alias : entry->name);
    buffer_append_text(out, "</th>");
}

static void metric_cell(const char *metric, const char *filter, const char *arrow, Buffer *out) {
    buffer_append_text(out, "<td class=\"metric\">");
    html_text(out, metric);
    if (!text_equal(filter, "none") && *filter) {
        buffer_append_text(out, " <span class=\"snippet\">");
        html_text(out, filter);
        buffer_append_text(out, "</span>");
    }
    buffer_printf(out, "%s</td>", arrow);
}

static void result_line(const ReportRun *run, const ReportRow *row, size_t m, Buffer *out) {
    const ReportEntry *entry = row->entry;
    const ReportMetric *metric = &entry->metrics[m];
    int64_t shots = report_num_fewshot(run, entry);
    buffer_printf(out, "<tr%s>", entry->is_group ? " class=\"group\"" : "");
    name_cell(entry, row->depth, out);
    metric_cell(metric->metric, metric->filter, metric->higher_is_better ? " ↑" : " ↓", out);
    number(out, metric->value, "");
    number(out, metric->stderr_value, "");
    buffer_printf(out, "<td class=\"n\">%lld</td><td class=\"n\">", (long long)metric->n);
    if (shots >= 0)
        buffer_printf(out, "%lld", (long long)shots);
    buffer_append_text(out, "</td><td class=\"n\">");
    html_text(out, entry->version);
    buffer_append_text(out, "</td></tr>\n");
}

static void results_table(const ReportRun *run, bool folded, Buffer *out) {
    static const char *const headings[] = {"Task",      "Metric", "Value",  "± Std. error",
                                           "Documents", "Shots",  "Version"};
    html_table_begin(out, "Results", true);
    for (size_t i = 0; i < sizeof headings / sizeof *headings; i++)
        html_heading(out, headings[i], i >= 2);
    buffer_append_text(out, "</tr></thead><tbody>\n");
    for (size_t i = 0; i < run->n_rows; i++)
        if (report_is_folded(run, &run->rows[i]) == folded)
            for (size_t m = 0; m < run->rows[i].entry->n_metrics; m++)
                result_line(run, &run->rows[i], m, out);
    html_table_end(out);
}

static void folded_results(const ReportRun *run, Buffer *out) {
    if (run->n_folded == 0)
        return;
    buffer_printf(out,
                  "<details><summary>By subject: the %zu tasks inside groups</summary>"
                  "<div class=\"inside\">\n",
                  run->n_folded);
    html_plot(run, true, out);
    results_table(run, true, out);
    buffer_append_text(out, "</div></details>\n");
}

void html_results(const ReportRun *run, Buffer *out) {
    buffer_append_text(out, "<h3>Results</h3>\n");
    html_plot(run, false, out);
    results_table(run, false, out);
    folded_results(run, out);
}

static void fact(Buffer *out, const char *name, const char *value) {
    if (!*value)
        return;
    buffer_append_text(out, "<div><dt>");
    html_text(out, name);
    buffer_append_text(out, "</dt><dd>");
    html_text(out, value);
    buffer_append_text(out, "</dd></div>");
}

void html_facts(const ReportRun *run, Arena *arena, Buffer *out) {
    buffer_append_text(out, "<dl class=\"facts\">");
    fact(out, "Parameters", report_count(run->n_parameters, arena));
    fact(out, "Data type", run->dtype);
    fact(out, "KV cache a token", report_bytes(run->state_bytes_per_token, arena));
    if (run->state_bytes_fixed > 0)
        fact(out, "Other state", report_bytes(run->state_bytes_fixed, arena));
    fact(out, "Few-shot", report_shots(run, arena));
    fact(out, "Documents", report_grouped(run->n_documents, arena));
    fact(out, "Requests", report_grouped(run->n_requests, arena));
    fact(out, "Cut to fit", run->n_truncated ? report_grouped(run->n_truncated, arena) : "none");
    if (run->tokens_computed >= 0)
        fact(out, "Tokens computed", report_count(run->tokens_computed, arena));
    if (run->tokens_computed > 0 && run->tokens_alone > 0)
        fact(out, "Sharing saved",
             arena_printf(arena, "%.0f %%",
                          100 * fmax(0, 1 - (double)run->tokens_computed / (double)run->tokens_alone)));
    if (run->tokens_generated > 0)
        fact(out, "Tokens generated", report_count(run->tokens_generated, arena));
    fact(out, "Time", report_duration(run->scoring_seconds, arena));
    buffer_append_text(out, "</dl>\n");
}

/* The best of a row is bold where all runs have it and they differ. */
static double best_of(const ComparisonRow *row, size_t n) {
    double best = NAN, worst = NAN;
    for (size_t r = 0; r < n; r++) {
        if (!row->values[r] || isnan(row->values[r]->value))
            return NAN;
        double value = row->values[r]->value * (row->values[r]->higher_is_better ? 1 : -1);
        best = fmax(best, value);
        worst = fmin(worst, value);
    }
    return best > worst ? best : NAN;
}

/* What a run is, over its number. */
static void run_heading(const ReportRun *run, Arena *arena, Buffer *out) {
    buffer_append_text(out, "<th scope=\"col\" class=\"n\"><span>");
    html_text(out, report_label(run, arena));
    buffer_printf(out, "</span>run %lld</th>", (long long)run->run_id);
}

static void side_by_side_row(const ReportSet *set, const ComparisonRow *row, Buffer *out) {
    double best = best_of(row, set->n_runs);
    buffer_printf(out, "<tr%s>", row->entry->is_group ? " class=\"group\"" : "");
    name_cell(row->entry, row->depth, out);
    metric_cell(row->metric, row->filter, "", out);
    for (size_t r = 0; r < set->n_runs; r++) {
        const ReportMetric *metric = row->values[r];
        double value = metric ? metric->value : NAN;
        number(out, value, metric && value * (metric->higher_is_better ? 1 : -1) == best ? " best" : "");
    }
    buffer_append_text(out, "</tr>\n");
}

/* Subjects drown the rest where a run folds them. */
static bool is_folded(const ReportSet *set, const ComparisonRow *row) {
    bool folds = false;
    for (size_t r = 0; r < set->n_runs; r++)
        folds = folds || set->runs[r].n_folded > 0;
    return folds && row->in_sum && !row->entry->is_group;
}

static size_t side_by_side_table(const ReportSet *set, const ComparisonRow *rows, size_t n, bool folded,
                                 Arena *arena, Buffer *out) {
    size_t n_shown = 0;
    html_table_begin(out, "Side by side", true);
    html_heading(out, "Task", false);
    html_heading(out, "Metric", false);
    for (size_t r = 0; r < set->n_runs; r++)
        run_heading(&set->runs[r], arena, out);
    buffer_append_text(out, "</tr></thead><tbody>\n");
    for (size_t i = 0; i < n; i++)
        if (is_folded(set, &rows[i]) == folded) {
            side_by_side_row(set, &rows[i], out);
            n_shown++;
        }
    html_table_end(out);
    return n_shown;
}

void html_side_by_side(const ReportSet *set, Arena *arena, Buffer *out) {
    ComparisonRow *rows;
    size_t n = report_compare(set, arena, &rows);
    Buffer folded = {0};
    buffer_append_text(out, "<h2>Side by side</h2>\n");
    side_by_side_table(set, rows, n, false, arena, out);
    if (side_by_side_table(set, rows, n, true, arena, &folded) > 0) {
        buffer_append_text(out, "<details><summary>By subject: the tasks inside groups</summary>"
                                "<div class=\"inside\">\n");
        buffer_append(out, folded.data, folded.size);
        buffer_append_text(out, "</div></details>\n");
    }
    buffer_free(&folded);
}

/* ---- accuracy against KV-cache size */

/* The metric that papers average for a task. */
static const ReportMetric *usual_metric(const ReportEntry *entry) {
    static const char *const names[] = {"acc_norm", "acc", "exact_match"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (size_t m = 0; m < entry->n_metrics; m++)
            if (text_equal(entry->metrics[m].metric, names[i]) && isfinite(entry->metrics[m].value))
                return &entry->metrics[m];
    return NULL;
}

/* The mean over the rows at the top that every run has; how many these are in *n. */
static double mean_of(const ReportSet *set, const ReportRun *run, size_t *n) {
    double sum = 0;
    *n = 0;
    for (size_t i = 0; i < run->n_rows; i++) {
        const ReportEntry *entry = run->rows[i].entry;
        const ReportMetric *metric = !run->rows[i].in_sum ? usual_metric(entry) : NULL;
        bool everywhere = metric != NULL;
        for (size_t r = 0; r < set->n_runs && everywhere; r++) {
            const ReportEntry *other = report_find(&set->runs[r], entry->name, entry->is_group);
            const ReportMetric *same = other ? usual_metric(other) : NULL;
            everywhere = same && text_equal(same->metric, metric->metric);
        }
        if (everywhere) {
            sum += metric->value;
            ++*n;
        }
    }
    return *n ? 100 * sum / (double)*n : NAN;
}

void html_accuracy_by_cache(const ReportSet *set, Arena *arena, Buffer *out) {
    PlotPoint *points = arena_alloc(arena, set->n_runs * sizeof *points);
    size_t n = 0;
    for (size_t i = 0; i < set->n_runs; i++) {
        const ReportRun *run = &set->runs[i];
        double mean = mean_of(set, run, &n);
        double kilobytes = (double)run->state_bytes_per_token / 1000;
        points[i] =
            (PlotPoint){.x = kilobytes,
                        .y = mean,
                        .low = NAN,
                        .high = NAN,
                        .class_name = "g0",
                        .label = arena_printf(arena, "%s: %s a token, %.2f %%", html_run_name(run, arena),
                                              report_bytes(run->state_bytes_per_token, arena), mean)};
    }
    const Plot plot = {.id = "cache",
                       .caption = arena_printf(arena,
                                               "<b>Accuracy against KV-cache size.</b> Mean of the %zu tasks "
                                               "that all runs have, by acc_norm where a task has it, else "
                                               "acc or exact match.",
                                               n),
                       .x_name = "KV cache, kilobytes a token",
                       .y_name = "Mean, %",
                       .points = points,
                       .n = set->n_runs,
                       .from_zero = true,
                       .numbered = true};
    html_points(&plot, out);
}
