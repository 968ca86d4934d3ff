/* Rows of a data set out of text: JSON Lines, a JSON array, CSV. */
#ifndef ZEVAL_TASKS_ROWS_H
#define ZEVAL_TASKS_ROWS_H

#include "base/error.h"
#include "base/memory.h"
#include "tasks/value.h"

/* Rows read so far. Zero-initialise with {0}; free(rows) at the end. */
typedef struct RowList {
    Value *rows; /* dicts, all they hold is in an arena */
    size_t n, room;
} RowList;

/* Adds a row; one too many (50 million) is an error that names `where`. */
int rows_push(RowList *list, const Value *row, const char *where, Error *error);

/* One line of JSON Lines, number `line` of `where`; a blank line is no row. */
int rows_add_line(RowList *list, Arena *arena, const char *text, size_t bytes, const char *where, size_t line,
                  Error *error);

/* Each adds all rows of a text; `where` is the file's name for messages. */
int rows_from_lines(RowList *list, Arena *arena, const char *text, size_t bytes, const char *where,
                    Error *error);
/* An array of objects, or objects one behind another, on lines of their own or not. */
int rows_from_json(RowList *list, Arena *arena, const char *text, size_t bytes, const char *where,
                   Error *error);
/* Rows out of JSON become a table as Arrow's reader (and with it the hub's) makes it: every mapping at one
 * place gets all keys that one of them has, in the order in which they first came, null where it has none;
 * numbers of which one is a float are floats. Mappings with more than 512 keys between them stay as they are.
 */
void rows_unify(RowList *list, Arena *arena);
/* CSV as RFC 4180 has it, with a header line, and beyond it as pandas 2 (and with it the hub's CSV loader)
 * reads it. A column gets one type: empty cells and pandas' words for nothing (NA, null, None, nan, ...) are
 * null; a column of whole numbers is integer, float if a cell is null; of numbers, float, with pandas'
 * digits; of true and false, a truth value; every other column is text, and so is one of whole numbers that
 * do not all fit into 64 bits with a sign. A column without a name is called "Unnamed: N", one whose name is
 * taken "name.1". Cells that a line lacks are empty; more cells than the header has are an error. */
int rows_from_csv(RowList *list, Arena *arena, const char *text, size_t bytes, const char *where,
                  Error *error);

#endif
