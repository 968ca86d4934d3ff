/* Reads what torch.save writes of a state dictionary: a zip archive with stored members PREFIX/data.pkl (a
 * pickle that describes the tensors), PREFIX/data/KEY (one storage each), PREFIX/byteorder. Invariant of
 * every Tensor handed out: its data lies inside its storage's member, row after row. Several tensors may
 * share a storage. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "runner/checkpoint/pickle.h"
#include "runner/checkpoint/zip.h"

enum { TENSOR_NAME_MAX_BYTES = 1024 };

typedef struct TorchFile {
    ZipArchive zip;
    const char *prefix; /* "PREFIX/", not NUL-terminated */
    size_t prefix_bytes;
    const char *where;
} TorchFile;

/* PREFIX/NAME of the archive; NULL if there is none. */
static const ZipMember *find_member(const TorchFile *file, const char *folder, const char *name,
                                    size_t name_bytes) {
    Buffer path = {0};
    buffer_append(&path, file->prefix, file->prefix_bytes);
    buffer_append_text(&path, folder);
    buffer_append(&path, name, name_bytes);
    const ZipMember *member = zip_find(&file->zip, path.data);
    buffer_free(&path);
    return member;
}

/* The prefix is whatever stands before the only data.pkl. */
static int find_pickle(TorchFile *file, const ZipMember **out, Error *error) {
    static const char name[] = "/data.pkl";
    *out = NULL;
    for (size_t i = 0; i < file->zip.n_members; i++) {
        const ZipMember *member = &file->zip.members[i];
        const char *slash = strchr(member->name, '/');
        if (!slash || strcmp(slash, name) != 0)
            continue;
        if (*out)
            return error_set(error, "%s: has two tables of tensors, %.200s and %.200s", file->where,
                             (*out)->name, member->name);
        *out = member;
        file->prefix = member->name;
        file->prefix_bytes = (size_t)(slash + 1 - member->name);
    }
    if (!*out)
        return error_set(error, "%s: is a zip archive without a data.pkl, so not written by torch.save",
                         file->where);
    return zip_check(*out, file->where, error);
}

static int check_byte_order(const TorchFile *file, Error *error) {
    static const char little[] = "little";
    const ZipMember *member = find_member(file, "", "byteorder", strlen("byteorder"));
    if (!member || (member->bytes == strlen(little) && memcmp(member->data, little, member->bytes) == 0))
        return 0;
    char text[81];
    return error_set(error, "%s: its byte order is \"%s\", expected \"little\"", file->where,
                     pickle_printable(text, (const char *)member->data, member->bytes));
}

/* True if the elements lie row after row; *n is how many there are. */
static bool is_contiguous(const PickleTensor *from, size_t *n) {
    bool contiguous = true;
    size_t expected = 1;
    for (int i = from->n_dims; i-- > 0; expected *= (size_t)from->shape[i])
        contiguous = contiguous && (from->shape[i] == 1 || (size_t)from->strides[i] == expected);
    *n = expected;
    return contiguous || expected == 0;
}

/* The product of the shape times the size of an element fits. */
static bool is_small_enough(const PickleTensor *from) {
    size_t bytes = from->storage->element_bytes;
    bool fits = true;
    for (int i = 0; i < from->n_dims; i++)
        fits = fits && mem_mul(bytes, (size_t)from->shape[i], &bytes);
    return fits;
}

static int place_tensor(Tensor *tensor, const PickleTensor *from, const TorchFile *file, const char *where,
                        Error *error) {
    const PickleStorage *storage = from->storage;
    const ZipMember *member = find_member(file, "data/", storage->key, storage->key_bytes);
    char key[81], strides[128];
    size_t bytes, n;
    pickle_printable(key, storage->key, storage->key_bytes);
    if (!member || strlen(member->name) != file->prefix_bytes + strlen("data/") + storage->key_bytes)
        return error_set(error, "%s: its storage data/%s is not in the archive", where, key);
    if (!mem_mul((size_t)storage->n_elements, storage->element_bytes, &bytes) || bytes != member->bytes)
        return error_set(error, "%s: its storage data/%s has %zu bytes, expected %lld elements of %zu", where,
                         key, member->bytes, (long long)storage->n_elements, storage->element_bytes);
    if (!is_small_enough(from))
        return error_set(error, "%s: its shape is too large for this machine", where);
    if (!is_contiguous(from, &n)) {
        tensor_format_shape(from->strides, from->n_dims, strides, sizeof strides);
        return error_set(error,
                         "%s: its elements do not lie row after row (strides %s); save a contiguous copy, "
                         "tensor.contiguous()",
                         where, strides);
    }
    if (from->offset > storage->n_elements || n > (size_t)(storage->n_elements - from->offset))
        return error_set(error, "%s: %zu elements from %lld on lie outside its storage data/%s of %lld",
                         where, n, (long long)from->offset, key, (long long)storage->n_elements);
    tensor->data = member->data + (size_t)from->offset * storage->element_bytes;
    tensor->bytes = n * storage->element_bytes;
    return 0;
}

