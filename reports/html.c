/* The frame of HTML pages and the report of runs: the summary first, then what papers printed of the same
 * models, each run's results, every document, and where the numbers came from. */
#include "reports/html.h"

#include <math.h>
#include <string.h>

#include "base/embedded.h"
#include "base/text.h"
#include "reports/pack.h"

void html_text_bytes(Buffer *out, const char *text, size_t bytes) {
    while (bytes > 0) {
        uint32_t code;
        size_t taken = utf8_decode(text, bytes, &code);
        bool allowed = code == '\t' || code == '\n' || (code >= 32 && !(code >= 127 && code < 160));
        if (code == '&')
            buffer_append_text(out, "&amp;");
        else if (code == '<')
            buffer_append_text(out, "&lt;");
        else if (code == '>')
            buffer_append_text(out, "&gt;");
        else if (code == '"')
            buffer_append_text(out, "&quot;");
        else if (code == '\'')
            buffer_append_text(out, "&#39;");
        else if (!allowed || code == 0xfffd)
            buffer_append_text(out, "\xef\xbf\xbd");
        else
            buffer_append(out, text, taken);
        text += taken;
        bytes -= taken;
    }
}

void html_text(Buffer *out, const char *text) {
    html_text_bytes(out, text, strlen(text));
}

const char *html_run_name(const ReportRun *run, Arena *arena) {
    return arena_printf(arena, "run %lld: %s", (long long)run->run_id, report_label(run, arena));
}

/* A file that ships inside the program. */
static void page_file(Buffer *out, const char *name, void (*append)(Buffer *, const void *, size_t)) {
    const EmbeddedFile *file = embedded_find(name);
    if (file)
        append(out, file->data, file->bytes);
}

void html_page_begin(Buffer *out, const char *title, const char *lead, const char *const *links) {
    buffer_append_text(out, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
                            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                            "style-src 'unsafe-inline'; script-src 'sha256-");
    page_file(out, "reports/page/page.js", pack_digest);
    buffer_append_text(out, "'\">\n<title>");
    html_text(out, title);
    buffer_append_text(out, "</title>\n<style>\n");
    page_file(out, "reports/page/style.css", buffer_append);
    buffer_printf(out,
                  "</style></head>\n<body%s><a class=\"skip\" href=\"#results\">To the results</a>\n"
                  "<header><h1>",
                  links ? "" : " class=\"wide\"");
    html_text(out, title);
    buffer_append_text(out, "</h1><p class=\"lead\">");
    html_text(out, lead);
    buffer_append_text(out, "</p>\n");
    if (links && *links) {
        buffer_append_text(out, "<nav aria-label=\"Contents\"><ul>");
        for (; *links; links += 2) {
            buffer_printf(out, "<li><a href=\"#%s\">", links[0]);
            html_text(out, links[1]);
            buffer_append_text(out, "</a></li>");
        }
        buffer_append_text(out, "</ul></nav>\n");
    }
    buffer_append_text(out, "</header>\n<main id=\"results\">\n");
}

void html_page_end(Buffer *out) {
    buffer_append_text(out, "</main>\n<footer>Made by zeval from stored results; every number can be traced "
                            "in the database.</footer>\n<script>");
    page_file(out, "reports/page/page.js", buffer_append);
    buffer_append_text(out, "</script>\n</body></html>\n");
}

void html_table_begin(Buffer *out, const char *label, bool sortable) {
    buffer_append_text(out, "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"");
    html_text(out, label);
    buffer_printf(out, "\"><table%s><thead><tr>", sortable ? " class=\"sortable\"" : "");
}

void html_table_end(Buffer *out) {
    buffer_append_text(out, "</tbody></table></div>\n");
}

void html_heading(Buffer *out, const char *text, bool is_number) {
    buffer_printf(out, "<th scope=\"col\"%s>", is_number ? " class=\"n\"" : "");
    html_text(out, text);
    buffer_append_text(out, "</th>");
}

/* A page of one run does not depend on the number that its database gave it. */
static const char *anchor(const ReportRun *run, bool alone, Arena *arena) {
    return alone ? "run" : arena_printf(arena, "run-%lld", (long long)run->run_id);
}

static int run_section(Db *db, const ReportRun *run, bool alone, Arena *arena, Buffer *out, Error *error) {
    buffer_printf(out, "<section id=\"%s\">\n", anchor(run, alone, arena));
    if (!alone) {
        const char *name = html_run_name(run, arena);
        buffer_append_text(out, "<h2>");
        html_text(out, arena_printf(arena, "R%s", name + 1));
        buffer_append_text(out, "</h2>\n");
        html_facts(run, arena, out);
    }
    html_results(run, out);
    int result = html_truncated(db, run, arena, out, error);
    html_provenance(run, arena, out);
    buffer_append_text(out, "</section>\n");
    return result;
}

/* What the page begins with. */
static void summary(const ReportSet *set, Arena *arena, Buffer *out) {
    buffer_append_text(out, "<section id=\"summary\">\n");
    if (set->n_runs == 1) {
        html_facts(&set->runs[0], arena, out);
    } else {
        html_accuracy_by_cache(set, arena, out);
        html_side_by_side(set, arena, out);
    }
    buffer_append_text(out, "</section>\n");
}

static const char *const *contents(const ReportSet *set, bool published, Arena *arena) {
    const char **links = arena_alloc(arena, (2 * set->n_runs + 16) * sizeof *links);
    size_t n = 0;
    if (published) {
        links[n++] = "published";
        links[n++] = "Against published numbers";
    }
    for (size_t i = 0; i < set->n_runs && set->n_runs <= 12; i++) {
        links[n++] = anchor(&set->runs[i], set->n_runs == 1, arena);
        links[n++] = set->n_runs == 1 ? "Results" : html_run_name(&set->runs[i], arena);
    }
    links[n++] = "documents-section";
    links[n++] = "Documents";
    return links;
}

static int write_page(Db *db, const ReportSet *set, void *context, Arena *arena, Buffer *out, Error *error) {
    (void)context;
    const ReportRun *first = &set->runs[0];
    Buffer published = {0};
    bool any = false;
    if (html_against_published(set, arena, &published, &any, error) != 0)
        return -1;
    const char *title = set->n_runs == 1 ? first->model : arena_printf(arena, "%zu runs", set->n_runs);
    const char *lead = set->n_runs == 1
                           ? arena_printf(arena, "%s, %s, on %s", first->family, first->dtype, first->backend)
                           : "Results side by side, then each run by itself.";
    html_page_begin(out, title, lead, contents(set, any, arena));
    summary(set, arena, out);
    if (any)
        buffer_append(out, published.data, published.size);
    buffer_free(&published);
    for (size_t i = 0; i < set->n_runs; i++)
        if (run_section(db, &set->runs[i], set->n_runs == 1, arena, out, error) != 0)
            return -1;
    if (html_documents(db, set, arena, out, error) != 0)
        return -1;
    html_page_end(out);
    return 0;
}

int report_html(Db *db, const ReportOptions *options, Buffer *out, Error *error) {
    return report_make(db, options, write_page, NULL, out, error);
}
