/* `zeval report --paper P --table T`: a table as a paper prints it, checked against itself, and with ours
 * beside it. Readers get the printed rows and columns; programs one record per cell. */
#include "reports/paper.h"

#include <math.h>
#include <string.h>

#include "base/text.h"
#include "reports/html.h"
#include "reports/sheet.h"

/* A table being reported, and where it goes. */
typedef struct PaperReport {
    const PublishedTable *table;
    const ReportSet *set; /* NULL: published values alone */
    PaperCell *cells;     /* NULL likewise */
    SheetBook book;
    Sheet *printed, *records;
    size_t n_means, n_means_agree, n_kv, n_kv_agree;
    size_t counts[N_VERDICTS];
} PaperReport;

/* What stands before the scores in the readers' sheet; columns that no row fills are left out. */
typedef enum Lead {
    LEAD_MODEL,
    LEAD_WHAT,
    LEAD_KV,
    LEAD_FORMULA,
    LEAD_TEACHER,
    LEAD_TOKENS,
    LEAD_PARAMS,
    N_LEADS
} Lead;

static const SheetColumn lead_columns[N_LEADS] = {{"Model and setting", NULL, false},
                                                  {"", NULL, false},
                                                  {"KV size", NULL, true},
                                                  {"KV by formula", NULL, true},
                                                  {"Teacher", NULL, false},
                                                  {"Tokens", NULL, true},
                                                  {"Size", NULL, true}};

static const char *lead_text(const PublishedRow *row, Lead lead, Arena *arena) {
    double kv = published_formula_kv(row);
    switch (lead) {
    case LEAD_MODEL:
        return row->model;
    case LEAD_KV:
        return row->kv;
    case LEAD_FORMULA:
        return isnan(kv) || !*row->kv ? "" : arena_printf(arena, "%.5g%%", kv);
    case LEAD_TEACHER:
        return row->teacher;
    case LEAD_TOKENS:
        return row->tokens;
    case LEAD_PARAMS:
        return row->params;
    default:
        return "";
    }
}

/* Papers cut as often as they round, so a whole unit of the last digit is allowed. */
static bool kv_agrees(const PublishedRow *row, double computed) {
    double printed = NAN;
    int decimals = 0;
    return published_kv(row, &printed, &decimals) && fabs(printed - computed) <= pow(10, -decimals) + 1e-9;
}

/* The share of the base model's cache by what the run's model itself says it keeps; NAN where its row has no
 * formula, which holds the base model's size, or where values are not kept as 4-byte floats. */
static double loaded_kv(const PublishedRow *row, const ReportRun *run) {
    const PublishedFormula *f = &row->formula;
    if (!run || f->all_layers == 0 || !text_starts_with(run->backend, "cpu"))
        return NAN;
    return 100.0 * (double)run->state_bytes_per_token / (4.0 * (double)(f->all_layers * f->base_cached));
}

/* Never "-0.00". */
static const char *fixed(double value, int decimals, Arena *arena) {
    const char *text = isnan(value) ? "NaN" : arena_printf(arena, "%.*f", decimals, value);
    return *text == '-' && strspn(text, "-0.") == strlen(text) ? text + 1 : text;
}

static const char *with_sign(double value, int decimals, Arena *arena) {
    const char *text = fixed(value, decimals, arena);
    return *text == '-' || *text == 'N' || strspn(text, "0.") == strlen(text)
               ? text
               : arena_printf(arena, "+%s", text);
}

/* ---- the readers' sheet */

typedef struct Layout {
    SheetColumn *columns;
    Lead leads[N_LEADS];
    size_t n_leads, n_columns;
    size_t first_score, first_check; /* columns: scores, then one recomputed mean for each mean */
} Layout;

static bool lead_is_used(const PaperReport *report, Lead lead) {
    if (lead == LEAD_WHAT)
        return report->set != NULL;
    for (size_t r = 0; r < report->table->n_rows; r++)
        if (*lead_text(&report->table->rows[r], lead, report->book.arena))
            return true;
    return false;
}

