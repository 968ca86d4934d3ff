#include "tests/runner/test_engine_support.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "runner/engine.h"

Engine *open_engine_as(const char *folder, Dtype dtype, int n_threads) {
    Engine *engine = NULL;
    Error error = {0};
    EngineOptions options = {.model_folder = folder, .dtype = dtype, .n_threads = n_threads};
    if (engine_open(&engine, &options, &error))
        fail_msg("%s: %s", folder, error.message);
    return engine;
}

Engine *open_engine(const char *folder, int n_threads) {
    return open_engine_as(folder, DTYPE_FLOAT32, n_threads);
}

char *shared_path(const char *name) {
    const char *root = getenv("ZEVAL_SHARED");
    char *path = path_join(root ? root : "../shared", name);
    if (file_exists(path))
        return path;
    printf("skipped: %s is not here\n", path);
    free(path);
    return NULL;
}

static void put_file(const char *folder, const char *name, const Buffer *file) {
    char *path = path_join(folder, name);
    Error error = {0};
    if (file_write_atomic(path, file->data, file->size, &error))
        fail_msg("%s", error.message);
    free(path);
}

enum { WIDE = 320, WIDE_MLP = 600, WIDE_VOCABULARY = 500 };

static const struct {
    const char *name;
    int rows, cols; /* cols 0: a vector */
} wide_tensors[] = {{"model.embed_tokens.weight", WIDE_VOCABULARY, WIDE},
                    {"model.norm.weight", WIDE, 0},
                    {"model.layers.0.input_layernorm.weight", WIDE, 0},
                    {"model.layers.0.post_attention_layernorm.weight", WIDE, 0},
                    {"model.layers.0.self_attn.q_proj.weight", WIDE, WIDE},
                    {"model.layers.0.self_attn.k_proj.weight", WIDE / 5, WIDE},
                    {"model.layers.0.self_attn.v_proj.weight", WIDE / 5, WIDE},
                    {"model.layers.0.self_attn.o_proj.weight", WIDE, WIDE},
                    {"model.layers.0.mlp.gate_proj.weight", WIDE_MLP, WIDE},
                    {"model.layers.0.mlp.up_proj.weight", WIDE_MLP, WIDE},
                    {"model.layers.0.mlp.down_proj.weight", WIDE, WIDE_MLP}};

static void append_random_floats(Buffer *file, Random *random, size_t n, bool broken) {
    for (size_t i = 0; i < n; i++) {
        float x = broken && i % 1000 == 7 ? NAN : (float)(random_double(random) - 0.5) * 0.3f;
        buffer_append(file, &x, sizeof x);
    }
}

char *make_random_llama(bool broken) {
    const char *root = getenv("TMPDIR");
    char *folder = path_join(root ? root : "/tmp", "zeval-llama-XXXXXX");
    Buffer header = {0}, data = {0}, file = {0}, config = {0};
    Random random;
    random_seed(&random, 42);
    assert_non_null(mkdtemp(folder));
    buffer_append_char(&header, '{');
    for (size_t i = 0; i < sizeof wide_tensors / sizeof *wide_tensors; i++) {
        int rows = wide_tensors[i].rows, cols = wide_tensors[i].cols;
        size_t begin = data.size;
        append_random_floats(&data, &random, (size_t)rows * (size_t)(cols ? cols : 1), broken && i == 0);
        buffer_printf(&header, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%d", i ? "," : "",
                      wide_tensors[i].name, rows);
        if (cols)
            buffer_printf(&header, ",%d", cols);
        buffer_printf(&header, "],\"data_offsets\":[%zu,%zu]}", begin, data.size);
    }
    buffer_append_char(&header, '}');
    for (int i = 0; i < 8; i++)
        buffer_append_char(&file, (char)(header.size >> (8 * i) & 0xff));
    buffer_append(&file, header.data, header.size);
    buffer_append(&file, data.data, data.size);
    put_file(folder, "model.safetensors", &file);
    buffer_printf(&config,
                  "{\"architectures\":[\"LlamaForCausalLM\"],\"hidden_size\":%d,\"intermediate_size\":%d,"
                  "\"num_hidden_layers\":1,\"num_attention_heads\":5,\"num_key_value_heads\":1,"
                  "\"vocab_size\":%d,\"tie_word_embeddings\":true}",
                  WIDE, WIDE_MLP, WIDE_VOCABULARY);
    put_file(folder, "config.json", &config);
    buffer_free(&header);
    buffer_free(&data);
    buffer_free(&file);
    buffer_free(&config);
    return folder;
}

