/* The weights of a checkpoint folder: model.safetensors, or the shards that model.safetensors.index.json
 * names, or else the same as pytorch_model.bin. Files are mapped, not read; weights are used where they lie.
 * Whoever loads a model asks for tensors by name; what nobody asked for is reported at the end. */
#ifndef ZEVAL_RUNNER_CHECKPOINT_CHECKPOINT_H
#define ZEVAL_RUNNER_CHECKPOINT_CHECKPOINT_H

#include "base/hash.h"
#include "runner/checkpoint/tensor.h"
#include "runner/weight.h"

typedef struct Checkpoint {
    char *folder;
    TensorFile *files;
    size_t n_files;
    Tensor **tensors; /* of all files, sorted by name */
    size_t n_tensors;
} Checkpoint;

int checkpoint_open(Checkpoint *out, const char *folder, Error *error);
void checkpoint_close(Checkpoint *checkpoint);

/* NULL if there is none. */
Tensor *checkpoint_find(const Checkpoint *checkpoint, const char *name);

/* A matrix of rows x cols, used where it is mapped. Missing, another shape, or not F32/F16/BF16: an error
 * with the name, what was found and what was expected. */
int checkpoint_weight(Checkpoint *checkpoint, const char *name, int64_t rows, int64_t cols, Weight *out,
                      Error *error);
/* A tensor of the given shape, widened to float32 in new memory (free it). */
int checkpoint_floats(Checkpoint *checkpoint, const char *name, const int64_t *shape, int n_dims, float **out,
                      Error *error);
int checkpoint_vector(Checkpoint *checkpoint, const char *name, int64_t n, float **out, Error *error);

/* An error if a tensor was never asked for and matches none of the NULL-terminated shell patterns in
 * `ignored`. */
int checkpoint_check_all_used(const Checkpoint *checkpoint, const char *const *ignored, Error *error);
/* Elements of all tensors asked for; names of the same bytes count once. */
int64_t checkpoint_used_elements(const Checkpoint *checkpoint);

/* Tells checkpoints apart without reading them: a SHA-256 of the names, types, shapes and first bytes of all
 * tensors asked for. The same weights in another container give the same. */
void checkpoint_fingerprint(const Checkpoint *checkpoint, char hex[SHA256_HEX]);

#endif