static int read_tensor(Tensor *tensor, const PickleValue *key, const PickleValue *value,
                       const TorchFile *file, Error *error) {
    char where[256], name[81];
    if (key->kind != PICKLE_TEXT || key->text.bytes == 0 || key->text.bytes > TENSOR_NAME_MAX_BYTES ||
        memchr(key->text.data, '\0', key->text.bytes))
        return error_set(error, "%s: a tensor's name is %s, expected 1 to %d bytes of text", file->where,
                         key->kind == PICKLE_TEXT ? "empty, too long or broken" : pickle_kind_name(key->kind),
                         TENSOR_NAME_MAX_BYTES);
    snprintf(where, sizeof where, "%.120s: tensor %s", file->where,
             pickle_printable(name, key->text.data, key->text.bytes));
    if (value->kind != PICKLE_TENSOR)
        return error_set(error, "%s: is %s, expected a tensor", where, pickle_kind_name(value->kind));
    const PickleTensor *from = value->tensor;
    if (place_tensor(tensor, from, file, where, error))
        return -1;
    tensor->type = from->storage->type;
    tensor->type_name = from->storage->type_name;
    tensor->n_dims = from->n_dims;
    memcpy(tensor->shape, from->shape, sizeof tensor->shape);
    tensor->file = file->where;
    tensor->name = mem_strndup(key->text.data, key->text.bytes);
    return 0;
}

static int read_tensors(Tensor **out, size_t *n_out, const PickleValue *table, const TorchFile *file,
                        Error *error) {
    if (table->kind != PICKLE_DICT)
        return error_set(error, "%s: holds %s, expected a dictionary of tensors", file->where,
                         pickle_kind_name(table->kind));
    size_t n = table->sequence.n / 2;
    Tensor *tensors = mem_alloc_zero(n, sizeof *tensors);
    int status = 0;
    for (size_t i = 0; i < n && status == 0; i++)
        status = read_tensor(&tensors[i], table->sequence.items[2 * i], table->sequence.items[2 * i + 1],
                             file, error);
    if (status || tensors_sort(tensors, n, file->where, error)) {
        tensors_free(tensors, n);
        return -1;
    }
    *out = tensors;
    *n_out = n;
    return 0;
}

/* Before 1.6, PyTorch wrote a run of pickles, the first of which is a magic number. */
static bool is_old_format(const uint8_t *data, size_t bytes) {
    static const uint8_t magic[] = {0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46};
    return bytes >= sizeof magic && memcmp(data, magic, sizeof magic) == 0;
}

int torch_file_parse(Tensor **out, size_t *n_out, const uint8_t *data, size_t bytes, const char *where,
                     Error *error) {
    TorchFile file = {.where = where};
    Arena arena = {0};
    const ZipMember *pickle;
    PickleValue *table;
    *out = NULL;
    *n_out = 0;
    if (is_old_format(data, bytes))
        return error_set(
            error,
            "%s: is in the format PyTorch had before version 1.6; load it with PyTorch and save it "
            "again",
            where);
    int status = zip_parse(&file.zip, data, bytes, where, error);
    if (status == 0)
        status = find_pickle(&file, &pickle, error);
    if (status == 0)
        status = check_byte_order(&file, error);
    if (status == 0)
        status = pickle_read(&table, &arena, pickle->data, pickle->bytes, where, error);
    if (status == 0)
        status = read_tensors(out, n_out, table, &file, error);
    arena_free(&arena);
    zip_free(&file.zip);
    return status;
}
