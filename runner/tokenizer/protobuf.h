/* Reading protobuf messages field by field: what a tokenizer.model needs, and no more. Groups are refused. */
#ifndef ZEVAL_RUNNER_TOKENIZER_PROTOBUF_H
#define ZEVAL_RUNNER_TOKENIZER_PROTOBUF_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef enum ProtobufKind {
    PROTOBUF_VARINT = 0,
    PROTOBUF_FIXED64 = 1,
    PROTOBUF_BYTES = 2,
    PROTOBUF_FIXED32 = 5
} ProtobufKind;

typedef struct ProtobufField {
    uint32_t number;
    ProtobufKind kind;
    uint64_t value;   /* all kinds but PROTOBUF_BYTES */
    const char *data; /* PROTOBUF_BYTES: points into the message */
    size_t bytes;
} ProtobufField;

typedef struct Protobuf {
    const char *data;
    size_t at, bytes;
} Protobuf;

Protobuf protobuf_begin(const char *data, size_t bytes);
/* A reader of the message that a field holds. */
Protobuf protobuf_inside(const ProtobufField *field);
/* 1: *field is the next one, 0: end of the message, -1: the message is cut off or not protobuf. */
int protobuf_next(Protobuf *reader, ProtobufField *field, Error *error);
/* The value of a PROTOBUF_FIXED32 field as a float. */
float protobuf_float(const ProtobufField *field);

#endif
