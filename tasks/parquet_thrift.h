/* Thrift's compact protocol, as far as Parquet's footers and page headers need it: a cursor over bytes of
 * which nothing is believed. Parquet format, Thrift compact protocol specification. */
#ifndef ZEVAL_TASKS_PARQUET_THRIFT_H
#define ZEVAL_TASKS_PARQUET_THRIFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { THRIFT_DEPTH_MAX = 32 };

typedef enum ThriftType {
    THRIFT_STOP = 0,
    THRIFT_TRUE = 1,
    THRIFT_FALSE = 2,
    THRIFT_BYTE = 3,
    THRIFT_I16 = 4,
    THRIFT_I32 = 5,
    THRIFT_I64 = 6,
    THRIFT_DOUBLE = 7,
    THRIFT_BINARY = 8,
    THRIFT_LIST = 9,
    THRIFT_SET = 10,
    THRIFT_MAP = 11,
    THRIFT_STRUCT = 12
} ThriftType;

/* Invariant: at <= end. After a failure `wrong` says what was found and nothing more is read. */
typedef struct Thrift {
    const uint8_t *at, *end;
    const char *wrong; /* NULL: all well */
} Thrift;

/* A field of a struct; start with {0} and pass the same one to every call of a struct. */
typedef struct ThriftField {
    int id;
    ThriftType type;
} ThriftField;

/* The next field; false at the struct's end or after a failure. Its value must then be read or skipped. */
bool thrift_field(Thrift *thrift, ThriftField *field);
/* The head of a list or set: each item takes at least a byte, so *n is at most the bytes left. */
bool thrift_list(Thrift *thrift, ThriftType *type, size_t *n);
/* The value of a field or item of an integer type, false if it is of another type (thrift->wrong is set). */
bool thrift_int(Thrift *thrift, ThriftType type, int64_t *out);
bool thrift_bool(Thrift *thrift, ThriftType type, bool *out);
bool thrift_text(Thrift *thrift, ThriftType type, const char **text, size_t *bytes);
/* Passes over a value of any type. */
void thrift_skip(Thrift *thrift, ThriftType type);
/* True if the field is of the type; otherwise thrift->wrong is set. */
bool thrift_is(Thrift *thrift, ThriftType found, ThriftType expected);

#endif
