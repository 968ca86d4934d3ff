/* Reads safetensors: 8 bytes of header length (little-endian), a JSON header {name: {dtype, shape,
 * data_offsets}}, the raw data. Invariant of every Tensor handed out: its data lies inside the mapping, its
 * size is the product of its shape times its element size, and no two tensors share a byte. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "runner/checkpoint/tensor.h"

enum { HEADER_LENGTH_BYTES = 8, HEADER_MAX_BYTES = 100 * 1000 * 1000 };

static const struct {
    const char *name;
    size_t bytes;
    TensorType type;
} tensor_types[] = {
    {"F32", 4, TENSOR_F32},    {"F16", 2, TENSOR_F16},       {"BF16", 2, TENSOR_BF16},
    {"F64", 8, TENSOR_OTHER},  {"I64", 8, TENSOR_OTHER},     {"I32", 4, TENSOR_OTHER},
    {"I16", 2, TENSOR_OTHER},  {"I8", 1, TENSOR_OTHER},      {"U64", 8, TENSOR_OTHER},
    {"U32", 4, TENSOR_OTHER},  {"U16", 2, TENSOR_OTHER},     {"U8", 1, TENSOR_OTHER},
    {"BOOL", 1, TENSOR_OTHER}, {"F8_E4M3", 1, TENSOR_OTHER}, {"F8_E5M2", 1, TENSOR_OTHER},
};

static int read_type(Tensor *tensor, size_t *element_bytes, const cJSON *item, const char *where,
                     Error *error) {
    const char *name;
    if (json_get_string(item, "dtype", &name, where, error))
        return -1;
    for (size_t i = 0; i < sizeof tensor_types / sizeof *tensor_types; i++)
        if (strcmp(name, tensor_types[i].name) == 0) {
            tensor->type = tensor_types[i].type;
            tensor->type_name = tensor_types[i].name;
            *element_bytes = tensor_types[i].bytes;
            return 0;
        }
    return error_set(error, "%s: dtype is \"%.40s\", which is no safetensors type this program knows", where,
                     name);
}

/* The shape and, in *bytes, the size it implies. */
static int read_shape(Tensor *tensor, size_t element_bytes, size_t *bytes, const cJSON *item,
                      const char *where, Error *error) {
    const cJSON *shape;
    if (json_get_array(item, "shape", &shape, where, error))
        return -1;
    *bytes = element_bytes;
    for (const cJSON *dim = shape->child; dim; dim = dim->next) {
        if (tensor->n_dims == TENSOR_MAX_DIMS)
            return error_set(error, "%s: shape has more than %d dimensions", where, TENSOR_MAX_DIMS);
        int64_t value;
        if (!json_to_int(dim, 0, INT64_C(1) << 53, &value))
            return error_set(error, "%s: shape[%d] is not a non-negative whole number", where,
                             tensor->n_dims);
        tensor->shape[tensor->n_dims++] = value;
        if (!mem_mul(*bytes, (size_t)value, bytes))
            return error_set(error, "%s: shape is too large for this machine", where);
    }
    return 0;
}

static int read_tensor(Tensor *tensor, const cJSON *item, const uint8_t *data, size_t data_bytes,
                       const char *file, Error *error) {
    char where[256];
    snprintf(where, sizeof where, "%.120s: tensor %.100s", file, item->string);
    if (!cJSON_IsObject(item))
        return error_set(error, "%s: the header has %s, expected an object", where, json_type_name(item));
    size_t element_bytes = 0, shape_bytes = 0;
    const cJSON *offsets;
    if (read_type(tensor, &element_bytes, item, where, error) ||
        read_shape(tensor, element_bytes, &shape_bytes, item, where, error) ||
        json_get_array(item, "data_offsets", &offsets, where, error))
        return -1;
    int64_t begin, end;
    if (cJSON_GetArraySize(offsets) != 2 || !json_to_int(offsets->child, 0, INT64_C(1) << 53, &begin) ||
        !json_to_int(offsets->child->next, 0, INT64_C(1) << 53, &end))
        return error_set(error, "%s: data_offsets must be two non-negative whole numbers", where);
    if (begin > end || (uint64_t)end > data_bytes)
        return error_set(
            error, "%s: data_offsets [%" PRId64 ", %" PRId64 "] do not lie inside the file's %zu data bytes",
            where, begin, end, data_bytes);
    if ((size_t)(end - begin) != shape_bytes)
        return error_set(error, "%s: data_offsets hold %" PRId64 " bytes, but its shape and dtype need %zu",
                         where, end - begin, shape_bytes);
    tensor->data = data + begin;
    tensor->bytes = shape_bytes;
    tensor->file = file;
    tensor->name = mem_strdup(item->string);
    return 0;
}

