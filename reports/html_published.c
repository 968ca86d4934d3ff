/* Ours beside what papers printed: over all tables for the models of a page, and one table as a plot. */
#include <math.h>
#include <string.h>

#include "reports/array.h"
#include "reports/html.h"

#define HALF_95 1.959963984540054

/* A printed number that a run of ours has too. */
typedef struct Pair {
    const PublishedTable *table;
    const PublishedRow *row;
    const PublishedColumn *column;
    const char *metric;
    const PaperCell *cell;
} Pair;

static const char *verdict_class(Verdict verdict) {
    return verdict == VERDICT_REPRODUCED ? "good" : verdict == VERDICT_CLOSE ? "near" : "bad";
}

static Pair *collect(const Published *published, const ReportSet *set, Arena *arena, size_t *n) {
    Pair *pairs = NULL;
    *n = 0;
    for (size_t t = 0; t < published->n_tables; t++) {
        const PublishedTable *table = &published->tables[t];
        const PaperCell *cells = paper_cells(table, set, arena);
        for (size_t i = 0; i < table->n_rows * table->n_columns; i++) {
            if (!cells[i].run || cells[i].verdict < VERDICT_REPRODUCED)
                continue;
            const PublishedRow *row = &table->rows[i / table->n_columns];
            pairs = array_grown(arena, pairs, *n, sizeof *pairs);
            pairs[(*n)++] = (Pair){table, row, &table->columns[i % table->n_columns],
                                   published_our_metric(table, row, i % table->n_columns), &cells[i]};
        }
    }
    return pairs;
}

static void scatter(const Pair *pairs, size_t n, Arena *arena, Buffer *out) {
    PlotPoint *points = arena_alloc(arena, n * sizeof *points);
    for (size_t i = 0; i < n; i++) {
        const PaperCell *cell = pairs[i].cell;
        points[i] =
            (PlotPoint){.x = cell->published,
                        .y = cell->ours,
                        .low = cell->ours - HALF_95 * cell->stderr_ours,
                        .high = cell->ours + HALF_95 * cell->stderr_ours,
                        .class_name = verdict_class(cell->verdict),
                        .label = arena_printf(arena, "%s, %s: %s printed, %.2f ours", pairs[i].row->model,
                                              pairs[i].column->our_task,
                                              pairs[i].row->values[pairs[i].column - pairs[i].table->columns],
                                              cell->ours)};
    }
    const Plot plot = {.id = "published",
                       .caption =
                           "<b>Ours against printed.</b> Lines are 95 % intervals; on the diagonal both "
                           "are equal.<br><span class=\"dot good\" style=\"margin-left:0\"></span>"
                           "reproduced<span class=\"dot near\"></span>close"
                           "<span class=\"dot bad\"></span>differs",
                       .x_name = "Printed, %",
                       .y_name = "Ours, %",
                       .points = points,
                       .n = n,
                       .square = true};
    html_points(&plot, out);
}

static void pair_row(const Pair *pair, Arena *arena, Buffer *out) {
    const PaperCell *cell = pair->cell;
    int decimals = pair->column->decimals;
    const char *const texts[] = {pair->table->paper, pair->table->key, pair->row->model,
                                 pair->column->our_task, pair->metric};
    buffer_append_text(out, "<tr>");
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        buffer_append_text(out, "<td>");
        html_text(out, texts[i]);
        buffer_append_text(out, "</td>");
    }
    buffer_append_text(out, "<td class=\"n\">");
    if (pair->column->shots >= 0)
        buffer_printf(out, "%lld", (long long)pair->column->shots);
    buffer_append_text(out, "</td><td class=\"n\">");
    html_text(out, pair->row->values[pair->column - pair->table->columns]);
    buffer_printf(out, "</td><td class=\"n\">%s",
                  isnan(cell->ours) ? "NaN" : arena_printf(arena, "%.*f", decimals, cell->ours));
    if (!isnan(cell->stderr_ours))
        buffer_printf(out, " <span class=\"snippet\">± %.*f</span>", decimals, HALF_95 * cell->stderr_ours);
    buffer_printf(out, "</td><td class=\"n\">%lld%s</td>", (long long)cell->n,
                  cell->run->limit > 0 ? " (part)" : "");
    buffer_printf(out, "<td class=\"%s\">%s</td><td class=\"n\">%lld</td></tr>\n",
                  verdict_class(cell->verdict), verdict_name(cell->verdict), (long long)cell->run->run_id);
}

