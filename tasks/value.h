/* Values: what a data set's row, a task file and a template expression are made of. The kinds and their
 * printed forms are Python's, because prompts show them. A Value and all it points to live in an arena and
 * are never changed once made. */
#ifndef ZEVAL_TASKS_VALUE_H
#define ZEVAL_TASKS_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/memory.h"

enum { VALUE_KEYS_MAX = 4096 }; /* of a mapping: equal keys are looked for one by one */

typedef enum ValueKind {
    VALUE_UNDEFINED, /* a name or item that a template asked for and that is not there */
    VALUE_NULL,
    VALUE_BOOL,
    VALUE_INT,
    VALUE_DOUBLE,
    VALUE_STRING,
    VALUE_LIST,
    VALUE_DICT,
    VALUE_FUNCTION, /* a task file's `!function module.name`; text is "module.name" */
    VALUE_OBJECT    /* inside a template: a namespace, a macro, a loop (template_tree.h) */
} ValueKind;

/* In `line`, of lists that are tuples; a group of Jinja's groupby is a pair whose items have names, too. */
#define VALUE_TUPLE UINT32_MAX
#define VALUE_GROUP (UINT32_MAX - 1)
/* In `line`, of strings that Jinja holds for safe HTML: what is added to them is escaped. */
#define VALUE_MARKUP (UINT32_MAX - 2)

typedef struct Value Value;
typedef struct ValuePair ValuePair;

struct Value {
    ValueKind kind;
    uint32_t line; /* where it stands in its file, from 1; 0 if nowhere; or VALUE_TUPLE, VALUE_GROUP,
                      VALUE_MARKUP */
    size_t n;      /* bytes of text, items, or pairs; VALUE_UNDEFINED: 1 if it may be printed, as nothing */
    union {
        bool boolean;
        int64_t integer;
        double number;
        const char *text; /* VALUE_STRING, VALUE_FUNCTION (NUL-terminated UTF-8), VALUE_UNDEFINED: what */
        Value *items;
        ValuePair *pairs; /* in order; keys are different from each other */
        void *object;
    } as;
};

struct ValuePair {
    const char *key;
    uint32_t line;
    Value value;
};

Value value_null(void);
Value value_bool(bool boolean);
Value value_int(int64_t integer);
Value value_double(double number);
/* Keep `text`, which must live as long as the value. */
Value value_string(const char *text);
Value value_string_n(const char *text, size_t bytes);
/* A list of n null items; fill items in. */
Value value_list(Arena *arena, size_t n);

/* "a string", "a list", ...: for messages. */
const char *value_kind_name(ValueKind kind);
/* The value of a dict's key; NULL if there is none or `dict` is not a dict. */
const Value *value_get(const Value *dict, const char *key);
bool value_is_tuple(const Value *list);
/* Python's truth. */
bool value_truth(const Value *value);
/* Python's ==: 1 == 1.0 == True, lists item by item, dicts whatever the order. */
bool value_equal(const Value *a, const Value *b);
/* True for a bool or an int, with its value. */
bool value_as_int(const Value *value, int64_t *out);

/* Python's str() and repr(). */
void value_append_str(Buffer *out, const Value *value);
void value_append_repr(Buffer *out, const Value *value);
/* str() as a string in arena; the value's own text if it is a string. */
Value value_to_string(Arena *arena, const Value *value);
/* One line of JSON with ", " and ": ", non-ASCII as it is. */
void value_append_json(Buffer *out, const Value *value);

/* Parses one line of JSON, and NaN and Infinity as Python writes them. Integers and floats stay apart, but an
 * integer beyond 64 bits is a float, as in Arrow; columns keep their order, the last of two equal keys wins.
 * An embedded NUL, broken UTF-8 or nesting beyond 64 levels is an error, and so is an object with more than
 * VALUE_KEYS_MAX keys. `where` and `line` say where the text
 * stands. */
int value_from_json(Value *out, Arena *arena, const char *text, size_t bytes, const char *where, size_t line,
                    Error *error);

/* Parses a Python literal: strings, numbers, None, True, False, lists, tuples (as lists), dicts with string
 * keys. */
int value_from_python(Value *out, Arena *arena, const char *text, size_t bytes, Error *error);

#endif
