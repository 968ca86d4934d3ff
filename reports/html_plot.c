/* Bars, drawn as one small SVG per row: lengths in percent follow the page's width, so that nothing shrinks
 * to unreadable on a narrow screen. */
#include <math.h>

#include "base/text.h"
#include "reports/html.h"

static bool is_share(const ReportMetric *metric) {
    return metric->value >= 0 && metric->value <= 1 && metric->higher_is_better;
}

/* Of a task with acc and acc_norm, both: a bar each. */
enum { MAX_BARS = 2 };
static size_t pick_metrics(const ReportEntry *entry, const ReportMetric *out[MAX_BARS]) {
    size_t n = 0;
    for (size_t m = 0; m < entry->n_metrics && n < MAX_BARS; m++)
        if (is_share(&entry->metrics[m]))
            out[n++] = &entry->metrics[m];
    return n;
}

static void line(Buffer *out, const char *class_name, double x1, double y1, double x2, double y2) {
    buffer_printf(out, "<line class=\"%s\" x1=\"%.3f%%\" y1=\"%g\" x2=\"%.3f%%\" y2=\"%g\"/>", class_name,
                  100 * x1, y1, 100 * x2, y2);
}

static void whisker(Buffer *out, const ReportMetric *metric, double y) {
    if (isnan(metric->stderr_value) || metric->stderr_value <= 0)
        return;
    double half = 1.959963984540054 * metric->stderr_value;
    double low = fmax(0, metric->value - half), high = fmin(1, metric->value + half);
    line(out, "whisker", low, y, high, y);
    line(out, "whisker", low, y - 3, low, y + 3);
    line(out, "whisker", high, y - 3, high, y + 3);
}

static void bar_label(Buffer *out, const ReportMetric *metric) {
    html_text(out, metric->metric);
    buffer_printf(out, " %.4f", metric->value);
    if (!isnan(metric->stderr_value))
        buffer_printf(out, " plus or minus %.4f", metric->stderr_value);
}

static void bars(const ReportEntry *entry, const ReportMetric *const metrics[], size_t n, Buffer *out) {
    buffer_append_text(out, "<svg role=\"img\" aria-label=\"");
    for (size_t m = 0; m < n; m++) {
        buffer_append_text(out, m ? ", " : "");
        bar_label(out, metrics[m]);
    }
    buffer_append_text(out, "\">");
    for (int tick = 0; tick <= 4; tick++)
        line(out, "grid", tick / 4.0, -3, tick / 4.0, 21);
    double height = n == 1 ? 12 : 8, top = n == 1 ? 3 : 0.5;
    for (size_t m = 0; m < n; m++) {
        double y = top + (double)m * (height + 1);
        buffer_printf(out, "<rect class=\"%s\" x=\"0\" y=\"%g\" width=\"%.3f%%\" height=\"%g\" rx=\"1.5\"/>",
                      m ? "norm" : "fill", y, 100 * metrics[m]->value, height);
        whisker(out, metrics[m], y + height / 2);
    }
    if (!isnan(entry->chance))
        line(out, "chance", entry->chance, -2, entry->chance, 20);
    buffer_append_text(out, "</svg>");
}

static void plot_row(const ReportRow *row, Buffer *out) {
    const ReportEntry *entry = row->entry;
    const ReportMetric *metrics[MAX_BARS];
    size_t n = pick_metrics(entry, metrics);
    if (n == 0)
        return;
    buffer_printf(out, "<div class=\"bar%s\"><div class=\"name\" style=\"padding-left:%.1frem\">",
                  entry->is_group ? " group" : "", 0.8 * row->depth);
    html_text(out, *entry->alias ? entry->alias : entry->name);
    buffer_append_text(out, "</div>");
    bars(entry, metrics, n, out);
    buffer_printf(out, "<div class=\"value\">%.4f", metrics[0]->value);
    if (!isnan(metrics[0]->stderr_value))
        buffer_printf(out, " <span>± %.4f</span>", metrics[0]->stderr_value);
    buffer_append_text(out, "</div></div>\n");
}

static void axis(Buffer *out) {
    static const char *const anchors[] = {"start", "middle", "middle", "middle", "end"};
    buffer_append_text(out, "<div class=\"bar axis\"><div class=\"name\"></div><svg aria-hidden=\"true\">");
    for (int tick = 0; tick <= 4; tick++)
        buffer_printf(out, "<text class=\"tick\" x=\"%d%%\" y=\"12\" text-anchor=\"%s\">%g</text>", 25 * tick,
                      anchors[tick], tick / 4.0);
    buffer_append_text(out, "</svg><div class=\"value\"></div></div>");
}

/* Subjects stand under their groups. */
static bool is_shown(const ReportRun *run, const ReportRow *row, bool members) {
    bool is_folded = report_is_folded(run, row);
    return members ? is_folded || (row->entry->is_group && row->entry->n_children > 0) : !is_folded;
}

/* What the caption has to explain. */
typedef struct Legend {
    size_t n_rows;
    const char *first, *second; /* metrics' names */
    bool chance;
} Legend;

static Legend read_legend(const ReportRun *run, bool members) {
    Legend legend = {0};
    for (size_t i = 0; i < run->n_rows; i++) {
        const ReportMetric *metrics[MAX_BARS];
        const ReportRow *row = &run->rows[i];
        size_t n = is_shown(run, row, members) ? pick_metrics(row->entry, metrics) : 0;
        if (n == 0)
            continue;
        legend.n_rows++;
        if (!legend.first)
            legend.first = metrics[0]->metric;
        if (n > 1 && !legend.second)
            legend.second = metrics[1]->metric;
        legend.chance = legend.chance || !isnan(row->entry->chance);
    }
    return legend;
}

void html_plot(const ReportRun *run, bool members, Buffer *out) {
    Legend legend = read_legend(run, members);
    if (legend.n_rows == 0)
        return;
    buffer_append_text(out, "<figure><figcaption><span class=\"key\" style=\"margin-left:0\"></span>");
    html_text(out, legend.first);
    if (legend.second) {
        buffer_append_text(out, "<span class=\"key norm\"></span>");
        html_text(out, legend.second);
    }
    if (legend.chance)
        buffer_append_text(out, "<span class=\"key chance\"></span>guessing");
    buffer_append_text(out, " &nbsp; whiskers: 95 % intervals</figcaption>\n");
    for (size_t i = 0; i < run->n_rows; i++)
        if (is_shown(run, &run->rows[i], members))
            plot_row(&run->rows[i], out);
    axis(out);
    buffer_append_text(out, "</figure>\n");
}
