/* Checkpoint folders and configurations that are broken in every way the readers know: each must be refused
 * with one sentence that says what was found. */
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
#include "runner/families/family.h"
#include "tests/runner/runner_tests.h"
#include "tests/runner/test_engine_support.h"

static void expect_words(const Error *error, const char *words) {
    if (!strstr(error->message, words))
        fail_msg("the message is \"%s\", expected \"%s\" in it", error->message, words);
}

/* ---- a temporary folder with files in it */

static char *make_folder(void) {
    const char *root = getenv("TMPDIR");
    char *folder = path_join(root ? root : "/tmp", "zeval-test-XXXXXX");
    assert_non_null(mkdtemp(folder));
    return folder;
}

static void put_file(const char *folder, const char *name, const void *data, size_t bytes) {
    char *path = path_join(folder, name);
    Error error = {0};
    if (file_write_atomic(path, data, bytes, &error))
        fail_msg("%s", error.message);
    free(path);
}

static void put_text(const char *folder, const char *name, const char *text) {
    put_file(folder, name, text, strlen(text));
}

static void remove_folder(char *folder) {
    static const char *const names[] = {"config.json",       "hybrid_config.json",
                                        "model.safetensors", "a.safetensors",
                                        "b.safetensors",     "model.safetensors.index.json"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = path_join(folder, names[i]);
        unlink(path);
        free(path);
    }
    assert_int_equal(rmdir(folder), 0);
    free(folder);
}

/* A safetensors file: length, header, data_bytes zeros. */
static Buffer make_safetensors(const char *header, size_t data_bytes) {
    Buffer file = {0};
    size_t length = strlen(header);
    for (int i = 0; i < 8; i++)
        buffer_append_char(&file, (char)(length >> (8 * i) & 0xff));
    buffer_append_text(&file, header);
    for (size_t i = 0; i < data_bytes; i++)
        buffer_append_char(&file, '\0');
    return file;
}

static void put_safetensors(const char *folder, const char *name, const char *header, size_t data_bytes) {
    Buffer file = make_safetensors(header, data_bytes);
    put_file(folder, name, file.data, file.size);
    buffer_free(&file);
}

/* ---- safetensors */

static void test_safetensors_header_gives_tensors(void **unused) {
    (void)unused;
    Buffer file = make_safetensors("{\"__metadata__\":{\"format\":\"pt\"},"
                                   "\"b\":{\"dtype\":\"BF16\",\"shape\":[2,3],\"data_offsets\":[4,16]},"
                                   "\"empty\":{\"dtype\":\"F32\",\"shape\":[0,5],\"data_offsets\":[4,4]},"
                                   "\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}",
                                   16);
    Tensor *tensors;
    size_t n;
    Error error = {0};
    if (safetensors_parse(&tensors, &n, (const uint8_t *)file.data, file.size, "t", &error))
        fail_msg("%s", error.message);
    assert_int_equal(n, 3);
    assert_string_equal(tensors[0].name, "a");
    assert_int_equal(tensors[0].n_dims, 0);
    assert_int_equal(tensors[0].bytes, 4);
    assert_string_equal(tensors[1].name, "b");
    assert_int_equal(tensors[1].type, TENSOR_BF16);
    assert_int_equal(tensors[1].shape[1], 3);
    assert_int_equal(tensors[1].data - tensors[0].data, 4);
    assert_int_equal(tensors[2].bytes, 0);
    tensors_free(tensors, n);
    buffer_free(&file);
}

