/* The objects a pickled state dictionary is made of: storages, tensors, ordered dictionaries. Each is
 * described, none is run. */
#include <string.h>

#include "runner/checkpoint/pickle.h"

typedef int PickleConstructor(PickleValue *out, const PickleSequence *arguments, Arena *arena, Error *error);
static PickleConstructor make_dict, make_tensor, make_parameter;

struct PickleGlobal {
    const char *module, *name;
    PickleConstructor *call; /* NULL: a storage class, which nothing calls */
    PickleStorage storage;
};

static const PickleGlobal globals[] = {
    {"collections", "OrderedDict", make_dict, {0}},
    {"torch._utils", "_rebuild_tensor_v2", make_tensor, {0}},
    {"torch._utils", "_rebuild_parameter", make_parameter, {0}},
    {"torch", "FloatStorage", NULL, {"F32", TENSOR_F32, 4, NULL, 0, 0}},
    {"torch", "HalfStorage", NULL, {"F16", TENSOR_F16, 2, NULL, 0, 0}},
    {"torch", "BFloat16Storage", NULL, {"BF16", TENSOR_BF16, 2, NULL, 0, 0}},
    {"torch", "DoubleStorage", NULL, {"F64", TENSOR_OTHER, 8, NULL, 0, 0}},
    {"torch", "LongStorage", NULL, {"I64", TENSOR_OTHER, 8, NULL, 0, 0}},
    {"torch", "IntStorage", NULL, {"I32", TENSOR_OTHER, 4, NULL, 0, 0}},
    {"torch", "ByteStorage", NULL, {"U8", TENSOR_OTHER, 1, NULL, 0, 0}},
    {"torch", "BoolStorage", NULL, {"BOOL", TENSOR_OTHER, 1, NULL, 0, 0}},
};

static bool equals(const char *text, size_t bytes, const char *expected) {
    return bytes == strlen(expected) && memcmp(text, expected, bytes) == 0;
}

int pickle_find_global(const PickleGlobal **out, const char *module, size_t module_bytes, const char *name,
                       size_t name_bytes, Error *error) {
    for (size_t i = 0; i < sizeof globals / sizeof *globals; i++)
        if (equals(module, module_bytes, globals[i].module) && equals(name, name_bytes, globals[i].name)) {
            *out = &globals[i];
            return 0;
        }
    char module_text[81], name_text[81];
    return error_set(error, "asks for %s.%s, but only tensors, their storages and OrderedDict are read",
                     pickle_printable(module_text, module, module_bytes),
                     pickle_printable(name_text, name, name_bytes));
}

int pickle_call(PickleValue *out, const PickleValue *callable, const PickleValue *arguments, Arena *arena,
                Error *error) {
    if (callable->kind != PICKLE_GLOBAL || !callable->global->call)
        return error_set(error, "REDUCE calls %s, which is no function",
                         callable->kind == PICKLE_GLOBAL ? callable->global->name
                                                         : pickle_kind_name(callable->kind));
    if (arguments->kind != PICKLE_TUPLE)
        return error_set(error, "REDUCE calls %s with %s, expected a tuple", callable->global->name,
                         pickle_kind_name(arguments->kind));
    return callable->global->call(out, &arguments->sequence, arena, error);
}

static bool is_kind(const PickleSequence *sequence, size_t i, PickleKind kind) {
    return sequence->items[i]->kind == kind;
}

/* OrderedDict(): entries follow by SETITEMS. Python 2 passed an empty list. */
static int make_dict(PickleValue *out, const PickleSequence *arguments, Arena *arena, Error *error) {
    (void)arena;
    if (arguments->n > 1 ||
        (arguments->n == 1 && !(is_kind(arguments, 0, PICKLE_LIST) && arguments->items[0]->sequence.n == 0)))
        return error_set(error, "OrderedDict is called with arguments, expected none");
    *out = (PickleValue){.kind = PICKLE_DICT};
    return 0;
}

/* Reads a tuple of numbers that are not negative. */
static int read_numbers(int64_t *out, const PickleSequence *tuple, const char *what, Error *error) {
    for (size_t i = 0; i < tuple->n; i++) {
        if (!is_kind(tuple, i, PICKLE_INT) || tuple->items[i]->integer < 0)
            return error_set(error, "_rebuild_tensor_v2: %s[%zu] is not a non-negative whole number", what,
                             i);
        out[i] = tuple->items[i]->integer;
    }
    return 0;
}

