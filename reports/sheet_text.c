/* Books for readers: Markdown and LaTeX. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "reports/sheet.h"
#include "reports/table.h"

static void markdown_cell(const SheetCell *cell, Buffer *out) {
    markdown_text(out, cell->text);
    if (cell->mark)
        buffer_printf(out, " \\[%s\\]", cell->mark);
}

static void pad(Buffer *out, char c, size_t n) {
    while (n-- > 0)
        buffer_append_char(out, c);
}

/* A line of cells that are escaped already. */
static void markdown_line(const Sheet *sheet, char *const *texts, const size_t *widths, Buffer *out) {
    for (size_t c = 0; c < sheet->n_columns; c++) {
        size_t space = widths[c] - display_width(texts[c]);
        buffer_append_text(out, c ? " " : "| ");
        pad(out, ' ', sheet->columns[c].right ? space : 0);
        buffer_append_text(out, texts[c]);
        pad(out, ' ', sheet->columns[c].right ? 0 : space);
        buffer_append_text(out, " |");
    }
    buffer_append_char(out, '\n');
}

static void markdown_ruler(const Sheet *sheet, const size_t *widths, Buffer *out) {
    for (size_t c = 0; c < sheet->n_columns; c++) {
        buffer_append_text(out, c ? " " : "| ");
        pad(out, '-', widths[c] - (sheet->columns[c].right ? 1 : 0));
        buffer_append_text(out, sheet->columns[c].right ? ": |" : " |");
    }
    buffer_append_char(out, '\n');
}

static void markdown_table(const Sheet *sheet, Buffer *out) {
    size_t n_columns = sheet->n_columns, n_lines = 1 + sheet->n_rows;
    char **texts = mem_alloc_zero(n_lines * n_columns, sizeof *texts);
    size_t *widths = mem_alloc_zero(n_columns, sizeof *widths);
    for (size_t i = 0; i < n_lines * n_columns; i++) {
        Buffer text = {0};
        if (i < n_columns)
            markdown_text(&text, sheet->columns[i].heading);
        else
            markdown_cell(&sheet->cells[i - n_columns], &text);
        texts[i] = buffer_take(&text);
        size_t width = display_width(texts[i]), *widest = &widths[i % n_columns];
        *widest = width > *widest ? width : *widest < 3 ? 3 : *widest;
    }
    for (size_t line = 0; line < n_lines; line++) {
        markdown_line(sheet, texts + line * n_columns, widths, out);
        if (line == 0)
            markdown_ruler(sheet, widths, out);
    }
    for (size_t i = 0; i < n_lines * n_columns; i++)
        free(texts[i]);
    free(texts);
    free(widths);
}

/* Footnotes are paragraphs that begin with "[1]", which no Markdown dialect reads as a list or a link. */
static void markdown_notes(const Sheet *sheet, Buffer *out) {
    for (size_t i = 0; i < sheet->n_notes; i++) {
        buffer_printf(out, "%s\\[%zu\\] ", i ? "  \n" : "\n", i + 1);
        markdown_text(out, sheet->notes[i]);
    }
    if (sheet->n_notes)
        buffer_append_char(out, '\n');
}

void sheet_write_markdown(const SheetBook *book, Buffer *out) {
    if (book->title) {
        buffer_append_text(out, "# ");
        markdown_text(out, book->title);
        buffer_append_text(out, "\n\n");
    }
    for (size_t i = 0; i < book->n_lines; i++) {
        markdown_text(out, book->lines[i]);
        buffer_append_text(out, i + 1 < book->n_lines ? "  \n" : "\n\n");
    }
    bool first = true;
    for (size_t i = 0; i < book->n_sheets; i++) {
        const Sheet *sheet = book->sheets[i];
        if (!(sheet->use & SHEET_FOR_READERS))
            continue;
        if (!first)
            buffer_append_char(out, '\n');
        first = false;
        if (sheet->title) {
            buffer_append_text(out, "## ");
            markdown_text(out, sheet->title);
            buffer_append_text(out, "\n\n");
        }
        markdown_table(sheet, out);
        markdown_notes(sheet, out);
    }
}

