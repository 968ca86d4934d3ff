/* Rows out of CSV; see rows.h. First all cells are cut, then each column gets the one type that all of its
 * cells allow. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tasks/rows.h"

typedef struct Cell {
    const char *text;
    size_t bytes;
} Cell;

/* The text being cut. Invariant: cells holds n_columns cells for every whole record. */
typedef struct CsvReader {
    Arena *arena;
    const char *at, *end;
    const char *where;
    size_t line;
    Cell *cells;
    size_t n_cells, room, n_columns;
    Error *error;
} CsvReader;

static void push_cell(CsvReader *reader, const char *text, size_t bytes) {
    if (reader->n_cells == reader->room) {
        reader->room = reader->room ? reader->room * 2 : 1024;
        reader->cells = mem_realloc(reader->cells, reader->room * sizeof *reader->cells);
    }
    reader->cells[reader->n_cells++] = (Cell){arena_strndup(reader->arena, text, bytes), bytes};
}

/* A cell in quotes, `at` behind the first one; a quote inside is written twice. */
static int read_quoted(CsvReader *reader) {
    Buffer text = {0};
    size_t line = reader->line;
    for (; reader->at < reader->end; reader->at++) {
        char c = *reader->at;
        reader->line += c == '\n';
        if (c != '"') {
            buffer_append_char(&text, c);
            continue;
        }
        if (reader->at + 1 < reader->end && reader->at[1] == '"') {
            buffer_append_char(&text, *reader->at++);
            continue;
        }
        reader->at++;
        push_cell(reader, text.data ? text.data : "", text.size);
        buffer_free(&text);
        if (reader->at < reader->end && !strchr(",\r\n", *reader->at))
            return error_set(reader->error, "%s:%zu: text behind a cell's closing quote", reader->where,
                             reader->line);
        return 0;
    }
    buffer_free(&text);
    return error_set(reader->error, "%s:%zu: a quote that is never closed", reader->where, line);
}

static int read_cell(CsvReader *reader) {
    if (reader->at < reader->end && *reader->at == '"') {
        reader->at++;
        return read_quoted(reader);
    }
    const char *start = reader->at;
    while (reader->at < reader->end && *reader->at != ',' && *reader->at != '\n' && *reader->at != '\r')
        reader->at++;
    push_cell(reader, start, (size_t)(reader->at - start));
    return 0;
}

/* Moves over \n, \r\n or \r; false if there is none here. */
static bool line_end(CsvReader *reader) {
    const char *start = reader->at;
    if (reader->at < reader->end && *reader->at == '\r')
        reader->at++;
    if (reader->at < reader->end && *reader->at == '\n')
        reader->at++;
    reader->line += reader->at > start;
    return reader->at > start;
}

/* One record up to its line's end. */
static int read_record(CsvReader *reader) {
    size_t line = reader->line, before = reader->n_cells;
    for (;;) {
        if (read_cell(reader))
            return -1;
        if (reader->at < reader->end && *reader->at == ',')
            reader->at++;
        else
            break;
    }
    line_end(reader);
    size_t n = reader->n_cells - before;
    if (reader->n_columns == 0)
        reader->n_columns = n;
    if (n != reader->n_columns)
        return error_set(reader->error, "%s:%zu: %zu cells; the header has %zu", reader->where, line, n,
                         reader->n_columns);
    if (n > VALUE_KEYS_MAX)
        return error_set(reader->error, "%s:%zu: more than %d columns", reader->where, line, VALUE_KEYS_MAX);
    return 0;
}

static int read_records(CsvReader *reader) {
    while (reader->at < reader->end) {
        const char *start = reader->at;
        while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\t'))
            reader->at++;
        if (line_end(reader) || reader->at == reader->end) /* a blank line is no record */
            continue;
        reader->at = start;
        if (read_record(reader))
            return -1;
    }
    return 0;
}

/* ---- types */

static bool is_one_of(const Cell *cell, const char *const *words) {
    for (; *words; words++)
        if (strcmp(cell->text, *words) == 0)
            return true;
    return false;
}

static bool is_null(const Cell *cell) {
    static const char *const words[] = {"",        "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN",
                                        "-nan",    "<NA>", "1.#IND",   "N/A", "NA",      "NULL",     "NaN",
                                        "1.#QNAN", "None", "n/a",      "nan", "null",    NULL};
    return is_one_of(cell, words);
}

static bool as_bool(const Cell *cell, bool *out) {
    static const char *const yes[] = {"True", "TRUE", "true", NULL}, *const no[] = {"False", "FALSE", "false",
                                                                                    NULL};
    *out = is_one_of(cell, yes);
    return *out || is_one_of(cell, no);
}

/* Whether the text is one or more of the characters, with blanks around them. */
static bool consists_of(const char *text, const char *characters) {
    size_t n = strspn(text, characters);
    return n > 0 && text[n + strspn(text + n, " \t")] == '\0';
}

