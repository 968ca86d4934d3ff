/* `zeval show`, and `zeval generate --stop`. */
#include <stdlib.h>
#include <string.h>

#include "tests/cli/tests.h"

static void test_show_says_what_a_checkpoint_is(void **state) {
    (void)state;
    static const char *const lines[] = {"family        zebra-llama",
                                        "layers        2 mla (L), 2 mamba2 (M)\n              LMLM\n",
                                        "parameters    59",
                                        "stored as bfloat16",
                                        ("state         304 bytes a token and 7.88 KiB a sequence, computing "
                                         "in float32\n              512 tokens 160 KiB\n"),
                                        "files         model.safetensors, 120 KiB"};
    Output output;
    test_run_expecting(0, &output, "show --model tests/fixtures/models/zebra_tiny");
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (!strstr(output.out.data, lines[i]))
            fail_msg("found: %s\nexpected in it: %s", output.out.data, lines[i]);
    test_output_free(&output);
}

static void test_show_counts_the_states_of_an_arithmetic(void **state) {
    (void)state;
    static const struct {
        const char *options, *words;
    } cases[] = {{"demo", "state         512 bytes a token"},
                 {"demo --dtype bfloat16", "state         256 bytes a token"}};
    for (size_t i = 0; i < 2; i++) {
        Output output;
        test_run_expecting(0, &output, "show --model %s", cases[i].options);
        if (!strstr(output.out.data, cases[i].words))
            fail_msg("found: %s\nexpected in it: %s", output.out.data, cases[i].words);
        test_output_free(&output);
    }
    Output output;
    test_run_expecting(2, &output, "show --model demo --dtype int8");
    test_output_free(&output);
}

/* A Llama of many layers, two wide, all zeros. */
static void write_deep_llama(int n_layers) {
    static const struct {
        const char *name, *shape;
        int bytes;
    } tensors[] = {{"input_layernorm", "[2]", 4},    {"post_attention_layernorm", "[2]", 4},
                   {"self_attn.q_proj", "[2,2]", 8}, {"self_attn.k_proj", "[2,2]", 8},
                   {"self_attn.v_proj", "[2,2]", 8}, {"self_attn.o_proj", "[2,2]", 8},
                   {"mlp.gate_proj", "[2,2]", 8},    {"mlp.up_proj", "[2,2]", 8},
                   {"mlp.down_proj", "[2,2]", 8}};
    Buffer header = {0}, file = {0}, config = {0};
    int at = 16;
    buffer_append_text(&header,
                       "{\"model.embed_tokens.weight\":{\"dtype\":\"BF16\",\"shape\":[3,2],"
                       "\"data_offsets\":[0,12]},\"model.norm.weight\":{\"dtype\":\"BF16\",\"shape\":[2],"
                       "\"data_offsets\":[12,16]}");
    for (int i = 0; i < n_layers; i++)
        for (size_t t = 0; t < sizeof tensors / sizeof *tensors; t++, at += tensors[t - 1].bytes)
            buffer_printf(&header,
                          ",\"model.layers.%d.%s.weight\":{\"dtype\":\"BF16\",\"shape\":%s,"
                          "\"data_offsets\":[%d,%d]}",
                          i, tensors[t].name, tensors[t].shape, at, at + tensors[t].bytes);
    buffer_append_char(&header, '}');
    for (int i = 0; i < 8; i++)
        buffer_append_char(&file, (char)(header.size >> (8 * i)));
    buffer_append(&file, header.data, header.size);
    for (int i = 0; i < at; i++)
        buffer_append_char(&file, 0);
    buffer_printf(&config,
                  "{\"architectures\":[\"LlamaForCausalLM\"],\"hidden_size\":2,\"intermediate_size\":2,"
                  "\"num_hidden_layers\":%d,\"num_attention_heads\":1,\"vocab_size\":3,"
                  "\"tie_word_embeddings\":true}",
                  n_layers);
    char *weights = path_join(test_folder, "model.safetensors"),
         *json = path_join(test_folder, "config.json");
    assert_int_equal(file_write_atomic(weights, file.data, file.size, NULL), 0);
    assert_int_equal(file_write_atomic(json, config.data, config.size, NULL), 0);
    free(weights);
    free(json);
    buffer_free(&header);
    buffer_free(&file);
    buffer_free(&config);
}

