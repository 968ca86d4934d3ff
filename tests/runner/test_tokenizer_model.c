/* tokenizer.model files: SentencePiece models and base64 ranks, small ones built here and the real ones. */
#include "runner/tokenizer/tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/runner/test_tokenizer_groups.h"
#include "tests/runner/test_tokenizer_support.h"

/* ---- building a SentencePiece model */

static void put_varint(Buffer *out, uint64_t value) {
    for (; value >= 0x80; value >>= 7)
        buffer_append_char(out, (char)(value | 0x80));
    buffer_append_char(out, (char)value);
}

static void put_bytes(Buffer *out, int field, const void *data, size_t bytes) {
    put_varint(out, (uint64_t)field << 3 | 2);
    put_varint(out, bytes);
    buffer_append(out, data, bytes);
}

static void put_number(Buffer *out, int field, uint64_t value) {
    put_varint(out, (uint64_t)field << 3);
    put_varint(out, value);
}

static void put_piece(Buffer *out, const char *text, float score, int type) {
    Buffer piece = {0};
    put_bytes(&piece, 1, text, strlen(text));
    put_varint(&piece, 2 << 3 | 5);
    buffer_append(&piece, &score, sizeof score);
    if (type != 1)
        put_number(&piece, 3, (uint64_t)type);
    put_bytes(out, 1, piece.data, piece.size);
    buffer_free(&piece);
}

/* <unk> <s> </s> and a few words; `model_type` 2 is BPE. */
static Buffer small_model(int model_type, bool with_charsmap) {
    static const char *const pieces[] = {"\xE2\x96\x81"
                                         "a",
                                         "ab", "abc",
                                         "\xE2\x96\x81"
                                         "abc"};
    Buffer out = {0}, trainer = {0}, normalizer = {0};
    put_piece(&out, "<unk>", 0, 2);
    put_piece(&out, "<s>", 0, 3);
    put_piece(&out, "</s>", 0, 3);
    put_piece(&out, "<mask>", 0, 4);
    put_piece(&out, "<0x0A>", 0, 6);
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
        put_piece(&out, pieces[i], -(float)i, 1);
    for (const char *at = "abc"; *at; at++)
        put_piece(&out, (char[]){*at, '\0'}, -100, 1);
    put_piece(&out, "\xE2\x96\x81", -100, 1);
    put_number(&trainer, 3, (uint64_t)model_type);
    put_number(&trainer, 35, 1);
    put_bytes(&out, 2, trainer.data, trainer.size);
    put_bytes(&normalizer, 1, "identity", 8);
    put_number(&normalizer, 3, 1);
    put_number(&normalizer, 4, 0);
    if (with_charsmap)
        put_bytes(&normalizer, 2, "xxxx", 4);
    put_bytes(&out, 3, normalizer.data, normalizer.size);
    buffer_free(&trainer);
    buffer_free(&normalizer);
    return out;
}

static void write_model(const char *folder, const void *data, size_t bytes) {
    Error error = {0};
    char *path = path_join(folder, "tokenizer.model");
    if (file_write_atomic(path, data, bytes, &error))
        fail_msg("%s", error.message);
    free(path);
}

static void expect_text_ids(const Tokenizer *tokenizer, const char *text, SpecialPolicy policy,
                            const char *ids) {
    cJSON *expected = cJSON_Parse(ids);
    expect_ids(tokenizer, "model file", text, strlen(text), policy, expected);
    cJSON_Delete(expected);
}

