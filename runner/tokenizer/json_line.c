#include "runner/tokenizer/json_line.h"

#include <string.h>

enum { MAX_DEPTH = 128 };

typedef struct Cursor {
    const char *text;
    size_t at, bytes;
    const char *where;
    Error *error;
} Cursor;

static char peek(const Cursor *c) {
    return c->at < c->bytes ? c->text[c->at] : '\0';
}

static int wrong(const Cursor *c, const char *expected) {
    return error_set(c->error, "%s: the JSON is wrong or incomplete at column %zu, expected %s", c->where,
                     c->at + 1, expected);
}

static void skip_space(Cursor *c) {
    while (c->at < c->bytes && (peek(c) == ' ' || peek(c) == '\t' || peek(c) == '\r' || peek(c) == '\n'))
        c->at++;
}

/* Takes one character of punctuation, with the space around it. */
static bool take(Cursor *c, char wanted) {
    skip_space(c);
    if (peek(c) != wanted)
        return false;
    c->at++;
    skip_space(c);
    return true;
}

/* ---- strings */

static int read_hex4(Cursor *c, uint32_t *code) {
    *code = 0;
    for (int i = 0; i < 4; i++, c->at++) {
        char digit = peek(c);
        if (digit >= '0' && digit <= '9')
            *code = *code * 16 + (uint32_t)(digit - '0');
        else if ((digit | 32) >= 'a' && (digit | 32) <= 'f')
            *code = *code * 16 + (uint32_t)((digit | 32) - 'a' + 10);
        else
            return wrong(c, "four hexadecimal digits");
    }
    return 0;
}

