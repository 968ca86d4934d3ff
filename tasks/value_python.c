/* Python literals into values: what `ast.literal_eval` reads, as far as data sets and rendered lists hold it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tasks/value.h"

enum { PYTHON_DEPTH_MAX = 64 };

typedef struct PythonReader {
    Arena *arena;
    const char *text, *at, *end;
    Error *error;
} PythonReader;

static int fail(const PythonReader *reader, const char *what) {
    return error_set(reader->error, "not a Python literal at character %zu: %s",
                     utf8_length(reader->text, (size_t)(reader->at - reader->text)) + 1, what);
}

static void skip_space(PythonReader *reader) {
    while (reader->at < reader->end && strchr(" \t\r\n", *reader->at))
        reader->at++;
}

static bool take(PythonReader *reader, char c) {
    skip_space(reader);
    if (reader->at >= reader->end || *reader->at != c)
        return false;
    reader->at++;
    return true;
}

static bool take_word(PythonReader *reader, const char *word) {
    size_t length = strlen(word);
    if ((size_t)(reader->end - reader->at) < length || memcmp(reader->at, word, length) != 0)
        return false;
    reader->at += length;
    return true;
}

/* The code of n hexadecimal digits; false if they are not there. */
static bool take_hex(PythonReader *reader, int n, uint32_t *code) {
    if (reader->end - reader->at < n)
        return false;
    char digits[9] = {0};
    memcpy(digits, reader->at, (size_t)n);
    if (strspn(digits, "0123456789abcdefABCDEF") != (size_t)n)
        return false;
    *code = (uint32_t)strtoul(digits, NULL, 16);
    reader->at += n;
    return true;
}