void remove_random_llama(char *folder) {
    static const char *const names[] = {"config.json", "model.safetensors"};
    for (size_t i = 0; i < 2; i++) {
        char *path = path_join(folder, names[i]);
        unlink(path);
        free(path);
    }
    assert_int_equal(rmdir(folder), 0);
    free(folder);
}

Matrix read_npy(const char *path) {
    Buffer file = {0};
    Error error = {0};
    if (file_read(&file, path, 64 << 20, &error))
        fail_msg("%s", error.message);
    assert_true(file.size > 10 && memcmp(file.data, "\x93NUMPY\x01", 7) == 0);
    size_t header = (unsigned char)file.data[8] | (size_t)(unsigned char)file.data[9] << 8;
    const char *shape = strstr(file.data + 10, "'shape': (");
    assert_non_null(shape);
    assert_non_null(strstr(file.data + 10, "'<f4'"));
    Matrix matrix = {0};
    assert_int_equal(sscanf(shape, "'shape': (%zu, %zu)", &matrix.rows, &matrix.cols), 2);
    size_t bytes = matrix.rows * matrix.cols * sizeof(float);
    assert_int_equal(file.size, 10 + header + bytes);
    matrix.data = mem_alloc(bytes);
    memcpy(matrix.data, file.data + 10 + header, bytes);
    buffer_free(&file);
    return matrix;
}

static void read_case(FixtureCase *out, const cJSON *item, const char *folder) {
    const cJSON *ids = cJSON_GetObjectItem(item, "ids"), *positions = cJSON_GetObjectItem(item, "positions");
    const cJSON *first = cJSON_GetObjectItem(item, "first_position");
    out->first_position = first ? (size_t)first->valuedouble : 0;
    out->n_ids = (size_t)cJSON_GetArraySize(ids);
    out->ids = mem_alloc(out->n_ids * sizeof *out->ids);
    for (size_t i = 0; i < out->n_ids; i++)
        out->ids[i] = (int32_t)cJSON_GetArrayItem(ids, (int)i)->valuedouble;
    char *path = path_join(folder, cJSON_GetObjectItem(item, "logits_file")->valuestring);
    out->logits = read_npy(path);
    free(path);
    out->positions = mem_alloc(out->logits.rows * sizeof *out->positions);
    assert_int_equal(out->logits.rows, positions ? (size_t)cJSON_GetArraySize(positions) : out->n_ids);
    for (size_t i = 0; i < out->logits.rows; i++)
        out->positions[i] = positions ? (size_t)cJSON_GetArrayItem(positions, (int)i)->valuedouble : i;
}

Fixture read_fixture(const char *name) {
    return read_fixture_file(name, "logits.json");
}

Fixture read_fixture_file(const char *name, const char *file) {
    Fixture fixture = {0};
    Error error = {0};
    cJSON *root = NULL;
    char *folder = path_join("tests/fixtures/models", name), *path = path_join(folder, file);
    if (json_parse_file(&root, path, 64 << 20, &error))
        fail_msg("%s", error.message);
    const cJSON *cases = cJSON_GetObjectItem(root, "cases"), *at = cJSON_GetObjectItem(root, "model_folder");
    fixture.n_cases = (size_t)cJSON_GetArraySize(cases);
    fixture.cases = mem_alloc_zero(fixture.n_cases, sizeof *fixture.cases);
    for (size_t i = 0; i < fixture.n_cases; i++)
        read_case(&fixture.cases[i], cJSON_GetArrayItem(cases, (int)i), folder);
    fixture.model_folder = at ? mem_strdup(at->valuestring) : mem_strdup(folder);
    cJSON_Delete(root);
    free(path);
    free(folder);
    return fixture;
}

