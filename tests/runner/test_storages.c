/* The same weights in every form in which checkpoints are published: each must give the logits that other
 * implementations computed. The fixtures' weights are numbers that all storage types hold exactly. */
#include <dirent.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "runner/checkpoint/checkpoint.h"
#include "tests/runner/runner_tests.h"
#include "tests/runner/test_engine_support.h"
#include "tests/runner/torch_writer.h"

typedef struct Storage {
    const char *stem, *suffix; /* of the files: model-00001-of-00003.safetensors */
    bool bfloat16;
    size_t n_shards;
} Storage;

static const Storage storages[] = {{"model", "safetensors", false, 1},
                                   {"model", "safetensors", true, 3},
                                   {"pytorch_model", "bin", false, 1},
                                   {"pytorch_model", "bin", true, 2}};

static void put_file(const char *folder, const char *name, const Buffer *file) {
    char *path = path_join(folder, name);
    Error error = {0};
    if (file_write_atomic(path, file->data, file->size, &error))
        fail_msg("%s", error.message);
    free(path);
}

static void copy_configs(const char *from, const char *to) {
    char *pattern = path_join(from, "*config.json");
    glob_t found;
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        Buffer file = {0};
        assert_int_equal(file_read(&file, found.gl_pathv[i], 1 << 20, NULL), 0);
        put_file(to, path_name(found.gl_pathv[i]), &file);
        buffer_free(&file);
    }
    globfree(&found);
    free(pattern);
}

static void remove_folder(char *folder) {
    DIR *directory = opendir(folder);
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory));) {
        char *path = path_join(folder, entry->d_name);
        if (entry->d_name[0] != '.')
            unlink(path);
        free(path);
    }
    closedir(directory);
    assert_int_equal(rmdir(folder), 0);
    free(folder);
}

/* A tensor's numbers as they are to be stored. bfloat16 is the upper half of float32. */
static Buffer stored_numbers(Checkpoint *checkpoint, const Tensor *tensor, bool bfloat16) {
    Buffer out = {0};
    Error error = {0};
    float *values;
    size_t n = 1;
    if (checkpoint_floats(checkpoint, tensor->name, tensor->shape, tensor->n_dims, &values, &error))
        fail_msg("%s", error.message);
    for (int d = 0; d < tensor->n_dims; d++)
        n *= (size_t)tensor->shape[d];
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        if (bfloat16 && (bits & 0xffff))
            fail_msg("%s: %g is no bfloat16 number", tensor->name, (double)values[i]);
        append_number(&out, bfloat16 ? bits >> 16 : bits, bfloat16 ? 2 : 4);
    }
    free(values);
    return out;
}

static Buffer make_safetensors(const SavedTensor *tensors, size_t n, bool bfloat16) {
    Buffer header = {0}, data = {0}, file = {0};
    buffer_append_text(&header, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < n; i++) {
        buffer_printf(&header, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[", tensors[i].name,
                      bfloat16 ? "BF16" : "F32");
        for (int d = 0; d < tensors[i].n_dims; d++)
            buffer_printf(&header, "%s%lld", d ? "," : "", (long long)tensors[i].shape[d]);
        buffer_printf(&header, "],\"data_offsets\":[%zu,%zu]}", data.size, data.size + tensors[i].bytes);
        buffer_append(&data, tensors[i].data, tensors[i].bytes);
    }
    buffer_append_char(&header, '}');
    append_number(&file, header.size, 8);
    buffer_append(&file, header.data, header.size);
    buffer_append(&file, data.data, data.size);
    buffer_free(&header);
    buffer_free(&data);
    return file;
}

/* One file of the checkpoint: every n_shards-th tensor from number `shard` on. */
static void write_shard(const Storage *storage, const char *folder, const char *name, size_t shard,
                        Checkpoint *checkpoint, Buffer *map) {
    SavedTensor *tensors = mem_alloc(checkpoint->n_tensors * sizeof *tensors);
    Buffer *numbers = mem_alloc(checkpoint->n_tensors * sizeof *numbers), file;
    size_t n = 0;
    for (size_t i = shard; i < checkpoint->n_tensors; i += storage->n_shards, n++) {
        const Tensor *tensor = checkpoint->tensors[i];
        numbers[n] = stored_numbers(checkpoint, tensor, storage->bfloat16);
        tensors[n] = (SavedTensor){.name = tensor->name,
                                   .n_dims = tensor->n_dims,
                                   .shape = tensor->shape,
                                   .data = numbers[n].data,
                                   .bytes = numbers[n].size};
        buffer_printf(map, "%s\"%s\":\"%s\"", map->size ? "," : "{\"weight_map\":{", tensor->name, name);
    }
    if (strcmp(storage->suffix, "bin") == 0)
        file = make_torch_file(tensors, n, storage->bfloat16 ? "BFloat16Storage" : "FloatStorage");
    else
        file = make_safetensors(tensors, n, storage->bfloat16);
    put_file(folder, name, &file);
    for (size_t i = 0; i < n; i++)
        buffer_free(&numbers[i]);
    buffer_free(&file);
    free(numbers);
    free(tensors);
}

/* A new folder with the checkpoint of `from` in another form. */
static char *store_as(const Storage *storage, const char *from, const char *model) {
    char stem[64], name[128];
    const char *root = getenv("TMPDIR");
    snprintf(stem, sizeof stem, "zeval-%.40s-XXXXXX", model);
    char *folder = path_join(root ? root : "/tmp", stem);
    Checkpoint checkpoint;
    Buffer map = {0};
    Error error = {0};
    assert_non_null(mkdtemp(folder));
    copy_configs(from, folder);
    if (checkpoint_open(&checkpoint, from, &error))
        fail_msg("%s", error.message);
    for (size_t shard = 0; shard < storage->n_shards; shard++) {
        if (storage->n_shards == 1)
            snprintf(name, sizeof name, "%s.%s", storage->stem, storage->suffix);
        else
            snprintf(name, sizeof name, "%s-%05zu-of-%05zu.%s", storage->stem, shard + 1, storage->n_shards,
                     storage->suffix);
        write_shard(storage, folder, name, shard, &checkpoint, &map);
    }
    buffer_append_text(&map, "}}");
    snprintf(name, sizeof name, "%s.%s.index.json", storage->stem, storage->suffix);
    if (storage->n_shards > 1)
        put_file(folder, name, &map);
    buffer_free(&map);
    checkpoint_close(&checkpoint);
    return folder;
}

static void test_logits_are_the_same_from_every_form_of_checkpoint(void **unused) {
    (void)unused;
    for (size_t m = 0; m < N_FIXTURE_MODELS; m++) {
        char *from = path_join("tests/fixtures/models", fixture_models[m]);
        for (size_t s = 0; s < sizeof storages / sizeof *storages; s++) {
            char *folder = store_as(&storages[s], from, fixture_models[m]);
            Engine *engine = open_engine(folder, 1);
            assert_int_equal(engine_info(engine)->n_weight_files, storages[s].n_shards);
            assert_int_equal(engine_info(engine)->weights_dtype,
                             storages[s].bfloat16 ? DTYPE_BFLOAT16 : DTYPE_FLOAT32);
            engine_close(engine);
            expect_fixture_logits(fixture_models[m], folder);
            remove_folder(folder);
        }
        free(from);
    }
}

int run_storage_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logits_are_the_same_from_every_form_of_checkpoint),
    };
    return cmocka_run_group_tests_name("storages", tests, NULL, NULL);
}