/* Decimal digits with an optional sign. */
static bool as_integer(const Cell *cell, int64_t *out) {
    const char *text = cell->text + strspn(cell->text, " \t");
    if (!consists_of(text + (*text == '-' || *text == '+'), "0123456789"))
        return false;
    errno = 0;
    *out = strtoll(text, NULL, 10);
    return errno == 0;
}

static bool as_number(const Cell *cell, double *out) {
    static const char *const infinite[] = {"inf", "Infinity", "+inf", "+Infinity", "-inf", "-Infinity", NULL};
    if (is_one_of(cell, infinite)) {
        *out = *cell->text == '-' ? -(double)INFINITY : (double)INFINITY;
        return true;
    }
    const char *text = cell->text + strspn(cell->text, " \t");
    char *end;
    if (!consists_of(text, "+-.eE0123456789"))
        return false;
    *out = strtod(text, &end);
    return end > text && end[strspn(end, " \t")] == '\0';
}

typedef enum ColumnType { COLUMN_INTEGER, COLUMN_NUMBER, COLUMN_BOOL, COLUMN_TEXT } ColumnType;

/* The type of the column whose cells stand at cells[0], cells[stride], ... */
static ColumnType column_type(const Cell *cells, size_t stride, size_t n) {
    bool integer = true, number = true, boolean = true, any_null = false, any = false, unused_bool;
    int64_t unused_int;
    double unused_number;
    for (size_t i = 0; i < n && (number || boolean); i++) {
        const Cell *cell = &cells[i * stride];
        if (is_null(cell)) {
            any_null = true;
            continue;
        }
        any = true;
        integer = integer && as_integer(cell, &unused_int);
        number = number && as_number(cell, &unused_number);
        boolean = boolean && as_bool(cell, &unused_bool);
    }
    if (boolean && any)
        return COLUMN_BOOL;
    if (number && any)
        return integer && !any_null ? COLUMN_INTEGER : COLUMN_NUMBER;
    return COLUMN_TEXT;
}

static Value cell_value(const Cell *cell, ColumnType type) {
    bool boolean;
    int64_t integer;
    double number;
    if (is_null(cell))
        return value_null();
    if (type == COLUMN_INTEGER && as_integer(cell, &integer))
        return value_int(integer);
    if (type == COLUMN_NUMBER && as_number(cell, &number))
        return value_double(number);
    if (type == COLUMN_BOOL && as_bool(cell, &boolean))
        return value_bool(boolean);
    return value_string_n(cell->text, cell->bytes);
}

/* ---- rows */

static int read_header(CsvReader *reader) {
    for (size_t i = 0; i < reader->n_columns; i++) {
        Cell *cell = &reader->cells[i];
        if (cell->bytes == 0)
            cell->text = arena_printf(reader->arena, "Unnamed: %zu", i);
        for (size_t k = 0; k < i; k++)
            if (strcmp(reader->cells[k].text, cell->text) == 0)
                return error_set(reader->error, "%s:1: two columns are called '%.100s'", reader->where,
                                 cell->text);
    }
    return 0;
}

static int make_rows(CsvReader *reader, RowList *list) {
    size_t columns = reader->n_columns, n = columns ? reader->n_cells / columns - 1 : 0;
    ColumnType *types = mem_alloc_zero(columns + 1, sizeof *types);
    for (size_t k = 0; k < columns; k++)
        types[k] = column_type(&reader->cells[columns + k], columns, n);
    int status = 0;
    for (size_t i = 0; i < n && !status; i++) {
        Value row = {.kind = VALUE_DICT, .n = columns};
        row.as.pairs = arena_alloc(reader->arena, columns * sizeof *row.as.pairs);
        for (size_t k = 0; k < columns; k++)
            row.as.pairs[k] =
                (ValuePair){.key = reader->cells[k].text,
                            .value = cell_value(&reader->cells[(i + 1) * columns + k], types[k])};
        status = rows_push(list, &row, reader->where, reader->error);
    }
    free(types);
    return status;
}

int rows_from_csv(RowList *list, Arena *arena, const char *text, size_t bytes, const char *where,
                  Error *error) {
    static const char mark[] = "\xef\xbb\xbf"; /* some programs begin UTF-8 with it */
    CsvReader reader = {
        .arena = arena, .at = text, .end = text + bytes, .where = where, .line = 1, .error = error};
    if (!utf8_valid(text, bytes) || memchr(text, '\0', bytes))
        return error_set(
            error, "%s: the text is not UTF-8 or holds a NUL character, which no prompt can hold", where);
    if (bytes >= 3 && memcmp(text, mark, 3) == 0)
        reader.at += 3;
    int status = read_records(&reader) || read_header(&reader) || make_rows(&reader, list) ? -1 : 0;
    free(reader.cells);
    return status;
}
