/* Finds a checkpoint's files and looks tensors up in them. */
#include "runner/checkpoint/checkpoint.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "base/text.h"

enum { INDEX_MAX_BYTES = 100 * 1000 * 1000, FINGERPRINT_BYTES = 64 };

static const Dtype dtype_of_type[] = {
    [TENSOR_F32] = DTYPE_FLOAT32, [TENSOR_F16] = DTYPE_FLOAT16, [TENSOR_BF16] = DTYPE_BFLOAT16};

static int compare_tensors(const void *a, const void *b) {
    return strcmp((*(Tensor *const *)a)->name, (*(Tensor *const *)b)->name);
}

static int compare_name_to_tensor(const void *name, const void *tensor) {
    return strcmp(name, (*(Tensor *const *)tensor)->name);
}

Tensor *checkpoint_find(const Checkpoint *checkpoint, const char *name) {
    if (checkpoint->n_tensors == 0)
        return NULL;
    Tensor **found = bsearch(name, checkpoint->tensors, checkpoint->n_tensors, sizeof *checkpoint->tensors,
                             compare_name_to_tensor);
    return found ? *found : NULL;
}

static int open_file(Checkpoint *checkpoint, const char *path, TensorParser *parse, Error *error) {
    checkpoint->files = mem_realloc(checkpoint->files, (checkpoint->n_files + 1) * sizeof *checkpoint->files);
    if (tensor_file_open(&checkpoint->files[checkpoint->n_files], path, parse, error))
        return -1;
    checkpoint->n_files++;
    return 0;
}

static int collect_tensors(Checkpoint *checkpoint, Error *error) {
    size_t n = 0;
    for (size_t i = 0; i < checkpoint->n_files; i++)
        n += checkpoint->files[i].n_tensors;
    checkpoint->tensors = mem_alloc(n * sizeof *checkpoint->tensors);
    for (size_t i = 0; i < checkpoint->n_files; i++)
        for (size_t k = 0; k < checkpoint->files[i].n_tensors; k++)
            checkpoint->tensors[checkpoint->n_tensors++] = &checkpoint->files[i].tensors[k];
    if (n == 0)
        return error_set(error, "%s: the checkpoint holds no tensors", checkpoint->folder);
    qsort(checkpoint->tensors, n, sizeof *checkpoint->tensors, compare_tensors);
    for (size_t i = 1; i < n; i++)
        if (strcmp(checkpoint->tensors[i - 1]->name, checkpoint->tensors[i]->name) == 0)
            return error_set(error, "tensor %.200s is in two files, %s and %s", checkpoint->tensors[i]->name,
                             checkpoint->tensors[i - 1]->file, checkpoint->tensors[i]->file);
    return 0;
}

/* Opens each shard once, in the order of first mention. */
static int open_shards(Checkpoint *checkpoint, const cJSON *map, const char *index_path, TensorParser *parse,
                       Error *error) {
    for (const cJSON *entry = map->child; entry; entry = entry->next) {
        if (!cJSON_IsString(entry))
            return error_set(error, "%s: weight_map entry %.100s is %s, expected a file name", index_path,
                             entry->string, json_type_name(entry));
        if (!path_is_inside(entry->valuestring))
            return error_set(error,
                             "%s: weight_map entry %.100s names the file \"%.200s\", which is not inside "
                             "the checkpoint's folder",
                             index_path, entry->string, entry->valuestring);
        char *path = path_join(checkpoint->folder, entry->valuestring);
        bool open = false;
        for (size_t i = checkpoint->n_files; i > 0 && !open; i--)
            open = strcmp(checkpoint->files[i - 1].path, path) == 0;
        int status = 0;
        if (!open && !file_exists(path))
            status = error_set(error, "%s: names the shard %s, which is missing", index_path, path);
        else if (!open)
            status = open_file(checkpoint, path, parse, error);
        free(path);
        if (status)
            return -1;
    }
    return 0;
}