static void test_broken_safetensors_headers_are_refused(void **unused) {
    (void)unused;
    static const struct {
        const char *header, *words;
    } cases[] = {
        {"[]", "the header is an array, expected an object"},
        {"{\"a\"", "the JSON is wrong or incomplete"},
        {"{\"a\":[]}", "tensor a: the header has an array, expected an object"},
        {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", "dtype"},
        {"{\"a\":{\"dtype\":3,\"shape\":[1],\"data_offsets\":[0,4]}}", "dtype"},
        {"{\"a\":{\"dtype\":\"F33\",\"shape\":[1],\"data_offsets\":[0,4]}}", "dtype is \"F33\""},
        {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", "shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":4,\"data_offsets\":[0,4]}}", "shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", "shape[0]"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1.5],\"data_offsets\":[0,4]}}", "shape[1]"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,\"1\"],\"data_offsets\":[0,4]}}", "shape[1]"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1e99],\"data_offsets\":[0,4]}}", "shape[0]"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,4]}}", "too large"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", "more than 8"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", "data_offsets"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", "two non-negative whole numbers"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}",
         "two non-negative whole numbers"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]}}",
         "two non-negative whole numbers"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", "do not lie inside"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]}}",
         "inside the file's 8 data bytes"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}",
         "hold 4 bytes, but its shape and dtype need 8"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
         "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[2,6]}}",
         "tensors a and b overlap"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
         "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
         "tensor a twice"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Buffer file = make_safetensors(cases[i].header, 8);
        Tensor *tensors;
        size_t n;
        Error error = {0};
        assert_int_equal(
            safetensors_parse(&tensors, &n, (const uint8_t *)file.data, file.size, "FILE", &error), -1);
        assert_null(tensors);
        expect_words(&error, cases[i].words);
        expect_words(&error, "FILE");
        buffer_free(&file);
    }
}

static void test_safetensors_lengths_are_checked(void **unused) {
    (void)unused;
    Tensor *tensors;
    size_t n;
    Error error = {0};
    const uint8_t shorter[] = {1, 2, 3}, longer[] = {3, 0, 0, 0, 0, 0, 0, 0, '{', '}'},
                  huge[] = {255, 255, 255, 255, 255, 255, 255, 255, '{', '}'};
    assert_int_equal(safetensors_parse(&tensors, &n, shorter, sizeof shorter, "f", &error), -1);
    expect_words(&error, "3 bytes long");
    assert_int_equal(safetensors_parse(&tensors, &n, longer, sizeof longer, "f", &error), -1);
    expect_words(&error, "claims 3 bytes, but only 2 follow");
    assert_int_equal(safetensors_parse(&tensors, &n, huge, sizeof huge, "f", &error), -1);
    expect_words(&error, "claims 18446744073709551615 bytes");
    assert_int_equal(safetensors_parse(&tensors, &n, NULL, 0, "f", &error), -1);
}

/* What is accepted must lie inside the file; what is refused must say why. */
static int parse_and_check(const char *data, size_t bytes) {
    uint8_t *exact = malloc(bytes ? bytes : 1);
    Tensor *tensors;
    size_t n;
    Error error = {0};
    assert_non_null(exact);
    if (bytes)
        memcpy(exact, data, bytes);
    int status = safetensors_parse(&tensors, &n, exact, bytes, "FILE", &error);
    if (status && (tensors || !text_starts_with(error.message, "FILE")))
        fail_msg("refused with \"%s\"", error.message);
    for (size_t i = 0; i < n; i++)
        if (tensors[i].data < exact || tensors[i].bytes > (size_t)(exact + bytes - tensors[i].data))
            fail_msg("tensor %s does not lie inside its file", tensors[i].name);
    tensors_free(tensors, n);
    free(exact);
    return status;
}

static void test_cut_and_flipped_safetensors_do_no_harm(void **unused) {
    (void)unused;
    Buffer file = make_safetensors("{\"__metadata__\":{\"format\":\"pt\"},"
                                   "\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
                                   "\"b\":{\"dtype\":\"BF16\",\"shape\":[4],\"data_offsets\":[24,32]}}",
                                   32);
    assert_int_equal(parse_and_check(file.data, file.size), 0);
    for (size_t n = 0; n < file.size; n++)
        assert_int_equal(parse_and_check(file.data, n), -1);
    Random random;
    random_seed(&random, 21);
    size_t accepted = 0;
    for (int i = 0; i < 4000; i++) {
        Buffer broken = {0};
        buffer_append(&broken, file.data, file.size);
        for (size_t k = 1 + random_below(&random, 3); k > 0; k--)
            broken.data[random_below(&random, broken.size)] = (char)random_below(&random, 256);
        accepted += parse_and_check(broken.data, broken.size) == 0;
        buffer_free(&broken);
    }
    assert_true(accepted > 0 && accepted < 4000);
    buffer_free(&file);
}