static int read_escape(PythonReader *reader, Buffer *out) {
    static const char from[] = "\\'\"abfnrtv", to[] = "\\'\"\a\b\f\n\r\t\v";
    if (reader->at >= reader->end)
        return fail(reader, "a string without end");
    char c = *reader->at++;
    const char *simple = strchr(from, c);
    uint32_t code = 0;
    if (c == '\n')
        return 0;
    if (simple) {
        buffer_append_char(out, to[simple - from]);
        return 0;
    }
    if (c >= '0' && c <= '7') {
        code = (uint32_t)(c - '0');
        for (int i = 0; i < 2 && reader->at < reader->end && *reader->at >= '0' && *reader->at <= '7'; i++)
            code = code * 8 + (uint32_t)(*reader->at++ - '0');
    } else if (c == 'x' || c == 'u' || c == 'U') {
        if (!take_hex(reader, c == 'x' ? 2 : c == 'u' ? 4 : 8, &code))
            return fail(reader, "hexadecimal digits are missing in an escape");
    } else {
        buffer_append_char(out, '\\');
        buffer_append_char(out, c);
        return 0;
    }
    if (code == 0 || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
        return fail(reader, "an escape that names no character");
    char bytes[4];
    buffer_append(out, bytes, utf8_encode(code, bytes));
    return 0;
}

static int read_string(PythonReader *reader, Value *out) {
    Buffer text = {0};
    int status = 0;
    char quote = *reader->at++;
    while (!status && reader->at < reader->end && *reader->at != quote && *reader->at != '\n') {
        char c = *reader->at++;
        if (c == '\\')
            status = read_escape(reader, &text);
        else
            buffer_append_char(&text, c);
    }
    if (!status && (reader->at >= reader->end || *reader->at != quote))
        status = fail(reader, "a string without end");
    if (!status) {
        reader->at++;
        *out = value_string_n(arena_strndup(reader->arena, text.data ? text.data : "", text.size), text.size);
    }
    buffer_free(&text);
    return status;
}

static int read_number(PythonReader *reader, Value *out) {
    char digits[64] = {0};
    size_t length = 0;
    while (reader->at + length < reader->end && strchr("+-.eE0123456789", reader->at[length]))
        length++;
    int64_t integer;
    double number;
    if (length == 0 || length >= sizeof digits)
        return fail(reader, "a value was expected here");
    memcpy(digits, reader->at, length);
    if (text_to_int(digits, &integer))
        *out = value_int(integer);
    else if (strpbrk(digits, ".eE") && text_to_double(digits, &number))
        *out = value_double(number);
    else
        return fail(reader, "a value was expected here");
    reader->at += length;
    return 0;
}

static int read_value(PythonReader *reader, int depth, Value *out);

/* Items gathered before their number is known. */
typedef struct Gathered {
    ValuePair *pairs;
    size_t n, room;
} Gathered;

static void gather(Gathered *gathered, const char *key, Value value) {
    if (gathered->n == gathered->room) {
        gathered->room = gathered->room ? gathered->room * 2 : 8;
        gathered->pairs = mem_realloc(gathered->pairs, gathered->room * sizeof *gathered->pairs);
    }
    gathered->pairs[gathered->n++] = (ValuePair){.key = key, .value = value};
}

static int read_items(PythonReader *reader, char close, bool keyed, int depth, Gathered *out) {
    while (!take(reader, close)) {
        Value key = {0}, value;
        if (keyed) {
            if (read_value(reader, depth + 1, &key))
                return -1;
            if (key.kind != VALUE_STRING || !take(reader, ':'))
                return fail(reader, "a string key and a colon were expected");
        }
        if (read_value(reader, depth + 1, &value))
            return -1;
        if (keyed && out->n == VALUE_KEYS_MAX)
            return fail(reader, "a dict with more than 4096 keys");
        gather(out, key.as.text, value);
        if (take(reader, ','))
            continue;
        if (!take(reader, close))
            return fail(reader, "a comma or a closing bracket was expected");
        return 0;
    }
    return 0;
}

static int read_container(PythonReader *reader, int depth, Value *out) {
    char open = *reader->at++;
    Gathered gathered = {0};
    int status = read_items(reader,
                            open == '['   ? ']'
                            : open == '(' ? ')'
                                          : '}',
                            open == '{', depth, &gathered);
    if (!status && open != '{') {
        *out = value_list(reader->arena, gathered.n);
        for (size_t i = 0; i < gathered.n; i++)
            out->as.items[i] = gathered.pairs[i].value;
    } else if (!status) {
        *out = (Value){.kind = VALUE_DICT,
                       .as.pairs = arena_alloc(reader->arena, (gathered.n + 1) * sizeof(ValuePair))};
        for (size_t i = 0; i < gathered.n; i++) {
            Value *before = (Value *)value_get(out, gathered.pairs[i].key);
            if (before)
                *before = gathered.pairs[i].value;
            else
                out->as.pairs[out->n++] = gathered.pairs[i];
        }
    }
    free(gathered.pairs);
    return status;
}

static int read_value(PythonReader *reader, int depth, Value *out) {
    skip_space(reader);
    if (depth > PYTHON_DEPTH_MAX)
        return fail(reader, "nested deeper than 64 levels");
    if (reader->at >= reader->end)
        return fail(reader, "the text ends where a value was expected");
    char c = *reader->at;
    if (c == '\'' || c == '"')
        return read_string(reader, out);
    if (c == '[' || c == '(' || c == '{')
        return read_container(reader, depth, out);
    if (take_word(reader, "None")) {
        *out = value_null();
        return 0;
    }
    if (take_word(reader, "True") || take_word(reader, "False")) {
        *out = value_bool(c == 'T');
        return 0;
    }
    return read_number(reader, out);
}

int value_from_python(Value *out, Arena *arena, const char *text, size_t bytes, Error *error) {
    PythonReader reader = {arena, text, text, text + bytes, error};
    if (read_value(&reader, 0, out))
        return -1;
    skip_space(&reader);
    if (reader.at < reader.end)
        return fail(&reader, "more text follows the value");
    return 0;
}
