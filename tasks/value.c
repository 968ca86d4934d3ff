/* Values: making, comparing and printing them as Python does. Recursion is bounded because every maker of
 * nested values (JSON, YAML, Python literals, templates) bounds the nesting. */
#include "tasks/value.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/text.h"

Value value_null(void) {
    return (Value){.kind = VALUE_NULL};
}
Value value_bool(bool boolean) {
    return (Value){.kind = VALUE_BOOL, .as.boolean = boolean};
}
Value value_int(int64_t integer) {
    return (Value){.kind = VALUE_INT, .as.integer = integer};
}
Value value_double(double number) {
    return (Value){.kind = VALUE_DOUBLE, .as.number = number};
}
Value value_string(const char *text) {
    return value_string_n(text, strlen(text));
}
Value value_string_n(const char *text, size_t bytes) {
    return (Value){.kind = VALUE_STRING, .n = bytes, .as.text = text};
}

Value value_list(Arena *arena, size_t n) {
    Value list = {.kind = VALUE_LIST, .n = n, .as.items = arena_alloc(arena, (n ? n : 1) * sizeof(Value))};
    for (size_t i = 0; i < n; i++)
        list.as.items[i] = value_null();
    return list;
}

const char *value_kind_name(ValueKind kind) {
    static const char *const names[] = {"undefined", "null",   "a truth value", "an integer", "a float",
                                        "a string",  "a list", "a mapping",     "a function", "an object"};
    return names[kind];
}

const Value *value_get(const Value *dict, const char *key) {
    if (dict->kind != VALUE_DICT)
        return NULL;
    for (size_t i = 0; i < dict->n; i++)
        if (strcmp(dict->as.pairs[i].key, key) == 0)
            return &dict->as.pairs[i].value;
    return NULL;
}

bool value_is_tuple(const Value *list) {
    return list->line == VALUE_TUPLE || list->line == VALUE_GROUP;
}

bool value_truth(const Value *value) {
    switch (value->kind) {
    case VALUE_BOOL:
        return value->as.boolean;
    case VALUE_INT:
        return value->as.integer != 0;
    case VALUE_DOUBLE:
        return value->as.number != 0;
    case VALUE_STRING:
    case VALUE_LIST:
    case VALUE_DICT:
        return value->n > 0;
    case VALUE_FUNCTION:
    case VALUE_OBJECT:
        return true;
    default:
        return false;
    }
}

bool value_as_int(const Value *value, int64_t *out) {
    if (value->kind == VALUE_INT)
        *out = value->as.integer;
    if (value->kind == VALUE_BOOL)
        *out = value->as.boolean;
    return value->kind == VALUE_INT || value->kind == VALUE_BOOL;
}

static bool dicts_equal(const Value *a, const Value *b) {
    for (size_t i = 0; i < a->n; i++) {
        const Value *other = value_get(b, a->as.pairs[i].key);
        if (!other || !value_equal(&a->as.pairs[i].value, other))
            return false;
    }
    return true;
}

bool value_equal(const Value *a, const Value *b) {
    int64_t left = 0, right = 0;
    bool left_whole = value_as_int(a, &left), right_whole = value_as_int(b, &right);
    if (left_whole && right_whole)
        return left == right;
    if (left_whole && b->kind == VALUE_DOUBLE)
        return (double)left == b->as.number;
    if (right_whole && a->kind == VALUE_DOUBLE)
        return a->as.number == (double)right;
    if (a->kind != b->kind || a->kind == VALUE_UNDEFINED)
        return false;
    if (a->kind == VALUE_NULL)
        return true;
    if (a->kind == VALUE_DOUBLE)
        return a->as.number == b->as.number;
    if (a->kind == VALUE_OBJECT)
        return a->as.object == b->as.object;
    if (a->n != b->n || value_is_tuple(a) != value_is_tuple(b))
        return false;
    if (a->kind == VALUE_STRING || a->kind == VALUE_FUNCTION)
        return memcmp(a->as.text, b->as.text, a->n) == 0;
    if (a->kind == VALUE_DICT)
        return dicts_equal(a, b);
    for (size_t i = 0; i < a->n; i++)
        if (!value_equal(&a->as.items[i], &b->as.items[i]))
            return false;
    return true;
}

static bool is_printable(uint32_t code) {
    if (code == ' ')
        return true;
    switch (utf8proc_category((utf8proc_int32_t)code)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return false;
    default:
        return true;
    }
}

