/* Books as HTML pages. */
#include <string.h>

#include "reports/html.h"

static void cell(const Sheet *sheet, size_t index, const SheetCell *of, bool is_head, Buffer *out) {
    const SheetColumn *column = &sheet->columns[index];
    const char *tag = is_head || index == 0 ? "th" : "td";
    buffer_printf(out, "<%s", tag);
    if (is_head || index == 0)
        buffer_printf(out, " scope=\"%s\"", is_head ? "col" : "row");
    if (column->right || of->tone)
        buffer_printf(out, " class=\"%s%s%s\"", column->right ? "n" : "",
                      column->right && of->tone ? " " : "", of->tone ? of->tone : "");
    buffer_append_char(out, '>');
    html_text(out, of->text);
    if (of->mark)
        buffer_printf(out, "<sup class=\"mark\">%s</sup>", of->mark);
    buffer_printf(out, "</%s>", tag);
}

static void row(const Sheet *sheet, size_t r, Buffer *out) {
    bool is_head = r < sheet->n_head_rows;
    const char *classes = sheet->continues[r]                         ? " class=\"cont\""
                          : sheet->rules[r] && r > sheet->n_head_rows ? " class=\"rule\""
                                                                      : "";
    buffer_printf(out, "<tr%s>", classes);
    for (size_t c = 0; c < sheet->n_columns; c++)
        cell(sheet, c, &sheet->cells[r * sheet->n_columns + c], is_head, out);
    buffer_append_text(out, "</tr>\n");
}

static void table(const Sheet *sheet, const char *label, Buffer *out) {
    html_table_begin(out, label, true);
    for (size_t c = 0; c < sheet->n_columns; c++)
        html_heading(out, sheet->columns[c].heading, sheet->columns[c].right);
    buffer_append_text(out, "</tr>\n");
    for (size_t r = 0; r < sheet->n_rows; r++) {
        if (r == sheet->n_head_rows)
            buffer_append_text(out, "</thead><tbody>\n");
        row(sheet, r, out);
    }
    if (sheet->n_rows <= sheet->n_head_rows)
        buffer_append_text(out, "</thead><tbody>\n");
    html_table_end(out);
}

/* The notes are numbered in the cells' marks as they stand in this list. */
static void notes(const Sheet *sheet, Buffer *out) {
    if (sheet->n_notes == 0)
        return;
    buffer_append_text(out, "<ol class=\"notes\">\n");
    for (size_t i = 0; i < sheet->n_notes; i++) {
        buffer_append_text(out, "<li>");
        html_text(out, sheet->notes[i]);
        buffer_append_text(out, "</li>\n");
    }
    buffer_append_text(out, "</ol>\n");
}

/* Sentences stand below the tables, which the reader came for; warnings above them. */
static bool is_warning(const char *line) {
    return strncmp(line, "Warning", 7) == 0;
}

static void lines(const SheetBook *book, bool warnings, Buffer *out) {
    for (size_t i = 0; i < book->n_lines; i++) {
        if (is_warning(book->lines[i]) != warnings || book->lines[i] == book->lead)
            continue;
        buffer_printf(out, "<p class=\"%s\">", warnings ? "near" : "note");
        html_text(out, book->lines[i]);
        buffer_append_text(out, "</p>\n");
    }
}

void sheet_write_html(const SheetBook *book, Buffer *out) {
    html_page_begin(out, book->title ? book->title : "zeval", book->lead ? book->lead : "", NULL);
    lines(book, true, out);
    if (book->figure)
        buffer_append_text(out, book->figure);
    for (size_t i = 0; i < book->n_sheets; i++) {
        const Sheet *sheet = book->sheets[i];
        if (!(sheet->use & SHEET_FOR_READERS))
            continue;
        if (sheet->title) {
            buffer_append_text(out, "<h2>");
            html_text(out, sheet->title);
            buffer_append_text(out, "</h2>\n");
        }
        table(sheet, sheet->title ? sheet->title : book->title ? book->title : "Table", out);
        notes(sheet, out);
    }
    lines(book, false, out);
    html_page_end(out);
}