static Layout lay_out(const PaperReport *report) {
    const PublishedTable *table = report->table;
    Arena *arena = report->book.arena;
    Layout layout = {.columns =
                         arena_alloc(arena, (N_LEADS + 2 * table->n_columns) * sizeof *layout.columns)};
    for (Lead lead = 0; lead < N_LEADS; lead++)
        if (lead_is_used(report, lead)) {
            layout.leads[layout.n_leads] = lead;
            layout.columns[layout.n_leads++] = lead_columns[lead];
        }
    layout.first_score = layout.n_columns = layout.n_leads;
    for (size_t c = 0; c < table->n_columns; c++)
        layout.columns[layout.n_columns++] = (SheetColumn){table->columns[c].heading, NULL, true};
    layout.first_check = layout.n_columns;
    for (size_t c = 0; c < table->n_columns && !report->set; c++)
        if (table->columns[c].n_members > 0)
            layout.columns[layout.n_columns++] =
                (SheetColumn){arena_printf(arena, "%s recomputed", table->columns[c].heading), NULL, true};
    return layout;
}

/* The row under the headings that names the metric and shots of every column. */
static void metric_row(PaperReport *report, const Layout *layout) {
    const PublishedTable *table = report->table;
    Arena *arena = report->book.arena;
    SheetCell *cells = sheet_row(&report->book, report->printed, false);
    report->printed->n_head_rows = 1;
    cells[0].text = "metric, shots";
    for (size_t c = 0; c < table->n_columns; c++) {
        const PublishedColumn *column = &table->columns[c];
        SheetCell *cell = &cells[layout->first_score + c];
        bool same = strcmp(column->metric, column->our_metric) == 0;
        const char *metric = *column->our_task && !same ? column->our_metric : column->metric;
        if (column->n_members > 0)
            metric = arena_printf(arena, "mean of %zu", column->n_members);
        cell->text =
            column->shots > 0 ? arena_printf(arena, "%s, %lld", metric, (long long)column->shots) : metric;
        if (*column->our_task && !same)
            sheet_mark(&report->book, report->printed, cell,
                       arena_printf(arena, "%s: the source says \"%s\"; taken as %s of lm-eval's %s",
                                    column->heading, column->metric, column->our_metric, column->our_task));
    }
}

static void mark_notes(PaperReport *report, const Layout *layout, const PublishedRow *row, SheetCell *cells) {
    size_t kv = 0;
    for (size_t i = 0; i < layout->n_leads; i++)
        kv = layout->leads[i] == LEAD_KV ? i : kv;
    for (size_t i = 0; i < row->n_notes; i++) {
        const PublishedNote *note = &row->notes[i];
        size_t at = note->column >= 0              ? layout->first_score + (size_t)note->column
                    : note->column == PUBLISHED_KV ? kv
                                                   : 0;
        sheet_mark(&report->book, report->printed, &cells[at],
                   note->is_slip ? arena_printf(report->book.arena, "Slip: %s", note->text) : note->text);
    }
    for (size_t c = 0; c < report->table->n_columns; c++)
        if (row->metrics[c] && strcmp(row->metrics[c], report->table->columns[c].our_metric) != 0)
            sheet_mark(&report->book, report->printed, &cells[layout->first_score + c],
                       arena_printf(report->book.arena, "this value is %s, not the column's %s",
                                    row->metrics[c], report->table->columns[c].our_metric));
}

static void check_means(PaperReport *report, const Layout *layout, const PublishedRow *row,
                        SheetCell *cells) {
    const PublishedTable *table = report->table;
    size_t at = layout->first_check;
    for (size_t c = 0; c < table->n_columns; c++) {
        double mean, tolerance, printed;
        int decimals, shown = table->columns[c].decimals;
        if (table->columns[c].n_members == 0)
            continue;
        SheetCell *cell = report->set ? NULL : &cells[at++];
        if (!published_mean(table, row, c, &mean, &tolerance))
            continue;
        if (cell)
            cell->text = fixed(mean, shown, report->book.arena);
        if (!published_number(row->values[c], &printed, &decimals))
            continue;
        report->n_means++;
        if (fabs(mean - printed) <= tolerance + 1e-9)
            report->n_means_agree++;
        else
            sheet_mark(&report->book, report->printed, cell ? cell : &cells[layout->first_score + c],
                       arena_printf(report->book.arena,
                                    "the mean of the %zu printed values is %.*f; %s is printed",
                                    table->columns[c].n_members, shown + 1, mean, row->values[c]));
    }
}

