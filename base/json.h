/* Reading JSON with errors a user can act on: every accessor names the file (`where`), the field, what was
 * found and what was expected. cJSON does the parsing. */
#ifndef ZEVAL_BASE_JSON_H
#define ZEVAL_BASE_JSON_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Parses all of text (trailing white space allowed, anything else not). On a syntax error the message gives
 * the line and column. Free with cJSON_Delete. */
int json_parse(cJSON **out, const char *text, size_t bytes, const char *where, Error *error);
/* Reads and parses a file of at most max_bytes (gzip allowed). */
int json_parse_file(cJSON **out, const char *path, size_t max_bytes, Error *error);

/* Required fields: a missing field or one of another type is an error. */
int json_get_object(const cJSON *object, const char *key, const cJSON **out, const char *where, Error *error);
int json_get_array(const cJSON *object, const char *key, const cJSON **out, const char *where, Error *error);
int json_get_string(const cJSON *object, const char *key, const char **out, const char *where, Error *error);
int json_get_int(const cJSON *object, const char *key, int64_t min, int64_t max, int64_t *out,
                 const char *where, Error *error);
int json_get_double(const cJSON *object, const char *key, double *out, const char *where, Error *error);
int json_get_bool(const cJSON *object, const char *key, bool *out, const char *where, Error *error);

/* Optional fields: absent or null leaves *out as it is and succeeds; a wrong type is still an error. */
int json_opt_string(const cJSON *object, const char *key, const char **out, const char *where, Error *error);
int json_opt_int(const cJSON *object, const char *key, int64_t min, int64_t max, int64_t *out,
                 const char *where, Error *error);
int json_opt_double(const cJSON *object, const char *key, double *out, const char *where, Error *error);
int json_opt_bool(const cJSON *object, const char *key, bool *out, const char *where, Error *error);

/* "a string", "a number", ...: for messages. */
const char *json_type_name(const cJSON *item);
/* Reads a JSON number as an integer; false if it has a fraction or lies outside [min, max]. Exact up to 2^53.
 */
bool json_to_int(const cJSON *item, int64_t min, int64_t max, int64_t *out);

#endif
