/* What opening a tokenizer accepts and refuses: one clear sentence for each thing that is wrong. */
#include "runner/tokenizer/tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/runner/test_tokenizer_groups.h"
#include "tests/runner/test_tokenizer_support.h"

/* Fails unless opening fails with a message that has both words and names the file. */
static void expect_refused(const char *path, const char *text, const char *word, const char *other) {
    Tokenizer *tokenizer;
    Error error = {0};
    if (tokenizer_open(&tokenizer, path, &error) == 0)
        fail_msg("opened although it should be refused for \"%s\": %s", word, text);
    assert_null(tokenizer);
    if (!strstr(error.message, word) || !strstr(error.message, other))
        fail_msg("%s\n   found: %s\nexpected: a message with \"%s\" and \"%s\"", text, error.message, word,
                 other);
}

static void expect_text_refused(const char *text, const char *word) {
    char *folder = make_temporary_folder();
    write_text(folder, "tokenizer.json", text);
    expect_refused(folder, text, word, "tokenizer.json");
    remove_folder(folder);
}

static void test_missing_files(void **state) {
    (void)state;
    char *folder = make_temporary_folder(), *path = path_join(folder, "nothing.json");
    expect_refused(folder, "empty folder", "holds no tokenizer.json", folder);
    expect_refused(path, "missing file", "nothing.json", folder);
    free(path);
    remove_folder(folder);
}

static void test_broken_json(void **state) {
    (void)state;
    expect_text_refused("", "JSON");
    expect_text_refused("{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\"", "JSON");
    expect_text_refused("once upon a time", "JSON");
    expect_text_refused("[1, 2]", "an array");
    expect_text_refused("{}", "\"model\"");
    expect_text_refused("{\"version\": \"2.0\"}", "\"2.0\"");
}

#define MODEL(vocabulary, merges)                                                                            \
    "{\"model\": {\"type\": \"BPE\", \"vocab\": " vocabulary ", \"merges\": " merges "}}"

static void test_bad_models(void **state) {
    (void)state;
    expect_text_refused("{\"model\": 3}", "a number");
    expect_text_refused("{\"model\": {\"type\": \"Unigram\", \"vocab\": []}}", "Unigram");
    expect_text_refused("{\"model\": {\"type\": \"WordPiece\", \"vocab\": {}}}", "WordPiece");
    expect_text_refused("{\"model\": {\"type\": 1}}", "\"type\"");
    expect_text_refused(MODEL("[]", "[]"), "\"vocab\"");
    expect_text_refused(MODEL("{}", "[]"), "empty");
    expect_text_refused(MODEL("{\"a\": \"0\"}", "[]"), "a string");
    expect_text_refused(MODEL("{\"a\": -1}", "[]"), "-1");
    expect_text_refused(MODEL("{\"a\": 0.5}", "[]"), "0.5");
    expect_text_refused(MODEL("{\"a\": 1e300}", "[]"), "1e+300");
    expect_text_refused(MODEL("{\"a\": 4294967296}", "[]"), "4294967296");
    expect_text_refused(MODEL("{\"a\": 1, \"b\": 1}", "[]"), "both have the id 1");
    expect_text_refused(MODEL("{\"a\": 1, \"a\": 2}", "[]"), "twice");
    expect_text_refused(MODEL("{\"a\": 0}", "{}"), "\"merges\"");
    expect_text_refused(MODEL("{\"a\": 0}", "[\"aa\"]"), "merge 0");
    expect_text_refused(MODEL("{\"a\": 0}", "[\"a a a\"]"), "merge 0");
    expect_text_refused(MODEL("{\"a\": 0}", "[7]"), "a number");
    expect_text_refused(MODEL("{\"a\": 0}", "[[\"a\"]]"), "merge 0");
    expect_text_refused(MODEL("{\"a\": 0, \"aa\": 1}", "[\"a a\", [\"a\", \"b\"]]"),
                        "merge 1 needs the piece \"b\"");
    expect_text_refused(MODEL("{\"a\": 0}", "[\"a a\"]"), "needs the piece \"aa\"");
    expect_text_refused("{\"model\": {\"vocab\": {\"a\": 0}, \"merges\": [], \"dropout\": 0.1}}", "dropout");
    expect_text_refused("{\"model\": {\"vocab\": {\"a\": 0}, \"merges\": [], \"unk_token\": \"u\"}}",
                        "\"u\"");
    expect_text_refused(
        "{\"model\": {\"vocab\": {\"a\": 0}, \"merges\": [], \"end_of_word_suffix\": \"</w>\"}}", "</w>");
}