static void append_string_repr(Buffer *out, const char *text, size_t bytes) {
    char quote = memchr(text, '\'', bytes) && !memchr(text, '"', bytes) ? '"' : '\'';
    buffer_append_char(out, quote);
    for (size_t i = 0; i < bytes;) {
        uint32_t code;
        size_t length = utf8_decode(text + i, bytes - i, &code);
        if (code == (uint32_t)quote || code == '\\')
            buffer_printf(out, "\\%c", (char)code);
        else if (code == '\n')
            buffer_append_text(out, "\\n");
        else if (code == '\r')
            buffer_append_text(out, "\\r");
        else if (code == '\t')
            buffer_append_text(out, "\\t");
        else if (is_printable(code))
            buffer_append(out, text + i, length);
        else if (code < 0x100)
            buffer_printf(out, "\\x%02x", code);
        else
            buffer_printf(out, code < 0x10000 ? "\\u%04x" : "\\U%08x", code);
        i += length;
    }
    buffer_append_char(out, quote);
}

void value_append_repr(Buffer *out, const Value *value) {
    switch (value->kind) {
    case VALUE_UNDEFINED:
        buffer_append_text(out, "Undefined");
        return;
    case VALUE_NULL:
        buffer_append_text(out, "None");
        return;
    case VALUE_BOOL:
        buffer_append_text(out, value->as.boolean ? "True" : "False");
        return;
    case VALUE_INT:
        buffer_printf(out, "%lld", (long long)value->as.integer);
        return;
    case VALUE_DOUBLE:
        text_append_double(out, value->as.number);
        return;
    case VALUE_STRING:
        buffer_append_text(out, value->line == VALUE_MARKUP ? "Markup(" : "");
        append_string_repr(out, value->as.text, value->n);
        buffer_append_text(out, value->line == VALUE_MARKUP ? ")" : "");
        return;
    case VALUE_FUNCTION:
        buffer_printf(out, "!function %s", value->as.text);
        return;
    case VALUE_OBJECT:
        buffer_append_text(out, "<object>");
        return;
    case VALUE_LIST:
        buffer_append_char(out, value_is_tuple(value) ? '(' : '[');
        for (size_t i = 0; i < value->n; i++) {
            if (i)
                buffer_append_text(out, ", ");
            value_append_repr(out, &value->as.items[i]);
        }
        buffer_append_text(out, !value_is_tuple(value) ? "]" : value->n == 1 ? ",)" : ")");
        return;
    case VALUE_DICT:
        buffer_append_char(out, '{');
        for (size_t i = 0; i < value->n; i++) {
            if (i)
                buffer_append_text(out, ", ");
            append_string_repr(out, value->as.pairs[i].key, strlen(value->as.pairs[i].key));
            buffer_append_text(out, ": ");
            value_append_repr(out, &value->as.pairs[i].value);
        }
        buffer_append_char(out, '}');
        return;
    }
}

void value_append_str(Buffer *out, const Value *value) {
    if (value->kind == VALUE_STRING)
        buffer_append(out, value->as.text, value->n);
    else if (value->kind != VALUE_UNDEFINED) /* nothing by itself, "Undefined" in a list */
        value_append_repr(out, value);
}

Value value_to_string(Arena *arena, const Value *value) {
    if (value->kind == VALUE_STRING)
        return *value;
    Buffer text = {0};
    value_append_str(&text, value);
    Value string = value_string_n(arena_strndup(arena, text.data ? text.data : "", text.size), text.size);
    buffer_free(&text);
    return string;
}

static void append_json_double(Buffer *out, double number) {
    if (isnan(number) || isinf(number))
        buffer_append_text(out, isnan(number) ? "NaN" : number > 0 ? "Infinity" : "-Infinity");
    else
        text_append_double(out, number);
}

void value_append_json(Buffer *out, const Value *value) {
    switch (value->kind) {
    case VALUE_BOOL:
        buffer_append_text(out, value->as.boolean ? "true" : "false");
        return;
    case VALUE_INT:
        buffer_printf(out, "%lld", (long long)value->as.integer);
        return;
    case VALUE_DOUBLE:
        append_json_double(out, value->as.number);
        return;
    case VALUE_STRING:
    case VALUE_FUNCTION:
        text_append_json(out, value->as.text, value->n);
        return;
    case VALUE_LIST:
        buffer_append_char(out, '[');
        for (size_t i = 0; i < value->n; i++) {
            if (i)
                buffer_append_text(out, ", ");
            value_append_json(out, &value->as.items[i]);
        }
        buffer_append_char(out, ']');
        return;
    case VALUE_DICT:
        buffer_append_char(out, '{');
        for (size_t i = 0; i < value->n; i++) {
            if (i)
                buffer_append_text(out, ", ");
            text_append_json(out, value->as.pairs[i].key, strlen(value->as.pairs[i].key));
            buffer_append_text(out, ": ");
            value_append_json(out, &value->as.pairs[i].value);
        }
        buffer_append_char(out, '}');
        return;
    default:
        buffer_append_text(out, "null");
        return;
    }
}
