/* The ordinary report as LaTeX tables for papers and as CSV for spreadsheets. */
#include <math.h>
#include <string.h>

#include "reports/results.h"
#include "reports/sheet.h"

/* As lm-eval prints values. */
static const char *four_decimals(double value, Arena *arena) {
    return isnan(value) ? "" : arena_printf(arena, "%.4f", value);
}

static const char *indented_name(const ReportEntry *entry, int depth, Arena *arena) {
    const char *alias = *entry->alias ? entry->alias : entry->name;
    return depth > 0 ? arena_printf(arena, "- %s", alias) : alias;
}

/* ---- for readers */

static const SheetColumn run_columns[] = {{"Task", NULL, false},
                                          {"Shots", NULL, true},
                                          {"Metric", NULL, false},
                                          {"Value", NULL, true},
                                          {"Stderr", NULL, true}};

/* "model, float32, 0-shot", and what is not in the table. */
static const char *caption(const ReportRun *run, Arena *arena) {
    const char *out = report_label(run, arena);
    if (run->limit > 0)
        out = arena_printf(arena, "%s, limit %.6g", out, run->limit);
    if (run->n_folded)
        out = arena_printf(arena, "%s, without %zu tasks inside groups", out, run->n_folded);
    return out;
}

static void run_sheet(SheetBook *book, const ReportRun *run) {
    Arena *arena = book->arena;
    Sheet *sheet = sheet_add(book, SHEET_FOR_READERS, "run", caption(run, arena), run_columns, 5);
    for (size_t i = 0; i < run->n_rows; i++) {
        const ReportRow *row = &run->rows[i];
        int64_t shots = report_num_fewshot(run, row->entry);
        for (size_t m = 0; !report_is_folded(run, row) && m < row->entry->n_metrics; m++) {
            SheetCell *cells = sheet_row(book, sheet, false);
            if (m == 0) {
                cells[0].text = indented_name(row->entry, row->depth, arena);
                cells[1].text = shots < 0 ? "" : arena_printf(arena, "%lld", (long long)shots);
            }
            cells[2].text = row->entry->metrics[m].metric;
            cells[3].text = four_decimals(row->entry->metrics[m].value, arena);
            cells[4].text = four_decimals(row->entry->metrics[m].stderr_value, arena);
        }
    }
}

static void side_by_side(SheetBook *book, const ReportSet *set) {
    Arena *arena = book->arena;
    ComparisonRow *rows;
    size_t n = report_compare(set, arena, &rows), n_columns = 2 + set->n_runs;
    SheetColumn *columns = arena_alloc(arena, n_columns * sizeof *columns);
    columns[0] = (SheetColumn){"Task", NULL, false};
    columns[1] = (SheetColumn){"Metric", NULL, false};
    for (size_t r = 0; r < set->n_runs; r++)
        columns[2 + r] = (SheetColumn){report_label(&set->runs[r], arena), NULL, true};
    Sheet *sheet = sheet_add(book, SHEET_FOR_READERS, "runs", "Side by side", columns, n_columns);
    for (size_t i = 0; i < n; i++) {
        ReportRow place = {.entry = rows[i].entry, .depth = rows[i].depth, .in_sum = rows[i].in_sum};
        if (report_is_folded(&set->runs[0], &place))
            continue;
        SheetCell *cells = sheet_row(book, sheet, false);
        cells[0].text = indented_name(rows[i].entry, rows[i].depth, arena);
        cells[1].text = rows[i].metric;
        for (size_t r = 0; r < set->n_runs; r++)
            if (rows[i].values[r])
                cells[2 + r].text = four_decimals(rows[i].values[r]->value, arena);
    }
}

/* ---- for programs */

enum {
    C_RUN,
    C_MODEL,
    C_DTYPE,
    C_BACKEND,
    C_COMPAT,
    C_LIMIT,
    C_NAME,
    C_GROUP,
    C_VERSION,
    C_SHOTS,
    C_METRIC,
    C_FILTER,
    C_VALUE,
    C_STDERR,
    C_N,
    C_HIGHER,
    N_RECORD
};
static const SheetColumn record_columns[N_RECORD] = {
    {"run_id", NULL, true},   {"model", NULL, false},
    {"dtype", NULL, false},   {"backend", NULL, false},
    {"compat", NULL, false},  {"limit", NULL, true},
    {"name", NULL, false},    {"is_group", NULL, false},
    {"version", NULL, false}, {"num_fewshot", NULL, true},
    {"metric", NULL, false},  {"filter", NULL, false},
    {"value", NULL, true},    {"stderr", NULL, true},
    {"n", NULL, true},        {"higher_is_better", NULL, false}};

static void records(SheetBook *book, Sheet *sheet, const ReportRun *run) {
    Arena *arena = book->arena;
    for (size_t i = 0; i < run->n_rows; i++) {
        const ReportEntry *entry = run->rows[i].entry;
        int64_t shots = report_num_fewshot(run, entry);
        for (size_t m = 0; m < entry->n_metrics; m++) {
            const ReportMetric *metric = &entry->metrics[m];
            SheetCell *cells = sheet_row(book, sheet, false);
            cells[C_RUN].text = arena_printf(arena, "%lld", (long long)run->run_id);
            cells[C_MODEL].text = run->model;
            cells[C_DTYPE].text = run->dtype;
            cells[C_BACKEND].text = run->backend;
            cells[C_COMPAT].text = run->compat;
            cells[C_LIMIT].text = run->limit > 0 ? arena_printf(arena, "%.6g", run->limit) : "";
            cells[C_NAME].text = entry->name;
            cells[C_GROUP].text = entry->is_group ? "yes" : "no";
            cells[C_VERSION].text = entry->version;
            cells[C_SHOTS].text = shots < 0 ? "" : arena_printf(arena, "%lld", (long long)shots);
            cells[C_METRIC].text = metric->metric;
            cells[C_FILTER].text = metric->filter;
            cells[C_VALUE].text = report_exact(metric->value, arena);
            cells[C_STDERR].text = report_exact(metric->stderr_value, arena);
            cells[C_N].text = arena_printf(arena, "%lld", (long long)metric->n);
            cells[C_HIGHER].text = metric->higher_is_better ? "yes" : "no";
        }
    }
}

static int write_latex(Db *db, const ReportSet *set, void *context, Arena *arena, Buffer *out, Error *error) {
    SheetBook book = {.arena = arena};
    (void)db;
    (void)context;
    (void)error;
    if (set->n_runs > 1)
        side_by_side(&book, set);
    for (size_t i = 0; i < set->n_runs; i++)
        run_sheet(&book, &set->runs[i]);
    sheet_write(&book, SHEET_LATEX, out);
    return 0;
}

static int write_csv(Db *db, const ReportSet *set, void *context, Arena *arena, Buffer *out, Error *error) {
    SheetBook book = {.arena = arena};
    Sheet *sheet = sheet_add(&book, SHEET_FOR_PROGRAMS, "results", NULL, record_columns, N_RECORD);
    (void)db;
    (void)context;
    (void)error;
    for (size_t i = 0; i < set->n_runs; i++)
        records(&book, sheet, &set->runs[i]);
    sheet_write(&book, SHEET_CSV, out);
    return 0;
}

int report_latex(Db *db, const ReportOptions *options, Buffer *out, Error *error) {
    return report_make(db, options, write_latex, NULL, out, error);
}

int report_csv(Db *db, const ReportOptions *options, Buffer *out, Error *error) {
    return report_make(db, options, write_csv, NULL, out, error);
}