#define WITH(component) "{\"model\": {\"vocab\": {\"a\": 0}, \"merges\": []}, " component "}"

static void test_bad_components(void **state) {
    (void)state;
    expect_text_refused(WITH("\"normalizer\": {\"type\": \"Precompiled\"}"),
                        "\"Precompiled\" is not supported");
    expect_text_refused(WITH("\"pre_tokenizer\": {\"type\": \"UnicodeScripts\"}"), "\"UnicodeScripts\"");
    expect_text_refused(WITH("\"decoder\": {\"type\": \"CTC\"}"), "\"CTC\"");
    expect_text_refused(WITH("\"post_processor\": {\"type\": \"BertProcessing\"}"), "\"BertProcessing\"");
    expect_text_refused(WITH("\"normalizer\": \"NFC\""), "a string");
    expect_text_refused(WITH("\"normalizer\": {\"form\": \"NFC\"}"), "\"type\"");
    expect_text_refused(WITH("\"normalizer\": {\"type\": \"Sequence\"}"), "\"normalizers\"");
    expect_text_refused(WITH("\"normalizer\": {\"type\": \"Prepend\"}"), "\"prepend\"");
    expect_text_refused(
        WITH("\"pre_tokenizer\": {\"type\": \"Split\", \"behavior\": \"Isolated\", \"pattern\": "
             "{\"Regex\": \"(a\"}}"),
        "not a regular expression");
    expect_text_refused(
        WITH("\"pre_tokenizer\": {\"type\": \"Split\", \"behavior\": \"Isolated\", \"pattern\": "
             "{\"Regex\": \"[a[bc]]\"}}"),
        "a class inside a class");
    expect_text_refused(
        WITH("\"pre_tokenizer\": {\"type\": \"Split\", \"behavior\": \"Isolated\", \"pattern\": 1}"),
        "\"pattern\"");
    expect_text_refused(WITH("\"pre_tokenizer\": {\"type\": \"Split\", \"pattern\": {\"String\": \"a\"}}"),
                        "\"behavior\"");
    expect_text_refused(WITH("\"pre_tokenizer\": {\"type\": \"Split\", \"behavior\": \"Never\", \"pattern\": "
                             "{\"String\": \"a\"}}"),
                        "\"Never\"");
    expect_text_refused(WITH("\"pre_tokenizer\": {\"type\": \"Metaspace\", \"replacement\": \"ab\"}"),
                        "\"ab\"");
    expect_text_refused(WITH("\"pre_tokenizer\": {\"type\": \"Metaspace\", \"replacement\": \"_\", "
                             "\"prepend_scheme\": \"last\"}"),
                        "\"last\"");
    expect_text_refused(
        WITH("\"decoder\": {\"type\": \"Strip\", \"content\": \" \", \"start\": -1, \"stop\": 0}"),
        "\"start\"");
    expect_text_refused(
        WITH("\"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [{\"SpecialToken\": "
             "{\"id\": \"x\"}}], \"special_tokens\": {}}"),
        "\"x\"");
    expect_text_refused(
        WITH("\"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [{\"SpecialToken\": "
             "{\"id\": \"x\"}}], \"special_tokens\": {\"x\": {\"ids\": [77]}}}"),
        "77");
    expect_text_refused(
        WITH("\"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [{\"Sequence\": "
             "{\"id\": \"B\"}}]}"),
        "\"B\"");
    expect_text_refused(WITH("\"added_tokens\": {}"), "\"added_tokens\"");
    expect_text_refused(WITH("\"added_tokens\": [3]"), "a number");
    expect_text_refused(WITH("\"added_tokens\": [{\"id\": -3, \"content\": \"x\"}]"), "-3");
    expect_text_refused(WITH("\"added_tokens\": [{\"id\": 1}]"), "\"content\"");
}

