/* Rows out of CSV; see rows.h. First all cells are cut, then each column gets the one type that all of its
 * cells allow. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

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

/* Text up to a cell's end, in which quotes are characters as all others. */
static void take_plain(CsvReader *reader, Buffer *text) {
    const char *start = reader->at;
    while (reader->at < reader->end && *reader->at != ',' && *reader->at != '\n' && *reader->at != '\r')
        reader->at++;
    buffer_append(text, start, (size_t)(reader->at - start));
}

/* Text in quotes, `at` behind the first one; a quote inside is written twice. */
static int take_quoted(CsvReader *reader, Buffer *text) {
    size_t line = reader->line;
    for (; reader->at < reader->end; reader->at++) {
        char c = *reader->at;
        reader->line += c == '\n';
        if (c == '"' && (reader->at + 1 == reader->end || reader->at[1] != '"')) {
            reader->at++;
            return 0;
        }
        reader->at += c == '"';
        buffer_append_char(text, c);
    }
    return error_set(reader->error, "%s:%zu: a quote that is never closed", reader->where, line);
}

/* As pandas takes it, text behind a closing quote belongs to the cell. */
static int read_cell(CsvReader *reader) {
    Buffer text = {0};
    int status = 0;
    if (reader->at < reader->end && *reader->at == '"') {
        reader->at++;
        status = take_quoted(reader, &text);
    }
    if (!status) {
        take_plain(reader, &text);
        push_cell(reader, text.data ? text.data : "", text.size);
    }
    buffer_free(&text);
    return status;
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
    if (n > reader->n_columns)
        return error_set(reader->error, "%s:%zu: %zu cells; the header has %zu", reader->where, line, n,
                         reader->n_columns);
    for (; n < reader->n_columns; n++) /* as in pandas, cells that a line does not have are empty */
        push_cell(reader, "", 0);
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
    *out = strcasecmp(cell->text, "true") == 0;
    return *out || strcasecmp(cell->text, "false") == 0;
}

/* Whether the text is one or more of the characters, with blanks around them. */
static bool consists_of(const char *text, const char *characters) {
    size_t n = strspn(text, characters);
    return n > 0 && text[n + strspn(text + n, " \t")] == '\0';
}

/* Decimal digits with an optional sign; *fits: the number fits into 64 bits. */
static bool as_integer(const Cell *cell, int64_t *out, bool *fits) {
    const char *text = cell->text + strspn(cell->text, " \t");
    *fits = false;
    if (!consists_of(text + (*text == '-' || *text == '+'), "0123456789"))
        return false;
    errno = 0;
    *out = strtoll(text, NULL, 10);
    *fits = errno == 0;
    return true;
}

/* "inf" or "infinity" in any case, with an optional sign. */
static bool as_infinity(const char *text, double *out) {
    *out = *text == '-' ? -(double)INFINITY : (double)INFINITY;
    text += *text == '-' || *text == '+';
    return strcasecmp(text, "inf") == 0 || strcasecmp(text, "infinity") == 0;
}

/* The digits at *at into *number, as long as no more than 17 have been counted, leading zeros among them.
 * Returns how many went into it; *at moves behind all digits. */
static int take_digits(const char **at, double *number, int *counted) {
    enum { COUNTED_MAX = 17 };
    int taken = 0;
    for (; **at >= '0' && **at <= '9'; ++*at) {
        if (*counted == COUNTED_MAX)
            continue;
        *number = *number * 10 + (**at - '0');
        ++*counted;
        taken++;
    }
    return taken;
}

/* number * 10 ** exponent, by one or two roundings. */
static double scale_by_ten(double number, long exponent) {
    char text[16];
    if (exponent > 308 || exponent < -616)
        return exponent > 0 ? number * (double)INFINITY : number * 0;
    long magnitude = labs(exponent), first = magnitude > 308 ? magnitude - 308 : magnitude;
    snprintf(text, sizeof text, "1e%ld", first);
    double power = strtod(text, NULL);
    if (exponent >= 0)
        return number * power;
    return magnitude > 308 ? number / power / 1e308 : number / power;
}