static void check_kv(PaperReport *report, const PublishedRow *row) {
    double computed = published_formula_kv(row), printed;
    int decimals;
    if (isnan(computed) || !published_kv(row, &printed, &decimals))
        return;
    report->n_kv++;
    report->n_kv_agree += kv_agrees(row, computed);
}

/* A row of ours goes with the printed one above it. */
static SheetCell *lead_row(PaperReport *report, const Layout *layout, const char *what, bool is_ours,
                           bool rule) {
    SheetCell *cells = is_ours ? sheet_row_below(&report->book, report->printed)
                               : sheet_row(&report->book, report->printed, rule);
    for (size_t i = 0; i < layout->n_leads; i++)
        if (layout->leads[i] == LEAD_WHAT)
            cells[i].text = what;
    return cells;
}

/* Ours, difference and verdict under a printed row; nothing if none of its cells was run. */
static void rows_of_ours(PaperReport *report, const Layout *layout, size_t r) {
    const PublishedTable *table = report->table;
    const PublishedRow *row = &table->rows[r];
    const PaperCell *ours = &report->cells[r * table->n_columns];
    const ReportRun *run = paper_run_of_row(row, report->set);
    Arena *arena = report->book.arena;
    bool any = false;
    for (size_t c = 0; c < table->n_columns; c++)
        any = any || ours[c].run;
    if (!any)
        return;
    /* Adding rows may move the cells, so each row is filled before the next is asked for. */
    SheetCell *values = lead_row(report, layout, "ours", true, false);
    double kv = loaded_kv(row, run);
    for (size_t i = 0; i < layout->n_leads; i++)
        if (layout->leads[i] == LEAD_KV && !isnan(kv))
            values[i].text = arena_printf(arena, "%.2f%%", kv);
    for (size_t c = 0; c < table->n_columns; c++) {
        SheetCell *cell = &values[layout->first_score + c];
        int decimals = table->columns[c].decimals;
        if (!ours[c].run && (table->columns[c].n_members == 0 || isnan(ours[c].ours)))
            continue;
        cell->text = isnan(ours[c].stderr_ours)
                         ? fixed(ours[c].ours, decimals, arena)
                         : arena_printf(arena, "%s ± %.*f", fixed(ours[c].ours, decimals, arena), decimals,
                                        1.959963984540054 * ours[c].stderr_ours);
        if (ours[c].run && ours[c].run->limit > 0)
            sheet_mark(&report->book, report->printed, cell,
                       arena_printf(arena, "run %lld scored only a part of the documents",
                                    (long long)ours[c].run->run_id));
    }
    SheetCell *differences = lead_row(report, layout, "difference", true, false);
    for (size_t c = 0; c < table->n_columns; c++)
        if (ours[c].verdict >= VERDICT_REPRODUCED)
            differences[layout->first_score + c].text =
                with_sign(ours[c].ours - ours[c].published, table->columns[c].decimals, arena);
    SheetCell *verdicts = lead_row(report, layout, "verdict", true, false);
    for (size_t c = 0; c < table->n_columns; c++) {
        static const char *const tones[N_VERDICTS] = {
            [VERDICT_REPRODUCED] = "good", [VERDICT_CLOSE] = "near", [VERDICT_DIFFERS] = "bad"};
        verdicts[layout->first_score + c].text = verdict_name(ours[c].verdict);
        verdicts[layout->first_score + c].tone = tones[ours[c].verdict];
    }
}

