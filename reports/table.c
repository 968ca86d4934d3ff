#include "reports/table.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/text.h"

enum { MIN_WIDTH = 3 };

TableCell *table_row(Table *table) {
    if (table->n_rows == table->capacity) {
        table->capacity = table->capacity ? 2 * table->capacity : 64;
        table->cells = mem_realloc(table->cells, table->capacity * table->n_columns * sizeof *table->cells);
    }
    TableCell *row = table->cells + table->n_rows++ * table->n_columns;
    for (size_t i = 0; i < table->n_columns; i++)
        row[i] = (TableCell){.text = ""};
    return row;
}

void table_free(Table *table) {
    free(table->cells);
    *table = (Table){0};
}

size_t display_width(const char *text) {
    size_t width = 0, bytes = strlen(text);
    while (bytes > 0) {
        uint32_t code;
        size_t taken = utf8_decode(text, bytes, &code);
        int columns = utf8proc_charwidth((utf8proc_int32_t)code);
        width += columns > 0 ? (size_t)columns : 0;
        text += taken;
        bytes -= taken;
    }
    return width;
}

void markdown_text(Buffer *out, const char *text) {
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (strchr("|`<>*&\\[]", c))
            buffer_append_char(out, '\\');
        buffer_append_char(out, c < ' ' || c == 127 ? ' ' : *text);
    }
}

/* A number is [-+]digits[.digits] or NaN; anything else is a text. */
static bool is_decimal(const char *text) {
    if (*text == '-' || *text == '+')
        text++;
    size_t whole = strspn(text, "0123456789");
    text += whole;
    size_t fraction = 0;
    if (*text == '.') {
        fraction = strspn(text + 1, "0123456789");
        text += 1 + fraction;
    }
    return *text == '\0' && whole + fraction > 0;
}

static size_t count_decimals(const char *text) {
    const char *point = strchr(text, '.');
    size_t n = point ? strlen(point + 1) : 0;
    while (n > 0 && point[n] == '0')
        n--;
    return n;
}

/* The number with exactly `decimals` decimals, at least as many as it needs. */
static const char *with_decimals(const char *text, size_t decimals, Arena *arena) {
    bool negative = *text == '-';
    if (*text == '-' || *text == '+')
        text++;
    while (*text == '0' && isdigit((unsigned char)text[1]))
        text++;
    size_t whole = strspn(text, "0123456789"), own = count_decimals(text);
    Buffer number = {0};
    if (negative && strspn(text, "0.") < strlen(text))
        buffer_append_char(&number, '-');
    buffer_append(&number, whole ? text : "0", whole ? whole : 1);
    if (decimals > 0)
        buffer_append_char(&number, '.');
    if (own > 0)
        buffer_append(&number, text + whole + 1, own);
    for (size_t i = own; i < decimals; i++)
        buffer_append_char(&number, '0');
    const char *result = arena_strdup(arena, number.data);
    buffer_free(&number);
    return result;
}

typedef struct ColumnCell {
    const char *text; /* as printed */
    bool right;
} ColumnCell;

typedef struct Column {
    ColumnCell *cells;
    size_t width;
    bool numeric;
} Column;

static const TableCell *cell_at(const Table *table, size_t row, size_t column) {
    return &table->cells[row * table->n_columns + column];
}

/* In a column with texts, a number below the first text is kept as it is, unless the very same number was
 * shortened further up. */
static bool shortened_above(const Table *table, size_t row, size_t column) {
    const char *text = cell_at(table, row, column)->text;
    bool seen_text = false;
    for (size_t above = 0; above < row; above++) {
        const TableCell *cell = cell_at(table, above, column);
        if (!seen_text && text_equal(cell->text, text))
            return true;
        seen_text = seen_text || (*cell->text && !is_decimal(cell->text));
    }
    return !seen_text;
}

static bool is_nan(const char *text) {
    return text_equal(text, "nan");
}

static void measure(const Table *table, size_t column, bool *numeric, size_t *decimals) {
    bool any_number = false, any_text = false;
    *decimals = 0;
    for (size_t row = 0; row < table->n_rows; row++) {
        const char *text = cell_at(table, row, column)->text;
        if (is_decimal(text)) {
            any_number = true;
            size_t own = count_decimals(text);
            *decimals = own > *decimals ? own : *decimals;
        } else if (*text && !is_nan(text)) {
            any_text = true;
        }
    }
    *numeric = any_number && !any_text;
}

static ColumnCell format_cell(const Table *table, size_t row, size_t column, bool numeric, size_t decimals,
                              Arena *arena) {
    const TableCell *cell = cell_at(table, row, column);
    if (is_nan(cell->text))
        return (ColumnCell){.text = "NaN", .right = numeric};
    if (!is_decimal(cell->text)) {
        Buffer escaped = {0};
        markdown_text(&escaped, cell->text);
        const char *text = arena_strdup(arena, escaped.data ? escaped.data : "");
        buffer_free(&escaped);
        return (ColumnCell){.text = text, .right = numeric};
    }
    if (numeric)
        return (ColumnCell){.text = with_decimals(cell->text, decimals, arena), .right = true};
    if (cell->is_number || shortened_above(table, row, column))
        return (ColumnCell){.text = with_decimals(cell->text, count_decimals(cell->text), arena),
                            .right = true};
    return (ColumnCell){.text = cell->text, .right = false};
}

static Column format_column(const Table *table, size_t column, Arena *arena) {
    Column out = {.cells = arena_alloc(arena, (table->n_rows + 1) * sizeof *out.cells), .width = MIN_WIDTH};
    size_t decimals, header = display_width(table->headers[column]);
    measure(table, column, &out.numeric, &decimals);
    out.width = header > out.width ? header : out.width;
    for (size_t row = 0; row < table->n_rows; row++) {
        out.cells[row] = format_cell(table, row, column, out.numeric, decimals, arena);
        size_t width = display_width(out.cells[row].text);
        out.width = width > out.width ? width : out.width;
    }
    return out;
}

static void fill(Buffer *out, char c, size_t n) {
    while (n-- > 0)
        buffer_append_char(out, c);
}

static void append_cell(Buffer *out, const char *text, size_t left, size_t width) {
    size_t used = left + display_width(text);
    fill(out, ' ', left);
    buffer_append_text(out, text);
    fill(out, ' ', width > used ? width - used : 0);
    buffer_append_char(out, '|');
}

void table_markdown(const Table *table, Arena *arena, Buffer *out) {
    Column *columns = arena_alloc(arena, table->n_columns * sizeof *columns);
    for (size_t c = 0; c < table->n_columns; c++)
        columns[c] = format_column(table, c, arena);

    buffer_append_char(out, '|');
    for (size_t c = 0; c < table->n_columns; c++)
        append_cell(out, table->headers[c], (columns[c].width - display_width(table->headers[c])) / 2,
                    columns[c].width);
    buffer_append_text(out, "\n|");
    for (size_t c = 0; c < table->n_columns; c++) {
        fill(out, '-', columns[c].width - 1);
        buffer_append_text(out, columns[c].numeric ? ":|" : "-|");
    }
    buffer_append_char(out, '\n');
    for (size_t row = 0; row < table->n_rows; row++) {
        buffer_append_char(out, '|');
        for (size_t c = 0; c < table->n_columns; c++) {
            const ColumnCell *cell = &columns[c].cells[row];
            append_cell(out, cell->text, cell->right ? columns[c].width - display_width(cell->text) : 0,
                        columns[c].width);
        }
        buffer_append_char(out, '\n');
    }
}
