/* Which models and tasks a printed table stands for, and what running them would take. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "reports/published.h"
#include "reports/reports.h"
#include "reports/sheet.h"

/* "1.27B" as 1.27e9; NAN for what is no such number. */
static double parse_parameters(const char *text) {
    static const struct {
        char unit;
        double factor;
    } units[] = {{'K', 1e3}, {'M', 1e6}, {'B', 1e9}, {'T', 1e12}};
    char *end;
    double number = strtod(text, &end);
    if (end == text || number <= 0)
        return NAN;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (toupper((unsigned char)*end) == units[i].unit)
            return number * units[i].factor;
    return NAN;
}

static bool has_column(const Reproduction *of, const PublishedColumn *column) {
    for (size_t i = 0; i < of->n_columns; i++)
        if (strcmp(of->columns[i].task, column->our_task) == 0 && of->columns[i].shots == column->shots)
            return true;
    return false;
}

static void take_columns(const PublishedTable *table, Arena *arena, Reproduction *out) {
    out->columns = arena_alloc(arena, table->n_columns * sizeof *out->columns);
    for (size_t c = 0; c < table->n_columns; c++) {
        const PublishedColumn *column = &table->columns[c];
        if (column->n_members == 0 && *column->our_task && !has_column(out, column))
            out->columns[out->n_columns++] =
                (ReproductionColumn){column->heading, column->our_task, column->shots};
    }
}

static bool is_wanted(const PublishedRow *row, const char *const *rows, size_t n_rows, Arena *arena) {
    bool wanted = n_rows == 0;
    for (size_t i = 0; i < n_rows && !wanted; i++)
        wanted =
            published_matches(rows[i], row->model, arena) || published_matches(rows[i], row->repo, arena);
    return wanted;
}

static int check_row_names(const PublishedTable *table, const char *const *rows, size_t n_rows, Arena *arena,
                           Error *error) {
    for (size_t i = 0; i < n_rows; i++) {
        bool found = false;
        for (size_t r = 0; r < table->n_rows; r++)
            found = found || is_wanted(&table->rows[r], &rows[i], 1, arena);
        if (!found)
            return error_set_kind(
                error, ERROR_USAGE,
                "--rows: no row of %s, %s has \"%s\" in its name; `zeval published --paper %s "
                "--table %s` lists them",
                table->paper, table->title, rows[i], table->paper_key, table->key);
    }
    return 0;
}

int report_reproduction(const char *paper, const char *table_name, const char *const *rows, size_t n_rows,
                        Arena *arena, Reproduction *out, Error *error) {
    Published published;
    const PublishedTable *table;
    if (published_load(&published, arena, error) != 0 ||
        published_find(&published, paper, table_name, &table, error) != 0 ||
        check_row_names(table, rows, n_rows, arena, error) != 0)
        return -1;
    *out = (Reproduction){.paper = table->paper,
                          .title = table->title,
                          .compat = table->compat,
                          .dtype = table->dtype,
                          .max_length = table->max_length};
    take_columns(table, arena, out);
    if (out->n_columns == 0)
        return error_set(
            error,
            "%s, %s has no column that stands for a task and metric of lm-eval: nothing in it can be run",
            table->paper, table->title);
    out->rows = arena_alloc(arena, table->n_rows * sizeof *out->rows);
    for (size_t r = 0; r < table->n_rows; r++)
        if (is_wanted(&table->rows[r], rows, n_rows, arena))
            out->rows[out->n_rows++] = (ReproductionRow){table->rows[r].model, table->rows[r].repo,
                                                         parse_parameters(table->rows[r].params)};
    return 0;
}

/* ---- what it would take */

enum { C_ROW, C_MODEL, C_STATE, C_PULL, C_REQUESTS, C_REUSED, C_TOKENS, C_HOURS, C_PROBLEM, N_COSTS };
static const SheetColumn cost_columns[N_COSTS] = {{"Row", "row", false},
                                                  {"Checkpoint", "model", false},
                                                  {"Here", "here", false},
                                                  {"To pull, GB", "pull_gb", true},
                                                  {"Requests", "requests", true},
                                                  {"Answered", "answered", true},
                                                  {"Tokens", "tokens", true},
                                                  {"Hours", "hours", true},
                                                  {"What is in the way", "problem", false}};

static SheetCell count(int64_t value, Arena *arena) {
    return (SheetCell){.text = value < 0 ? "" : arena_printf(arena, "%lld", (long long)value),
                       .is_number = true};
}

static SheetCell real(double value, Arena *arena) {
    return (SheetCell){.text = isnan(value) || value < 0 ? "" : arena_printf(arena, "%.3g", value),
                       .is_number = true};
}

static void cost_row(SheetBook *book, Sheet *sheet, const ReproductionCost *cost) {
    SheetCell *cells = sheet_row(book, sheet, false);
    cells[C_ROW].text = cost->row->name;
    cells[C_MODEL].text = cost->row->model;
    cells[C_STATE].text = cost->is_here ? "yes" : "no";
    cells[C_PULL] = real(cost->gigabytes, book->arena);
    cells[C_REQUESTS] = count(cost->n_requests, book->arena);
    cells[C_REUSED] = count(cost->n_reused, book->arena);
    cells[C_TOKENS] = count(cost->n_tokens, book->arena);
    cells[C_HOURS] = real(cost->hours, book->arena);
    cells[C_PROBLEM].text = cost->problem ? cost->problem : "";
    if (cost->is_estimate && !cost->problem)
        sheet_mark(
            book, sheet, &cells[C_HOURS],
            "a guess from the length of the texts, the printed number of parameters and what this machine's "
            "arithmetic can do at best; pulled, the model tells more");
}

static void say_total(SheetBook *book, const ReproductionCost *costs, size_t n) {
    ReproductionCost all = {0};
    size_t n_possible = 0;
    for (size_t i = 0; i < n; i++) {
        if (costs[i].problem)
            continue;
        n_possible++;
        all.gigabytes += costs[i].gigabytes > 0 ? costs[i].gigabytes : 0;
        all.n_tokens += costs[i].n_tokens > 0 ? costs[i].n_tokens : 0;
        all.hours += costs[i].hours > 0 ? costs[i].hours : 0;
    }
    sheet_line(
        book,
        "%zu of %zu rows can be run: about %.3g GB to pull, %.3g million tokens to compute, %.3g hours.",
        n_possible, n, all.gigabytes, (double)all.n_tokens / 1e6, all.hours);
}

int report_reproduction_costs(const Reproduction *reproduction, const ReproductionCost *costs, size_t n,
                              const char *format_name, Arena *arena, Buffer *out, Error *error) {
    SheetFormat format;
    if (sheet_format_find(format_name, &format, error) != 0)
        return -1;
    SheetBook book = {
        .arena = arena,
        .title = arena_printf(arena, "What %s, %s would take", reproduction->paper, reproduction->title)};
    say_total(&book, costs, n);
    Sheet *sheet = sheet_add(&book, SHEET_FOR_ALL, "rows", NULL, cost_columns, N_COSTS);
    for (size_t i = 0; i < n; i++)
        cost_row(&book, sheet, &costs[i]);
    sheet_write(&book, format, out);
    return 0;
}
