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
                                        " a token and ",
                                        "files         model.safetensors, 120 KiB"};
    Output output;
    test_run_expecting(0, &output, "show --model tests/fixtures/models/zebra_tiny");
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (!strstr(output.out.data, lines[i]))
            fail_msg("found: %s\nexpected in it: %s", output.out.data, lines[i]);
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

int run_show_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_show_says_what_a_checkpoint_is),
        cmocka_unit_test(test_show_as_json_names_every_file),
        cmocka_unit_test(test_generated_text_ends_before_a_stop_string),
    };
    return cmocka_run_group_tests_name("show", tests, test_make_folder, test_remove_folder);
}
