/* Rows out of JSON; see rows.h. */
#include "tasks/rows.h"

#include <string.h>

enum { ROWS_MAX = 50000000 };

int rows_push(RowList *list, const Value *row, const char *where, Error *error) {
    if (list->n >= ROWS_MAX)
        return error_set(error, "%s: more than %d rows", where, ROWS_MAX);
    if (list->n == list->room) {
        list->room = list->room ? list->room * 2 : 256;
        list->rows = mem_realloc(list->rows, list->room * sizeof *list->rows);
    }
    list->rows[list->n++] = *row;
    return 0;
}

static bool is_blank(const char *line, size_t bytes) {
    for (size_t i = 0; i < bytes; i++)
        if (line[i] != ' ' && line[i] != '\t' && line[i] != '\r')
            return false;
    return true;
}

int rows_add_line(RowList *list, Arena *arena, const char *text, size_t bytes, const char *where, size_t line,
                  Error *error) {
    Value row;
    if (is_blank(text, bytes))
        return 0;
    if (value_from_json(&row, arena, text, bytes, where, line, error))
        return -1;
    if (row.kind != VALUE_DICT)
        return error_set(error, "%s:%zu: found %s; a JSON object with the row's columns was expected", where,
                         line, value_kind_name(row.kind));
    return rows_push(list, &row, where, error);
}

int rows_from_lines(RowList *list, Arena *arena, const char *text, size_t bytes, const char *where,
                    Error *error) {
    const char *at = text, *end = text + bytes;
    for (size_t line = 1; at < end; line++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop)
            stop = end;
        if (rows_add_line(list, arena, at, (size_t)(stop - at), where, line, error))
            return -1;
        at = stop + 1;
    }
    return 0;
}

/* A walk over an array's items, so that each is parsed alone and named by its line. */
typedef struct ArrayWalk {
    const char *at, *end;
    size_t line; /* of `at` */
} ArrayWalk;

/* The next character that is no white space, 0 at the end. */
static char next_character(ArrayWalk *walk) {
    while (walk->at < walk->end && *walk->at && strchr(" \t\r\n", *walk->at)) {
        walk->line += *walk->at == '\n';
        walk->at++;
    }
    return walk->at < walk->end ? *walk->at : '\0';
}

/* Moves behind the object that begins at `at`; whether it is well-formed is for the parser to say. */
static void skip_object(ArrayWalk *walk) {
    int64_t depth = 0;
    bool in_string = false;
    for (; walk->at < walk->end; walk->at++) {
        char c = *walk->at;
        walk->line += c == '\n';
        if (in_string) {
            if (c == '\\' && walk->at + 1 < walk->end)
                walk->at++;
            in_string = c != '"';
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if ((c == '}' || c == ']') && --depth == 0) {
            walk->at++;
            return;
        }
    }
}

static int add_items(RowList *list, Arena *arena, ArrayWalk *walk, const char *where, Error *error) {
    for (char c = next_character(walk); c != ']'; c = next_character(walk)) {
        if (c != '{')
            return error_set(error, "%s:%zu: item %zu of the array is no JSON object with the row's columns",
                             where, walk->line, list->n);
        const char *start = walk->at;
        size_t line = walk->line;
        skip_object(walk);
        if (rows_add_line(list, arena, start, (size_t)(walk->at - start), where, line, error))
            return -1;
        c = next_character(walk);
        if (c == ']')
            return 0;
        walk->at += c == ',';
        if (c != ',' || next_character(walk) == ']')
            return error_set(error,
                             "%s:%zu: after item %zu of the array, ',' and another item or ']' was "
                             "expected",
                             where, walk->line, list->n - 1);
    }
    return 0;
}

/* Objects one behind another. What is none is read as a line, which says what it is. */
static int add_objects(RowList *list, Arena *arena, ArrayWalk *walk, const char *where, Error *error) {
    for (char c; (c = next_character(walk));) {
        const char *start = walk->at;
        size_t line = walk->line;
        if (c == '{')
            skip_object(walk);
        else
            while (walk->at < walk->end && *walk->at != '\n')
                walk->at++;
        if (rows_add_line(list, arena, start, (size_t)(walk->at - start), where, line, error))
            return -1;
    }
    return walk->at < walk->end
               ? error_set(error, "%s:%zu: a NUL character, which no prompt can hold", where, walk->line)
               : 0;
}

int rows_from_json(RowList *list, Arena *arena, const char *text, size_t bytes, const char *where,
                   Error *error) {
    static const char mark[] = "\xef\xbb\xbf"; /* some programs begin UTF-8 with it */
    ArrayWalk walk = {text, text + bytes, 1};
    if (bytes >= 3 && memcmp(text, mark, 3) == 0)
        walk.at += 3;
    if (next_character(&walk) != '[')
        return add_objects(list, arena, &walk, where, error);
    walk.at++;
    if (add_items(list, arena, &walk, where, error))
        return -1;
    walk.at++;
    next_character(&walk);
    if (walk.at < walk.end)
        return error_set(error, "%s:%zu: text behind the end of the array", where, walk.line);
    return 0;
}
