/* Python's str methods on string values: what templates and the built-in document functions need. Results are
 * new strings in arena. */
#ifndef ZEVAL_TASKS_STRINGS_H
#define ZEVAL_TASKS_STRINGS_H

#include "tasks/value.h"

typedef enum StripSide { STRIP_LEFT = 1, STRIP_RIGHT = 2, STRIP_BOTH = 3 } StripSide;

Value string_copy(Arena *arena, const char *text, size_t bytes);
/* chars is NULL (white space) or a string of characters to take away. */
Value string_strip(Arena *arena, const Value *text, StripSide side, const Value *chars);
/* Unicode's full mappings, as Python has them. */
Value string_lower(Arena *arena, const Value *text);
Value string_upper(Arena *arena, const Value *text);
Value string_capitalize(Arena *arena, const Value *text);
/* Left to right, not overlapping, at most `limit` times (-1: all); an empty `from` stands between all
 * characters. */
Value string_replace(Arena *arena, const Value *text, const Value *from, const Value *to, int64_t limit);
/* A list; separator NULL splits at runs of white space. At most `limit` splits (-1: all). A separator must
 * not be empty. */
Value string_split(Arena *arena, const Value *text, const Value *separator, int64_t limit);
/* Byte offset of the first occurrence at or behind byte `from`; -1 if there is none. */
ptrdiff_t string_find(const Value *text, const Value *part, size_t from);
/* Python's str.isdigit for ASCII digits: not empty and nothing else. */
bool string_is_digits(const Value *text);

/* What str.isdecimal, isdigit and isnumeric ask of a character. */
bool string_is_decimal(uint32_t code);
bool string_is_digit(uint32_t code);
bool string_is_number(uint32_t code);

/* A character with a mapping of its own (special_casing.c), in UTF-8; NULL if it has none. */
typedef struct SpecialCasing {
    uint32_t code;
    const char *upper, *title;
} SpecialCasing;
const SpecialCasing *special_casing(uint32_t code);

#endif
