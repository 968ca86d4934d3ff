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

/* [-+]digits[.digits] */
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

/* What a cell counts as. The order of the kinds means nothing. */
typedef enum CellKind { CELL_EMPTY, CELL_TEXT, CELL_INTEGER, CELL_REAL, CELL_NAN, N_CELL_KINDS } CellKind;

typedef struct ColumnCell {
    CellKind kind;
    const char *text; /* as printed */
    bool right;
} ColumnCell;

typedef struct Column {
    ColumnCell *cells;
    size_t width;
    size_t decimals; /* the most that a number in it needs */
    bool numeric;
} Column;

static CellKind kind_by_itself(const char *text) {
    if (*text == '\0')
        return CELL_EMPTY;
    if (text_equal(text, "nan"))
        return CELL_NAN;
    if (!is_decimal(text))
        return CELL_TEXT;
    return count_decimals(text) > 0 ? CELL_REAL : CELL_INTEGER;
}

/* How often each kind occurred above a cell, and when it first did. */
typedef struct KindCounts {
    size_t count[N_CELL_KINDS], first_row[N_CELL_KINDS];
} KindCounts;

/* Ties go to the kind that came first. */
static bool mostly_text(const KindCounts *counts) {
    const size_t *count = counts->count, *first = counts->first_row;
    for (int kind = 0; kind < N_CELL_KINDS; kind++)
        if (count[kind] > count[CELL_TEXT] ||
            (kind != CELL_TEXT && count[kind] == count[CELL_TEXT] && first[kind] < first[CELL_TEXT]))
            return false;
    return count[CELL_TEXT] > 0;
}

static void classify(const Table *table, size_t column, Column *out) {
    KindCounts counts = {0};
    bool any_number = false, any_text = false;
    for (size_t row = 0; row < table->n_rows; row++) {
        const TableCell *cell = &table->cells[row * table->n_columns + column];
        CellKind kind = mostly_text(&counts) && !cell->is_number ? CELL_TEXT : kind_by_itself(cell->text);
        if (counts.count[kind]++ == 0)
            counts.first_row[kind] = row;
        out->cells[row].kind = kind;
        any_text = any_text || kind == CELL_TEXT;
        any_number = any_number || kind == CELL_INTEGER || kind == CELL_REAL;
        size_t decimals = kind == CELL_REAL ? count_decimals(cell->text) : 0;
        out->decimals = decimals > out->decimals ? decimals : out->decimals;
    }
    out->numeric = any_number && !any_text;
}

static const char *escaped(const char *text, Arena *arena) {
    Buffer buffer = {0};
    markdown_text(&buffer, text);
    const char *out = arena_strdup(arena, buffer.data ? buffer.data : "");
    buffer_free(&buffer);
    return out;
}

static void format_cell(const Column *column, const char *text, ColumnCell *out, Arena *arena) {
    bool is_number = out->kind == CELL_INTEGER || out->kind == CELL_REAL;
    out->right = is_number || column->numeric;
    if (is_number)
        out->text =
            with_decimals(text, column->numeric || out->kind == CELL_REAL ? column->decimals : 0, arena);
    else
        out->text = out->kind == CELL_NAN ? "NaN" : escaped(text, arena);
}

static Column format_column(const Table *table, size_t column, Arena *arena) {
    Column out = {.cells = arena_alloc(arena, (table->n_rows + 1) * sizeof *out.cells), .width = MIN_WIDTH};
    size_t header = display_width(table->headers[column]);
    out.width = header > out.width ? header : out.width;
    classify(table, column, &out);
    for (size_t row = 0; row < table->n_rows; row++) {
        format_cell(&out, table->cells[row * table->n_columns + column].text, &out.cells[row], arena);
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
