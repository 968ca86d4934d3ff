#include <math.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/text.h"
#include "reports/paper.h"

const char *verdict_name(Verdict verdict) {
    static const char *const names[N_VERDICTS] = {
        "", "no metric of ours", "not run", "reproduced", "close", "differs"};
    return names[verdict];
}

Verdict paper_verdict(double published, int decimals, double ours, double stderr_ours) {
    if (isnan(ours))
        return VERDICT_DIFFERS;
    double half_width = isnan(stderr_ours) ? 0 : 1.959963984540054 * stderr_ours;
    double difference = fabs(ours - published);
    /* The last term lets 0.005 pass as half a unit although no double is exactly that. */
    if (difference <= half_width + 0.5 * pow(10, -decimals) + 1e-9)
        return VERDICT_REPRODUCED;
    return difference <= PAPER_CLOSE ? VERDICT_CLOSE : VERDICT_DIFFERS;
}

bool paper_is_model(const ReportRun *run, const PublishedRow *row) {
    return *row->repo && (strcasecmp(run->model, row->repo) == 0 ||
                          strcasecmp(path_name(run->model), path_name(row->repo)) == 0);
}

const ReportRun *paper_run_of_row(const PublishedRow *row, const ReportSet *set) {
    for (size_t i = set->n_runs; i-- > 0;)
        if (paper_is_model(&set->runs[i], row))
            return &set->runs[i];
    return NULL;
}

static const ReportMetric *find_metric(const ReportRun *run, const PublishedColumn *column,
                                       const char *metric) {
    const ReportEntry *entry = report_find(run, column->our_task, true);
    if (!entry || entry->n_metrics == 0)
        entry = report_find(run, column->our_task, false);
    if (!entry || (column->shots >= 0 && report_num_fewshot(run, entry) != column->shots))
        return NULL;
    for (size_t i = 0; i < entry->n_metrics; i++)
        if (text_equal(entry->metrics[i].metric, metric))
            return &entry->metrics[i];
    return NULL;
}

/* Newest first; runs over a part of the documents only where there is no other. */
static const ReportMetric *find_ours(const PublishedTable *table, const PublishedRow *row, size_t c,
                                     const ReportSet *set, const ReportRun **run) {
    const char *metric = published_our_metric(table, row, c);
    for (int limited = 0; limited < 2; limited++)
        for (size_t i = set->n_runs; i-- > 0;) {
            *run = &set->runs[i];
            if (((*run)->limit > 0) != limited || !paper_is_model(*run, row))
                continue;
            const ReportMetric *found = find_metric(*run, &table->columns[c], metric);
            if (found)
                return found;
        }
    *run = NULL;
    return NULL;
}

static PaperCell score_cell(const PublishedTable *table, const PublishedRow *row, size_t c,
                            const ReportSet *set) {
    PaperCell cell = {.ours = NAN, .stderr_ours = NAN, .published = NAN};
    int decimals;
    bool printed = published_number(row->values[c], &cell.published, &decimals);
    if (!*table->columns[c].our_task) {
        cell.verdict = *row->values[c] ? VERDICT_NO_METRIC : VERDICT_NONE;
        return cell;
    }
    const ReportMetric *ours = find_ours(table, row, c, set, &cell.run);
    if (!ours) {
        cell.verdict = printed ? VERDICT_NOT_RUN : VERDICT_NONE;
        return cell;
    }
    cell.ours = 100 * ours->value;
    cell.stderr_ours = 100 * ours->stderr_value;
    cell.n = ours->n;
    if (printed)
        cell.verdict = paper_verdict(cell.published, table->columns[c].decimals, cell.ours, cell.stderr_ours);
    return cell;
}

/* Tasks are of different documents, so their errors add as squares. */
static PaperCell mean_cell(const PublishedTable *table, const PublishedRow *row, size_t c,
                           const PaperCell *cells) {
    const PublishedColumn *column = &table->columns[c];
    PaperCell mean = {.ours = 0, .stderr_ours = 0, .published = NAN};
    int decimals;
    bool printed = published_number(row->values[c], &mean.published, &decimals);
    for (size_t i = 0; i < column->n_members; i++) {
        const PaperCell *member = &cells[column->members[i]];
        mean.ours += member->ours / (double)column->n_members;
        mean.stderr_ours += member->stderr_ours * member->stderr_ours;
        mean.n += member->n;
    }
    mean.stderr_ours = sqrt(mean.stderr_ours) / (double)column->n_members;
    if (!printed)
        mean.verdict = VERDICT_NONE;
    else if (isnan(mean.ours))
        mean.verdict = VERDICT_NOT_RUN;
    else
        mean.verdict = paper_verdict(mean.published, column->decimals, mean.ours, mean.stderr_ours);
    return mean;
}

PaperCell *paper_cells(const PublishedTable *table, const ReportSet *set, Arena *arena) {
    size_t n_columns = table->n_columns;
    PaperCell *cells = arena_alloc(arena, table->n_rows * n_columns * sizeof *cells);
    for (size_t r = 0; r < table->n_rows; r++)
        for (int means = 0; means < 2; means++)
            for (size_t c = 0; c < n_columns; c++) {
                const PublishedRow *row = &table->rows[r];
                if ((table->columns[c].n_members > 0) == means)
                    cells[r * n_columns + c] = means ? mean_cell(table, row, c, &cells[r * n_columns])
                                                     : score_cell(table, row, c, set);
            }
    return cells;
}
