/* One model of a table for every format: a book of sheets is built once, then written as Markdown, HTML,
 * LaTeX, CSV or JSON. A sheet is meant for readers (laid out as a paper does), for programs (one record per
 * row), or both. Texts are plain: each writer escapes what its format would read as markup. Everything lives
 * in an arena. */
#ifndef ZEVAL_REPORTS_SHEET_H
#define ZEVAL_REPORTS_SHEET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/memory.h"

typedef struct SheetColumn {
    const char *heading; /* for readers */
    const char *key;     /* for programs; NULL: the heading */
    bool right;          /* aligned right */
} SheetColumn;

typedef struct SheetCell {
    const char *text;
    const char *mark; /* footnotes, "1,3"; NULL: none. Readers' formats only. */
    const char *tone; /* HTML's colour: "good", "near", "bad"; NULL: none */
    bool is_number;   /* JSON writes it as a number if it is one, and an empty one as null */
} SheetCell;

typedef enum SheetUse { SHEET_FOR_READERS = 1, SHEET_FOR_PROGRAMS = 2, SHEET_FOR_ALL = 3 } SheetUse;

typedef struct Sheet {
    SheetUse use;
    const char *name;  /* JSON's key */
    const char *title; /* NULL: none */
    const SheetColumn *columns;
    size_t n_columns;
    SheetCell *cells; /* [n_rows][n_columns] */
    bool *rules;      /* [n_rows]: a line above the row */
    bool *continues;  /* [n_rows]: belongs to the row above and goes where that goes when a page sorts */
    size_t n_rows;
    size_t n_head_rows; /* of these, the first are headings too */
    const char **notes; /* footnote i + 1 */
    size_t n_notes;
} Sheet;

typedef struct SheetBook {
    Arena *arena;
    const char *title;
    const char *lead; /* what HTML says under the title; NULL: nothing. One of the lines is said there only */
    const char *figure; /* markup that HTML shows above the sheets; NULL: none */
    const char **lines; /* sentences above the sheets */
    size_t n_lines;
    Sheet **sheets;
    size_t n_sheets;
} SheetBook;

typedef enum SheetFormat {
    SHEET_MARKDOWN,
    SHEET_HTML,
    SHEET_LATEX,
    SHEET_CSV,
    SHEET_JSON,
    N_SHEET_FORMATS
} SheetFormat;

/* "markdown", "html", "latex", "csv", "json"; anything else is an error that lists them. */
int sheet_format_find(const char *name, SheetFormat *out, Error *error);

/* Adds a sheet; `columns` is not copied. */
Sheet *sheet_add(SheetBook *book, SheetUse use, const char *name, const char *title,
                 const SheetColumn *columns, size_t n_columns);
/* Adds a row of empty texts. */
SheetCell *sheet_row(SheetBook *book, Sheet *sheet, bool rule_before);
/* Adds one that continues the row above. */
SheetCell *sheet_row_below(SheetBook *book, Sheet *sheet);
/* The number of the footnote with that text, a new one unless the sheet has it. */
size_t sheet_note(SheetBook *book, Sheet *sheet, const char *text);
/* Hangs a footnote on a cell. */
void sheet_mark(SheetBook *book, Sheet *sheet, SheetCell *cell, const char *text);
/* Adds a sentence above the sheets. */
void sheet_line(SheetBook *book, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends the book. CSV holds one table, the first sheet for programs (RFC 4180, LF); JSON one object with an
 * array of objects for each of them; Markdown, HTML and LaTeX the sheets for readers. */
void sheet_write(const SheetBook *book, SheetFormat format, Buffer *out);

/* The writers behind it. */
void sheet_write_markdown(const SheetBook *book, Buffer *out);
void sheet_write_html(const SheetBook *book, Buffer *out);
void sheet_write_latex(const SheetBook *book, Buffer *out);
void sheet_write_csv(const SheetBook *book, Buffer *out);
void sheet_write_json(const SheetBook *book, Buffer *out);

#endif