static int check_shards(const Checkpoint *checkpoint, const cJSON *map, const char *index_path,
                        Error *error) {
    for (const cJSON *entry = map->child; entry; entry = entry->next) {
        const Tensor *tensor = checkpoint_find(checkpoint, entry->string);
        char *path = path_join(checkpoint->folder, entry->valuestring);
        bool there = tensor && strcmp(tensor->file, path) == 0;
        free(path);
        if (!there)
            return error_set(error, "%s: says tensor %.200s is in %.200s, but it is not there", index_path,
                             entry->string, entry->valuestring);
    }
    return 0;
}

static int open_indexed(Checkpoint *checkpoint, const char *index_path, TensorParser *parse, Error *error) {
    cJSON *index = NULL;
    const cJSON *map;
    if (json_parse_file(&index, index_path, INDEX_MAX_BYTES, error))
        return -1;
    int status = json_get_object(index, "weight_map", &map, index_path, error);
    if (status == 0)
        status = open_shards(checkpoint, map, index_path, parse, error);
    if (status == 0)
        status = collect_tensors(checkpoint, error);
    if (status == 0)
        status = check_shards(checkpoint, map, index_path, error);
    cJSON_Delete(index);
    return status;
}

static int open_single(Checkpoint *checkpoint, const char *path, TensorParser *parse, Error *error) {
    return open_file(checkpoint, path, parse, error) ? -1 : collect_tensors(checkpoint, error);
}

/* The first that is there counts. */
static const struct {
    const char *name;
    int (*open)(Checkpoint *checkpoint, const char *path, TensorParser *parse, Error *error);
    TensorParser *parse;
} layouts[] = {
    {"model.safetensors", open_single, safetensors_parse},
    {"model.safetensors.index.json", open_indexed, safetensors_parse},
    {"pytorch_model.bin", open_single, torch_file_parse},
    {"pytorch_model.bin.index.json", open_indexed, torch_file_parse},
};
enum { N_LAYOUTS = sizeof layouts / sizeof *layouts };

int checkpoint_open(Checkpoint *out, const char *folder, Error *error) {
    memset(out, 0, sizeof *out);
    out->folder = mem_strdup(folder);
    int status = 1;
    for (size_t i = 0; i < N_LAYOUTS && status > 0; i++) {
        char *path = path_join(folder, layouts[i].name);
        if (file_exists(path))
            status = layouts[i].open(out, path, layouts[i].parse, error);
        free(path);
    }
    if (status > 0)
        status = error_set(error, "%s: has no weights: none of %s, %s, %s, %s is there", folder,
                           layouts[0].name, layouts[1].name, layouts[2].name, layouts[3].name);
    if (status)
        checkpoint_close(out);
    return status;
}

void checkpoint_close(Checkpoint *checkpoint) {
    for (size_t i = 0; i < checkpoint->n_files; i++)
        tensor_file_close(&checkpoint->files[i]);
    free(checkpoint->files);
    free(checkpoint->tensors);
    free(checkpoint->folder);
    memset(checkpoint, 0, sizeof *checkpoint);
}

/* The tensor of that name, checked and marked as used. */
static int require(Checkpoint *checkpoint, const char *name, const int64_t *shape, int n_dims, Tensor **out,
                   Error *error) {
    Tensor *tensor = checkpoint_find(checkpoint, name);
    char expected[128], found[128];
    tensor_format_shape(shape, n_dims, expected, sizeof expected);
    if (!tensor)
        return error_set(error, "%s: tensor %s is missing (expected with shape %s)", checkpoint->folder, name,
                         expected);
    if (tensor->n_dims != n_dims || memcmp(tensor->shape, shape, (size_t)n_dims * sizeof *shape) != 0) {
        tensor_format_shape(tensor->shape, tensor->n_dims, found, sizeof found);
        return error_set(error, "%s: tensor %s has shape %s, expected %s", tensor->file, name, found,
                         expected);
    }
    if (tensor->type == TENSOR_OTHER)
        return error_set(error, "%s: tensor %s has dtype %s, expected F32, F16 or BF16", tensor->file, name,
                         tensor->type_name);
    tensor->used = true;
    *out = tensor;
    return 0;
}

