/* What the readers of all formats have in common. */
#include "runner/checkpoint/tensor.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

int tensor_file_open(TensorFile *out, const char *path, TensorParser *parse, Error *error) {
    memset(out, 0, sizeof *out);
    if (file_map(&out->map, path, error))
        return -1;
    out->path = mem_strdup(path);
    if (parse(&out->tensors, &out->n_tensors, out->map.data, out->map.bytes, out->path, error)) {
        tensor_file_close(out);
        return -1;
    }
    return 0;
}

void tensor_file_close(TensorFile *file) {
    tensors_free(file->tensors, file->n_tensors);
    file_unmap(&file->map);
    free(file->path);
    memset(file, 0, sizeof *file);
}

void tensors_free(Tensor *tensors, size_t n) {
    for (size_t i = 0; i < n; i++)
        free(tensors[i].name);
    free(tensors);
}

static int compare_names(const void *a, const void *b) {
    return strcmp(((const Tensor *)a)->name, ((const Tensor *)b)->name);
}

int tensors_sort(Tensor *tensors, size_t n, const char *where, Error *error) {
    if (n)
        qsort(tensors, n, sizeof *tensors, compare_names);
    for (size_t i = 1; i < n; i++)
        if (strcmp(tensors[i - 1].name, tensors[i].name) == 0)
            return error_set(error, "%s: the header names tensor %.200s twice", where, tensors[i].name);
    return 0;
}

void tensor_format_shape(const int64_t *shape, int n_dims, char *text, size_t bytes) {
    Buffer buffer = {0};
    buffer_append_char(&buffer, '[');
    for (int i = 0; i < n_dims; i++)
        buffer_printf(&buffer, "%s%" PRId64, i ? ", " : "", shape[i]);
    buffer_append_char(&buffer, ']');
    size_t n = buffer.size < bytes ? buffer.size : bytes - 1;
    memcpy(text, buffer.data, n);
    text[n] = '\0';
    buffer_free(&buffer);
}