static void test_a_small_sentencepiece_model(void **state) {
    (void)state;
    char *folder = make_temporary_folder();
    Buffer model = small_model(2, false);
    write_model(folder, model.data, model.size);
    Tokenizer *tokenizer = open_tokenizer(folder);
    /* 5 "_a" 6 "ab" 7 "abc" 8 "_abc" 9 a 10 b 11 c 12 "_" */
    expect_text_ids(tokenizer, "abc", SPECIAL_ADD, "[1, 5, 10, 11]"); /* "_a" is the best pair */
    expect_text_ids(tokenizer, "bab", SPECIAL_NONE, "[12, 10, 6]");
    expect_text_ids(tokenizer, "b\n\xC3\xA9", SPECIAL_NONE, "[12, 10, 4, 0]");
    expect_text_ids(tokenizer, "b<mask>b</s>", SPECIAL_NONE, "[12, 10, 3, 12, 10, 2]");
    expect_text_ids(tokenizer, "b</s>", SPECIAL_NONE | SPECIAL_AS_TEXT, "[12, 10, 0]");
    cJSON *ids = cJSON_Parse("[1, 5, 10, 12, 11]");
    expect_decoded(tokenizer, "model file", ids, true, "ab c", 4);
    cJSON_Delete(ids);
    assert_int_equal(tokenizer_bos_id(tokenizer), 1);
    assert_int_equal(tokenizer_file_count(tokenizer), 1);
    tokenizer_close(tokenizer);
    buffer_free(&model);
    remove_folder(folder);
}

static void test_the_legacy_setting_decides_about_spaces_after_special_tokens(void **state) {
    (void)state;
    char *folder = make_temporary_folder();
    Buffer model = small_model(2, false);
    write_model(folder, model.data, model.size);
    write_text(folder, "tokenizer_config.json", "{\"legacy\": false}");
    Tokenizer *tokenizer = open_tokenizer(folder);
    expect_text_ids(tokenizer, "b</s>b", SPECIAL_NONE, "[12, 10, 2, 10]");
    tokenizer_close(tokenizer);
    buffer_free(&model);
    remove_folder(folder);
}

static void expect_model_refused(const void *data, size_t bytes, const char *word) {
    char *folder = make_temporary_folder();
    Tokenizer *tokenizer;
    Error error = {0};
    write_model(folder, data, bytes);
    if (tokenizer_open(&tokenizer, folder, &error) == 0)
        fail_msg("opened although it should be refused for \"%s\"", word);
    if (!strstr(error.message, word) || !strstr(error.message, "tokenizer.model"))
        fail_msg("found: %s\nexpected: \"%s\"", error.message, word);
    remove_folder(folder);
}

static void test_bad_model_files(void **state) {
    (void)state;
    Buffer model = small_model(1, false);
    expect_model_refused(model.data, model.size, "model_type");
    buffer_free(&model);
    model = small_model(2, true);
    expect_model_refused(model.data, model.size, "precompiled_charsmap");
    buffer_free(&model);
    model = small_model(2, false);
    put_piece(&model, "ab", 0, 1);
    expect_model_refused(model.data, model.size, "\"ab\" is there twice");
    buffer_free(&model);
    model = small_model(2, false);
    put_piece(&model, "\xFF", 0, 1);
    expect_model_refused(model.data, model.size, "expected text");
    buffer_free(&model);
    expect_model_refused("", 0, "no pieces");
    expect_model_refused("\n\x7F"
                         "abc",
                         5, "a length beyond its end");
    expect_model_refused("IQ== 0\nIg== 2\n", 14, "line 2");
    expect_model_refused("IQ== 0\nIg=* 1\n", 14, "line 2");
    expect_model_refused("IQ== 0\nIQ== 1\n", 14, "twice");
    expect_model_refused("not a model", 11, "base64");
}

/* Cutting a model anywhere gives an error or a smaller model, never a crash. */
static void test_truncated_model_files(void **state) {
    (void)state;
    char *folder = make_temporary_folder(), *path = path_join(folder, "tokenizer.model");
    Buffer model = small_model(2, false);
    for (size_t bytes = 0; bytes < model.size; bytes++) {
        Tokenizer *tokenizer;
        Error error = {0};
        write_model(folder, model.data, bytes);
        if (tokenizer_open(&tokenizer, path, &error))
            assert_true(error.message[0]);
        tokenizer_close(tokenizer);
    }
    buffer_free(&model);
    free(path);
    remove_folder(folder);
}

