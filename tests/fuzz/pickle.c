/* Any bytes as a file of torch.save, and any bytes as the pickle in such a file: what is accepted must lie
 * inside the file, what is refused must say why. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/buffer.h"
#include "runner/checkpoint/tensor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const uint8_t *data, size_t size) {
    Tensor *tensors;
    size_t n;
    Error error = {0};
    if (torch_file_parse(&tensors, &n, data, size, "fuzz", &error)) {
        if (error.kind == ERROR_NONE || tensors)
            abort();
        return;
    }
    volatile uint8_t sink = 0;
    for (size_t i = 0; i < n; i++) {
        if (tensors[i].data < data || tensors[i].bytes > (size_t)(data + size - tensors[i].data))
            abort();
        for (size_t k = 0; k < tensors[i].bytes; k++)
            sink = (uint8_t)(sink ^ tensors[i].data[k]);
    }
    tensors_free(tensors, n);
}

static void append_number(Buffer *out, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++)
        buffer_append_char(out, (char)(value >> (8 * i) & 0xff));
}

/* A member's local header and bytes into `zip`, its entry into `directory`. */
static void append_member(Buffer *zip, Buffer *directory, const char *name, const uint8_t *data,
                          size_t size) {
    Buffer fields = {0};
    append_number(&fields, 0, 8); /* flags, method, time */
    append_number(&fields, crc32(0, data, (uInt)size), 4);
    append_number(&fields, size, 4);
    append_number(&fields, size, 4);
    append_number(&fields, strlen(name), 4);
    buffer_append(directory, "PK\1\2\0\0\0\0", 8);
    buffer_append(directory, fields.data, fields.size);
    append_number(directory, 0, 6);
    append_number(directory, 0, 4);
    append_number(directory, zip->size, 4);
    buffer_append_text(directory, name);
    buffer_append(zip, "PK\3\4\0\0", 6);
    buffer_append(zip, fields.data, fields.size);
    buffer_append_text(zip, name);
    buffer_append(zip, data, size);
    buffer_free(&fields);
}

static void check_as_pickle(const uint8_t *data, size_t size) {
    static const uint8_t storage[24] = {0};
    Buffer zip = {0}, directory = {0};
    append_member(&zip, &directory, "m/data.pkl", size ? data : storage, size);
    append_member(&zip, &directory, "m/data/0", storage, sizeof storage);
    size_t at = zip.size;
    buffer_append(&zip, directory.data, directory.size);
    buffer_append(&zip, "PK\5\6\0\0\0\0\2\0\2\0", 12);
    append_number(&zip, directory.size, 4);
    append_number(&zip, at, 4);
    append_number(&zip, 0, 2);
    check((const uint8_t *)zip.data, zip.size);
    buffer_free(&directory);
    buffer_free(&zip);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    check(data, size);
    check_as_pickle(data, size);
    return 0;
}
