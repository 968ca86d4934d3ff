/* JSON text into values. cJSON does the parsing but keeps every number as a double, ends strings at a NUL and
 * does not know Python's NaN and Infinity; so one scan over the text finds the numbers as written, in the
 * order in which the tree is then walked, what would be lost is refused beforehand, and cJSON is given zeros
 * in place of Python's words. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "tasks/value.h"

enum { JSON_DEPTH_MAX = 64 };

typedef struct JsonReader {
    Arena *arena;
    const char *cursor, *end; /* the text; cursor stands behind the last number taken */
    const char *where;
    size_t line;
    Error *error;
} JsonReader;

static int fail(const JsonReader *reader, const char *what) {
    return error_set(reader->error, "%s:%zu: %s", reader->where, reader->line, what);
}

/* A string's text after its opening quote; returns behind the closing one. */
static const char *skip_string(const char *at, const char *end) {
    while (at < end && *at != '"')
        at += *at == '\\' ? 2 : 1;
    return at < end ? at + 1 : end;
}

static bool holds_nul(const char *text, size_t bytes) {
    if (memchr(text, '\0', bytes))
        return true;
    const char *end = text + bytes;
    for (const char *at = text; (at = memchr(at, '\\', (size_t)(end - at))); at += 2) {
        if (end - at < 6)
            return false;
        if (memcmp(at, "\\u0000", 6) == 0)
            return true;
    }
    return false;
}

/* Length of Python's word for a number that is none, or for an infinite one, at `at`; 0 if there is none. */
static size_t word_length(const char *at, const char *end) {
    static const char *const words[] = {"NaN", "Infinity", "-Infinity"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t length = strlen(words[i]);
        if (length <= (size_t)(end - at) && memcmp(at, words[i], length) == 0)
            return length;
    }
    return 0;
}

/* The text with zeros in place of these words; NULL if there are none. */
static char *without_words(const char *text, size_t bytes) {
    char *copy = NULL;
    const char *end = text + bytes;
    for (const char *at = text; at < end;) {
        size_t length = *at == 'N' || *at == 'I' || *at == '-' ? word_length(at, end) : 0;
        if (*at == '"') {
            at = skip_string(at + 1, end);
        } else if (length > 0 && at > text && strchr(" \t\r\n:,[", at[-1])) {
            copy = copy ? copy : mem_strndup(text, bytes);
            memset(copy + (at - text), ' ', length);
            copy[at - text] = '0';
            at += length;
        } else {
            at++;
        }
    }
    return copy;
}

/* The next number's first character, and the cursor behind it. */
static const char *next_number(JsonReader *reader) {
    const char *at = reader->cursor;
    while (at < reader->end && !strchr("-NI0123456789", *at))
        at = *at == '"' ? skip_string(at + 1, reader->end) : at + 1;
    const char *start = at;
    at += word_length(at, reader->end);
    while (at < reader->end && strchr("+-.eE0123456789", *at))
        at++;
    reader->cursor = at;
    return start;
}

static Value convert_number(JsonReader *reader, const cJSON *item) {
    const char *start = next_number(reader);
    size_t length = (size_t)(reader->cursor - start);
    char digits[32];
    int64_t integer;
    if (length > 0 && *start == 'N')
        return value_double((double)NAN);
    if (length > 1 && (*start == 'I' || start[1] == 'I'))
        return value_double(*start == '-' ? -(double)INFINITY : (double)INFINITY);
    if (memchr(start, '.', length) || memchr(start, 'e', length) || memchr(start, 'E', length) ||
        length >= sizeof digits)
        return value_double(item->valuedouble);
    memcpy(digits, start, length);
    digits[length] = '\0';
    return text_to_int(digits, &integer) ? value_int(integer) : value_double(item->valuedouble);
}

static int convert(JsonReader *reader, const cJSON *item, int depth, Value *out);

static int convert_object(JsonReader *reader, const cJSON *object, int depth, Value *out) {
    size_t room = 0;
    for (const cJSON *item = object->child; item; item = item->next)
        room++;
    if (room > VALUE_KEYS_MAX)
        return fail(reader, "an object with more than 4096 keys");
    *out =
        (Value){.kind = VALUE_DICT, .as.pairs = arena_alloc(reader->arena, (room + 1) * sizeof(ValuePair))};
    for (const cJSON *item = object->child; item; item = item->next) {
        Value value;
        if (convert(reader, item, depth + 1, &value))
            return -1;
        Value *before = (Value *)value_get(out, item->string);
        if (before)
            *before = value;
        else
            out->as.pairs[out->n++] =
                (ValuePair){.key = arena_strdup(reader->arena, item->string), .value = value};
    }
    return 0;
}

static int convert_array(JsonReader *reader, const cJSON *array, int depth, Value *out) {
    size_t n = 0;
    for (const cJSON *item = array->child; item; item = item->next)
        n++;
    *out = value_list(reader->arena, n);
    size_t i = 0;
    for (const cJSON *item = array->child; item; item = item->next)
        if (convert(reader, item, depth + 1, &out->as.items[i++]))
            return -1;
    return 0;
}

static int convert(JsonReader *reader, const cJSON *item, int depth, Value *out) {
    if (depth > JSON_DEPTH_MAX)
        return fail(reader, "JSON is nested deeper than 64 levels");
    if (cJSON_IsObject(item))
        return convert_object(reader, item, depth, out);
    if (cJSON_IsArray(item))
        return convert_array(reader, item, depth, out);
    if (cJSON_IsNumber(item))
        *out = convert_number(reader, item);
    else if (cJSON_IsString(item))
        *out = value_string(arena_strdup(reader->arena, item->valuestring));
    else if (cJSON_IsBool(item))
        *out = value_bool(cJSON_IsTrue(item));
    else
        *out = value_null();
    return 0;
}

int value_from_json(Value *out, Arena *arena, const char *text, size_t bytes, const char *where, size_t line,
                    Error *error) {
    JsonReader reader = {arena, text, text + bytes, where, line, error};
    if (!utf8_valid(text, bytes))
        return fail(&reader, "the text is not valid UTF-8");
    if (holds_nul(text, bytes))
        return fail(&reader, "a NUL character, which no prompt can hold");
    cJSON *root = NULL;
    const char *end = NULL;
    char *copy = without_words(text, bytes);
    root = cJSON_ParseWithLengthOpts(copy ? copy : text, bytes, &end, 0);
    size_t used = end ? (size_t)(end - (copy ? copy : text)) : 0;
    free(copy);
    while (root && used < bytes && strchr(" \t\r\n", text[used]))
        used++;
    if (!root || used < bytes) {
        cJSON_Delete(root);
        return error_set(error, "%s:%zu:%zu: not valid JSON near this column", where, line,
                         utf8_length(text, used < bytes ? used : bytes) + 1);
    }
    int status = convert(&reader, root, 0, out);
    cJSON_Delete(root);
    return status;
}