static void test_a_small_file_of_ranks(void **state) {
    (void)state;
    char *folder = make_temporary_folder();
    /* a b c " " ab " a" " ab" \xC3 \xA9 \xC3\xA9 */
    write_text(folder, "tokenizer.model",
               "YQ== 0\nYg== 1\nYw== 2\nIA== 3\nYWI= 4\nIGE= 5\nIGFi 6\nww== 7\nqQ== 8\nw6k= 9\n");
    Tokenizer *tokenizer = open_tokenizer(folder);
    expect_text_ids(tokenizer, "ab ab cab", SPECIAL_NONE, "[4, 6, 3, 2, 4]");
    expect_text_ids(tokenizer, "\xC3\xA9<|eot_id|>", SPECIAL_ADD, "[10, 9, 19]");
    assert_string_equal(tokenizer_bos_text(tokenizer), "<|begin_of_text|>");
    assert_int_equal(tokenizer_vocab_size(tokenizer), 266);
    tokenizer_close(tokenizer);
    write_text(folder, "tokenizer_config.json",
               "{\"added_tokens_decoder\": {\"10\": {\"content\": \"<bos>\", \"special\": true}, \"12\": "
               "{\"content\": "
               "\"<x>\", \"special\": false}}}");
    tokenizer = open_tokenizer(folder);
    expect_text_ids(tokenizer, "<x><|eot_id|>", SPECIAL_ADD | SPECIAL_AS_TEXT, "[10, 12]");
    tokenizer_close(tokenizer);
    remove_folder(folder);
}

/* ---- the real ones */

static TokenIds encode(const Tokenizer *tokenizer, const char *text, SpecialPolicy policy) {
    TokenIds ids = {0};
    Error error = {0};
    if (tokenizer_encode(tokenizer, text, strlen(text), policy, &ids, &error))
        fail_msg("%s", error.message);
    return ids;
}

/* Both tokenizers give the same ids for the texts of a golden file. */
static void expect_equal_tokenizers(const Tokenizer *model, const Tokenizer *json, const char *shared) {
    char *path = path_join(shared, "golden/tokenizers/llama2.jsonl");
    LineReader *reader;
    Error error = {0};
    const char *line;
    size_t bytes, n = 0;
    assert_int_equal(line_reader_open(&reader, path, &error), 0);
    while (line_reader_next(reader, &line, &bytes, &error) == 1) {
        cJSON *row = cJSON_ParseWithLength(line, bytes);
        const cJSON *text = cJSON_GetObjectItem(row, "text");
        for (int policy = 0; text && policy < 4; policy++) {
            TokenIds a = encode(model, text->valuestring, (SpecialPolicy)policy),
                     b = encode(json, text->valuestring, (SpecialPolicy)policy);
            if (a.n != b.n || (a.n && memcmp(a.ids, b.ids, a.n * sizeof *a.ids) != 0))
                fail_msg("the model file and the JSON differ on \"%s\"", text->valuestring);
            token_ids_free(&a);
            token_ids_free(&b);
        }
        n += text != NULL;
        cJSON_Delete(row);
    }
    line_reader_close(reader);
    free(path);
    assert_true(n > 370);
}

static void test_shared_model_files_equal_their_json(void **state) {
    static const struct {
        const char *name, *config;
    } models[] = {{"llama2", "{}"}, {"mistral_7b_v0_1", "{\"legacy\": false}"}};
    (void)state;
    const char *shared = shared_folder();
    if (!shared)
        skip();
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        Buffer json = {0}, path = {0}, bytes = {0};
        Error error = {0};
        char *folder = make_temporary_folder();
        buffer_printf(&json, "%s/data/tokenizers/%s/tokenizer.json.gz", shared, models[i].name);
        buffer_printf(&path, "%s/data/tokenizers/%s/tokenizer.model.gz", shared, models[i].name);
        assert_int_equal(file_read(&bytes, path.data, 1 << 24, &error), 0);
        write_model(folder, bytes.data, bytes.size);
        write_text(folder, "tokenizer_config.json", models[i].config);
        Tokenizer *from_model = open_tokenizer(folder), *from_json = open_tokenizer(json.data);
        expect_equal_tokenizers(from_model, from_json, shared);
        tokenizer_close(from_model);
        tokenizer_close(from_json);
        remove_folder(folder);
        buffer_free(&json);
        buffer_free(&path);
        buffer_free(&bytes);
    }
}