/* _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks[, metadata]) */
static int make_tensor(PickleValue *out, const PickleSequence *arguments, Arena *arena, Error *error) {
    static const PickleKind kinds[] = {PICKLE_STORAGE, PICKLE_INT,  PICKLE_TUPLE, PICKLE_TUPLE,
                                       PICKLE_BOOL,    PICKLE_DICT, PICKLE_DICT};
    if (arguments->n != 6 && arguments->n != 7)
        return error_set(error, "_rebuild_tensor_v2 is called with %zu arguments, expected 6 or 7",
                         arguments->n);
    for (size_t i = 0; i < arguments->n; i++)
        if (!is_kind(arguments, i, kinds[i]))
            return error_set(error, "_rebuild_tensor_v2: argument %zu is %s, expected %s", i,
                             pickle_kind_name(arguments->items[i]->kind), pickle_kind_name(kinds[i]));
    const PickleSequence *shape = &arguments->items[2]->sequence, *strides = &arguments->items[3]->sequence;
    if (shape->n > TENSOR_MAX_DIMS || strides->n != shape->n)
        return error_set(
            error,
            "_rebuild_tensor_v2: a tensor has %zu sizes and %zu strides, expected as many of both "
            "and at most %d",
            shape->n, strides->n, TENSOR_MAX_DIMS);
    PickleTensor *tensor = arena_alloc(arena, sizeof *tensor);
    tensor->storage = &arguments->items[0]->storage;
    tensor->n_dims = (int)shape->n;
    if (read_numbers(tensor->shape, shape, "size", error) ||
        read_numbers(tensor->strides, strides, "stride", error) ||
        read_numbers(&tensor->offset, &(PickleSequence){&arguments->items[1], 1, 1}, "offset", error))
        return -1;
    *out = (PickleValue){.kind = PICKLE_TENSOR, .tensor = tensor};
    return 0;
}

/* _rebuild_parameter(tensor, requires_grad, hooks) */
static int make_parameter(PickleValue *out, const PickleSequence *arguments, Arena *arena, Error *error) {
    (void)arena;
    if (arguments->n != 3 || !is_kind(arguments, 0, PICKLE_TENSOR))
        return error_set(error, "_rebuild_parameter is called with %s, expected a tensor and two more",
                         arguments->n ? pickle_kind_name(arguments->items[0]->kind) : "nothing");
    *out = *arguments->items[0];
    return 0;
}

int pickle_load_storage(PickleValue *out, const PickleValue *id, Error *error) {
    static const PickleKind kinds[] = {PICKLE_TEXT, PICKLE_GLOBAL, PICKLE_TEXT, PICKLE_TEXT, PICKLE_INT};
    const PickleSequence *parts = &id->sequence;
    if (id->kind != PICKLE_TUPLE || parts->n != 5)
        return error_set(error, "a persistent id is %s, expected a tuple of 5", pickle_kind_name(id->kind));
    for (size_t i = 0; i < 5; i++)
        if (!is_kind(parts, i, kinds[i]))
            return error_set(error, "a persistent id has %s at %zu, expected %s",
                             pickle_kind_name(parts->items[i]->kind), i, pickle_kind_name(kinds[i]));
    const PickleGlobal *class = parts->items[1]->global;
    char text[81];
    if (!equals(parts->items[0]->text.data, parts->items[0]->text.bytes, "storage"))
        return error_set(error, "a persistent id stands for \"%s\", expected \"storage\"",
                         pickle_printable(text, parts->items[0]->text.data, parts->items[0]->text.bytes));
    if (class->call)
        return error_set(error, "a storage's class is %s.%s, expected one of torch's storages", class->module,
                         class->name);
    if (parts->items[4]->integer < 0)
        return error_set(error, "a storage has a negative number of elements");
    *out = (PickleValue){.kind = PICKLE_STORAGE, .storage = class->storage};
    out->storage.key = parts->items[2]->text.data;
    out->storage.key_bytes = parts->items[2]->text.bytes;
    out->storage.n_elements = parts->items[4]->integer;
    return 0;
}
