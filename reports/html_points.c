/* Points in a plane. Places across are in per cent of the drawing's width and letters keep their size, so
 * that a plot stays readable on a narrow screen; places up and down are in pixels. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reports/html.h"

enum { HEIGHT = 300, NOMINAL_WIDTH = 860, MAX_TICKS = 12 };

typedef struct Axis {
    double low, high, step;
} Axis;

static bool is_drawn(const PlotPoint *point) {
    return isfinite(point->x) && isfinite(point->y);
}

/* Whole multiples of 1, 2 or 5 times a power of ten around [low, high], about `ticks` of them. */
static Axis make_axis(double low, double high, int ticks) {
    if (high - low < 1e-9 * fmax(1, fabs(high))) {
        double around = fmax(1e-3, fabs(high) * 0.1);
        low -= around;
        high += around;
    }
    double rough = (high - low) / ticks, power = pow(10, floor(log10(rough))), part = rough / power;
    Axis axis = {.step = power * (part > 5 ? 10 : part > 2 ? 5 : part > 1 ? 2 : 1)};
    axis.low = floor(low / axis.step + 1e-9) * axis.step;
    axis.high = ceil(high / axis.step - 1e-9) * axis.step;
    return axis;
}

static double share(const Axis *axis, double value) {
    return (value - axis->low) / (axis->high - axis->low);
}

static double across(const Axis *axis, double value) {
    return 100 * share(axis, value);
}

static double down(const Axis *axis, double value) {
    return HEIGHT * (1 - share(axis, value));
}

static void range_of(const Plot *plot, bool x, double *low, double *high) {
    for (size_t i = 0; i < plot->n; i++) {
        const PlotPoint *point = &plot->points[i];
        if (!is_drawn(point))
            continue;
        double value = x ? point->x : point->y;
        bool line = !x && isfinite(point->low) && isfinite(point->high);
        *low = fmin(*low, line ? point->low : value);
        *high = fmax(*high, line ? point->high : value);
    }
}

static void find_axes(const Plot *plot, Axis *x, Axis *y) {
    double x_low = INFINITY, x_high = -INFINITY, y_low = INFINITY, y_high = -INFINITY;
    range_of(plot, true, &x_low, &x_high);
    range_of(plot, false, &y_low, &y_high);
    if (plot->square) {
        x_low = y_low = fmin(x_low, y_low);
        x_high = y_high = fmax(x_high, y_high);
    }
    *x = make_axis(plot->from_zero ? fmin(0, x_low) : x_low, x_high, 5);
    *y = make_axis(y_low, y_high, 5);
}

/* -0 is 0, and no more digits than the step has. */
static void tick_text(const Axis *axis, double value, Buffer *out) {
    int decimals = axis->step >= 1 ? 0 : (int)ceil(-log10(axis->step) - 1e-9);
    buffer_printf(out, "%.*f", decimals > 6 ? 6 : decimals, fabs(value) < axis->step / 2 ? 0.0 : value);
}

static void draw_axes(const Plot *plot, const Axis *x, const Axis *y, Buffer *out) {
    for (int i = 0; i <= MAX_TICKS && x->low + i * x->step <= x->high + x->step / 2; i++) {
        double value = x->low + i * x->step;
        buffer_printf(out,
                      "<line class=\"grid\" x1=\"%.2f%%\" y1=\"0\" x2=\"%.2f%%\" y2=\"%d\"/>"
                      "<text class=\"tick\" x=\"%.2f%%\" y=\"%d\" text-anchor=\"middle\">",
                      across(x, value), across(x, value), HEIGHT, across(x, value), HEIGHT + 16);
        tick_text(x, value, out);
        buffer_append_text(out, "</text>");
    }
    for (int i = 0; i <= MAX_TICKS && y->low + i * y->step <= y->high + y->step / 2; i++) {
        double value = y->low + i * y->step;
        buffer_printf(out,
                      "<line class=\"grid\" x1=\"0\" y1=\"%.1f\" x2=\"100%%\" y2=\"%.1f\"/>"
                      "<text class=\"tick\" x=\"-8\" y=\"%.1f\" text-anchor=\"end\">",
                      down(y, value), down(y, value), down(y, value) + 4);
        tick_text(y, value, out);
        buffer_append_text(out, "</text>");
    }
    if (plot->square)
        buffer_printf(out, "<line class=\"diagonal\" x1=\"0\" y1=\"%d\" x2=\"100%%\" y2=\"0\"/>", HEIGHT);
    buffer_printf(out, "<text class=\"axis\" x=\"100%%\" y=\"%d\" text-anchor=\"end\">", HEIGHT + 34);
    html_text(out, plot->x_name);
    buffer_append_text(out, "</text><text class=\"axis\" x=\"-40\" y=\"-10\">");
    html_text(out, plot->y_name);
    buffer_append_text(out, "</text>");
}

static void draw_point(const Plot *plot, size_t i, const Axis *x, const Axis *y, Buffer *out) {
    const PlotPoint *point = &plot->points[i];
    buffer_printf(out, "<g class=\"p %s\" id=\"%s-%zu\"><title>", point->class_name, plot->id, i + 1);
    html_text(out, point->label);
    buffer_append_text(out, "</title>");
    if (isfinite(point->low) && isfinite(point->high))
        buffer_printf(out, "<line x1=\"%.2f%%\" y1=\"%.1f\" x2=\"%.2f%%\" y2=\"%.1f\"/>", across(x, point->x),
                      down(y, point->low), across(x, point->x), down(y, point->high));
    buffer_printf(out, "<circle%s cx=\"%.2f%%\" cy=\"%.1f\" r=\"%g\"/></g>",
                  point->hollow ? " class=\"hollow\"" : "", across(x, point->x), down(y, point->y),
                  plot->numbered ? 5.0 : 4.0);
}

