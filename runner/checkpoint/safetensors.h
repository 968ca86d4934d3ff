/* One safetensors file, mapped from disk: 8 bytes of header length (little-endian), a JSON header {name:
 * {dtype, shape, data_offsets}}, the raw data. Everything the header says is checked before anything is
 * handed out. */
#ifndef ZEVAL_RUNNER_CHECKPOINT_SAFETENSORS_H
#define ZEVAL_RUNNER_CHECKPOINT_SAFETENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/file.h"

enum { TENSOR_MAX_DIMS = 8 };

typedef enum TensorType {
    TENSOR_F32,
    TENSOR_F16,
    TENSOR_BF16,
    TENSOR_OTHER /* a type of the format that no weight may have (integers, F64, ...) */
} TensorType;

typedef struct Tensor {
    char *name;
    const char *type_name; /* the file's word: "BF16"; static */
    TensorType type;
    int n_dims;
    int64_t shape[TENSOR_MAX_DIMS];
    const uint8_t *data; /* inside the mapped file; any alignment */
    size_t bytes;
    const char *file; /* path of the file it is in; owned by that file */
    bool used;
} Tensor;

typedef struct SafetensorsFile {
    char *path;
    FileMap map;
    Tensor *tensors; /* sorted by name, no two alike */
    size_t n_tensors;
} SafetensorsFile;

/* Maps and checks a file. On failure *out is empty. */
int safetensors_open(SafetensorsFile *out, const char *path, Error *error);
void safetensors_close(SafetensorsFile *file);

/* The checks alone, on bytes in memory (`where` is used in messages and kept as Tensor.file). */
int safetensors_parse(Tensor **out, size_t *n_out, const uint8_t *data, size_t bytes, const char *where,
                      Error *error);
void tensors_free(Tensor *tensors, size_t n);

/* "[2, 3]" into text. */
void tensor_format_shape(const int64_t *shape, int n_dims, char *text, size_t bytes);

#endif
