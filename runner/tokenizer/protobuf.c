#include "runner/tokenizer/protobuf.h"

#include <string.h>

Protobuf protobuf_begin(const char *data, size_t bytes) {
    return (Protobuf){data, 0, bytes};
}

Protobuf protobuf_inside(const ProtobufField *field) {
    return protobuf_begin(field->data, field->bytes);
}

static int broken(const Protobuf *reader, const char *what, Error *error) {
    return error_set(error, "the protobuf message of %zu bytes has %s at byte %zu", reader->bytes, what,
                     reader->at);
}

static int read_varint(Protobuf *reader, uint64_t *value, Error *error) {
    *value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        if (reader->at == reader->bytes)
            return broken(reader, "an end inside a number", error);
        uint8_t byte = (uint8_t)reader->data[reader->at++];
        *value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80)
            return 0;
    }
    return broken(reader, "a number of more than ten bytes", error);
}

static int read_fixed(Protobuf *reader, size_t bytes, uint64_t *value, Error *error) {
    *value = 0;
    if (reader->bytes - reader->at < bytes)
        return broken(reader, "an end inside a number", error);
    for (size_t i = 0; i < bytes; i++)
        *value |= (uint64_t)(uint8_t)reader->data[reader->at++] << (8 * i);
    return 0;
}

static int read_bytes(Protobuf *reader, ProtobufField *field, Error *error) {
    uint64_t length;
    if (read_varint(reader, &length, error))
        return -1;
    if (length > reader->bytes - reader->at)
        return broken(reader, "a length beyond its end", error);
    field->data = reader->data + reader->at;
    field->bytes = (size_t)length;
    reader->at += (size_t)length;
    return 0;
}

int protobuf_next(Protobuf *reader, ProtobufField *field, Error *error) {
    uint64_t tag;
    if (reader->at == reader->bytes)
        return 0;
    if (read_varint(reader, &tag, error))
        return -1;
    if (tag >> 3 == 0 || tag >> 3 >= 1u << 29)
        return broken(reader, "a bad field number", error);
    *field = (ProtobufField){.number = (uint32_t)(tag >> 3), .kind = (ProtobufKind)(tag & 7)};
    int result;
    switch (tag & 7) {
    case PROTOBUF_VARINT:
        result = read_varint(reader, &field->value, error);
        break;
    case PROTOBUF_FIXED64:
        result = read_fixed(reader, 8, &field->value, error);
        break;
    case PROTOBUF_BYTES:
        result = read_bytes(reader, field, error);
        break;
    case PROTOBUF_FIXED32:
        result = read_fixed(reader, 4, &field->value, error);
        break;
    default:
        result = broken(reader, "a kind of field that is not supported", error);
    }
    return result ? -1 : 1;
}

float protobuf_float(const ProtobufField *field) {
    uint32_t bits = (uint32_t)field->value;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