static void printed_rows(PaperReport *report, const Layout *layout) {
    const PublishedTable *table = report->table;
    metric_row(report, layout);
    for (size_t r = 0; r < table->n_rows; r++) {
        const PublishedRow *row = &table->rows[r];
        SheetCell *cells = lead_row(report, layout, "published", false, r == 0 || row->rule_before);
        for (size_t i = 0; i < layout->n_leads; i++)
            if (layout->leads[i] != LEAD_WHAT)
                cells[i].text = lead_text(row, layout->leads[i], report->book.arena);
        for (size_t c = 0; c < table->n_columns; c++)
            cells[layout->first_score + c].text = row->values[c];
        check_means(report, layout, row, cells);
        check_kv(report, row);
        mark_notes(report, layout, row, cells);
        if (report->set)
            rows_of_ours(report, layout, r);
    }
}

/* ---- the programs' sheet */

enum {
    R_PAPER,
    R_TABLE,
    R_MODEL,
    R_REPO,
    R_TASK,
    R_METRIC,
    R_SHOTS,
    R_PUBLISHED,
    R_RECOMPUTED,
    R_NOTES,
    N_PUBLISHED,
    R_OUR_TASK = N_PUBLISHED,
    R_OUR_METRIC,
    R_OURS,
    R_STDERR,
    R_DIFFERENCE,
    R_VERDICT,
    R_RUN,
    R_N,
    R_DTYPE,
    R_LIMITED,
    N_RECORD
};
static const SheetColumn record_columns[N_RECORD] = {
    {"paper", NULL, false},      {"table", NULL, false},    {"model", NULL, false},
    {"hf_repo", NULL, false},    {"task", NULL, false},     {"metric", NULL, false},
    {"num_fewshot", NULL, true}, {"published", NULL, true}, {"recomputed", NULL, true},
    {"notes", NULL, false},      {"our_task", NULL, false}, {"our_metric", NULL, false},
    {"ours", NULL, true},        {"stderr", NULL, true},    {"difference", NULL, true},
    {"verdict", NULL, false},    {"run_id", NULL, true},    {"n_documents", NULL, true},
    {"dtype", NULL, false},      {"limited", NULL, false}};

static const char *notes_on(const PublishedRow *row, int column, Arena *arena) {
    const char *out = "";
    for (size_t i = 0; i < row->n_notes; i++)
        if (row->notes[i].column == column || (row->notes[i].column == PUBLISHED_ROW && column >= 0))
            out = arena_printf(arena, "%s%s%s%s", out, *out ? "; " : "",
                               row->notes[i].is_slip ? "slip: " : "", row->notes[i].text);
    return out;
}

/* Values in per cent, with two digits more than papers print: enough to round again. */
static void put_number(SheetCell *cell, double value, Arena *arena) {
    *cell = (SheetCell){.text = isnan(value) ? "" : fixed(value, 4, arena), .is_number = true};
}

static SheetCell *new_record(PaperReport *report, const PublishedRow *row, const char *published) {
    double number;
    int decimals;
    SheetCell *cells = sheet_row(&report->book, report->records, false);
    cells[R_PAPER].text = report->table->paper_key;
    cells[R_TABLE].text = report->table->key;
    cells[R_MODEL].text = row->model;
    cells[R_REPO].text = row->repo;
    cells[R_PUBLISHED] = (SheetCell){
        .text = published, .is_number = !*published || published_number(published, &number, &decimals)};
    cells[R_RECOMPUTED].is_number = cells[R_SHOTS].is_number = true;
    return cells;
}

static void record_ours(SheetCell *cells, const PaperCell *ours, Arena *arena) {
    bool compared = ours->verdict >= VERDICT_REPRODUCED;
    put_number(&cells[R_OURS], ours->ours, arena);
    put_number(&cells[R_STDERR], ours->stderr_ours, arena);
    put_number(&cells[R_DIFFERENCE], compared ? ours->ours - ours->published : NAN, arena);
    cells[R_VERDICT].text = verdict_name(ours->verdict);
    cells[R_RUN].is_number = cells[R_N].is_number = true;
    if (ours->n > 0 && !isnan(ours->ours))
        cells[R_N].text = arena_printf(arena, "%lld", (long long)ours->n);
    if (!ours->run)
        return;
    cells[R_RUN].text = arena_printf(arena, "%lld", (long long)ours->run->run_id);
    cells[R_DTYPE].text = ours->run->dtype;
    cells[R_LIMITED].text = ours->run->limit > 0 ? "yes" : "no";
}

