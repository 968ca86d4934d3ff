/* Checkpoints in which one field of one file is wrong: each field of each header and configuration in turn,
 * replaced by every kind of value that it should not have. A field that is read must be refused by one
 * sentence that names its file and it; only fields that nothing reads may hold anything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "base/base.h"
#include "tests/runner/folders.h"
#include "tests/runner/runner_tests.h"
#include "tests/runner/test_engine_support.h"
#include "tests/runner/torch_writer.h"

/* What is put in a field's place; NULL takes the field away. */
static const char *const values[] = {NULL,
                                     "null",
                                     "true",
                                     "false",
                                     "\"x\"",
                                     "\"\"",
                                     "-1",
                                     "0",
                                     "1",
                                     "1.5",
                                     "-0.5",
                                     "1e300",
                                     "1e-300",
                                     "9007199254740993",
                                     "18446744073709551616",
                                     "[]",
                                     "[[]]",
                                     "[-1]",
                                     "[null]",
                                     "{}",
                                     "{\"a\":1}"};
enum { N_VALUES = sizeof values / sizeof *values };

/* Keys that nothing reads, for fixtures whose names begin so: how the model was trained, what its reference's
 * kernels do, and of a hybrid what describes layers of its base model that it has no more. The end of
 * time_step_limit may be spelled in any way that is no number: infinite. */
#define ANY " model_type torch_dtype transformers_version use_cache initializer_range attention_dropout "
#define BASE                                                                                                 \
    " architectures num_attention_heads num_key_value_heads head_dim attention_bias rope_theta "             \
    "rope_scaling "                                                                                          \
    "rope_type factor low_freq_factor high_freq_factor original_max_position_embeddings "
static const struct {
    const char *models, *file, *keys;
} unread[] = {
    {"", "config.json", ANY "pretraining_tp pad_token_id chunk_size "},
    {"zebra", "config.json", BASE},
    {"zebra", "hybrid_config.json",
     ANY "low_freq_factor high_freq_factor max_position_embeddings qkv_rank_divisor rope_type "},
    {"x_ecomla", "config.json", BASE},
    {"x_ecomla", "MLA_config.json", " d_inner d_xb vocab_size "},
    {"x_ecomla", "mla_layer_config.json",
     " llama_num_key_value_heads mla_num_key_value_heads max_position_embeddings rms_norm_eps "},
    {"mamba", "mamba_config.json", " vocab_size "},
    {"mamba2_tiny", "config.json", " attn_cfg fused_add_norm residual_in_fp32 "},
    {"mamba2_hf", "config.json",
     " rms_norm residual_in_fp32 rescale_prenorm_residual time_step_floor time_step_max time_step_min "
     "time_step_rank time_step_limit "},
};

static bool is_unread(const char *model, const char *file, const char *key) {
    char word[160];
    snprintf(word, sizeof word, " %s ", key);
    for (size_t i = 0; i < sizeof unread / sizeof *unread; i++)
        if (text_starts_with(model, unread[i].models) && strcmp(file, unread[i].file) == 0 &&
            strstr(unread[i].keys, word))
            return true;
    return false;
}

/* The n-th value below `node`, parents before children; *key is the last key on the way to it. */
static cJSON *find_value(cJSON *node, size_t *n, cJSON **parent, const char **key) {
    for (cJSON *item = node->child; item; item = item->next) {
        if (item->string)
            *key = item->string;
        *parent = node;
        if ((*n)-- == 0)
            return item;
        cJSON *found = find_value(item, n, parent, key);
        if (found)
            return found;
    }
    return NULL;
}

static cJSON *replaced(const cJSON *root, size_t n, const char *value, char key[static 128]) {
    cJSON *copy = cJSON_Duplicate(root, true), *parent = NULL;
    const char *name = "";
    cJSON *item = find_value(copy, &n, &parent, &name);
    if (!item) {
        cJSON_Delete(copy);
        return NULL;
    }
    snprintf(key, 128, "%s", name);
    if (!value)
        cJSON_Delete(cJSON_DetachItemViaPointer(parent, item));
    else if (item->string)
        cJSON_ReplaceItemInObjectCaseSensitive(parent, key, cJSON_Parse(value));
    else
        cJSON_ReplaceItemViaPointer(parent, item, cJSON_Parse(value));
    return copy;
}