/* The byte that a character of the byte-level alphabet stands for. */
static uint8_t byte_of(uint32_t code) {
    int n = 0;
    for (int byte = 0; byte < 256; byte++) {
        bool itself = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
        if (code == (itself ? (uint32_t)byte : 256u + (uint32_t)n))
            return (uint8_t)byte;
        n += !itself;
    }
    fail_msg("U+%04X is no byte", (unsigned)code);
    return 0;
}

static void append_base64(Buffer *out, const uint8_t *bytes, size_t n) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        uint32_t bits = (uint32_t)bytes[i] << 16;
        bits |= i + 1 < n ? (uint32_t)bytes[i + 1] << 8 : 0;
        bits |= i + 2 < n ? bytes[i + 2] : 0;
        buffer_append_char(out, letters[bits >> 18]);
        buffer_append_char(out, letters[bits >> 12 & 63]);
        buffer_append_char(out, i + 1 < n ? letters[bits >> 6 & 63] : '=');
        buffer_append_char(out, i + 2 < n ? letters[bits & 63] : '=');
    }
}

/* The file of ranks that a byte-level vocabulary comes from. */
static Buffer ranks_of(const Tokenizer *tokenizer, int32_t n) {
    Buffer out = {0};
    for (int32_t id = 0; id < n; id++) {
        const char *text = tokenizer_token_text(tokenizer, id);
        uint8_t bytes[1024];
        size_t n_bytes = 0, length = strlen(text);
        for (size_t at = 0; at < length;) {
            uint32_t code;
            at += utf8_decode(text + at, length - at, &code);
            assert_true(n_bytes < sizeof bytes);
            bytes[n_bytes++] = byte_of(code);
        }
        append_base64(&out, bytes, n_bytes);
        buffer_printf(&out, " %d\n", (int)id);
    }
    return out;
}

static void test_ranks_of_llama3_equal_its_json(void **state) {
    (void)state;
    const char *shared = shared_folder(), *downloaded = getenv("ZEVAL_TOKENIZERS");
    if (!shared || !downloaded || !*downloaded) {
        printf("skipped: set ZEVAL_TOKENIZERS to a folder with llama3_1/tokenizer.json\n");
        skip();
    }
    char *path = path_join(downloaded, "llama3_1/tokenizer.json"), *folder = make_temporary_folder();
    Tokenizer *from_json = open_tokenizer(path);
    Buffer ranks = ranks_of(from_json, 128000);
    write_model(folder, ranks.data, ranks.size);
    Tokenizer *from_ranks = open_tokenizer(folder);
    assert_int_equal(tokenizer_vocab_size(from_ranks), 128256);
    expect_equal_tokenizers(from_ranks, from_json, shared);
    tokenizer_close(from_json);
    tokenizer_close(from_ranks);
    buffer_free(&ranks);
    free(path);
    remove_folder(folder);
}

int run_tokenizer_model_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_small_sentencepiece_model),
        cmocka_unit_test(test_the_legacy_setting_decides_about_spaces_after_special_tokens),
        cmocka_unit_test(test_bad_model_files),
        cmocka_unit_test(test_truncated_model_files),
        cmocka_unit_test(test_a_small_file_of_ranks),
        cmocka_unit_test(test_shared_model_files_equal_their_json),
        cmocka_unit_test(test_ranks_of_llama3_equal_its_json),
    };
    return cmocka_run_group_tests_name("tokenizer.model", tests, NULL, NULL);
}
