/* Building books of sheets. */
#include "reports/sheet.h"

#include <stdarg.h>
#include <string.h>

#include "base/text.h"
#include "reports/array.h"

int sheet_format_find(const char *name, SheetFormat *out, Error *error) {
    static const char *const names[N_SHEET_FORMATS] = {"markdown", "html", "latex", "csv", "json"};
    for (size_t i = 0; i < N_SHEET_FORMATS; i++)
        if (strcmp(names[i], name) == 0) {
            *out = (SheetFormat)i;
            return 0;
        }
    return error_set_kind(error, ERROR_USAGE,
                          "--format: found \"%s\", expected markdown, html, latex, csv or json", name);
}

Sheet *sheet_add(SheetBook *book, SheetUse use, const char *name, const char *title,
                 const SheetColumn *columns, size_t n_columns) {
    book->sheets = array_grown(book->arena, book->sheets, book->n_sheets, sizeof *book->sheets);
    Sheet *sheet = arena_alloc(book->arena, sizeof *sheet);
    *sheet = (Sheet){.use = use, .name = name, .title = title, .columns = columns, .n_columns = n_columns};
    book->sheets[book->n_sheets++] = sheet;
    return sheet;
}

SheetCell *sheet_row(SheetBook *book, Sheet *sheet, bool rule_before) {
    sheet->rules = array_grown(book->arena, sheet->rules, sheet->n_rows, sizeof *sheet->rules);
    sheet->cells =
        array_grown(book->arena, sheet->cells, sheet->n_rows, sheet->n_columns * sizeof *sheet->cells);
    sheet->continues = array_grown(book->arena, sheet->continues, sheet->n_rows, sizeof *sheet->continues);
    sheet->rules[sheet->n_rows] = rule_before;
    sheet->continues[sheet->n_rows] = false;
    SheetCell *row = &sheet->cells[sheet->n_rows++ * sheet->n_columns];
    for (size_t c = 0; c < sheet->n_columns; c++)
        row[c] = (SheetCell){.text = ""};
    return row;
}

SheetCell *sheet_row_below(SheetBook *book, Sheet *sheet) {
    SheetCell *row = sheet_row(book, sheet, false);
    sheet->continues[sheet->n_rows - 1] = true;
    return row;
}

size_t sheet_note(SheetBook *book, Sheet *sheet, const char *text) {
    for (size_t i = 0; i < sheet->n_notes; i++)
        if (strcmp(sheet->notes[i], text) == 0)
            return i + 1;
    sheet->notes = array_grown(book->arena, sheet->notes, sheet->n_notes, sizeof *sheet->notes);
    sheet->notes[sheet->n_notes++] = text;
    return sheet->n_notes;
}

void sheet_mark(SheetBook *book, Sheet *sheet, SheetCell *cell, const char *text) {
    size_t number = sheet_note(book, sheet, text);
    cell->mark = cell->mark ? arena_printf(book->arena, "%s,%zu", cell->mark, number)
                            : arena_printf(book->arena, "%zu", number);
}

void sheet_line(SheetBook *book, const char *format, ...) {
    Buffer text = {0};
    va_list arguments;
    va_start(arguments, format);
    buffer_vprintf(&text, format, arguments);
    va_end(arguments);
    book->lines = array_grown(book->arena, book->lines, book->n_lines, sizeof *book->lines);
    book->lines[book->n_lines++] = arena_strdup(book->arena, text.data ? text.data : "");
    buffer_free(&text);
}

void sheet_write(const SheetBook *book, SheetFormat format, Buffer *out) {
    static void (*const writers[N_SHEET_FORMATS])(const SheetBook *, Buffer *) = {
        sheet_write_markdown, sheet_write_html, sheet_write_latex, sheet_write_csv, sheet_write_json};
    writers[format](book, out);
}
