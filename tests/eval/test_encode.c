/* Pair encoding, case by case as lm-evaluation-harness's _encode_pair and left truncation define it. The
 * tokenizer is small enough to do by hand: a=2 b=3 space=4 newline=5 ab=6 " a"=7 "  "=8. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "eval/encode.h"
#include "tests/eval/tests.h"

static const char tokenizer_json[] =
    "{\"version\": \"1.0\", \"truncation\": null, \"padding\": null,"
    "\"added_tokens\": ["
    "{\"id\": 0, \"content\": \"<s>\", \"single_word\": false, \"lstrip\": false, \"rstrip\": false,"
    " \"normalized\": false, \"special\": true},"
    "{\"id\": 1, \"content\": \"</s>\", \"single_word\": false, \"lstrip\": false, \"rstrip\": false,"
    " \"normalized\": false, \"special\": true}],"
    "\"normalizer\": null,"
    "\"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true,"
    " \"use_regex\": true},"
    "\"post_processor\": {\"type\": \"TemplateProcessing\","
    " \"single\": [{\"SpecialToken\": {\"id\": \"<s>\", \"type_id\": 0}}, {\"Sequence\": {\"id\": \"A\", "
    "\"type_id\": 0}}],"
    " \"pair\": [{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}, {\"Sequence\": {\"id\": \"B\", "
    "\"type_id\": 1}}],"
    " \"special_tokens\": {\"<s>\": {\"id\": \"<s>\", \"ids\": [0], \"tokens\": [\"<s>\"]}}},"
    "\"decoder\": {\"type\": \"ByteLevel\", \"add_prefix_space\": true, \"trim_offsets\": true, "
    "\"use_regex\": true},"
    "\"model\": {\"type\": \"BPE\", \"dropout\": null, \"unk_token\": null, \"continuing_subword_prefix\": "
    "null,"
    " \"end_of_word_suffix\": null, \"fuse_unk\": false, \"byte_fallback\": false, \"ignore_merges\": false,"
    " \"vocab\": {\"<s>\": 0, \"</s>\": 1, \"a\": 2, \"b\": 3, \"\xC4\xA0\": 4, \"\xC4\x8A\": 5, \"ab\": 6,"
    " \"\xC4\xA0"
    "a\": 7, \"\xC4\xA0\xC4\xA0\": 8},"
    " \"merges\": [\"a b\", \"\xC4\xA0 a\", \"\xC4\xA0 \xC4\xA0\"]}}";
static const char config_json[] =
    "{\"bos_token\": \"<s>\", \"eos_token\": \"</s>\", \"model_max_length\": 100}";

static char folder[64];
static Tokenizer *tokenizer;

static void put(const char *name, const char *text, size_t bytes) {
    char *path = path_join(folder, name);
    assert_int_equal(file_write_atomic(path, text, bytes, NULL), 0);
    free(path);
}

static int open_tokenizer(void **state) {
    (void)state;
    Error error = {0};
    strcpy(folder, "/tmp/zeval-test-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    put("tokenizer.json", tokenizer_json, sizeof tokenizer_json - 1);
    put("tokenizer_config.json", config_json, sizeof config_json - 1);
    if (tokenizer_open(&tokenizer, folder, &error))
        fail_msg("%s", error.message);
    return 0;
}

static int close_tokenizer(void **state) {
    (void)state;
    tokenizer_close(tokenizer);
    static const char *const names[] = {"tokenizer.json", "tokenizer_config.json"};
    for (int i = 0; i < 2; i++) {
        char *path = path_join(folder, names[i]);
        unlink(path);
        free(path);
    }
    return rmdir(folder);
}

static Encoder make_encoder_of(Compat compat, BosPolicy bos, int64_t max_length) {
    ModelInfo model = {.vocab_size = 9, .bos_token_id = -1, .eos_token_id = -1};
    Encoder encoder;
    Error error = {0};
    if (encoder_init(&encoder, tokenizer, &model, compat, bos, max_length, &error))
        fail_msg("%s", error.message);
    return encoder;
}

static Encoder make_encoder(BosPolicy bos, int64_t max_length) {
    return make_encoder_of(COMPAT_MAIN, bos, max_length);
}

/* `expected` lists ids with a bar before the continuation: "0 2 | 7". */
static void check(const Encoder *encoder, const char *context, const char *continuation,
                  const char *expected) {
    EncodedRequest request = {0};
    Error error = {0};
    Buffer found = {0};
    if (encode_pair(encoder, context, continuation, &request, &error))
        fail_msg("%s", error.message);
    for (size_t i = 0; i < request.tokens.n; i++)
        buffer_printf(&found, "%s%s%d", i ? " " : "", i == request.n_context ? "| " : "",
                      request.tokens.ids[i]);
    assert_string_equal(found.data, expected);
    buffer_free(&found);
    encoded_request_free(&request);
}

static void test_context_and_continuation(void **state) {
    (void)state;
    Encoder encoder = make_encoder(BOS_DEFAULT, 0);
    assert_int_equal(encoder.max_length, 100);
    check(&encoder, "a", " a", "0 2 | 7");
    check(&encoder, "ab", " a a", "0 6 | 7 7");
}