static void test_deep_sequences(void **state) {
    (void)state;
    Buffer text = {0};
    buffer_append_text(&text, "{\"model\": {\"vocab\": {\"a\": 0}, \"merges\": []}, \"normalizer\": ");
    for (int i = 0; i < 40; i++)
        buffer_append_text(&text, "{\"type\": \"Sequence\", \"normalizers\": [");
    buffer_append_text(&text, "{\"type\": \"NFC\"}");
    for (int i = 0; i < 40; i++)
        buffer_append_text(&text, "]}");
    buffer_append_text(&text, "}");
    expect_text_refused(text.data, "nested");
    buffer_free(&text);
}

static const char small[] =
    "{\"added_tokens\": [{\"id\": 0, \"content\": \"<s>\", \"special\": true}, {\"id\": 1, \"content\": "
    "\"</s>\", "
    "\"special\": true}], \"model\": {\"vocab\": {\"<s>\": 0, \"</s>\": 1, \"a\": 2}, \"merges\": []}}";

static void expect_config_refused(const char *config, const char *word) {
    char *folder = make_temporary_folder();
    write_text(folder, "tokenizer.json", small);
    write_text(folder, "tokenizer_config.json", config);
    expect_refused(folder, config, word, "tokenizer_config.json");
    remove_folder(folder);
}

static void test_bad_configs(void **state) {
    (void)state;
    expect_config_refused("{\"bos_token\"", "JSON");
    expect_config_refused("[]", "an array");
    expect_config_refused("{\"bos_token\": 1}", "\"bos_token\"");
    expect_config_refused("{\"eos_token\": {\"text\": \"</s>\"}}", "\"eos_token\"");
    expect_config_refused("{\"eos_token\": \"<none>\"}", "<none>");
    expect_config_refused("{\"model_max_length\": \"512\"}", "\"model_max_length\"");
    expect_config_refused("{\"model_max_length\": -5}", "-5");
    expect_config_refused("{\"tokenizer_class\": \"LlamaTokenizer\"}", "no bos_token");
    expect_config_refused(
        "{\"tokenizer_class\": \"LlamaTokenizer\", \"bos_token\": \"<s>\", \"add_bos_token\": 1}",
        "\"add_bos_token\"");
}

/* The ids of "a" with special tokens, under a configuration. */
static void expect_configured(const char *config, const char *ids, int64_t max_length) {
    char *folder = make_temporary_folder();
    write_text(folder, "tokenizer.json", small);
    write_text(folder, "tokenizer_config.json", config);
    Tokenizer *tokenizer = open_tokenizer(folder);
    cJSON *expected = cJSON_Parse(ids);
    expect_ids(tokenizer, config, "a", 1, SPECIAL_ADD, expected);
    assert_int_equal(tokenizer_model_max_length(tokenizer), max_length);
    assert_int_equal(tokenizer_adds_bos(tokenizer), expected->child->valueint == 0);
    cJSON_Delete(expected);
    tokenizer_close(tokenizer);
    remove_folder(folder);
}

static void test_configs(void **state) {
    (void)state;
    expect_configured("{}", "[2]", 0);
    expect_configured("{\"bos_token\": \"<s>\", \"add_bos_token\": true, \"model_max_length\": 2048}", "[2]",
                      2048);
    expect_configured("{\"tokenizer_class\": \"GPTNeoXTokenizer\", \"bos_token\": \"<s>\"}", "[2]", 0);
    expect_configured(
        "{\"tokenizer_class\": \"GPTNeoXTokenizer\", \"bos_token\": \"<s>\", \"add_bos_token\": true}",
        "[0,2]", 0);
    expect_configured("{\"tokenizer_class\": \"LlamaTokenizer\", \"bos_token\": \"<s>\"}", "[0,2]", 0);
    expect_configured(
        "{\"tokenizer_class\": \"LlamaTokenizerFast\", \"bos_token\": {\"content\": \"<s>\"}, "
        "\"eos_token\": {\"content\": \"</s>\"}, \"add_eos_token\": true, \"model_max_length\": 1e30}",
        "[0,2,1]", 0);
    expect_configured(
        "{\"tokenizer_class\": \"LlamaTokenizer\", \"bos_token\": \"<s>\", \"add_bos_token\": false}", "[2]",
        0);
}