static void record_cell(PaperReport *report, size_t r, size_t c) {
    const PublishedTable *table = report->table;
    const PublishedRow *row = &table->rows[r];
    const PublishedColumn *column = &table->columns[c];
    Arena *arena = report->book.arena;
    double mean, tolerance;
    SheetCell *cells = new_record(report, row, row->values[c]);
    cells[R_TASK].text = column->task;
    cells[R_METRIC].text = row->metrics[c] ? row->metrics[c] : column->metric;
    if (column->shots >= 0)
        cells[R_SHOTS].text = arena_printf(arena, "%lld", (long long)column->shots);
    if (published_mean(table, row, c, &mean, &tolerance))
        put_number(&cells[R_RECOMPUTED], mean, arena);
    cells[R_NOTES].text = notes_on(row, (int)c, arena);
    if (!report->set)
        return;
    cells[R_OUR_TASK].text = column->our_task;
    cells[R_OUR_METRIC].text = published_our_metric(table, row, c);
    record_ours(cells, &report->cells[r * table->n_columns + c], arena);
}

/* KV-cache size as one more cell. */
static void record_kv(PaperReport *report, const PublishedRow *row) {
    if (!*row->kv)
        return;
    Arena *arena = report->book.arena;
    char *printed = arena_strndup(arena, row->kv, strcspn(row->kv, "%"));
    SheetCell *cells = new_record(report, row, printed);
    cells[R_TASK].text = "kv_cache";
    cells[R_METRIC].text = "% of the base model's";
    put_number(&cells[R_RECOMPUTED], published_formula_kv(row), arena);
    cells[R_NOTES].text = notes_on(row, PUBLISHED_KV, arena);
    if (!report->set)
        return;
    const ReportRun *run = paper_run_of_row(row, report->set);
    double loaded = loaded_kv(row, run);
    PaperCell ours = {.run = isnan(loaded) ? NULL : run, .ours = loaded, .stderr_ours = NAN};
    ours.verdict = isnan(loaded)            ? VERDICT_NOT_RUN
                   : kv_agrees(row, loaded) ? VERDICT_REPRODUCED
                                            : VERDICT_DIFFERS;
    int decimals;
    if (!published_kv(row, &ours.published, &decimals))
        ours.verdict = VERDICT_NONE;
    record_ours(cells, &ours, arena);
}

static void records(PaperReport *report) {
    const PublishedTable *table = report->table;
    for (size_t r = 0; r < table->n_rows; r++) {
        for (size_t c = 0; c < table->n_columns; c++)
            if (*table->rows[r].values[c])
                record_cell(report, r, c);
        record_kv(report, &table->rows[r]);
    }
}

/* ---- the sentences above */

static void describe_source(PaperReport *report) {
    const PublishedTable *table = report->table;
    const char *last = NULL;
    sheet_line(&report->book, "Version: %s.", table->version);
    for (size_t r = 0; r < table->n_rows; r++)
        if (!text_equal(table->rows[r].source, last)) {
            last = table->rows[r].source;
            sheet_line(&report->book, "Source: %s.", last);
        }
    for (size_t i = 0; i < table->n_about; i++)
        sheet_line(&report->book, "Note: %s.", table->about[i]);
}

static void describe_checks(PaperReport *report) {
    if (report->n_means)
        sheet_line(&report->book, "Means recomputed from the printed values: %zu of %zu agree.",
                   report->n_means_agree, report->n_means);
    if (report->n_kv)
        sheet_line(&report->book, "KV-cache sizes computed by formula: %zu of %zu agree.", report->n_kv_agree,
                   report->n_kv);
}