static void test_trailing_white_space_moves_into_the_continuation(void **state) {
    (void)state;
    Encoder encoder = make_encoder(BOS_DEFAULT, 0);
    check(&encoder, "a ", "a", "0 2 | 7");
    check(&encoder, "a\n", "a", "0 2 | 5 2");
}

static void test_bos_is_not_doubled_and_can_be_left_out(void **state) {
    (void)state;
    Encoder encoder = make_encoder(BOS_DEFAULT, 0), none = make_encoder(BOS_NONE, 0);
    check(&encoder, "<s>a", " a", "0 2 | 7");
    check(&none, "a", " a", "2 | 7");
}

static void test_empty_context_is_the_prefix_token(void **state) {
    (void)state;
    Encoder encoder = make_encoder(BOS_DEFAULT, 0), none = make_encoder(BOS_NONE, 0);
    check(&encoder, "", "a", "0 | 2");
    check(&none, "", "a", "0 | 2");
    check(&encoder, "", "<s>a", "0 | 2");
}

/* v0.4.0: special tokens are never added, EOS stands for an empty context and is not merged with one. */
static void test_profile_of_2023_adds_no_bos(void **state) {
    (void)state;
    Encoder encoder = make_encoder_of(COMPAT_V0_4_0, BOS_DEFAULT, 0),
            asked = make_encoder_of(COMPAT_V0_4_0, BOS_ADD, 0);
    check(&encoder, "a", " a", "2 | 7");
    check(&asked, "a", " a", "0 2 | 7");
    check(&encoder, "", "a", "1 | 2");
    check(&encoder, "", "</s>a", "1 | 1 2");
    check(&encoder, "<s>a", " a", "0 2 | 7");
}

static void test_prompts_leave_room_for_their_answer(void **state) {
    (void)state;
    Encoder encoder = make_encoder(BOS_DEFAULT, 6);
    EncodedRequest request = {0};
    Error error = {0};
    assert_int_equal(encode_prompt(&encoder, "a\nb\na", 3, &request, &error), 0); /* 0 2 5 3 5 2 */
    assert_int_equal(request.tokens.n, 3);
    assert_int_equal(request.n_context, 3);
    assert_int_equal(request.n_truncated, 3);
    assert_int_equal(request.tokens.ids[0], 3);
    assert_int_equal(encode_prompt(&encoder, "", 3, &request, &error), 0);
    assert_int_equal(request.tokens.n, 1);
    assert_int_equal(request.tokens.ids[0], 0);
    assert_int_equal(encode_prompt(&encoder, "a", 6, &request, &error), -1);
    assert_non_null(strstr(error.message, "max_length, 6"));
    encoded_request_free(&request);
}

static void test_truncation_keeps_max_length_inputs_from_the_right(void **state) {
    (void)state;
    Encoder encoder = make_encoder(BOS_DEFAULT, 4);
    check(&encoder, "a a", " a", "0 2 7 | 7");
    check(&encoder, "a a a", " a", "0 2 7 7 | 7");
    check(&encoder, "a a a a", " a", "2 7 7 7 | 7");
    check(&encoder, "a a a a", " a a a a", "7 | 7 7 7 7");
    EncodedRequest request = {0};
    Error error = {0};
    assert_int_equal(encode_pair(&encoder, "a a a", " a a a", &request, &error), 0);
    assert_int_equal(request.n_truncated, 2);
    assert_int_equal(encode_pair(&encoder, "a", " a a a a a", &request, &error), -1);
    assert_string_equal(error.message, "the continuation has 5 tokens, expected at most max_length, 4");
    encoded_request_free(&request);
}

static void test_a_continuation_swallowed_by_a_merge_is_an_error(void **state) {
    (void)state;
    Encoder encoder = make_encoder(BOS_DEFAULT, 0);
    EncodedRequest request = {0};
    Error error = {0};
    assert_int_equal(encode_pair(&encoder, "a", "b", &request, &error), -1);
    assert_string_equal(error.message, "the continuation has no tokens of its own");
    encoded_request_free(&request);
}

static void test_a_vocabulary_larger_than_the_models_is_refused(void **state) {
    (void)state;
    ModelInfo model = {.vocab_size = 8, .bos_token_id = -1, .eos_token_id = -1};
    Encoder encoder;
    Error error = {0};
    assert_int_equal(encoder_init(&encoder, tokenizer, &model, COMPAT_MAIN, BOS_DEFAULT, 0, &error), -1);
    assert_non_null(strstr(error.message, "found 9 tokens, expected at most the model's vocab_size, 8"));
}

int run_encode_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_context_and_continuation),
        cmocka_unit_test(test_trailing_white_space_moves_into_the_continuation),
        cmocka_unit_test(test_bos_is_not_doubled_and_can_be_left_out),
        cmocka_unit_test(test_empty_context_is_the_prefix_token),
        cmocka_unit_test(test_profile_of_2023_adds_no_bos),
        cmocka_unit_test(test_prompts_leave_room_for_their_answer),
        cmocka_unit_test(test_truncation_keeps_max_length_inputs_from_the_right),
        cmocka_unit_test(test_a_continuation_swallowed_by_a_merge_is_an_error),
        cmocka_unit_test(test_a_vocabulary_larger_than_the_models_is_refused),
    };
    return cmocka_run_group_tests_name("encode", tests, open_tokenizer, close_tokenizer);
}
