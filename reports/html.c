/* The HTML page: the summary first, then for each run its results, plot, documents and provenance. It loads
 * nothing and runs nothing: a content security policy forbids both, should a text ever get past the escaping.
 */
#include "reports/html.h"

#include <math.h>
#include <string.h>

#include "base/text.h"

void html_text_bytes(Buffer *out, const char *text, size_t bytes) {
    while (bytes > 0) {
        uint32_t code;
        size_t taken = utf8_decode(text, bytes, &code);
        bool allowed = code == '\t' || code == '\n' || (code >= 32 && !(code >= 127 && code < 160));
        if (code == '&')
            buffer_append_text(out, "&amp;");
        else if (code == '<')
            buffer_append_text(out, "&lt;");
        else if (code == '>')
            buffer_append_text(out, "&gt;");
        else if (code == '"')
            buffer_append_text(out, "&quot;");
        else if (code == '\'')
            buffer_append_text(out, "&#39;");
        else if (!allowed || code == 0xfffd)
            buffer_append_text(out, "\xef\xbf\xbd");
        else
            buffer_append(out, text, taken);
        text += taken;
        bytes -= taken;
    }
}

void html_text(Buffer *out, const char *text) {
    html_text_bytes(out, text, strlen(text));
}

static void number(Buffer *out, double value) {
    if (isnan(value))
        buffer_append_text(out, "<td class=\"n\">—</td>");
    else if (isinf(value))
        buffer_printf(out, "<td class=\"n\">%s∞</td>", value < 0 ? "-" : "");
    else
        buffer_printf(out, "<td class=\"n\">%.4f</td>", value);
}

static void name_cell(const ReportEntry *entry, int depth, Buffer *out) {
    buffer_printf(out, "<th scope=\"row\" style=\"padding-left:%.2frem\">", 0.75 + 1.1 * depth);
    html_text(out, *entry->alias ? entry->alias : entry->name);
    buffer_append_text(out, "</th>");
}

static void result_line(const ReportRun *run, const ReportRow *row, size_t m, Buffer *out) {
    const ReportEntry *entry = row->entry;
    const ReportMetric *metric = &entry->metrics[m];
    int64_t shots = report_num_fewshot(run, entry);
    buffer_printf(out, "<tr%s>", entry->is_group ? " class=\"group\"" : "");
    if (m == 0)
        name_cell(entry, row->depth, out);
    else
        buffer_append_text(out, "<td></td>");
    buffer_append_text(out, "<td class=\"metric\">");
    html_text(out, metric->metric);
    if (!text_equal(metric->filter, "none") && *metric->filter) {
        buffer_append_text(out, " <span class=\"snippet\">");
        html_text(out, metric->filter);
        buffer_append_text(out, "</span>");
    }
    buffer_printf(out, " %s</td>", metric->higher_is_better ? "↑" : "↓");
    number(out, metric->value);
    number(out, metric->stderr_value);
    buffer_printf(out, "<td class=\"n\">%lld</td><td class=\"n\">", (long long)metric->n);
    if (shots >= 0)
        buffer_printf(out, "%lld", (long long)shots);
    buffer_append_text(out, "</td><td class=\"n\">");
    if (m == 0)
        html_text(out, entry->version);
    buffer_append_text(out, "</td></tr>\n");
}