/* What LaTeX reads as markup, and the signs of our own tables that its usual fonts lack. */
static const struct {
    const char *text, *latex;
} latex_signs[] = {{"\\", "\\textbackslash{}"},
                   {"~", "\\textasciitilde{}"},
                   {"^", "\\textasciicircum{}"},
                   {"&", "\\&"},
                   {"%", "\\%"},
                   {"$", "\\$"},
                   {"#", "\\#"},
                   {"_", "\\_"},
                   {"{", "\\{"},
                   {"}", "\\}"},
                   {"<", "\\textless{}"},
                   {">", "\\textgreater{}"},
                   {"|", "\\textbar{}"},
                   {"\"", "\\textquotedbl{}"},
                   {"↑", "$\\uparrow$"},
                   {"↓", "$\\downarrow$"},
                   {"→", "$\\rightarrow$"},
                   {"≈", "$\\approx$"},
                   {"≠", "$\\neq$"},
                   {"≤", "$\\leq$"},
                   {"≥", "$\\geq$"},
                   {"×", "$\\times$"},
                   {"±", "$\\pm$"},
                   {"−", "$-$"},
                   {"—", "---"},
                   {"–", "--"}};

static void latex_text(Buffer *out, const char *text) {
    while (*text) {
        size_t i = 0, n = sizeof latex_signs / sizeof *latex_signs;
        while (i < n && !text_starts_with(text, latex_signs[i].text))
            i++;
        if (i < n) {
            buffer_append_text(out, latex_signs[i].latex);
            text += strlen(latex_signs[i].text);
        } else {
            unsigned char c = (unsigned char)*text++;
            buffer_append_char(out, c < ' ' || c == 127 ? ' ' : (char)c);
        }
    }
}

static void latex_row(const Sheet *sheet, size_t row, Buffer *out) {
    if (sheet->rules[row] && row > 0)
        buffer_append_text(out, "    \\midrule\n");
    buffer_append_text(out, "    ");
    for (size_t c = 0; c < sheet->n_columns; c++) {
        const SheetCell *cell = &sheet->cells[row * sheet->n_columns + c];
        if (c)
            buffer_append_text(out, " & ");
        /* A row that begins with "[" would be read as the option of the "\\" before it. */
        if (cell->text[0] == '[')
            buffer_append_text(out, "{}");
        latex_text(out, cell->text);
        if (cell->mark)
            buffer_printf(out, "$^{%s}$", cell->mark);
    }
    buffer_append_text(out, " \\\\\n");
}

static void latex_table(const Sheet *sheet, Buffer *out) {
    buffer_append_text(out, "  \\begin{tabular}{");
    for (size_t c = 0; c < sheet->n_columns; c++)
        buffer_append_char(out, sheet->columns[c].right ? 'r' : 'l');
    buffer_append_text(out, "}\n    \\toprule\n    ");
    for (size_t c = 0; c < sheet->n_columns; c++) {
        if (c)
            buffer_append_text(out, " & ");
        latex_text(out, sheet->columns[c].heading);
    }
    buffer_append_text(out, " \\\\\n    \\midrule\n");
    for (size_t row = 0; row < sheet->n_rows; row++)
        latex_row(sheet, row, out);
    buffer_append_text(out, "    \\bottomrule\n  \\end{tabular}\n");
}

void sheet_write_latex(const SheetBook *book, Buffer *out) {
    buffer_append_text(out, "% needs \\usepackage[T1]{fontenc} and \\usepackage{booktabs}\n");
    for (size_t i = 0; i < book->n_sheets; i++) {
        const Sheet *sheet = book->sheets[i];
        const char *caption = sheet->title ? sheet->title : book->title;
        if (!(sheet->use & SHEET_FOR_READERS))
            continue;
        buffer_append_text(out, "\\begin{table}\n  \\centering\n");
        if (caption) {
            buffer_append_text(out, "  \\caption{");
            latex_text(out, caption);
            buffer_append_text(out, "}\n");
        }
        latex_table(sheet, out);
        for (size_t n = 0; n < sheet->n_notes; n++) {
            buffer_printf(out, "  \\par\\footnotesize $^{%zu}$ ", n + 1);
            latex_text(out, sheet->notes[n]);
            buffer_append_char(out, '\n');
        }
        buffer_append_text(out, "\\end{table}\n");
    }
}
