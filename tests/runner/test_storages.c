/* The same weights in every form in which checkpoints are published: each must give the logits that other
 * implementations computed. The fixtures' weights are numbers that all storage types hold exactly. */
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "runner/checkpoint/checkpoint.h"
#include "tests/runner/folders.h"
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
    folder_put(folder, name, file.data, file.size);
    for (size_t i = 0; i < n; i++)
        buffer_free(&numbers[i]);
    buffer_free(&file);
    free(numbers);
    free(tensors);
}

/* A new folder with the checkpoint of `from` in another form. */
static char *store_as(const Storage *storage, const char *from, const char *model) {
    char *folder = folder_make(model), name[128];
    Checkpoint checkpoint;
    Buffer map = {0};
    Error error = {0};
    folder_copy(from, "*config.json", folder);
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
        folder_put(folder, name, map.data, map.size);
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
            folder_remove(folder);
        }
        free(from);
    }
}

static void test_every_fixture_is_in_the_list(void **unused) {
    (void)unused;
    glob_t found;
    assert_int_equal(glob("tests/fixtures/models/*/config.json", 0, NULL, &found), 0);
    assert_int_equal(found.gl_pathc, N_FIXTURE_MODELS);
    globfree(&found);
}

int run_storage_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_fixture_is_in_the_list),
        cmocka_unit_test(test_logits_are_the_same_from_every_form_of_checkpoint),
    };
    return cmocka_run_group_tests_name("storages", tests, NULL, NULL);
}
