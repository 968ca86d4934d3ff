/* The parts of HTML pages. A page loads nothing: its style and its one script stand in it, and a content
 * security policy forbids every other script, should a text ever get past the escaping. */
#ifndef ZEVAL_REPORTS_HTML_H
#define ZEVAL_REPORTS_HTML_H

#include "reports/paper.h"
#include "reports/results.h"
#include "reports/sheet.h"

/* Appends text (`bytes` of it) so that it shows as it is: markup characters escaped; control characters and
 * broken UTF-8, which HTML has no way to say, as U+FFFD. Safe inside quoted attributes too. */
void html_text_bytes(Buffer *out, const char *text, size_t bytes);
void html_text(Buffer *out, const char *text);

/* From the doctype to the open <main>; `lead` is a sentence under the title. links: pairs of anchor and name,
 * NULL at the end, for the page's table of contents; NULL for a page of one wide table. */
void html_page_begin(Buffer *out, const char *title, const char *lead, const char *const *links);
/* From </main> to the end. */
void html_page_end(Buffer *out);

/* A table that scrolls sideways by itself: up to the open <thead><tr> / to its end. */
void html_table_begin(Buffer *out, const char *label, bool sortable);
void html_table_end(Buffer *out);
/* A heading of a column, of numbers or not. */
void html_heading(Buffer *out, const char *text, bool is_number);

/* "run 3: demo, float32, 0-shot". */
const char *html_run_name(const ReportRun *run, Arena *arena);

/* The page's sections. */
void html_facts(const ReportRun *run, Arena *arena, Buffer *out);
void html_results(const ReportRun *run, Buffer *out);
void html_side_by_side(const ReportSet *set, Arena *arena, Buffer *out);
/* Accuracy against KV-cache size, one point per run; nothing for fewer than two runs with a task in common.
 */
void html_accuracy_by_cache(const ReportSet *set, Arena *arena, Buffer *out);
/* Ours against what papers printed of the same models; *any tells whether there is anything. */
int html_against_published(const ReportSet *set, Arena *arena, Buffer *out, bool *any, Error *error);
void html_provenance(const ReportRun *run, Arena *arena, Buffer *out);
/* Requests that lost tokens, and documents that lost examples; nothing where there are none. */
int html_truncated(Db *db, const ReportRun *run, Arena *arena, Buffer *out, Error *error);

/* Accuracy-like metrics (values between 0 and 1) as bars with 95 % intervals: of all rows but the folded
 * ones, or of groups with what is folded into them. Appends nothing if there are none. */
void html_plot(const ReportRun *run, bool members, Buffer *out);

/* The browser of every scored document of every run; nothing where no document is stored. */
int html_documents(Db *db, const ReportSet *set, Arena *arena, Buffer *out, Error *error);

/* ---- plots of points */

typedef struct PlotPoint {
    double x, y;
    double low, high;       /* ends of a vertical line through it; NAN: none */
    const char *label;      /* what it is, for the legend and for who points at it */
    const char *class_name; /* "g0" to "g5", "good", "near", "bad" */
    bool hollow;
} PlotPoint;

typedef struct Plot {
    const char *id; /* unique in the page */
    const char *caption, *x_name, *y_name;
    const PlotPoint *points;
    size_t n;
    bool from_zero; /* x begins at 0 */
    bool square;    /* one scale for both axes, and the line where they are equal */
    bool numbered;  /* points have numbers and a legend says whose */
} Plot;

/* Points without a finite x and y are left out; nothing if none has. */
void html_points(const Plot *plot, Buffer *out);

/* A paper's table as a plot of its mean against KV-cache size; nothing where it prints no such thing. cells:
 * as in paper_cells, or NULL. */
void html_paper_plot(const PublishedTable *table, const PaperCell *cells, Arena *arena, Buffer *out);

#endif