/* ---- numbers beside points, where they cover least */

typedef struct Box {
    double left, top, right, bottom;
} Box;

static double overlap(const Box *a, const Box *b) {
    double width = fmin(a->right, b->right) - fmax(a->left, b->left);
    double height = fmin(a->bottom, b->bottom) - fmax(a->top, b->top);
    return width > 0 && height > 0 ? width * height : 0;
}

static const struct {
    double x, y;
    const char *anchor;
} places[] = {{9, 4, "start"},  {-9, 4, "end"},  {0, -9, "middle"},  {0, 17, "middle"},
              {8, -6, "start"}, {-8, -6, "end"}, {8, 14, "start"},   {-8, 14, "end"},
              {20, 4, "start"}, {-20, 4, "end"}, {0, -21, "middle"}, {0, 29, "middle"}};
enum { N_PLACES = sizeof places / sizeof *places };

/* On a drawing of the nominal width. */
static Box number_box(double x, double y, size_t place, size_t n_digits) {
    double width = 7.0 * (double)n_digits, left = x + places[place].x;
    left -= *places[place].anchor == 'e' ? width : *places[place].anchor == 'm' ? width / 2 : 0;
    return (Box){left, y + places[place].y - 10, left + width, y + places[place].y + 1};
}

/* boxes: the points first, then the numbers placed so far. */
static size_t find_place(double x, double y, size_t n_digits, const Box *boxes, size_t n_boxes, size_t own) {
    size_t best = 0;
    double least = INFINITY;
    for (size_t place = 0; place < N_PLACES; place++) {
        Box box = number_box(x, y, place, n_digits);
        double covered = 0.01 * (double)place;
        for (size_t i = 0; i < n_boxes; i++)
            covered += i == own ? 0 : overlap(&box, &boxes[i]);
        if (box.left < -4 || box.right > NOMINAL_WIDTH + 12 || box.top < -12 || box.bottom > HEIGHT + 2)
            covered += 1000;
        if (covered < least) {
            least = covered;
            best = place;
        }
    }
    return best;
}

static void draw_numbers(const Plot *plot, const Axis *x, const Axis *y, Buffer *out) {
    Box *boxes = mem_alloc_zero(2 * plot->n, sizeof *boxes);
    size_t n_boxes = plot->n;
    for (size_t i = 0; i < plot->n; i++)
        if (is_drawn(&plot->points[i])) {
            double left = across(x, plot->points[i].x) * NOMINAL_WIDTH / 100,
                   top = down(y, plot->points[i].y);
            boxes[i] = (Box){left - 6, top - 6, left + 6, top + 6};
        }
    for (size_t i = 0; i < plot->n; i++) {
        if (!is_drawn(&plot->points[i]))
            continue;
        double left = boxes[i].left + 6, top = boxes[i].top + 6;
        size_t n_digits = i + 1 < 10 ? 1 : i + 1 < 100 ? 2 : 3;
        size_t place = find_place(left, top, n_digits, boxes, n_boxes, i);
        boxes[n_boxes++] = number_box(left, top, place, n_digits);
        buffer_printf(out,
                      "<text class=\"number\" x=\"%.2f%%\" y=\"%.1f\" dx=\"%g\" dy=\"%g\" "
                      "text-anchor=\"%s\">%zu</text>",
                      across(x, plot->points[i].x), down(y, plot->points[i].y), places[place].x,
                      places[place].y, places[place].anchor, i + 1);
    }
    free(boxes);
}

static void draw_legend(const Plot *plot, Buffer *out) {
    buffer_append_text(out, "<ol class=\"legend\">");
    for (size_t i = 0; i < plot->n; i++) {
        if (!is_drawn(&plot->points[i]))
            continue;
        buffer_printf(out, "<li data-p=\"%s-%zu\"><span class=\"dot %s\"></span><i>%zu</i>", plot->id, i + 1,
                      plot->points[i].class_name, i + 1);
        html_text(out, plot->points[i].label);
        buffer_append_text(out, "</li>\n");
    }
    buffer_append_text(out, "</ol>");
}

void html_points(const Plot *plot, Buffer *out) {
    size_t n = 0;
    for (size_t i = 0; i < plot->n; i++)
        n += is_drawn(&plot->points[i]);
    if (n == 0)
        return;
    Axis x, y;
    find_axes(plot, &x, &y);
    buffer_printf(out,
                  "<figure class=\"plot\"><figcaption>%s</figcaption>\n<div style=\"padding:22px 12px 42px "
                  "44px\"><svg role=\"img\" aria-label=\"",
                  plot->caption);
    html_text(out, plot->y_name);
    buffer_append_text(out, " against ");
    html_text(out, plot->x_name);
    buffer_printf(out, "\" style=\"height:%dpx\">", HEIGHT);
    draw_axes(plot, &x, &y, out);
    for (size_t i = 0; i < plot->n; i++)
        if (is_drawn(&plot->points[i]))
            draw_point(plot, i, &x, &y, out);
    if (plot->numbered)
        draw_numbers(plot, &x, &y, out);
    buffer_append_text(out, "</svg></div>\n");
    if (plot->numbered)
        draw_legend(plot, out);
    buffer_append_text(out, "</figure>\n");
}