/* A number as pandas (to version 2) reads it, whose last digits are not always the nearest ones: a prompt
 * shows them. False if the text is none, or one that is out of range. */
static bool as_number(const Cell *cell, double *out) {
    if (as_infinity(cell->text, out))
        return true;
    const char *at = cell->text + strspn(cell->text, " \t"), *start;
    double number = 0;
    int counted = 0;
    long exponent = 0;
    bool negative = *at == '-';
    at += *at == '-' || *at == '+';
    start = at;
    exponent -= take_digits(&at, &number, &counted);
    exponent += (long)(at - start); /* digits that were not counted */
    if (*at == '.') {
        at++;
        exponent -= take_digits(&at, &number, &counted);
    }
    if (counted == 0)
        return false;
    if (*at == 'e' || *at == 'E') {
        char *end;
        long power = strtol(at + 1, &end, 10);
        bool none = end == at + 1 || at[1] == ' ' || at[1] == '\t';
        if (none)
            return false;
        exponent = power > 100000 || power < -100000 ? power : exponent + power;
        at = end;
    }
    *out = scale_by_ten(negative ? -number : number, exponent);
    return at[strspn(at, " \t")] == '\0' && !isinf(*out); /* 1e400 is text */
}

typedef enum ColumnType { COLUMN_INTEGER, COLUMN_NUMBER, COLUMN_BOOL, COLUMN_TEXT } ColumnType;

/* A column with a whole number beyond 64 bits is text, but one of floats if there is something else than
 * whole numbers before the first one that is beyond 64 bits without a sign, too. */
static bool stays_text(const Cell *cells, size_t stride, size_t n) {
    int64_t unused;
    bool fits;
    for (size_t i = 0; i < n; i++) {
        const Cell *cell = &cells[i * stride];
        if (is_null(cell))
            continue;
        if (!as_integer(cell, &unused, &fits))
            return false;
        errno = 0;
        strtoull(cell->text, NULL, 10);
        if (errno)
            return true;
    }
    return true;
}

/* The type of the column whose cells stand at cells[0], cells[stride], ... */
static ColumnType column_type(const Cell *cells, size_t stride, size_t n) {
    bool integer = true, number = true, boolean = true, any_null = false, any = false, fits, unused_bool;
    int64_t unused_int;
    double unused_number;
    for (size_t i = 0; i < n && (number || boolean); i++) {
        const Cell *cell = &cells[i * stride];
        if (is_null(cell)) {
            any_null = true;
            continue;
        }
        any = true;
        bool whole = as_integer(cell, &unused_int, &fits);
        if (integer && whole && !fits && stays_text(cells, stride, n))
            return COLUMN_TEXT;
        integer = integer && whole && fits;
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
    if (type == COLUMN_INTEGER && as_integer(cell, &integer, &boolean))
        return value_int(integer);
    if (type == COLUMN_NUMBER && as_number(cell, &number))
        return value_double(number);
    if (type == COLUMN_BOOL && as_bool(cell, &boolean))
        return value_bool(boolean);
    return value_string_n(cell->text, cell->bytes);
}

/* ---- rows */

static bool is_taken(const CsvReader *reader, const char *name, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(reader->cells[i].text, name) == 0)
            return true;
    return false;
}

/* Names for columns that have none, and other names, "a.1", for those whose names are taken. */
static void name_columns(CsvReader *reader) {
    for (size_t i = 0; i < reader->n_columns; i++)
        if (reader->cells[i].bytes == 0)
            reader->cells[i].text = arena_printf(reader->arena, "Unnamed: %zu", i);
    for (size_t i = 0; i < reader->n_columns; i++) {
        const char *name = reader->cells[i].text, *given = name;
        for (size_t k = 1; is_taken(reader, given, i); k++)
            given = arena_printf(reader->arena, "%s.%zu", name, k);
        reader->cells[i].text = given;
    }
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
    int status = read_records(&reader);
    if (!status) {
        name_columns(&reader);
        status = make_rows(&reader, list);
    }
    free(reader.cells);
    return status;
}
