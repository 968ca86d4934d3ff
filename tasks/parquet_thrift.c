/* Thrift's compact protocol; see parquet_thrift.h. */
#include "tasks/parquet_thrift.h"

static bool fail(Thrift *thrift, const char *wrong) {
    if (!thrift->wrong)
        thrift->wrong = wrong;
    thrift->end = thrift->at;
    return false;
}

static bool read_byte(Thrift *thrift, uint8_t *out) {
    if (thrift->at >= thrift->end)
        return fail(thrift, "it ends in the middle of a value");
    *out = *thrift->at++;
    return true;
}

static bool read_varint(Thrift *thrift, uint64_t *out) {
    uint8_t byte;
    *out = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        if (!read_byte(thrift, &byte))
            return false;
        *out |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return true;
    }
    return fail(thrift, "an integer takes more than 64 bits");
}

static int64_t unzigzag(uint64_t value) {
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

bool thrift_field(Thrift *thrift, ThriftField *field) {
    uint8_t head;
    uint64_t id;
    if (thrift->wrong || !read_byte(thrift, &head) || head == THRIFT_STOP)
        return false;
    field->type = (ThriftType)(head & 15);
    if (field->type == THRIFT_STOP || field->type > THRIFT_STRUCT)
        return fail(thrift, "a field is of a type that does not exist");
    if (head >> 4) {
        field->id += head >> 4;
    } else {
        if (!read_varint(thrift, &id))
            return false;
        if (id > UINT16_MAX)
            return fail(thrift, "a field's number takes more than 16 bits");
        field->id = (int)unzigzag(id);
    }
    if (field->id < INT16_MIN || field->id > INT16_MAX)
        return fail(thrift, "a field's number takes more than 16 bits");
    return true;
}

bool thrift_list(Thrift *thrift, ThriftType *type, size_t *n) {
    uint8_t head;
    uint64_t count;
    if (!read_byte(thrift, &head))
        return false;
    *type = (ThriftType)(head & 15);
    count = head >> 4;
    if (count == 15 && !read_varint(thrift, &count))
        return false;
    if (count > 0 && (*type == THRIFT_STOP || *type > THRIFT_STRUCT)) /* fastparquet's empty lists are of 0 */
        return fail(thrift, "a list's items are of a type that does not exist");
    if (count > (size_t)(thrift->end - thrift->at))
        return fail(thrift, "a list is longer than the bytes that are left");
    *n = (size_t)count;
    return true;
}

bool thrift_is(Thrift *thrift, ThriftType found, ThriftType expected) {
    return found == expected || fail(thrift, "a field is of another type than the format prescribes");
}

bool thrift_int(Thrift *thrift, ThriftType type, int64_t *out) {
    uint64_t value;
    uint8_t byte;
    if (type == THRIFT_BYTE) {
        if (!read_byte(thrift, &byte))
            return false;
        *out = (int8_t)byte;
        return true;
    }
    if (type < THRIFT_I16 || type > THRIFT_I64)
        return thrift_is(thrift, type, THRIFT_I64);
    if (!read_varint(thrift, &value))
        return false;
    *out = unzigzag(value);
    if (type != THRIFT_I64 && (*out < INT32_MIN || *out > INT32_MAX))
        return fail(thrift, "a 32-bit integer takes more than 32 bits");
    return true;
}

bool thrift_bool(Thrift *thrift, ThriftType type, bool *out) {
    if (type != THRIFT_TRUE && type != THRIFT_FALSE)
        return thrift_is(thrift, type, THRIFT_TRUE);
    *out = type == THRIFT_TRUE;
    return true;
}

bool thrift_text(Thrift *thrift, ThriftType type, const char **text, size_t *bytes) {
    uint64_t length;
    if (!thrift_is(thrift, type, THRIFT_BINARY) || !read_varint(thrift, &length))
        return false;
    if (length > (size_t)(thrift->end - thrift->at))
        return fail(thrift, "a text is longer than the bytes that are left");
    *text = (const char *)thrift->at;
    *bytes = (size_t)length;
    thrift->at += length;
    return true;
}

static void skip_bytes(Thrift *thrift, uint64_t n) {
    if (n > (size_t)(thrift->end - thrift->at))
        fail(thrift, "it ends in the middle of a value");
    else
        thrift->at += n;
}

static void skip(Thrift *thrift, ThriftType type, bool is_item, int depth);

static void skip_items(Thrift *thrift, int depth) {
    ThriftType type;
    size_t n;
    if (thrift_list(thrift, &type, &n))
        for (size_t i = 0; i < n && !thrift->wrong; i++)
            skip(thrift, type, true, depth);
}

static void skip_map(Thrift *thrift, int depth) {
    uint64_t n;
    uint8_t types;
    if (!read_varint(thrift, &n) || n == 0 || !read_byte(thrift, &types))
        return;
    for (uint64_t i = 0; i < n && !thrift->wrong; i++) {
        skip(thrift, (ThriftType)(types >> 4), true, depth);
        skip(thrift, (ThriftType)(types & 15), true, depth);
    }
}

/* A boolean field's value is its type; a boolean item takes a byte. */
static void skip(Thrift *thrift, ThriftType type, bool is_item, int depth) {
    uint64_t number;
    ThriftField field = {0};
    if (thrift->wrong)
        return;
    if (depth > THRIFT_DEPTH_MAX) {
        fail(thrift, "it is nested deeper than 32 levels");
        return;
    }
    switch (type) {
    case THRIFT_TRUE:
    case THRIFT_FALSE:
        skip_bytes(thrift, is_item);
        return;
    case THRIFT_BYTE:
        skip_bytes(thrift, 1);
        return;
    case THRIFT_I16:
    case THRIFT_I32:
    case THRIFT_I64:
        read_varint(thrift, &number);
        return;
    case THRIFT_DOUBLE:
        skip_bytes(thrift, 8);
        return;
    case THRIFT_BINARY:
        if (read_varint(thrift, &number))
            skip_bytes(thrift, number);
        return;
    case THRIFT_LIST:
    case THRIFT_SET:
        skip_items(thrift, depth + 1);
        return;
    case THRIFT_MAP:
        skip_map(thrift, depth + 1);
        return;
    case THRIFT_STRUCT:
        while (thrift_field(thrift, &field))
            skip(thrift, field.type, false, depth + 1);
        return;
    default:
        fail(thrift, "a value is of a type that does not exist");
    }
}

void thrift_skip(Thrift *thrift, ThriftType type) {
    skip(thrift, type, false, 0);
}