static void test_added_tokens_of_the_config(void **state) {
    (void)state;
    char *folder = make_temporary_folder();
    write_text(folder, "tokenizer.json", small);
    write_text(
        folder, "tokenizer_config.json",
        "{\"added_tokens_decoder\": {\"7\": {\"content\": \"<x>\", \"special\": true}, \"2\": {\"content\": "
        "\"a\", \"rstrip\": true}}, \"chat_template\": [{\"name\": \"default\", \"template\": \"T\"}]}");
    write_text(folder, "special_tokens_map.json",
               "{\"bos_token\": {\"content\": \"<s>\"}, \"eos_token\": \"<x>\"}");
    Tokenizer *tokenizer = open_tokenizer(folder);
    cJSON *expected = cJSON_Parse("[2, 7]");
    expect_ids(tokenizer, "added", "a  <x>", 6, SPECIAL_ADD, expected);
    assert_int_equal(tokenizer_bos_id(tokenizer), 0);
    assert_int_equal(tokenizer_eos_id(tokenizer), 7);
    assert_int_equal(tokenizer_vocab_size(tokenizer), 8);
    assert_int_equal(tokenizer_file_count(tokenizer), 3);
    assert_string_equal(tokenizer_chat_template(tokenizer), "T");
    cJSON_Delete(expected);
    tokenizer_close(tokenizer);
    remove_folder(folder);
    expect_config_refused("{\"added_tokens_decoder\": []}", "an array");
    expect_config_refused("{\"added_tokens_decoder\": {\"x\": {\"content\": \"y\"}}}", "\"x\"");
    expect_config_refused("{\"added_tokens_decoder\": {\"2\": {\"content\": \"y\"}}}", "vocabulary's \"a\"");
    expect_config_refused("{\"chat_template\": 3}", "chat_template");
}

static void test_decoding_unknown_ids(void **state) {
    (void)state;
    Tokenizer *tokenizer = open_tokenizer(TOKENIZER_FIXTURES "/byte_level.json");
    static const int32_t bad[] = {-1, INT32_MIN, INT32_MAX, 420};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        Buffer text = {0};
        Error error = {0};
        assert_int_equal(tokenizer_decode(tokenizer, &bad[i], 1, false, &text, &error), -1);
        assert_non_null(strstr(error.message, "not in the vocabulary"));
        assert_int_equal(text.size, 0);
    }
    tokenizer_close(tokenizer);
}

/* Nested repetitions: exponential for a backtracking matcher, so the limit must end it. */
static void test_a_pattern_that_explodes_is_stopped(void **state) {
    (void)state;
    Tokenizer *tokenizer = open_changed_fixture(
        "byte_level",
        "{\"pre_tokenizer\": {\"type\": \"Split\", \"behavior\": \"Isolated\", \"invert\": false, "
        "\"pattern\": {\"Regex\": \"(?:(?:a|aa)+)+$(?<=b)\"}}}");
    TokenIds ids = {0};
    Error error = {0};
    const char *text = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac";
    assert_int_equal(tokenizer_encode(tokenizer, text, strlen(text), SPECIAL_NONE, &ids, &error), -1);
    assert_non_null(strstr(error.message, "limit"));
    token_ids_free(&ids);
    tokenizer_close(tokenizer);
}

int run_tokenizer_file_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_missing_files),
        cmocka_unit_test(test_broken_json),
        cmocka_unit_test(test_bad_models),
        cmocka_unit_test(test_bad_components),
        cmocka_unit_test(test_deep_sequences),
        cmocka_unit_test(test_bad_configs),
        cmocka_unit_test(test_configs),
        cmocka_unit_test(test_added_tokens_of_the_config),
        cmocka_unit_test(test_decoding_unknown_ids),
        cmocka_unit_test(test_a_pattern_that_explodes_is_stopped),
    };
    return cmocka_run_group_tests_name("tokenizer files", tests, NULL, NULL);
}
