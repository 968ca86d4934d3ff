/* Aligned Markdown tables, laid out as lm-eval lays out its own (pytablewriter's rules):
 *  - a column is as wide as its widest cell or its header, at least 3; headers are centred;
 *  - a cell that reads as a number is one, unless most cells above it are texts (ties go to what came first);
 *  - a column whose filled cells are all numbers is right-aligned, and its numbers are written with the
 * fewest decimals that lose nothing, padded to the longest of them (0.5000 alone becomes 0.5);
 *  - in a column that also holds texts, numbers are aligned right and texts left, and whole numbers are not
 *    padded.
 */
#ifndef ZEVAL_REPORTS_TABLE_H
#define ZEVAL_REPORTS_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/memory.h"

typedef struct TableCell {
    const char *text;
    bool is_number; /* a number by type: one also below texts */
} TableCell;

typedef struct Table {
    const char *const *headers; /* [n_columns] */
    size_t n_columns;
    TableCell *cells; /* [n_rows][n_columns] */
    size_t n_rows, capacity;
} Table;

/* Adds a row of empty cells and returns it; freed by table_free. */
TableCell *table_row(Table *table);
/* Appends the table's lines. Text is escaped so that it cannot be read as markup. */
void table_markdown(const Table *table, Arena *arena, Buffer *out);
void table_free(Table *table);

/* Appends text with the characters that Markdown would read as markup escaped, and control characters turned
 * into spaces. */
void markdown_text(Buffer *out, const char *text);
/* Columns that the text takes on a terminal: wide characters take two. */
size_t display_width(const char *text);

#endif