void free_fixture(Fixture *fixture) {
    for (size_t i = 0; i < fixture->n_cases; i++) {
        free(fixture->cases[i].ids);
        free(fixture->cases[i].positions);
        free(fixture->cases[i].logits.data);
    }
    free(fixture->cases);
    free(fixture->model_folder);
}

const char *const fixture_models[N_FIXTURE_MODELS] = {"llama_tiny",
                                                      "llama_tiny_tied_bf16",
                                                      "llama_tiny_f16",
                                                      "mistral_tiny",
                                                      "qwen2_tiny",
                                                      "qwen3_tiny",
                                                      "nemotron_tiny",
                                                      "zebra_tiny",
                                                      "zebra_tiny_lora_norm",
                                                      "zebra_tiny_full_kv",
                                                      "x_ecomla_tiny",
                                                      "x_ecomla_tiny_plain",
                                                      "mamba_in_llama_tiny",
                                                      "mamba_in_llama_tiny_bf16",
                                                      "mamba2_in_llama_tiny",
                                                      "mamba2_in_llama_tiny_all",
                                                      "llamba_tiny",
                                                      "llamba_tiny_bias",
                                                      "mamba2_tiny",
                                                      "mamba2_tiny_wide_skip",
                                                      "mamba2_tiny_attention",
                                                      "mamba2_hf_tiny"};

/* The worst difference, in units of the case's largest logit. */
static double worst_difference(Engine *engine, const FixtureCase *expected) {
    size_t vocab = (size_t)engine_info(engine)->vocab_size;
    assert_int_equal(expected->logits.cols, vocab);
    float *logits = score_logits(engine, expected->ids, expected->n_ids, NULL);
    double largest = 0, worst = 0;
    for (size_t i = 0; i < expected->logits.rows; i++)
        for (size_t v = 0; v < vocab; v++) {
            double want = expected->logits.data[i * vocab + v],
                   got = logits[expected->positions[i] * vocab + v];
            largest = fmax(largest, fabs(want));
            worst = fmax(worst, isnan(got) ? INFINITY : fabs(want - got));
        }
    free(logits);
    return worst / largest;
}

void expect_fixture_logits(const char *name, const char *folder) {
    Fixture fixture = read_fixture(name);
    double worst = 0;
    size_t rows = 0;
    folder = folder ? folder : fixture.model_folder;
    for (size_t i = 0; i < fixture.n_cases; i++) {
        const FixtureCase *expected = &fixture.cases[i];
        Engine *engine = open_engine(folder, 2);
        engine->rope.origin = expected->first_position;
        double difference = worst_difference(engine, expected);
        if (!(difference <= 1e-5))
            fail_msg("%s, %zu tokens from position %zu: a logit differs by %.1e of the largest, allowed 1e-5",
                     folder, expected->n_ids, expected->first_position, difference);
        worst = fmax(worst, difference);
        rows += expected->logits.rows;
        engine_close(engine);
    }
    printf("%s: %zu prompts, logits of %zu positions, worst difference %.1e of the largest\n", folder,
           fixture.n_cases, rows, worst);
    free_fixture(&fixture);
}

float *score_logits(Engine *engine, const int32_t *ids, size_t n, State **state) {
    Error error = {0};
    float *logits = mem_alloc(n * (size_t)engine_info(engine)->vocab_size * sizeof *logits);
    Segment segment = {.parent = state ? *state : NULL,
                       .tokens = ids,
                       .n_tokens = n,
                       .logits = logits,
                       .move_parent = state != NULL,
                       .want_state = state != NULL};
    if (engine_score(engine, &segment, 1, &error))
        fail_msg("%s", error.message);
    if (state)
        *state = segment.state;
    return logits;
}

void random_ids(const Engine *engine, uint64_t seed, int32_t *out, size_t n) {
    Random random;
    random_seed(&random, seed);
    for (size_t i = 0; i < n; i++)
        out[i] = (int32_t)random_below(&random, (uint64_t)engine_info(engine)->vocab_size);
}

void assert_same_bits(const float *a, const float *b, size_t n, const char *what) {
    for (size_t i = 0; i < n; i++)
        if (memcmp(&a[i], &b[i], sizeof *a) != 0)
            fail_msg("%s: number %zu of %zu is %.9g and %.9g", what, i, n, (double)a[i], (double)b[i]);
}