static void results_table(const ReportRun *run, bool folded, Buffer *out) {
    buffer_append_text(
        out, "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Results\"><table>"
             "<thead><tr><th scope=\"col\">Task</th><th scope=\"col\">Metric</th>"
             "<th scope=\"col\" class=\"n\">Value</th><th scope=\"col\" class=\"n\">± Std. error</th>"
             "<th scope=\"col\" class=\"n\">Documents</th><th scope=\"col\" class=\"n\">Shots</th>"
             "<th scope=\"col\" class=\"n\">Version</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < run->n_rows; i++)
        if (report_is_folded(run, &run->rows[i]) == folded)
            for (size_t m = 0; m < run->rows[i].entry->n_metrics; m++)
                result_line(run, &run->rows[i], m, out);
    buffer_append_text(out, "</tbody></table></div>\n");
}

static void folded_results(const ReportRun *run, Buffer *out) {
    size_t n = run->n_folded;
    if (n == 0)
        return;
    buffer_printf(out, "<details><summary>The %zu tasks inside groups</summary><div class=\"inside\">\n", n);
    html_plot(run, true, out);
    results_table(run, true, out);
    buffer_append_text(out, "</div></details>\n");
}

static void fact(Buffer *out, const char *name, const char *value) {
    buffer_append_text(out, "<div><dt>");
    html_text(out, name);
    buffer_append_text(out, "</dt><dd>");
    html_text(out, value);
    buffer_append_text(out, "</dd></div>");
}

static void facts(const ReportRun *run, Arena *arena, Buffer *out) {
    buffer_append_text(out, "<dl class=\"facts\">");
    fact(out, "Parameters", report_count(run->n_parameters, arena));
    fact(out, "Data type", run->dtype);
    fact(out, "Few-shot", report_shots(run, arena));
    fact(out, "Documents", report_grouped(run->n_documents, arena));
    fact(out, "Requests", report_grouped(run->n_requests, arena));
    fact(out, "Cut to fit", run->n_truncated ? report_grouped(run->n_truncated, arena) : "none");
    buffer_append_text(out, "</dl>\n");
}

static void data_table(const ReportRun *run, Buffer *out) {
    buffer_append_text(
        out, "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Data\"><table><thead>"
             "<tr><th scope=\"col\">Task</th><th scope=\"col\">Data set</th>"
             "<th scope=\"col\">Split</th><th scope=\"col\" class=\"n\">Documents</th>"
             "<th scope=\"col\" class=\"n\">Requests</th><th scope=\"col\" class=\"n\">Cut</th></tr>"
             "</thead><tbody>\n");
    for (size_t i = 0; i < run->n_rows; i++) {
        const ReportEntry *entry = run->rows[i].entry;
        if (entry->is_group)
            continue;
        buffer_append_text(out, "<tr>");
        name_cell(entry, 0, out);
        buffer_append_text(out, "<td>");
        html_text(out, entry->dataset_path);
        buffer_append_text(out, *entry->dataset_name ? " " : "");
        html_text(out, entry->dataset_name);
        buffer_append_text(out, "</td><td>");
        html_text(out, entry->split);
        buffer_printf(
            out,
            "</td><td class=\"n\">%lld of %lld</td><td class=\"n\">%lld</td><td class=\"n\">%lld</td></tr>\n",
            (long long)entry->n_documents, (long long)entry->n_documents_total, (long long)entry->n_requests,
            (long long)entry->n_truncated);
    }
    buffer_append_text(out, "</tbody></table></div>\n");
}

static void files_table(const ReportRun *run, Buffer *out) {
    buffer_append_text(
        out, "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Files\"><table><thead>"
             "<tr><th scope=\"col\">Role</th><th scope=\"col\">File and SHA-256</th>"
             "<th scope=\"col\" class=\"n\">Bytes</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < run->n_files; i++) {
        buffer_append_text(out, "<tr><td>");
        html_text(out, run->files[i].role);
        buffer_append_text(out, "</td><td>");
        html_text(out, run->files[i].name);
        buffer_append_text(out, "<div class=\"hash\">");
        html_text(out, run->files[i].sha256);
        buffer_printf(out, "</div></td><td class=\"n\">%lld</td></tr>\n", (long long)run->files[i].bytes);
    }
    buffer_append_text(out, "</tbody></table></div>\n");
}

static void provenance(const ReportRun *run, Arena *arena, Buffer *out) {
    ReportSetting settings[REPORT_MAX_SETTINGS];
    size_t n = report_settings(run, arena, settings);
    buffer_append_text(out, "<h3>What was run</h3>\n<dl class=\"pairs\">");
    for (size_t i = 0; i < n; i++) {
        if (!*settings[i].value)
            continue;
        buffer_append_text(out, "<dt>");
        html_text(out, settings[i].name);
        buffer_append_text(out, "</dt><dd>");
        html_text(out, settings[i].value);
        buffer_append_text(out, "</dd>\n");
    }
    buffer_append_text(out, "</dl>\n<details><summary>Data of each task</summary><div class=\"inside\">\n");
    data_table(run, out);
    buffer_printf(out,
                  "</div></details>\n<details><summary>%zu files with their SHA-256</summary>"
                  "<div class=\"inside\">\n",
                  run->n_files);
    files_table(run, out);
    buffer_append_text(out, "</div></details>\n");
}

static int run_section(Db *db, const ReportRun *run, bool heading, Arena *arena, Buffer *out, Error *error) {
    if (heading) {
        buffer_append_text(out, "<h2>");
        html_text(out, report_label(run, arena));
        buffer_append_text(out, "</h2>\n");
    }
    facts(run, arena, out);
    buffer_append_text(out, "<h3>Results</h3>\n");
    html_plot(run, false, out);
    results_table(run, false, out);
    folded_results(run, out);
    if (html_documents(db, run, out, error) != 0)
        return -1;
    provenance(run, arena, out);
    return 0;
}

static void comparison(const ReportSet *set, Arena *arena, Buffer *out) {
    ComparisonRow *rows;
    size_t n = report_compare(set, arena, &rows);
    buffer_append_text(out, "<h2>Side by side</h2>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" "
                            "aria-label=\"Side by side\"><table><thead><tr><th scope=\"col\">Task</th>"
                            "<th scope=\"col\">Metric</th>");
    for (size_t r = 0; r < set->n_runs; r++) {
        buffer_append_text(out, "<th scope=\"col\" class=\"n\">");
        html_text(out, report_label(&set->runs[r], arena));
        buffer_append_text(out, "</th>");
    }
    buffer_append_text(out, "</tr></thead><tbody>\n");
    for (size_t i = 0; i < n; i++) {
        buffer_printf(out, "<tr%s>", rows[i].entry->is_group ? " class=\"group\"" : "");
        name_cell(rows[i].entry, rows[i].depth, out);
        buffer_append_text(out, "<td>");
        html_text(out, rows[i].metric);
        buffer_append_text(out, "</td>");
        for (size_t r = 0; r < set->n_runs; r++)
            number(out, rows[i].values[r] ? rows[i].values[r]->value : NAN);
        buffer_append_text(out, "</tr>\n");
    }
    buffer_append_text(out, "</tbody></table></div>\n");
}

static void page_head(const ReportSet *set, Arena *arena, Buffer *out) {
    const ReportRun *first = &set->runs[0];
    const char *title = set->n_runs == 1 ? first->model : arena_printf(arena, "%zu runs", set->n_runs);
    buffer_append_text(out, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
                            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                            "<meta http-equiv=\"Content-Security-Policy\" "
                            "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<title>");
    html_text(out, title);
    buffer_append_text(out, ": evaluation</title>\n<style>");
    buffer_append_text(out, html_style);
    buffer_append_text(out, "</style></head>\n<body><a class=\"skip\" href=\"#results\">To the results</a>\n"
                            "<header><h1>");
    html_text(out, title);
    buffer_append_text(out, "</h1><p class=\"lead\">");
    if (set->n_runs == 1)
        html_text(out, arena_printf(arena, "%s, %s, on %s", first->family, first->dtype, first->backend));
    else
        buffer_append_text(out, "Zero-shot and few-shot results, one column per run.");
    buffer_append_text(out, "</p></header>\n<main id=\"results\">\n");
}

static int write_page(Db *db, const ReportSet *set, void *context, Arena *arena, Buffer *out, Error *error) {
    (void)context;
    page_head(set, arena, out);
    if (set->n_runs > 1)
        comparison(set, arena, out);
    for (size_t i = 0; i < set->n_runs; i++)
        if (run_section(db, &set->runs[i], set->n_runs > 1, arena, out, error) != 0)
            return -1;
    buffer_append_text(out,
                       "</main>\n<footer>Made by zeval from stored results; every number can be traced in "
                       "the database.</footer>\n</body></html>\n");
    return 0;
}

int report_html(Db *db, const ReportOptions *options, Buffer *out, Error *error) {
    return report_make(db, options, write_page, NULL, out, error);
}