/* ---- folders */

#define ONE_FLOAT(name) "{\"" name "\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}"

static void expect_folder_refused(const char *folder, const char *words) {
    Checkpoint checkpoint;
    Error error = {0};
    assert_int_equal(checkpoint_open(&checkpoint, folder, &error), -1);
    expect_words(&error, words);
}

static void test_broken_shards_are_refused(void **unused) {
    (void)unused;
    static const struct {
        const char *index, *words;
    } cases[] = {
        {"[1]", "weight_map"},
        {"{\"weight_map\":3}", "weight_map"},
        {"{\"weight_map\":{\"a\":3}}", "weight_map entry a is a number, expected a file name"},
        {"{\"weight_map\":{\"a\":\"../a.safetensors\"}}", "not inside the checkpoint's folder"},
        {"{\"weight_map\":{\"a\":\"/etc/passwd\"}}", "not inside the checkpoint's folder"},
        {"{\"weight_map\":{\"a\":\"c.safetensors\"}}", "c.safetensors, which is missing"},
        {"{\"weight_map\":{\"a\":\"a.safetensors\",\"x\":\"a.safetensors\"}}",
         "says tensor x is in a.safetensors"},
        {"{\"weight_map\":{\"a\":\"b.safetensors\",\"b\":\"a.safetensors\"}}", "but it is not there"},
        {"{\"weight_map\":{}}", "holds no tensors"},
    };
    char *folder = make_folder();
    expect_folder_refused(folder,
                          "none of model.safetensors, model.safetensors.index.json, pytorch_model.bin");
    put_safetensors(folder, "a.safetensors", ONE_FLOAT("a"), 4);
    put_safetensors(folder, "b.safetensors", ONE_FLOAT("b"), 4);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_text(folder, "model.safetensors.index.json", cases[i].index);
        expect_folder_refused(folder, cases[i].words);
    }
    put_safetensors(folder, "b.safetensors", ONE_FLOAT("a"), 4);
    put_text(folder, "model.safetensors.index.json",
             "{\"weight_map\":{\"a\":\"a.safetensors\",\"b\":\"b.safetensors\"}}");
    expect_folder_refused(folder, "tensor a is in two files");
    put_text(folder, "model.safetensors", "");
    expect_folder_refused(folder, "0 bytes long");
    remove_folder(folder);
}

static void test_tensors_are_checked_when_asked_for(void **unused) {
    (void)unused;
    char *folder = make_folder();
    Checkpoint checkpoint;
    Weight weight;
    float *vector = NULL;
    Error error = {0};
    put_safetensors(folder, "model.safetensors",
                    "{\"m\":{\"dtype\":\"F16\",\"shape\":[2,3],\"data_offsets\":[0,12]},"
                    "\"ids\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[16,24]},"
                    "\"x.inv_freq\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[24,32]}}",
                    32);
    assert_int_equal(checkpoint_open(&checkpoint, folder, &error), 0);
    assert_int_equal(checkpoint_weight(&checkpoint, "w", 2, 3, &weight, &error), -1);
    expect_words(&error, "tensor w is missing (expected with shape [2, 3])");
    assert_int_equal(checkpoint_weight(&checkpoint, "m", 3, 2, &weight, &error), -1);
    expect_words(&error, "tensor m has shape [2, 3], expected [3, 2]");
    assert_int_equal(checkpoint_vector(&checkpoint, "m", 6, &vector, &error), -1);
    expect_words(&error, "expected [6]");
    assert_int_equal(checkpoint_vector(&checkpoint, "ids", 1, &vector, &error), -1);
    expect_words(&error, "tensor ids has dtype I64, expected F32, F16 or BF16");
    assert_int_equal(checkpoint_weight(&checkpoint, "m", 2, 3, &weight, &error), 0);
    assert_int_equal(weight.dtype, DTYPE_FLOAT16);
    assert_int_equal(checkpoint_used_elements(&checkpoint), 6);
    assert_int_equal(
        checkpoint_check_all_used(&checkpoint, (const char *const[]){"*.inv_freq", NULL}, &error), -1);
    expect_words(&error, "tensor ids has no place");
    assert_int_equal(
        checkpoint_check_all_used(&checkpoint, (const char *const[]){"*.inv_freq", "ids", NULL}, &error), 0);
    checkpoint_close(&checkpoint);
    remove_folder(folder);
}