int html_against_published(const ReportSet *set, Arena *arena, Buffer *out, bool *any, Error *error) {
    static const struct {
        const char *text;
        bool is_number;
    } headings[] = {{"Paper", false},    {"Table", false},   {"Row", false},    {"Task", false},
                    {"Metric", false},   {"Shots", true},    {"Printed", true}, {"Ours", true},
                    {"Documents", true}, {"Verdict", false}, {"Run", true}};
    Published published;
    size_t n;
    if (published_load(&published, arena, error) != 0)
        return -1;
    const Pair *pairs = collect(&published, set, arena, &n);
    *any = n > 0;
    if (n == 0)
        return 0;
    buffer_append_text(out, "<section id=\"published\"><h2>Against published numbers</h2>\n");
    scatter(pairs, n, arena, out);
    html_table_begin(out, "Against published numbers", true);
    for (size_t i = 0; i < sizeof headings / sizeof *headings; i++)
        html_heading(out, headings[i].text, headings[i].is_number);
    buffer_append_text(out, "</tr></thead><tbody>\n");
    for (size_t i = 0; i < n; i++)
        pair_row(&pairs[i], arena, out);
    html_table_end(out);
    buffer_append_text(out, "</section>\n");
    return 0;
}

/* The last column of means, which is the one over the most tasks; SIZE_MAX if the table has none. */
static size_t mean_column(const PublishedTable *table) {
    size_t found = SIZE_MAX;
    for (size_t c = 0; c < table->n_columns; c++)
        if (table->columns[c].n_members > 0 &&
            (found == SIZE_MAX || table->columns[c].n_members >= table->columns[found].n_members))
            found = c;
    return found;
}

static double row_kv(const PublishedRow *row) {
    double printed;
    int decimals;
    return published_kv(row, &printed, &decimals) ? printed : published_formula_kv(row);
}

void html_paper_plot(const PublishedTable *table, const PaperCell *cells, Arena *arena, Buffer *out) {
    size_t c = mean_column(table), n = 0, group = 0;
    if (c == SIZE_MAX)
        return;
    PlotPoint *points = arena_alloc(arena, 2 * table->n_rows * sizeof *points);
    for (size_t r = 0; r < table->n_rows; r++) {
        const PublishedRow *row = &table->rows[r];
        double kv = row_kv(row), mean;
        int decimals;
        group += r > 0 && row->rule_before;
        const char *class_name = arena_printf(arena, "g%zu", group % 6);
        if (isnan(kv) || !published_number(row->values[c], &mean, &decimals))
            continue;
        points[n++] =
            (PlotPoint){.x = kv,
                        .y = mean,
                        .low = NAN,
                        .high = NAN,
                        .class_name = class_name,
                        .hollow = true,
                        .label = arena_printf(arena, "%s: %.4g %%, %s", row->model, kv, row->values[c])};
        const PaperCell *ours = cells ? &cells[r * table->n_columns + c] : NULL;
        if (ours && !isnan(ours->ours) && ours->verdict >= VERDICT_REPRODUCED)
            points[n++] = (PlotPoint){
                .x = kv,
                .y = ours->ours,
                .low = ours->ours - HALF_95 * ours->stderr_ours,
                .high = ours->ours + HALF_95 * ours->stderr_ours,
                .class_name = class_name,
                .label = arena_printf(arena, "%s, ours: %.4g %%, %.2f", row->model, kv, ours->ours)};
    }
    const Plot plot = {.id = "cache",
                       .caption =
                           arena_printf(arena,
                                        "<b>Mean of %zu tasks against KV-cache size.</b> Hollow: as "
                                        "printed; filled: ours, with 95 %% intervals. Colours follow the "
                                        "table's parts.",
                                        table->columns[c].n_members),
                       .x_name = "KV cache, % of the base model's",
                       .y_name = "Mean, %",
                       .points = points,
                       .n = n,
                       .from_zero = true,
                       .numbered = true};
    html_points(&plot, out);
}