/* Whether the n-th value is of another type than this. A value that is null may be of any. */
static bool is_other_type(const cJSON *root, size_t n, const char *value) {
    if (!value || strcmp(value, "null") == 0)
        return false;
    cJSON *copy = cJSON_Duplicate(root, true), *parent = NULL, *other = cJSON_Parse(value);
    const char *name;
    const cJSON *item = find_value(copy, &n, &parent, &name);
    bool same = cJSON_IsNull(item) || (item->type & 0xff) == (other->type & 0xff) ||
                (cJSON_IsBool(item) && cJSON_IsBool(other));
    cJSON_Delete(copy);
    cJSON_Delete(other);
    return !same;
}

/* One line that says where: the least that any refusal must do. */
static void check_sentence(const Error *error, const char *folder, const char *file, const char *key,
                           bool names_key) {
    if (strchr(error->message, '\n') || strlen(error->message) > 800 || !strstr(error->message, folder) ||
        (names_key && !strstr(error->message, file)))
        fail_msg("%s, %s: the message is \"%s\"", file, key, error->message);
    if (names_key && !strstr(error->message, key))
        fail_msg("%s: the message does not name %s: \"%s\"", file, key, error->message);
}

/* ---- configurations */

/* Opens the folder, whose `file` has a wrong `key`; whether it was refused. */
static bool refused(const char *folder, const char *file, const char *key, bool names_key) {
    Engine *engine;
    Error error = {0};
    if (engine_open(&engine, &(EngineOptions){.model_folder = folder, .n_threads = 1}, &error) == 0) {
        engine_close(engine);
        return false;
    }
    assert_null(engine);
    check_sentence(&error, folder, file, key, names_key);
    return true;
}

static void write_json(const char *folder, const char *file, const cJSON *json) {
    char *text = cJSON_PrintUnformatted(json);
    folder_put(folder, file, text, strlen(text));
    cJSON_free(text);
}

/* A value of the right type may be refused elsewhere, for what depends on it, such as a tensor's shape. */
static void check_field(const char *model, const char *folder, const char *file, const cJSON *root,
                        size_t n) {
    char key[128] = "";
    size_t wrong = 0, accepted = 0;
    for (size_t v = 0; v < N_VALUES; v++) {
        cJSON *changed = replaced(root, n, values[v], key);
        bool other_type = is_other_type(root, n, values[v]);
        write_json(folder, file, changed);
        bool is_refused = refused(folder, file, key, other_type);
        wrong += other_type;
        accepted += other_type && !is_refused;
        if (other_type && !is_refused && !is_unread(model, file, key))
            fail_msg("%s: %s: %s may be %s", model, file, key, values[v]);
        cJSON_Delete(changed);
    }
    if (accepted != 0 && accepted != wrong)
        fail_msg("%s: %s: %s may be of some wrong types, but not of others", model, file, key);
}

static void check_configurations(const char *model) {
    static const char *const files[] = {"config.json", "hybrid_config.json", "MLA_config.json",
                                        "mla_layer_config.json", "mamba_config.json"};
    char *from = path_join("tests/fixtures/models", model), *folder = folder_make(model);
    folder_copy(from, "*.json", folder);
    folder_copy(from, "*.safetensors", folder);
    for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
        char *path = path_join(from, files[f]);
        cJSON *root = NULL, *parent;
        Buffer text = {0};
        Error error = {0};
        const char *key;
        if (file_exists(path)) {
            assert_int_equal(file_read(&text, path, 1 << 20, &error), 0);
            for (char *at = text.data; (at = strstr(at, "Infinity"));) /* not JSON's */
                memcpy(at, "1e9     ", 8);
            if (json_parse(&root, text.data, text.size, path, &error))
                fail_msg("%s", error.message);
            for (size_t n = 0, left = n; find_value(root, &left, &parent, &key); left = ++n)
                check_field(model, folder, files[f], root, n);
            folder_put(folder, files[f], text.data, text.size);
        }
        buffer_free(&text);
        cJSON_Delete(root);
        free(path);
    }
    folder_remove(folder);
    free(from);
}

static void test_each_field_of_each_configuration_wrong_in_turn(void **unused) {
    (void)unused;
    for (size_t i = 0; i < N_FIXTURE_MODELS; i++)
        check_configurations(fixture_models[i]);
}

/* ---- headers */

