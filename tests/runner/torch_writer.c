#include "tests/runner/torch_writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/memory.h"

void append_number(Buffer *out, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++)
        buffer_append_char(out, (char)(value >> (8 * i) & 0xff));
}

/* The fields that a local header and a directory entry have in common. */
static void append_fields(Buffer *out, const Part *part) {
    uint32_t crc = (uint32_t)crc32(0, (const Bytef *)part->data, (uInt)part->bytes);
    append_number(out, 0x0800, 2); /* flags */
    append_number(out, 0, 2);      /* method: stored */
    append_number(out, 0, 4);      /* time and date */
    append_number(out, crc, 4);
    append_number(out, part->bytes, 4);
    append_number(out, part->bytes, 4);
    append_number(out, strlen(part->name), 2);
    append_number(out, 0, 2); /* extra fields */
}

Buffer make_zip(const Part *parts, size_t n) {
    Buffer zip = {0}, directory = {0};
    for (size_t i = 0; i < n; i++) {
        buffer_append(&directory, "PK\1\2\0\0\0\0", 8);
        append_fields(&directory, &parts[i]);
        append_number(&directory, 0, 6); /* comment, disk, inner attributes */
        append_number(&directory, 0, 4); /* outer attributes */
        append_number(&directory, zip.size, 4);
        buffer_append_text(&directory, parts[i].name);
        buffer_append(&zip, "PK\3\4\0\0", 6);
        append_fields(&zip, &parts[i]);
        buffer_append_text(&zip, parts[i].name);
        buffer_append(&zip, parts[i].data, parts[i].bytes);
    }
    size_t at = zip.size;
    buffer_append(&zip, directory.data, directory.size);
    buffer_append(&zip, "PK\5\6\0\0\0\0", 8);
    append_number(&zip, n, 2);
    append_number(&zip, n, 2);
    append_number(&zip, directory.size, 4);
    append_number(&zip, at, 4);
    append_number(&zip, 0, 2);
    buffer_free(&directory);
    return zip;
}

/* BINUNICODE */
static void append_text(Buffer *out, const char *text) {
    buffer_append_char(out, 'X');
    append_number(out, strlen(text), 4);
    buffer_append_text(out, text);
}

/* BININT */
static void append_integer(Buffer *out, int64_t value) {
    buffer_append_char(out, 'J');
    append_number(out, (uint64_t)value, 4);
}

static void append_tensor(Buffer *out, const SavedTensor *tensor, size_t key, const char *storage_class) {
    char number[24];
    int64_t elements = 1, stride = 1;
    for (int d = 0; d < tensor->n_dims; d++)
        elements *= tensor->shape[d];
    snprintf(number, sizeof number, "%zu", key);
    append_text(out, tensor->name);
    buffer_append_text(out, REBUILD "((");
    append_text(out, "storage");
    buffer_printf(out, "ctorch\n%s\n", storage_class);
    append_text(out, number);
    append_text(out, "cpu");
    append_integer(out, elements);
    buffer_append_text(out, "tQ");
    append_integer(out, 0);
    buffer_append_char(out, '(');
    for (int d = 0; d < tensor->n_dims; d++)
        append_integer(out, tensor->shape[d]);
    buffer_append_text(out, "t(");
    for (int d = 0; d < tensor->n_dims; d++) {
        stride = 1;
        for (int k = d + 1; k < tensor->n_dims; k++)
            stride *= tensor->shape[k];
        append_integer(out, stride);
    }
    buffer_append_text(out, "t\x89" DICT "tR");
}

Buffer make_torch_file(const SavedTensor *tensors, size_t n, const char *storage_class) {
    Buffer pickle = {0};
    Part *parts = mem_alloc((n + 2) * sizeof *parts);
    char(*names)[40] = mem_alloc((n + 1) * sizeof *names);
    buffer_append_text(&pickle, PROTO DICT "(");
    for (size_t i = 0; i < n; i++)
        append_tensor(&pickle, &tensors[i], i, storage_class);
    buffer_append_text(&pickle, "u.");
    parts[0] = (Part){"archive/data.pkl", pickle.data, pickle.size};
    for (size_t i = 0; i < n; i++) {
        snprintf(names[i], sizeof names[i], "archive/data/%zu", i);
        parts[1 + i] = (Part){names[i], tensors[i].data, tensors[i].bytes};
    }
    parts[1 + n] = (Part){"archive/version", "3\n", 2};
    Buffer zip = make_zip(parts, n + 2);
    buffer_free(&pickle);
    free(parts);
    free(names);
    return zip;
}