static int compare_data(const void *a, const void *b) {
    const Tensor *x = *(const Tensor *const *)a, *y = *(const Tensor *const *)b;
    if (x->data != y->data)
        return x->data < y->data ? -1 : 1;
    return (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

static int check_distinct(Tensor *tensors, size_t n, const char *where, Error *error) {
    if (tensors_sort(tensors, n, where, error))
        return -1;
    const Tensor **order = mem_alloc(n * sizeof *order);
    for (size_t i = 0; i < n; i++)
        order[i] = &tensors[i];
    if (n)
        qsort(order, n, sizeof *order, compare_data);
    int status = 0;
    for (size_t i = 1; i < n && status == 0; i++)
        if (order[i - 1]->data + order[i - 1]->bytes > order[i]->data)
            status = error_set(error, "%s: tensors %.200s and %.200s overlap in the file", where,
                               order[i - 1]->name, order[i]->name);
    free(order);
    return status;
}

static int read_tensors(Tensor **out, size_t *n_out, const cJSON *header, const uint8_t *data,
                        size_t data_bytes, const char *where, Error *error) {
    Tensor *tensors = mem_alloc_zero((size_t)cJSON_GetArraySize(header), sizeof *tensors);
    size_t n = 0;
    for (const cJSON *item = header->child; item; item = item->next) {
        if (strcmp(item->string, "__metadata__") == 0)
            continue;
        if (read_tensor(&tensors[n], item, data, data_bytes, where, error)) {
            tensors_free(tensors, n);
            return -1;
        }
        n++;
    }
    if (check_distinct(tensors, n, where, error)) {
        tensors_free(tensors, n);
        return -1;
    }
    *out = tensors;
    *n_out = n;
    return 0;
}

int safetensors_parse(Tensor **out, size_t *n_out, const uint8_t *data, size_t bytes, const char *where,
                      Error *error) {
    *out = NULL;
    *n_out = 0;
    if (bytes < HEADER_LENGTH_BYTES)
        return error_set(error, "%s: is %zu bytes long, too short for a safetensors file", where, bytes);
    uint64_t length = 0;
    for (int i = HEADER_LENGTH_BYTES - 1; i >= 0; i--)
        length = length << 8 | data[i];
    if (length > bytes - HEADER_LENGTH_BYTES)
        return error_set(error, "%s: the header claims %" PRIu64 " bytes, but only %zu follow in the file",
                         where, length, bytes - HEADER_LENGTH_BYTES);
    if (length > HEADER_MAX_BYTES)
        return error_set(error, "%s: the header claims %" PRIu64 " bytes, more than the format's limit of %d",
                         where, length, HEADER_MAX_BYTES);
    cJSON *header = NULL;
    if (json_parse(&header, (const char *)data + HEADER_LENGTH_BYTES, (size_t)length, where, error))
        return -1;
    int status;
    if (!cJSON_IsObject(header))
        status = error_set(error, "%s: the header is %s, expected an object", where, json_type_name(header));
    else
        status = read_tensors(out, n_out, header, data + HEADER_LENGTH_BYTES + length,
                              bytes - HEADER_LENGTH_BYTES - (size_t)length, where, error);
    cJSON_Delete(header);
    return status;
}
