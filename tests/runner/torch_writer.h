/* What torch.save writes, made here: zip archives of stored members, and in them a pickle of tensors. */
#ifndef ZEVAL_TESTS_RUNNER_TORCH_WRITER_H
#define ZEVAL_TESTS_RUNNER_TORCH_WRITER_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

/* The operations of a pickle, for literals of it. */
#define PROTO "\x80\2"
#define DICT "ccollections\nOrderedDict\n)R"
#define REBUILD "ctorch._utils\n_rebuild_tensor_v2\n"

typedef struct Part {
    const char *name, *data;
    size_t bytes;
} Part;

/* `value` in its first `bytes` bytes, the lowest first. */
void append_number(Buffer *out, uint64_t value, int bytes);
/* A zip archive whose members are stored. */
Buffer make_zip(const Part *parts, size_t n);

typedef struct SavedTensor {
    const char *name;
    int n_dims;
    const int64_t *shape;
    const char *data;
    size_t bytes;
} SavedTensor;

/* A file with a storage of that class, "FloatStorage" or its like, for each tensor. */
Buffer make_torch_file(const SavedTensor *tensors, size_t n, const char *storage_class);

#endif