int checkpoint_weight(Checkpoint *checkpoint, const char *name, int64_t rows, int64_t cols, Weight *out,
                      Error *error) {
    Tensor *tensor;
    if (require(checkpoint, name, (const int64_t[]){rows, cols}, 2, &tensor, error))
        return -1;
    *out = (Weight){tensor->data, dtype_of_type[tensor->type], (size_t)rows, (size_t)cols, (size_t)cols, 1};
    return 0;
}

int checkpoint_floats(Checkpoint *checkpoint, const char *name, const int64_t *shape, int n_dims, float **out,
                      Error *error) {
    Tensor *tensor;
    if (require(checkpoint, name, shape, n_dims, &tensor, error))
        return -1;
    Dtype dtype = dtype_of_type[tensor->type];
    size_t n = tensor->bytes / dtype_bytes(dtype);
    *out = mem_alloc(n * sizeof **out);
    for (size_t i = 0; i < n; i++)
        (*out)[i] = weight_element(tensor->data, dtype, i);
    return 0;
}

int checkpoint_vector(Checkpoint *checkpoint, const char *name, int64_t n, float **out, Error *error) {
    return checkpoint_floats(checkpoint, name, &n, 1, out, error);
}

int checkpoint_check_all_used(const Checkpoint *checkpoint, const char *const *ignored, Error *error) {
    for (size_t i = 0; i < checkpoint->n_tensors; i++) {
        const Tensor *tensor = checkpoint->tensors[i];
        bool known = tensor->used;
        for (const char *const *pattern = ignored; *pattern && !known; pattern++)
            known = text_glob(*pattern, tensor->name);
        if (!known)
            return error_set(error, "%s: tensor %.200s has no place in the model that config.json describes",
                             tensor->file, tensor->name);
    }
    return 0;
}

static int compare_data(const void *a, const void *b) {
    const uint8_t *x = (*(Tensor *const *)a)->data, *y = (*(Tensor *const *)b)->data;
    return (x > y) - (x < y);
}

int64_t checkpoint_used_elements(const Checkpoint *checkpoint) {
    Tensor **used = mem_alloc(checkpoint->n_tensors * sizeof *used);
    size_t n_used = 0;
    for (size_t i = 0; i < checkpoint->n_tensors; i++)
        if (checkpoint->tensors[i]->used && checkpoint->tensors[i]->bytes)
            used[n_used++] = checkpoint->tensors[i];
    if (n_used)
        qsort(used, n_used, sizeof *used, compare_data);
    int64_t n = 0;
    for (size_t i = 0; i < n_used; i++)
        if (i == 0 || used[i]->data != used[i - 1]->data)
            n += (int64_t)(used[i]->bytes / dtype_bytes(dtype_of_type[used[i]->type]));
    free(used);
    return n;
}

void checkpoint_fingerprint(const Checkpoint *checkpoint, char hex[SHA256_HEX]) {
    Sha256 *hash = sha256_begin();
    for (size_t i = 0; i < checkpoint->n_tensors; i++) {
        const Tensor *tensor = checkpoint->tensors[i];
        if (!tensor->used)
            continue;
        sha256_update_field(hash, tensor->name, strlen(tensor->name));
        sha256_update_field(hash, tensor->type_name, strlen(tensor->type_name));
        sha256_update_field(hash, tensor->shape, (size_t)tensor->n_dims * sizeof *tensor->shape);
        sha256_update_field(hash, tensor->data,
                            tensor->bytes < FINGERPRINT_BYTES ? tensor->bytes : FINGERPRINT_BYTES);
    }
    sha256_end(hash, hex);
}