static void test_long_layer_strips_have_a_ruler(void **state) {
    (void)state;
    static const char strip[] = "layers        72 attention (A)\n"
                                "              0         10        20        30        40        50\n"
                                "              AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
                                "              60        70\n"
                                "              AAAAAAAAAAAA\n";
    Output output;
    write_deep_llama(72);
    test_run_expecting(0, &output, "show --model %s", test_folder);
    if (!strstr(output.out.data, strip))
        fail_msg("found: %s\nexpected in it: %s", output.out.data, strip);
    test_output_free(&output);
}

static void test_show_as_json_names_every_file(void **state) {
    (void)state;
    Output output;
    cJSON *json;
    test_run_expecting(0, &output, "show --json --model tests/fixtures/checkpoints/llama_tiny_tied_bf16_bin");
    assert_int_equal(json_parse(&json, output.out.data, output.out.size, "show", NULL), 0);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(json, "pattern")), "AAA");
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(json, "weights_dtype")), "bfloat16");
    assert_int_equal(cJSON_GetObjectItem(json, "parameters")->valueint, 43092);
    const cJSON *files = cJSON_GetObjectItem(json, "files"), *second = cJSON_GetArrayItem(files, 1);
    assert_int_equal(cJSON_GetArraySize(files), 2);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(second, "name")),
                        "pytorch_model-00002-of-00002.bin");
    assert_int_equal(cJSON_GetObjectItem(second, "bytes")->valueint,
                     file_size("tests/fixtures/checkpoints/llama_tiny_tied_bf16_bin/"
                               "pytorch_model-00002-of-00002.bin"));
    cJSON_Delete(json);
    test_output_free(&output);
    test_run_expecting(2, &output, "show");
    test_output_free(&output);
}

static char *generated_text(const char *options) {
    Output output;
    cJSON *json;
    test_run_expecting(
        0, &output, "generate --model demo --prompt 'Anna put the' --max-new-tokens 30 --json %s", options);
    assert_int_equal(json_parse(&json, output.out.data, output.out.size, "generate", NULL), 0);
    char *text = mem_strdup(cJSON_GetStringValue(cJSON_GetObjectItem(json, "text")));
    cJSON_Delete(json);
    test_output_free(&output);
    return text;
}

/* Whatever is cut out of the text as a stop string, the text ends before its first occurrence. */
static void test_generated_text_ends_before_a_stop_string(void **state) {
    (void)state;
    char *all = generated_text(""), *none = generated_text("--stop 'never, ever'");
    assert_string_equal(none, all);
    assert_true(strlen(all) > 12);
    for (size_t at = 1; at < 10; at += 4) {
        char options[64];
        snprintf(options, sizeof options, "--stop '%.3s' --stop QQQ", all + at);
        char *text = generated_text(options), stop[4];
        memcpy(stop, all + at, 3);
        stop[3] = '\0';
        const char *end = strstr(all, stop);
        assert_int_equal(strlen(text), end - all);
        assert_memory_equal(text, all, strlen(text));
        Output output; /* as it comes, without JSON */
        test_run_expecting(0, &output, "generate --model demo --prompt 'Anna put the' --max-new-tokens 30 %s",
                           options);
        assert_int_equal(output.out.size, strlen(text) + 1);
        assert_memory_equal(output.out.data, text, strlen(text));
        test_output_free(&output);
        free(text);
    }
    free(all);
    free(none);
    Output output;
    test_run_expecting(2, &output, "generate --model demo --prompt Anna --stop ''");
    assert_non_null(strstr(output.error.data, "--stop: found an empty text"));
    test_output_free(&output);
}

static void test_drawn_text_follows_the_seed(void **state) {
    (void)state;
    char *greedy = generated_text(""), *one = generated_text("--temperature 2 --top-k 1"),
         *first = generated_text("--temperature 1.5 --seed 4"),
         *again = generated_text("--temperature 1.5 --seed 4"),
         *other = generated_text("--temperature 1.5 --seed 5");
    assert_string_equal(one, greedy);
    assert_string_equal(first, again);
    assert_string_not_equal(first, other);
    free(greedy);
    free(one);
    free(first);
    free(again);
    free(other);
}

int run_show_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_show_says_what_a_checkpoint_is),
        cmocka_unit_test(test_show_counts_the_states_of_an_arithmetic),
        cmocka_unit_test(test_long_layer_strips_have_a_ruler),
        cmocka_unit_test(test_show_as_json_names_every_file),
        cmocka_unit_test(test_drawn_text_follows_the_seed),
        cmocka_unit_test(test_generated_text_ends_before_a_stop_string),
    };
    return cmocka_run_group_tests_name("show", tests, test_make_folder, test_remove_folder);
}
