/* The Markdown report: for each run lm-eval's tables, then what was run; before them, when there are several
 * runs, one table that puts them side by side. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "reports/markdown.h"
#include "reports/table.h"

enum { NAME, VERSION, FILTER, SHOTS, METRIC, ARROW, VALUE, SIGN, STDERR, N_LM_EVAL_COLUMNS };

static const char *four_decimals(double value, Arena *arena) {
    return isnan(value) ? "nan" : arena_printf(arena, "%.4f", value);
}

static const char *indented_name(const ReportEntry *entry, int depth, Arena *arena) {
    const char *alias = *entry->alias ? entry->alias : entry->name;
    return depth > 0 ? arena_printf(arena, "%*s- %s", depth, "", alias) : alias;
}

static void add_rows(const ReportRun *run, const ReportRow *row, Table *table, Arena *arena) {
    static const char *const arrows[] = {"↓", "↑"};
    const ReportEntry *entry = row->entry;
    int64_t shots = report_num_fewshot(run, entry);
    for (size_t m = 0; m == 0 || m < entry->n_metrics; m++) {
        TableCell *cells = table_row(table);
        if (m == 0) {
            cells[NAME].text = indented_name(entry, row->depth, arena);
            cells[VERSION] =
                (TableCell){.text = entry->version, .is_number = !entry->is_group && !entry->version_is_text};
        }
        if (shots >= 0)
            cells[SHOTS].text = arena_printf(arena, "%lld", (long long)shots);
        if (entry->n_metrics == 0)
            break;
        const ReportMetric *metric = &entry->metrics[m];
        int direction = report_direction(run, entry, metric);
        cells[FILTER].text = metric->filter;
        cells[METRIC].text = metric->metric;
        cells[ARROW].text = direction < 0 ? "" : arrows[direction];
        cells[VALUE].text = four_decimals(metric->value, arena);
        cells[SIGN].text = "±";
        cells[STDERR].text =
            isnan(metric->stderr_value) ? "   N/A" : four_decimals(metric->stderr_value, arena);
    }
}

static void lm_eval_table(const ReportRun *run, bool groups, Arena *arena, Buffer *out) {
    const char *const headers[N_LM_EVAL_COLUMNS] = {
        groups ? "Groups" : "Tasks", "Version", "Filter", "n-shot", "Metric", "", "Value", "", "Stderr"};
    Table table = {.headers = headers, .n_columns = N_LM_EVAL_COLUMNS};
    for (size_t i = 0; i < run->n_rows; i++)
        if (!groups || (run->rows[i].entry->is_group && run->rows[i].entry->n_metrics > 0))
            add_rows(run, &run->rows[i], &table, arena);
    if (table.n_rows > 0) {
        table_markdown(&table, arena, out);
        buffer_append_char(out, '\n');
    }
    table_free(&table);
}

/* Text as code: fenced by more backticks than it has in a row. */
static void code_span(Buffer *out, const char *text) {
    size_t longest = 0;
    for (const char *c = text; *c;) {
        size_t ticks = strspn(c, "`");
        longest = ticks > longest ? ticks : longest;
        c += ticks ? ticks : 1;
    }
    for (size_t i = 0; i <= longest; i++)
        buffer_append_char(out, '`');
    buffer_printf(out, longest ? " %s " : "%s", text);
    for (size_t i = 0; i <= longest; i++)
        buffer_append_char(out, '`');
}

static void settings_list(const ReportRun *run, Arena *arena, Buffer *out) {
    ReportSetting settings[REPORT_MAX_SETTINGS];
    size_t n = report_settings(run, arena, settings);
    buffer_append_text(out, "### What was run\n\n");
    for (size_t i = 0; i < n; i++) {
        if (!*settings[i].value)
            continue;
        buffer_printf(out, "- %s: ", settings[i].name);
        if (*settings[i].value == '{')
            code_span(out, settings[i].value);
        else
            markdown_text(out, settings[i].value);
        buffer_append_char(out, '\n');
    }
    buffer_append_char(out, '\n');
}

static void run_section(const ReportRun *run, Arena *arena, Buffer *out) {
    buffer_append_text(out, "## ");
    markdown_text(out, run->model);
    buffer_printf(out, ", %s, ", report_shots(run, arena));
    markdown_text(out, run->dtype);
    if (run->limit >= 1)
        buffer_printf(out, ", limit %.0f", floor(run->limit));
    else if (run->limit > 0)
        buffer_printf(out, ", limit %.6g", run->limit);
    buffer_append_text(out, "\n\n");
    lm_eval_table(run, false, arena, out);
    lm_eval_table(run, true, arena, out);
    settings_list(run, arena, out);
    markdown_provenance(run, arena, out);
}

static void comparison(const ReportSet *set, Arena *arena, Buffer *out) {
    ComparisonRow *rows;
    size_t n = report_compare(set, arena, &rows), n_columns = 2 + set->n_runs;
    const char **headers = arena_alloc(arena, n_columns * sizeof *headers);
    headers[0] = "Tasks";
    headers[1] = "Metric";
    for (size_t r = 0; r < set->n_runs; r++) {
        Buffer label = {0};
        markdown_text(&label, report_label(&set->runs[r], arena));
        headers[2 + r] = arena_strdup(arena, label.data);
        buffer_free(&label);
    }
    Table table = {.headers = headers, .n_columns = n_columns};
    for (size_t i = 0; i < n; i++) {
        TableCell *cells = table_row(&table);
        cells[0].text = indented_name(rows[i].entry, rows[i].depth, arena);
        cells[1].text = rows[i].metric;
        for (size_t r = 0; r < set->n_runs; r++)
            if (rows[i].values[r])
                cells[2 + r].text = four_decimals(rows[i].values[r]->value, arena);
    }
    buffer_append_text(out, "## Side by side\n\n");
    table_markdown(&table, arena, out);
    buffer_append_char(out, '\n');
    table_free(&table);
}

static int write_runs(Db *db, const ReportSet *set, void *context, Arena *arena, Buffer *out, Error *error) {
    (void)context;
    (void)db;
    (void)error;
    if (set->n_runs > 1)
        comparison(set, arena, out);
    for (size_t i = 0; i < set->n_runs; i++)
        run_section(&set->runs[i], arena, out);
    return 0;
}

int report_markdown(Db *db, const ReportOptions *options, Buffer *out, Error *error) {
    return report_make(db, options, write_runs, NULL, out, error);
}
