/* Tensors as they lie in a mapped file, whatever the file's format. */
#ifndef ZEVAL_RUNNER_CHECKPOINT_TENSOR_H
#define ZEVAL_RUNNER_CHECKPOINT_TENSOR_H

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
    const char *type_name; /* in safetensors' words: "BF16"; static */
    TensorType type;
    int n_dims;
    int64_t shape[TENSOR_MAX_DIMS];
    const uint8_t *data; /* inside the mapped file, row-major; any alignment */
    size_t bytes;
    const char *file; /* path of the file it is in; owned by that file */
    bool used;
} Tensor;

/* Checks a whole file in memory and lists its tensors, sorted by name, no two alike; `where` is used in
 * messages and kept as Tensor.file. On failure *out is NULL. Free with tensors_free. */
typedef int TensorParser(Tensor **out, size_t *n_out, const uint8_t *data, size_t bytes, const char *where,
                         Error *error);
TensorParser safetensors_parse, torch_file_parse;

typedef struct TensorFile {
    char *path;
    FileMap map;
    Tensor *tensors; /* sorted by name */
    size_t n_tensors;
} TensorFile;

/* Maps and checks a file. On failure *out is empty. */
int tensor_file_open(TensorFile *out, const char *path, TensorParser *parse, Error *error);
void tensor_file_close(TensorFile *file);

void tensors_free(Tensor *tensors, size_t n);
/* Sorts by name; an error if two names are alike. */
int tensors_sort(Tensor *tensors, size_t n, const char *where, Error *error);

/* "[2, 3]" into text. */
void tensor_format_shape(const int64_t *shape, int n_dims, char *text, size_t bytes);

#endif
