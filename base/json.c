/* JSON with errors that name file and field; see json.h. */
#include "base/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"

/* Turns the place where parsing stopped into line and column. */
static int parse_failure(const char *text, size_t bytes, const char *stopped, const char *where,
                         Error *error) {
    size_t line = 1, column = 1, at = 0;
    size_t end = stopped >= text && stopped <= text + bytes ? (size_t)(stopped - text) : bytes;
    for (; at < end; at++) {
        column++;
        if (text[at] == '\n') {
            line++;
            column = 1;
        }
    }
    return error_set(error, "%s:%zu:%zu: the JSON is wrong or incomplete here", where, line, column);
}

int json_parse(cJSON **out, const char *text, size_t bytes, const char *where, Error *error) {
    const char *stopped = NULL;
    *out = NULL;
    if (bytes && !utf8_valid(text, bytes))
        return error_set(error, "%s: the JSON text is not valid UTF-8", where);
    *out = cJSON_ParseWithLengthOpts(text, bytes, &stopped, false);
    if (!*out)
        return parse_failure(text, bytes, stopped, where, error);
    const char *rest = stopped;
    size_t left = bytes - (size_t)(rest - text);
    while (left && strchr(" \t\r\n", *rest) && *rest) {
        rest++;
        left--;
    }
    if (left == 0)
        return 0;
    cJSON_Delete(*out);
    *out = NULL;
    return parse_failure(text, bytes, rest, where, error);
}

int json_parse_file(cJSON **out, const char *path, size_t max_bytes, Error *error) {
    Buffer text = {0};
    *out = NULL;
    if (file_read(&text, path, max_bytes, error))
        return -1;
    int result = json_parse(out, text.data, text.size, path, error);
    buffer_free(&text);
    return result;
}

const char *json_type_name(const cJSON *item) {
    if (!item)
        return "nothing";
    switch (item->type & 0xFF) {
    case cJSON_False:
    case cJSON_True:
        return "a boolean";
    case cJSON_NULL:
        return "null";
    case cJSON_Number:
        return "a number";
    case cJSON_String:
        return "a string";
    case cJSON_Array:
        return "an array";
    case cJSON_Object:
        return "an object";
    default:
        return "something unknown";
    }
}

bool json_to_int(const cJSON *item, int64_t min, int64_t max, int64_t *out) {
    const double exact = 9007199254740992.0; /* 2^53 */
    if (!cJSON_IsNumber(item) || !(fabs(item->valuedouble) <= exact) ||
        floor(item->valuedouble) != item->valuedouble)
        return false;
    int64_t value = (int64_t)item->valuedouble;
    if (value < min || value > max)
        return false;
    *out = value;
    return true;
}

static int wrong_type(const cJSON *item, const char *key, const char *expected, const char *where,
                      Error *error) {
    return error_set(error, "%s: field \"%s\": found %s, expected %s", where, key, json_type_name(item),
                     expected);
}

static int read_int(const cJSON *item, const char *key, int64_t min, int64_t max, int64_t *out,
                    const char *where, Error *error) {
    if (!cJSON_IsNumber(item))
        return wrong_type(item, key, "a whole number", where, error);
    if (!json_to_int(item, min, max, out))
        return error_set(error, "%s: field \"%s\": found %.17g, expected a whole number from %lld to %lld",
                         where, key, item->valuedouble, (long long)min, (long long)max);
    return 0;
}

static int read_string(const cJSON *item, const char *key, const char **out, const char *where,
                       Error *error) {
    if (!cJSON_IsString(item))
        return wrong_type(item, key, "a string", where, error);
    *out = item->valuestring;
    return 0;
}

static int read_double(const cJSON *item, const char *key, double *out, const char *where, Error *error) {
    if (!cJSON_IsNumber(item))
        return wrong_type(item, key, "a number", where, error);
    if (!isfinite(item->valuedouble))
        return error_set(error, "%s: field \"%s\": the number is too large", where, key);
    *out = item->valuedouble;
    return 0;
}

static int read_bool(const cJSON *item, const char *key, bool *out, const char *where, Error *error) {
    if (!cJSON_IsBool(item))
        return wrong_type(item, key, "true or false", where, error);
    *out = cJSON_IsTrue(item);
    return 0;
}

static const cJSON *field(const cJSON *object, const char *key) {
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

int json_get_object(const cJSON *object, const char *key, const cJSON **out, const char *where,
                    Error *error) {
    *out = field(object, key);
    return cJSON_IsObject(*out) ? 0 : wrong_type(*out, key, "an object", where, error);
}

int json_get_array(const cJSON *object, const char *key, const cJSON **out, const char *where, Error *error) {
    *out = field(object, key);
    return cJSON_IsArray(*out) ? 0 : wrong_type(*out, key, "an array", where, error);
}

int json_get_string(const cJSON *object, const char *key, const char **out, const char *where, Error *error) {
    return read_string(field(object, key), key, out, where, error);
}

int json_get_int(const cJSON *object, const char *key, int64_t min, int64_t max, int64_t *out,
                 const char *where, Error *error) {
    return read_int(field(object, key), key, min, max, out, where, error);
}

int json_get_double(const cJSON *object, const char *key, double *out, const char *where, Error *error) {
    return read_double(field(object, key), key, out, where, error);
}

int json_get_bool(const cJSON *object, const char *key, bool *out, const char *where, Error *error) {
    return read_bool(field(object, key), key, out, where, error);
}

/* The field, or NULL when it is absent or null. */
static const cJSON *optional(const cJSON *object, const char *key) {
    const cJSON *item = field(object, key);
    return cJSON_IsNull(item) ? NULL : item;
}

int json_opt_string(const cJSON *object, const char *key, const char **out, const char *where, Error *error) {
    const cJSON *item = optional(object, key);
    return item ? read_string(item, key, out, where, error) : 0;
}

int json_opt_int(const cJSON *object, const char *key, int64_t min, int64_t max, int64_t *out,
                 const char *where, Error *error) {
    const cJSON *item = optional(object, key);
    return item ? read_int(item, key, min, max, out, where, error) : 0;
}

int json_opt_double(const cJSON *object, const char *key, double *out, const char *where, Error *error) {
    const cJSON *item = optional(object, key);
    return item ? read_double(item, key, out, where, error) : 0;
}

int json_opt_bool(const cJSON *object, const char *key, bool *out, const char *where, Error *error) {
    const cJSON *item = optional(object, key);
    return item ? read_bool(item, key, out, where, error) : 0;
}