/* After "\u". */
static int read_unicode_escape(Cursor *c, Buffer *out) {
    uint32_t code, low;
    char utf8[4];
    if (read_hex4(c, &code))
        return -1;
    if (code >= 0xD800 && code < 0xE000) {
        if (code >= 0xDC00 || peek(c) != '\\' || c->at + 1 >= c->bytes || c->text[c->at + 1] != 'u')
            return wrong(c, "the other half of a surrogate pair");
        c->at += 2;
        if (read_hex4(c, &low))
            return -1;
        if (low < 0xDC00 || low >= 0xE000)
            return wrong(c, "the other half of a surrogate pair");
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    buffer_append(out, utf8, utf8_encode(code, utf8));
    return 0;
}

/* After the backslash. */
static int read_escape(Cursor *c, Buffer *out) {
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    char letter = peek(c);
    const char *found = letter ? strchr(letters, letter) : NULL;
    if (letter == 'u') {
        c->at++;
        return read_unicode_escape(c, out);
    }
    if (!found)
        return wrong(c, "one of \"\\/bfnrtu after a backslash");
    buffer_append_char(out, meanings[found - letters]);
    c->at++;
    return 0;
}

static int read_string(Cursor *c, Buffer *out) {
    buffer_clear(out);
    if (peek(c) != '"')
        return wrong(c, "a string");
    c->at++;
    for (;;) {
        size_t start = c->at;
        while (c->at < c->bytes && (unsigned char)c->text[c->at] >= 0x20 && c->text[c->at] != '"' &&
               c->text[c->at] != '\\')
            c->at++;
        buffer_append(out, c->text + start, c->at - start);
        if (peek(c) == '"')
            break;
        if (peek(c) != '\\')
            return wrong(c,
                         c->at < c->bytes ? "an escape instead of a control character" : "a closing quote");
        c->at++;
        if (read_escape(c, out))
            return -1;
    }
    c->at++;
    return 0;
}

/* ---- other values */

static size_t skip_digits(Cursor *c) {
    size_t start = c->at;
    while (peek(c) >= '0' && peek(c) <= '9')
        c->at++;
    return c->at - start;
}

static int skip_number(Cursor *c) {
    if (peek(c) == '-')
        c->at++;
    char first = peek(c);
    size_t digits = skip_digits(c);
    if (digits == 0 || (first == '0' && digits > 1))
        return wrong(c, "a value");
    if (peek(c) == '.') {
        c->at++;
        if (!skip_digits(c))
            return wrong(c, "a digit");
    }
    if ((peek(c) | 32) == 'e') {
        c->at++;
        if (peek(c) == '+' || peek(c) == '-')
            c->at++;
        if (!skip_digits(c))
            return wrong(c, "a digit");
    }
    return 0;
}

static int skip_value(Cursor *c, Buffer *scratch, int depth);

/* The members of an object or array whose first bracket is taken. */
static int skip_members(Cursor *c, char close, Buffer *scratch, int depth) {
    if (depth == MAX_DEPTH)
        return wrong(c, "less nesting");
    if (take(c, close))
        return 0;
    do {
        if (close == '}' && (read_string(c, scratch) || (!take(c, ':') && wrong(c, "':'"))))
            return -1;
        if (skip_value(c, scratch, depth + 1))
            return -1;
    } while (take(c, ','));
    return take(c, close) ? 0 : wrong(c, close == '}' ? "',' or '}'" : "',' or ']'");
}

static int skip_value(Cursor *c, Buffer *scratch, int depth) {
    static const char *const words[] = {"true", "false", "null"};
    if (peek(c) == '"')
        return read_string(c, scratch);
    if (peek(c) == '{' || peek(c) == '[') {
        char close = peek(c) == '{' ? '}' : ']';
        c->at++;
        skip_space(c);
        return skip_members(c, close, scratch, depth);
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t length = strlen(words[i]);
        if (c->bytes - c->at >= length && memcmp(c->text + c->at, words[i], length) == 0) {
            c->at += length;
            return 0;
        }
    }
    return skip_number(c);
}

/* ---- the field */

/* Reads one wanted value at the cursor. */
typedef int ValueReader(Cursor *c, void *out);

static int read_text_value(Cursor *c, void *out) {
    if (peek(c) != '"')
        return wrong(c, "a string for the field \"text\"");
    return read_string(c, out);
}

static int read_id(Cursor *c, TokenIds *ids) {
    int64_t id = 0;
    size_t start = c->at, digits = skip_digits(c);
    if (digits == 0 || digits > 9)
        return wrong(c, "a token id");
    for (size_t i = start; i < c->at; i++)
        id = id * 10 + (c->text[i] - '0');
    token_ids_append(ids, (int32_t)id);
    return 0;
}

static int read_ids_value(Cursor *c, void *out) {
    TokenIds *ids = out;
    ids->n = 0;
    if (!take(c, '['))
        return wrong(c, "an array for the field \"ids\"");
    if (peek(c) == ']') {
        c->at++;
        return 0;
    }
    do {
        if (read_id(c, ids))
            return -1;
    } while (take(c, ','));
    if (peek(c) != ']')
        return wrong(c, "',' or ']'");
    c->at++;
    return 0;
}

/* The members of the line's object; the brace is taken. */
static int read_members(Cursor *c, const char *key, ValueReader *read, void *out, bool *found, Buffer *name) {
    if (take(c, '}'))
        return 0;
    do {
        if (read_string(c, name))
            return -1;
        if (!take(c, ':'))
            return wrong(c, "':'");
        bool wanted = name->size == strlen(key) && memcmp(name->data, key, name->size) == 0;
        *found = *found || wanted;
        if (wanted ? read(c, out) : skip_value(c, name, 0))
            return -1;
    } while (take(c, ','));
    return take(c, '}') ? 0 : wrong(c, "',' or '}'");
}

static int read_line(const char *line, size_t bytes, const char *key, ValueReader *read, void *out,
                     const char *where, Error *error) {
    Cursor c = {line, 0, bytes, where, error};
    Buffer name = {0};
    bool found = false;
    int result = take(&c, '{') ? read_members(&c, key, read, out, &found, &name) : wrong(&c, "an object");
    buffer_free(&name);
    if (result)
        return -1;
    if (c.at < bytes)
        return wrong(&c, "nothing after the object");
    if (!found)
        return error_set(error, "%s: field \"%s\": found nothing, expected it in every line", where, key);
    return 0;
}

int json_line_text(const char *line, size_t bytes, const char *key, Buffer *text, const char *where,
                   Error *error) {
    return read_line(line, bytes, key, read_text_value, text, where, error);
}

int json_line_ids(const char *line, size_t bytes, const char *key, TokenIds *ids, const char *where,
                  Error *error) {
    return read_line(line, bytes, key, read_ids_value, ids, where, error);
}