/* Every value of these files means something, but for what is in `free_key`; whatever changes it is refused.
 * A tensor that an index leaves out is found all the same if its file is there. */
static void check_every_value(const char *folder, const char *file, const cJSON *root, const char *free_key,
                              void (*write)(const char *folder, const char *file, const cJSON *json)) {
    cJSON *parent;
    const char *name;
    for (size_t n = 0, left = n; find_value((cJSON *)root, &left, &parent, &name); left = ++n)
        for (size_t v = 0; v < N_VALUES; v++) {
            char key[128];
            cJSON *changed = replaced(root, n, values[v], key);
            const cJSON *before = cJSON_GetObjectItemCaseSensitive(root, free_key),
                        *after = cJSON_GetObjectItemCaseSensitive(changed, free_key);
            bool same = cJSON_Compare(root, changed, true) || (!values[v] && write == write_json) ||
                        !cJSON_Compare(before, after, true);
            write(folder, file, changed);
            if (!refused(folder, file, key, is_other_type(root, n, values[v]) && !same) && !same)
                fail_msg("%s: %s may be %s", file, key, values[v] ? values[v] : "absent");
            cJSON_Delete(changed);
        }
}

/* The header of model.safetensors with the data of the file as it was. */
static void write_header(const char *folder, const char *file, const cJSON *json) {
    Buffer before = {0}, after = {0};
    char *path = path_join(folder, file), *text = cJSON_PrintUnformatted(json);
    assert_int_equal(file_read(&before, path, 1 << 24, NULL), 0);
    uint64_t header = 0;
    for (size_t i = 0; i < 8; i++)
        header |= (uint64_t)(unsigned char)before.data[i] << (8 * i);
    append_number(&after, strlen(text), 8);
    buffer_append_text(&after, text);
    buffer_append(&after, before.data + 8 + header, before.size - 8 - header);
    folder_put(folder, file, after.data, after.size);
    cJSON_free(text);
    free(path);
    buffer_free(&before);
    buffer_free(&after);
}

static void test_each_field_of_a_safetensors_header_wrong_in_turn(void **unused) {
    (void)unused;
    static const char from[] = "tests/fixtures/models/mamba2_tiny_attention";
    char *folder = folder_make("header");
    Buffer file = {0};
    Error error = {0};
    cJSON *root;
    folder_copy(from, "config.json", folder);
    folder_copy(from, "model.safetensors", folder);
    assert_int_equal(
        file_read(&file, "tests/fixtures/models/mamba2_tiny_attention/model.safetensors", 1 << 24, NULL), 0);
    size_t header = (unsigned char)file.data[0] | (size_t)(unsigned char)file.data[1] << 8;
    if (json_parse(&root, file.data + 8, header, "header", &error))
        fail_msg("%s", error.message);
    check_every_value(folder, "model.safetensors", root, "__metadata__", write_header);
    cJSON_Delete(root);
    buffer_free(&file);
    folder_remove(folder);
}

static void test_each_field_of_an_index_wrong_in_turn(void **unused) {
    (void)unused;
    static const struct {
        const char *from, *pattern, *file;
    } cases[] = {
        {"tests/fixtures/models/llama_tiny_tied_bf16", "*.safetensors", "model.safetensors.index.json"},
        {"tests/fixtures/checkpoints/llama_tiny_tied_bf16_bin", "*.bin", "pytorch_model.bin.index.json"}};
    for (size_t i = 0; i < 2; i++) {
        char *folder = folder_make("index"), *path = path_join(cases[i].from, cases[i].file);
        cJSON *root;
        Error error = {0};
        folder_copy(cases[i].from, "config.json", folder);
        folder_copy(cases[i].from, cases[i].pattern, folder);
        if (json_parse_file(&root, path, 1 << 20, &error))
            fail_msg("%s", error.message);
        check_every_value(folder, cases[i].file, root, "metadata", write_json);
        cJSON_Delete(root);
        folder_remove(folder);
        free(path);
    }
}

int run_hostile_field_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_field_of_each_configuration_wrong_in_turn),
        cmocka_unit_test(test_each_field_of_a_safetensors_header_wrong_in_turn),
        cmocka_unit_test(test_each_field_of_an_index_wrong_in_turn),
    };
    return cmocka_run_group_tests_name("hostile fields", tests, NULL, NULL);
}