/* Numbers in one table should have been made in one way. */
static void warn_of_mixture(PaperReport *report) {
    const ReportRun *first = NULL;
    const size_t n = report->table->n_rows * report->table->n_columns;
    bool dtype = false, compat = false;
    for (size_t i = 0; i < n; i++) {
        const ReportRun *run = report->cells[i].run;
        first = first ? first : run;
        dtype = dtype || (run && strcmp(run->dtype, first->dtype) != 0);
        compat = compat || (run && strcmp(run->compat, first->compat) != 0);
    }
    if (dtype || compat)
        sheet_line(&report->book, "Warning: ours are of runs that differ in %s.",
                   dtype && compat ? "data type and lm-eval profile"
                   : dtype         ? "data type"
                                   : "lm-eval profile");
}

static void describe_ours(PaperReport *report) {
    for (size_t i = 0; i < report->table->n_rows * report->table->n_columns; i++)
        report->counts[report->cells[i].verdict]++;
    sheet_line(
        &report->book,
        "Cells: %zu reproduced (inside the 95 %% interval of our standard error plus the print's precision), "
        "%zu close (within %.0f points, by which the papers differ among themselves), %zu differ, "
        "%zu not run, %zu have no metric of ours.",
        report->counts[VERDICT_REPRODUCED], report->counts[VERDICT_CLOSE], PAPER_CLOSE,
        report->counts[VERDICT_DIFFERS], report->counts[VERDICT_NOT_RUN], report->counts[VERDICT_NO_METRIC]);
    report->book.lead = report->book.lines[report->book.n_lines - 1];
    warn_of_mixture(report);
}

static void add_figure(PaperReport *report) {
    Buffer figure = {0};
    html_paper_plot(report->table, report->cells, report->book.arena, &figure);
    report->book.figure = arena_strdup(report->book.arena, figure.data ? figure.data : "");
    report->book.lead =
        report->set ? "Ours beside what was printed, cell by cell." : "As printed, checked against itself.";
    buffer_free(&figure);
}

static void make(PaperReport *report, SheetFormat format, Buffer *out) {
    const PublishedTable *table = report->table;
    Arena *arena = report->book.arena;
    report->book.title = arena_printf(arena, "%s, %s", table->paper, table->title);
    if (report->set)
        report->cells = paper_cells(table, report->set, arena);
    Layout layout = lay_out(report);
    report->printed =
        sheet_add(&report->book, SHEET_FOR_READERS, "printed", NULL, layout.columns, layout.n_columns);
    report->records = sheet_add(&report->book, SHEET_FOR_PROGRAMS, "cells", NULL, record_columns,
                                report->set ? (size_t)N_RECORD : (size_t)N_PUBLISHED);
    describe_source(report);
    printed_rows(report, &layout);
    records(report);
    describe_checks(report);
    if (report->set)
        describe_ours(report);
    if (format == SHEET_HTML)
        add_figure(report);
    sheet_write(&report->book, format, out);
}

typedef struct Request {
    const PublishedTable *table;
    SheetFormat format;
} Request;

static int write_ours(Db *db, const ReportSet *set, void *context, Arena *arena, Buffer *out, Error *error) {
    (void)db;
    (void)error;
    const Request *request = context;
    PaperReport report = {.table = request->table, .set = set, .book = {.arena = arena}};
    make(&report, request->format, out);
    return 0;
}

int report_paper(Db *db, const char *paper, const char *table, const char *format, Buffer *out,
                 Error *error) {
    Arena arena = {0};
    Published published;
    Request request;
    int result = sheet_format_find(format, &request.format, error) ||
                         published_load(&published, &arena, error) ||
                         published_find(&published, paper, table, &request.table, error)
                     ? -1
                     : 0;
    if (result == 0 && db) {
        const ReportOptions options = {0};
        result = report_make(db, &options, write_ours, &request, out, error);
    } else if (result == 0) {
        PaperReport report = {.table = request.table, .book = {.arena = &arena}};
        make(&report, request.format, out);
    }
    arena_free(&arena);
    return result;
}