static void test_stored_numbers_widen_exactly(void **unused) {
    (void)unused;
    static const struct {
        uint16_t half;
        float value;
    } cases[] = {{0x0000, 0.0f},     {0x3c00, 1.0f},        {0xc000, -2.0f},
                 {0x7bff, 65504.0f}, {0x0001, 0x1p-24f},    {0x03ff, 0x1.ff8p-15f},
                 {0x0400, 0x1p-14f}, {0x3555, 0x1.554p-2f}, {0x8001, -0x1p-24f}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_true(float16_to_float(cases[i].half) == cases[i].value);
    assert_true(float16_to_float(0x7c00) > 3e38f && float16_to_float(0xfc00) < -3e38f);
    assert_true(float16_to_float(0x7e00) != float16_to_float(0x7e00));
    assert_true(bfloat16_to_float(0x3fc0) == 1.5f && bfloat16_to_float(0xc2f7) == -123.5f);
}

/* ---- configurations */

static const char llama[] =
    "{\"architectures\":[\"LlamaForCausalLM\"],\"hidden_size\":8,\"intermediate_size\":12,"
    "\"num_hidden_layers\":2,\"num_attention_heads\":4,\"vocab_size\":16%s}";
static const char zebra[] =
    "{\"hidden_size\":8,\"intermediate_size\":12,\"n_layer\":2,\"mla_layers\":[1],\"num_attention_heads\":4,"
    "\"num_key_value_heads\":2,\"d_xb\":4,\"d_inner\":8,\"ssm_cfg\":{\"ngroups\":4,\"d_state\":2}%s}";

/* Reads a configuration made of a base text and more fields; a field given twice counts as its first
 * spelling, so `drop` names one to leave out. */
static int read_config(ModelConfig *out, const char *base, const char *more, const char *drop, Error *error) {
    char text[2048];
    snprintf(text, sizeof text, base, more);
    bool is_zebra = base == zebra;
    cJSON *config = NULL, *side = NULL;
    char plain[2048];
    snprintf(plain, sizeof plain, llama, "");
    assert_int_equal(
        json_parse(&config, is_zebra ? plain : text, strlen(is_zebra ? plain : text), "config.json", NULL),
        0);
    if (is_zebra)
        assert_int_equal(json_parse(&side, text, strlen(text), "hybrid_config.json", NULL), 0);
    if (drop)
        cJSON_DeleteItemFromObjectCaseSensitive(is_zebra ? side : config, drop);
    int status =
        family_read_config(out, is_zebra ? &family_zebra_llama : &family_llama,
                           (ConfigFile[]){{config, "config.json"}, {side, "hybrid_config.json"}}, error);
    cJSON_Delete(config);
    cJSON_Delete(side);
    return status;
}

static void test_llama_defaults(void **unused) {
    (void)unused;
    ModelConfig config;
    Error error = {0};
    if (read_config(&config, llama, "", NULL, &error))
        fail_msg("%s", error.message);
    assert_int_equal(config.attention.n_kv_heads, 4);
    assert_int_equal(config.attention.head_dim, 2);
    assert_true(config.norm_eps == 1e-6 && config.final_norm_eps == 1e-6);
    assert_true(config.rope.theta == 10000 && config.rope.scaling == ROPE_PLAIN);
    assert_false(config.tied_head || config.attention.qkv_bias || config.attention.o_bias || config.mlp_bias);
    assert_int_equal(config.bos_token_id, -1);
    assert_int_equal(config.max_position_embeddings, 0);
}

static void test_both_spellings_of_rope_scaling_are_read(void **unused) {
    (void)unused;
    static const char *const spellings[] = {
        ",\"rope_theta\":500,\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8,\"low_freq_factor\":1,"
        "\"high_freq_factor\":4,\"original_max_position_embeddings\":64}",
        ",\"rope_parameters\":{\"rope_theta\":500,\"rope_type\":\"llama3\",\"factor\":8,\"low_freq_factor\":"
        "1,"
        "\"high_freq_factor\":4,\"original_max_position_embeddings\":64}",
        ",\"rope_theta\":500,\"rope_scaling\":{\"type\":\"llama3\",\"factor\":8,\"low_freq_factor\":1,"
        "\"high_freq_factor\":4,\"original_max_position_embeddings\":64}"};
    for (size_t i = 0; i < 3; i++) {
        ModelConfig config;
        Error error = {0};
        if (read_config(&config, llama, spellings[i], NULL, &error))
            fail_msg("%s", error.message);
        assert_int_equal(config.rope.scaling, ROPE_LLAMA3);
        assert_true(config.rope.theta == 500 && config.rope.factor == 8 &&
                    config.rope.original_positions == 64);
    }
}

static void test_broken_configurations_are_refused(void **unused) {
    (void)unused;
    static const struct {
        const char *base, *more, *drop, *words;
    } cases[] = {
        {llama, "", "hidden_size", "hidden_size"},
        {llama, "", "vocab_size", "vocab_size"},
        {llama, "", "num_attention_heads", "num_attention_heads"},
        {llama, ",\"hidden_size\":\"8\"", "hidden_size", "hidden_size"},
        {llama, ",\"hidden_size\":0", "hidden_size", "hidden_size"},
        {llama, ",\"hidden_size\":8.5", "hidden_size", "hidden_size"},
        {llama, ",\"hidden_size\":1e12", "hidden_size", "hidden_size"},
        {llama, ",\"num_hidden_layers\":5000", "num_hidden_layers", "num_hidden_layers"},
        {llama, ",\"num_key_value_heads\":3", NULL, "not a multiple of num_key_value_heads 3"},
        {llama, ",\"num_key_value_heads\":-1", NULL, "num_key_value_heads"},
        {llama, ",\"num_attention_heads\":16", "num_attention_heads", "heads of width 0"},
        {llama, ",\"head_dim\":3", NULL, "rotary width of a head is 3, expected an even number"},
        {llama, ",\"rms_norm_eps\":-1", NULL, "rms_norm_eps"},
        {llama, ",\"rms_norm_eps\":true", NULL, "rms_norm_eps"},
        {llama, ",\"tie_word_embeddings\":1", NULL, "tie_word_embeddings"},
        {llama, ",\"hidden_act\":\"gelu\"", NULL, "hidden_act is \"gelu\""},
        {llama, ",\"rope_theta\":0", NULL, "rope_theta is 0"},
        {llama, ",\"rope_scaling\":3", NULL, "rope_scaling is a number"},
        {llama, ",\"rope_scaling\":{\"rope_type\":\"yarn\"}", NULL, "type \"yarn\""},
        {llama, ",\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":-8}", NULL, "factor"},
        {llama, ",\"rope_scaling\":{\"rope_type\":\"llama3\",\"low_freq_factor\":5}", NULL,
         "high_freq_factor 4"},
        {llama, ",\"bos_token_id\":\"x\"", NULL, "bos_token_id"},
        {zebra, "", "mla_layers", "mla_layers"},
        {zebra, ",\"mla_layers\":[2]", "mla_layers", "no layer number from 0 to 1"},
        {zebra, ",\"mla_layers\":[0.5]", "mla_layers", "no layer number from 0 to 1"},
        {zebra, ",\"n_layer\":3", "n_layer", "n_layer is 3, but config.json's num_hidden_layers is 2"},
        {zebra, ",\"hidden_size\":9", "hidden_size", "differ from config.json's 8 and 12"},
        {zebra, "", "ssm_cfg", "ssm_cfg"},
        {zebra, ",\"ssm_cfg\":{\"ngroups\":4,\"d_state\":3}", "ssm_cfg", "d_inner is 8, expected"},
        {zebra, ",\"ssm_cfg\":{\"ngroups\":4,\"d_state\":2,\"repeat_kv_before_conv\":true}", "ssm_cfg",
         "repeat_kv_before_conv"},
        {zebra, ",\"d_xb\":3", "d_xb", "d_xb 3 does not divide"},
        {zebra, ",\"num_key_value_heads\":3", "num_key_value_heads", "not a multiple"},
        {zebra, ",\"qk_rope_head_dim\":5", NULL, "qk_rope_head_dim is 5, expected an even number"},
        {zebra, ",\"rope_scaling\":{\"rope_type\":\"linear\"}", NULL, "type \"linear\""},
        {zebra, ",\"rope_scaling\":{\"rope_type\":\"yarn\",\"mscale\":-1}", NULL, "mscale"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ModelConfig config;
        Error error = {0};
        if (read_config(&config, cases[i].base, cases[i].more, cases[i].drop, &error) == 0)
            fail_msg("case %zu (%s) was accepted", i, cases[i].words);
        expect_words(&error, cases[i].words);
        expect_words(&error, cases[i].base == zebra ? "hybrid_config.json" : "config.json");
    }
}

static void expect_model_refused(const char *folder, const char *words) {
    Engine *engine = NULL;
    Error error = {0};
    assert_int_equal(engine_open(&engine, &(EngineOptions){.model_folder = folder, .n_threads = 1}, &error),
                     -1);
    assert_null(engine);
    expect_words(&error, words);
}

static void test_broken_model_folders_are_refused(void **unused) {
    (void)unused;
    char *folder = make_folder(), config[1024];
    expect_model_refused("/nonexistent/model", "/nonexistent/model: is not a folder");
    expect_model_refused(folder, "config.json");
    put_text(folder, "config.json", "{\"architectures\": [\"Llama");
    expect_model_refused(folder, "the JSON is wrong or incomplete");
    put_text(folder, "config.json", "[]");
    expect_model_refused(folder, "is an array, expected a JSON object");
    put_text(folder, "config.json", "{}");
    expect_model_refused(folder, "no \"architectures\" list");
    put_text(folder, "config.json", "{\"architectures\":[\"GPT2LMHeadModel\"]}");
    expect_model_refused(folder, "\"GPT2LMHeadModel\", which is not supported");
    expect_model_refused(folder, "LlamaForCausalLM");
    snprintf(config, sizeof config, llama, "");
    put_text(folder, "config.json", config);
    expect_model_refused(folder, "none of model.safetensors");
    put_safetensors(
        folder, "model.safetensors",
        "{\"model.embed_tokens.weight\":{\"dtype\":\"F32\",\"shape\":[16,8],\"data_offsets\":[0,512]},"
        "\"model.norm.weight\":{\"dtype\":\"F32\",\"shape\":[8],\"data_offsets\":[512,544]}}",
        544);
    expect_model_refused(folder, "tensor lm_head.weight is missing, and config.json does not tie it");
    snprintf(config, sizeof config, llama, ",\"tie_word_embeddings\":true");
    put_text(folder, "config.json", config);
    expect_model_refused(folder, "tensor model.layers.0.input_layernorm.weight is missing");
    remove_folder(folder);
}

int run_checkpoint_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_safetensors_header_gives_tensors),
        cmocka_unit_test(test_broken_safetensors_headers_are_refused),
        cmocka_unit_test(test_safetensors_lengths_are_checked),
        cmocka_unit_test(test_cut_and_flipped_safetensors_do_no_harm),
        cmocka_unit_test(test_broken_shards_are_refused),
        cmocka_unit_test(test_tensors_are_checked_when_asked_for),
        cmocka_unit_test(test_stored_numbers_widen_exactly),
        cmocka_unit_test(test_llama_defaults),
        cmocka_unit_test(test_both_spellings_of_rope_scaling_are_read),
        cmocka_unit_test(test_broken_configurations_are_refused),
        cmocka_unit_test(test_broken_model_folders_are_refused),
    };
    return cmocka_run_group_tests_name("checkpoint", tests, NULL, NULL);
}
