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

/* v0.4.0 had no arrows, and nothing where there is no error; but of a single generated text the error is NaN.
 */
static void add_rows(const ReportRun *run, const ReportRow *row, Table *table, Arena *arena) {
    static const char *const arrows[] = {"↓", "↑"};
    const ReportEntry *entry = row->entry;
    bool old = report_is_v0_4_0(run);
    int64_t shots = report_num_fewshot(run, entry);
    for (size_t m = 0; m < entry->n_metrics; m++) {
        TableCell *cells = table_row(table), *value = &cells[old ? ARROW : VALUE];
        const ReportMetric *metric = &entry->metrics[m];
        bool is_known = !isnan(metric->stderr_value);
        int direction = report_direction(run, entry, metric);
        if (m == 0) {
            cells[NAME].text = indented_name(entry, row->depth, arena);
            cells[VERSION] =
                (TableCell){.text = entry->version, .is_number = !entry->is_group && !entry->version_is_text};
        }
        if (shots >= 0)
            cells[SHOTS].text = arena_printf(arena, "%lld", (long long)shots);
        cells[FILTER].text = metric->filter;
        cells[METRIC].text = metric->metric;
        if (!old)
            cells[ARROW].text = direction < 0 ? "" : arrows[direction];
        value[0].text = four_decimals(metric->value, arena);
        if (!old || is_known || text_equal(metric->metric, "exact_match")) {
            value[1].text = "±";
            value[2].text = is_known || old ? four_decimals(metric->stderr_value, arena) : "   N/A";
        }
    }
}

/* Rows as main lays them out: whatever several groups have stands below each of them, as deep as where it
 * stands last. */
typedef struct Walk {
    const ReportRun *run;
    ReportRow *rows; /* [room] */
    size_t n, room, n_visits;
    int *depths; /* of each entry, where it was met last; -1: not yet */
    bool *open;  /* entries that are being walked: one that contains itself ends there */
} Walk;

enum { MOST_TIMES = 16, MOST_VISITS = 1000000, MOST_DEPTH = 32 };

static void visit(Walk *walk, const ReportEntry *entry, int depth) {
    size_t place = (size_t)(entry - walk->run->entries);
    if (walk->open[place] || depth > MOST_DEPTH || walk->n == walk->room || ++walk->n_visits > MOST_VISITS)
        return;
    walk->depths[place] = depth;
    if (entry->n_metrics > 0)
        walk->rows[walk->n++] = (ReportRow){.entry = entry};
    walk->open[place] = true;
    for (size_t i = 0; i < entry->n_children; i++) {
        const ReportEntry *child = report_find(walk->run, entry->children[i], true);
        child = child ? child : report_find(walk->run, entry->children[i], false);
        if (child)
            visit(walk, child, depth + 1);
    }
    walk->open[place] = false;
}

/* From each row that stands at the top of its own, in the run's order. */
static size_t walk_rows(const ReportRun *run, Arena *arena, ReportRow **out) {
    size_t n = run->n_entries;
    Walk walk = {.run = run,
                 .rows = arena_alloc(arena, (MOST_TIMES * n + 1) * sizeof *walk.rows),
                 .room = MOST_TIMES * n,
                 .depths = arena_alloc(arena, (n + 1) * sizeof *walk.depths),
                 .open = memset(arena_alloc(arena, n + 1), 0, n + 1)};
    for (size_t i = 0; i < n; i++)
        walk.depths[i] = -1;
    for (size_t i = 0; i < run->n_tops; i++)
        visit(&walk, run->tops[i], 0);
    for (size_t i = 0; i < walk.n; i++)
        walk.rows[i].depth = walk.depths[walk.rows[i].entry - run->entries];
    *out = walk.rows;
    return walk.n;
}

static void lm_eval_table(const ReportRun *run, bool groups, Arena *arena, Buffer *out) {
    const char *const headers[] =
        {groups ? "Groups" : "Tasks", "Version", "Filter", "n-shot", "Metric", "", "Value", "", "Stderr"},
                      *const old_headers[] = {headers[0], "Version", "Filter", "n-shot",
                                              "Metric",   "Value",   "",       "Stderr"};
    bool old = report_is_v0_4_0(run);
    Table table = {.headers = old ? old_headers : headers, .n_columns = N_LM_EVAL_COLUMNS - old};
    ReportRow *rows = run->rows;
    size_t n = old ? run->n_rows : walk_rows(run, arena, &rows);
    for (size_t i = 0; i < n; i++)
        if (!groups || rows[i].entry->is_group)
            add_rows(run, &rows[i], &table, arena);
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
