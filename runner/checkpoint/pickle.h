/* The part of Python's pickle language that torch.save needs for a dictionary of tensors. A pickle is a
 * program for a small stack machine, and in Python it may call any function; here it can build dictionaries,
 * tuples, numbers, text, and descriptions of tensors, and nothing else. Any other opcode or name is refused.
 */
#ifndef ZEVAL_RUNNER_CHECKPOINT_PICKLE_H
#define ZEVAL_RUNNER_CHECKPOINT_PICKLE_H

#include "base/memory.h"
#include "runner/checkpoint/tensor.h"

typedef enum PickleKind {
    PICKLE_BOOL,
    PICKLE_INT,
    PICKLE_TEXT,
    PICKLE_TUPLE,
    PICKLE_LIST,
    PICKLE_DICT,
    PICKLE_GLOBAL,
    PICKLE_STORAGE,
    PICKLE_TENSOR
} PickleKind;

typedef struct PickleValue PickleValue;
typedef struct PickleGlobal PickleGlobal; /* a name that a pickle may mention */

/* The memory of one or more tensors: torch.FloatStorage and its like. */
typedef struct PickleStorage {
    const char *type_name; /* as in Tensor */
    TensorType type;
    size_t element_bytes;
    const char *key; /* of the archive member that holds it; not NUL-terminated */
    size_t key_bytes;
    int64_t n_elements;
} PickleStorage;

typedef struct PickleTensor {
    const PickleStorage *storage;
    int64_t offset; /* of its first element in the storage */
    int n_dims;
    int64_t shape[TENSOR_MAX_DIMS], strides[TENSOR_MAX_DIMS]; /* in elements, none negative */
} PickleTensor;

typedef struct PickleSequence {
    PickleValue **items; /* [n]; of a dictionary: key, value, key, value ... */
    size_t n, capacity;
} PickleSequence;

/* Values may hold each other in circles, so nothing may walk them without an end. */
struct PickleValue {
    PickleKind kind;
    union {
        int64_t integer; /* BOOL, INT */
        struct {
            const char *data; /* in the pickle; not NUL-terminated */
            size_t bytes;
        } text;
        PickleSequence sequence; /* TUPLE, LIST, DICT */
        const PickleGlobal *global;
        PickleStorage storage;
        PickleTensor *tensor;
    };
};

/* Runs a pickle of protocol 2. The value belongs to the arena and refers to `data`; `where` is used in
 * messages. A byte of pickle takes at most about 100 bytes of memory; more than PICKLE_MAX_BYTES (some 20,000
 * tensors) are refused. */
enum { PICKLE_MAX_BYTES = 4 * 1024 * 1024 };
int pickle_read(PickleValue **out, Arena *arena, const uint8_t *data, size_t bytes, const char *where,
                Error *error);

/* "a dictionary", "a tensor", ...: for messages. */
const char *pickle_kind_name(PickleKind kind);
/* Foreign text for a message: cut to fit, unprintable bytes as '?'. */
const char *pickle_printable(char out[static 81], const char *text, size_t bytes);

/* ---- what the machine calls (pickle_objects.c) */

/* The global of that name; refused if a state dictionary has no need of it. */
int pickle_find_global(const PickleGlobal **out, const char *module, size_t module_bytes, const char *name,
                       size_t name_bytes, Error *error);
/* What calling `callable` with the tuple `arguments` gives, into *out. */
int pickle_call(PickleValue *out, const PickleValue *callable, const PickleValue *arguments, Arena *arena,
                Error *error);
/* The storage that a persistent id stands for: ("storage", class, key, location, elements). */
int pickle_load_storage(PickleValue *out, const PickleValue *id, Error *error);

#endif
