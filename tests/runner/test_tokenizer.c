/* The tokenizer against small vocabularies whose ids the reference implementation made
 * (tests/oracle/tokenizer_goldens.py), and its behaviour at the edges. */
#include "runner/tokenizer/tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/runner/runner_tests.h"
#include "tests/runner/test_tokenizer_groups.h"
#include "tests/runner/test_tokenizer_support.h"

/* The changes that make a variant out of its base, as open_changed_fixture takes them. */
static char *variant_changes(const cJSON *variant) {
    cJSON *changes = cJSON_Duplicate(cJSON_GetObjectItem(variant, "parts"), true);
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(variant, "model")) {
        Buffer key = {0};
        buffer_printf(&key, "model.%s", item->string);
        cJSON_AddItemToObject(changes, key.data, cJSON_Duplicate(item, true));
        buffer_free(&key);
    }
    cJSON_AddItemToObject(changes, "added_tokens",
                          cJSON_Duplicate(cJSON_GetObjectItem(variant, "added_tokens"), true));
    char *text = cJSON_PrintUnformatted(changes);
    cJSON_Delete(changes);
    return text;
}

/* A case is [ids, ids with special tokens or null, decoded or null, decoded without special or null]. */
static void check_case(const Tokenizer *tokenizer, const char *name, const char *text, const cJSON *row) {
    const cJSON *ids = cJSON_GetArrayItem(row, 0), *special = cJSON_GetArrayItem(row, 1);
    const cJSON *decoded = cJSON_GetArrayItem(row, 2), *skipped = cJSON_GetArrayItem(row, 3);
    special = cJSON_IsNull(special) ? ids : special;
    const char *decoded_text = cJSON_IsNull(decoded) ? text : decoded->valuestring;
    const char *skipped_text = cJSON_IsNull(skipped) ? decoded_text : skipped->valuestring;
    expect_ids(tokenizer, name, text, strlen(text), SPECIAL_NONE, ids);
    expect_ids(tokenizer, name, text, strlen(text), SPECIAL_ADD, special);
    expect_decoded(tokenizer, name, special, false, decoded_text, strlen(decoded_text));
    expect_decoded(tokenizer, name, special, true, skipped_text, strlen(skipped_text));
    TokenIds list = ids_of_json(special);
    expect_stream(tokenizer, name, list.ids, list.n);
    token_ids_free(&list);
}

static void check_variant(const cJSON *texts, const cJSON *variant) {
    const char *name = cJSON_GetObjectItem(variant, "name")->valuestring;
    char *changes = variant_changes(variant);
    Tokenizer *tokenizer = open_changed_fixture(cJSON_GetObjectItem(variant, "base")->valuestring, changes);
    const cJSON *row, *text = texts->child;
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(variant, "cases")) {
        check_case(tokenizer, name, text->valuestring, row);
        text = text->next;
    }
    assert_null(text);
    tokenizer_close(tokenizer);
    free(changes);
}

static void test_variants_equal_the_reference(void **state) {
    (void)state;
    LineReader *reader;
    Error error = {0};
    const char *line;
    size_t bytes, n = 0;
    cJSON *texts = NULL;
    assert_int_equal(line_reader_open(&reader, TOKENIZER_FIXTURES "/variants.jsonl", &error), 0);
    while (line_reader_next(reader, &line, &bytes, &error) == 1) {
        cJSON *row = cJSON_Parse(line);
        assert_non_null(row);
        if (!texts) {
            texts = row;
            continue;
        }
        check_variant(cJSON_GetObjectItem(texts, "texts"), row);
        cJSON_Delete(row);
        n++;
    }
    line_reader_close(reader);
    cJSON_Delete(texts);
    assert_true(n > 50);
}

static Tokenizer *byte_level(void) {
    return open_tokenizer(TOKENIZER_FIXTURES "/byte_level.json");
}

static TokenIds encode(const Tokenizer *tokenizer, const char *text, size_t bytes) {
    TokenIds ids = {0};
    Error error = {0};
    if (tokenizer_encode(tokenizer, text, bytes, SPECIAL_NONE, &ids, &error))
        fail_msg("%s", error.message);
    return ids;
}

static void expect_same_ids(const Tokenizer *tokenizer, const char *a, size_t a_bytes, const char *b,
                            size_t b_bytes) {
    TokenIds first = encode(tokenizer, a, a_bytes), second = encode(tokenizer, b, b_bytes);
    assert_int_equal(first.n, second.n);
    assert_memory_equal(first.ids, second.ids, first.n * sizeof *first.ids);
    token_ids_free(&first);
    token_ids_free(&second);
}

static void test_nul_bytes_are_data(void **state) {
    (void)state;
    Tokenizer *tokenizer = byte_level();
    TokenIds ids = encode(tokenizer, "a\0b", 3);
    Buffer text = {0};
    assert_int_equal(tokenizer_decode(tokenizer, ids.ids, ids.n, false, &text, NULL), 0);
    assert_int_equal(text.size, 3);
    assert_memory_equal(text.data, "a\0b", 3);
    buffer_free(&text);
    token_ids_free(&ids);
    tokenizer_close(tokenizer);
}

/* One U+FFFD per maximal ill-formed part, as Python's errors="replace" gives. */
static void test_broken_utf8_becomes_replacement_characters(void **state) {
    (void)state;
    static const struct {
        const char *broken, *repaired;
    } cases[] = {
        {"a\xFF", "a\xEF\xBF\xBD"},
        {"\xE2\x82 x", "\xEF\xBF\xBD x"},
        {"\xE2\x28\xA1", "\xEF\xBF\xBD(\xEF\xBF\xBD"},
        {"\xC0\xAF", "\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\xF0\x9F\x98", "\xEF\xBF\xBD"},
        {"\xF4\x90\x80\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
    };
    Tokenizer *tokenizer = byte_level();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_same_ids(tokenizer, cases[i].broken, strlen(cases[i].broken), cases[i].repaired,
                        strlen(cases[i].repaired));
    tokenizer_close(tokenizer);
}

static void test_encode_appends(void **state) {
    (void)state;
    Tokenizer *tokenizer = byte_level();
    TokenIds ids = {0};
    Error error = {0};
    token_ids_append(&ids, 7);
    assert_int_equal(tokenizer_encode(tokenizer, "", 0, SPECIAL_ADD, &ids, &error), 0);
    assert_int_equal(ids.n, 1);
    assert_int_equal(tokenizer_encode(tokenizer, "a", 1, SPECIAL_ADD, &ids, &error), 0);
    assert_int_equal(ids.n, 2);
    assert_int_equal(ids.ids[0], 7);
    token_ids_free(&ids);
    tokenizer_close(tokenizer);
}

/* A merge table that doubles the length of a run: the worst case for a scan of all pairs per merge. */
static void test_a_word_of_a_million_letters_is_not_quadratic(void **state) {
    (void)state;
    enum { LETTERS = 1000 * 1000 };
    Tokenizer *tokenizer = open_changed_fixture(
        "plain", "{\"pre_tokenizer\": null, \"model.vocab\": {\"<unk>\": 0, \"a\": 1, \"aa\": "
                 "2, \"aaaa\": 3, \"aaaaaaaa\": 4}, \"model.merges\": [\"a a\", \"aa aa\", "
                 "\"aaaa aaaa\"]}");
    char *text = mem_alloc(LETTERS);
    memset(text, 'a', LETTERS);
    TokenIds ids = encode(tokenizer, text, LETTERS); /* quadratic work would not end for hours */
    assert_int_equal(ids.n, LETTERS / 8);
    token_ids_free(&ids);
    free(text);
    tokenizer_close(tokenizer);
}

static void test_a_long_run_of_marks_is_not_quadratic(void **state) {
    (void)state;
    enum { MARKS = 400 * 1000 };
    Tokenizer *tokenizer = open_changed_fixture("byte_level", "{\"normalizer\": {\"type\": \"NFC\"}}");
    Buffer text = {0};
    for (int i = 0; i < MARKS; i++)
        buffer_append_text(&text, i % 2 ? "\xCC\xA7" : "\xCC\x81"); /* U+0327 sorts before U+0301 */
    TokenIds ids = encode(tokenizer, text.data, text.size); /* quadratic work would not end for minutes */
    Buffer decoded = {0};
    assert_int_equal(tokenizer_decode(tokenizer, ids.ids, ids.n, false, &decoded, NULL), 0);
    assert_int_equal(decoded.size, text.size);
    assert_memory_equal(decoded.data + text.size / 2 - 2, "\xCC\xA7\xCC\x81", 4);
    buffer_free(&decoded);
    buffer_free(&text);
    token_ids_free(&ids);
    tokenizer_close(tokenizer);
}

enum { SHARED_CALLS = 3000 };
typedef struct SharedWork {
    Tokenizer *tokenizer;
    bool done[SHARED_CALLS]; /* asserts belong to the test's own thread */
} SharedWork;

static void round_trip_in_thread(void *context, size_t i, int thread) {
    static const char *const texts[] = {"Once upon a time", "it's 12345\n\n",
                                        "Za\xC5\xBC\xC3\xB3\xC5\x82\xC4\x87 <s>"};
    (void)thread;
    SharedWork *work = context;
    const char *text = texts[i % 3];
    TokenIds ids = {0};
    Buffer decoded = {0};
    work->done[i] = tokenizer_encode(work->tokenizer, text, strlen(text), SPECIAL_NONE, &ids, NULL) == 0 &&
                    tokenizer_decode(work->tokenizer, ids.ids, ids.n, false, &decoded, NULL) == 0 &&
                    strcmp(decoded.data, text) == 0;
    token_ids_free(&ids);
    buffer_free(&decoded);
}

static void test_threads_may_share_a_tokenizer(void **state) {
    (void)state;
    ThreadPool *pool;
    SharedWork work = {.tokenizer = byte_level()};
    assert_int_equal(thread_pool_create(&pool, 4, NULL), 0);
    thread_pool_run(pool, SHARED_CALLS, round_trip_in_thread, &work);
    thread_pool_destroy(pool);
    for (size_t i = 0; i < SHARED_CALLS; i++)
        assert_true(work.done[i]);
    tokenizer_close(work.tokenizer);
}

static void test_token_lookup(void **state) {
    (void)state;
    Tokenizer *tokenizer = byte_level();
    assert_int_equal(tokenizer_token_id(tokenizer, "<s>"), 1);
    assert_int_equal(tokenizer_token_id(tokenizer, "no such token"), -1);
    assert_string_equal(tokenizer_token_text(tokenizer, 2), "</s>");
    assert_null(tokenizer_token_text(tokenizer, -1));
    assert_null(tokenizer_token_text(tokenizer, (int32_t)tokenizer_vocab_size(tokenizer)));
    assert_non_null(tokenizer_token_text(tokenizer, (int32_t)tokenizer_vocab_size(tokenizer) - 1));
    assert_int_equal(tokenizer_bos_id(tokenizer), -1);
    assert_null(tokenizer_bos_text(tokenizer));
    assert_false(tokenizer_adds_bos(tokenizer));
    assert_int_equal(tokenizer_file_count(tokenizer), 1);
    assert_string_equal(tokenizer_file(tokenizer, 0), TOKENIZER_FIXTURES "/byte_level.json");
    tokenizer_close(tokenizer);
}

static void test_ids_may_have_holes(void **state) {
    (void)state;
    Tokenizer *tokenizer = open_changed_fixture(
        "plain",
        "{\"model.vocab\": {\"<unk>\": 5, \"a\": 0, \"b\": 9}, \"model.merges\": [], \"added_tokens\": []}");
    assert_int_equal(tokenizer_vocab_size(tokenizer), 10);
    assert_null(tokenizer_token_text(tokenizer, 3));
    TokenIds ids = encode(tokenizer, "abz", 3);
    assert_int_equal(ids.n, 3);
    assert_int_equal(ids.ids[0], 0);
    assert_int_equal(ids.ids[1], 9);
    assert_int_equal(ids.ids[2], 5);
    token_ids_free(&ids);
    tokenizer_close(tokenizer);
}

/* A run of byte tokens is text or not as a whole, so nothing of it may be printed before it ends. */
static void test_stream_holds_back_what_may_change(void **state) {
    (void)state;
    Tokenizer *tokenizer = open_tokenizer(TOKENIZER_FIXTURES "/byte_fallback.json");
    static const char *const tokens[] = {"<0xE2>", "<0x82>", "<0xAC>", "\xE2\x96\x81"};
    TokenStream stream = {0};
    Buffer out = {0};
    for (size_t i = 0; i < 4; i++) {
        int32_t id = tokenizer_token_id(tokenizer, tokens[i]);
        assert_true(id >= 0);
        assert_int_equal(token_stream_push(&stream, tokenizer, id, &out, NULL), 0);
        assert_int_equal(out.size, i < 3 ? 0 : 4);
    }
    assert_int_equal(token_stream_finish(&stream, tokenizer, &out, NULL), 0);
    assert_string_equal(out.data, "\xE2\x82\xAC ");
    token_stream_free(&stream);
    buffer_free(&out);
    tokenizer_close(tokenizer);
}

/* Pseudo-random ids, whose bytes are seldom UTF-8. */
static void test_stream_of_random_ids_equals_decode(void **state) {
    (void)state;
    static const char *const names[] = {"byte_level", "byte_fallback", "plain"};
    Random random;
    random_seed(&random, 7);
    for (size_t k = 0; k < 3; k++) {
        Tokenizer *tokenizer = open_changed_fixture(names[k], "{}");
        for (size_t round = 0; round < 200; round++) {
            int32_t ids[24];
            size_t n = random_below(&random, 24);
            for (size_t i = 0; i < n; i++)
                ids[i] = (int32_t)random_below(&random, (uint64_t)tokenizer_vocab_size(tokenizer));
            expect_stream(tokenizer, names[k], ids, n);
        }
        tokenizer_close(tokenizer);
    }
}

static void test_stream_prints_early(void **state) {
    (void)state;
    Tokenizer *tokenizer = byte_level();
    TokenIds ids = encode(tokenizer, "Hello world", 11);
    TokenStream stream = {0};
    Buffer out = {0};
    for (size_t i = 0; i < ids.n; i++) {
        size_t before = out.size;
        assert_int_equal(token_stream_push(&stream, tokenizer, ids.ids[i], &out, NULL), 0);
        assert_true(out.size > before);
    }
    assert_string_equal(out.data, "Hello world");
    assert_int_equal(token_stream_push(&stream, tokenizer, 1 << 20, &out, NULL), -1);
    assert_int_equal(token_stream_finish(&stream, tokenizer, &out, NULL), 0);
    assert_string_equal(out.data, "Hello world");
    token_stream_free(&stream);
    buffer_free(&out);
    token_ids_free(&ids);
    tokenizer_close(tokenizer);
}

/* What is held back stays small however long the text: each push costs the same. */
static void test_streams_take_linear_time(void **state) {
    static const char *const names[] = {"byte_level", "byte_fallback"};
    static const char text[] = "The dog \xF0\x9F\x98\x80\xE4\xBD\xA0 was lazy.";
    (void)state;
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        Buffer path = {0}, out = {0};
        TokenStream stream = {0};
        buffer_printf(&path, "%s/%s.json", TOKENIZER_FIXTURES, names[k]);
        Tokenizer *tokenizer = open_tokenizer(path.data);
        TokenIds ids = encode(tokenizer, text, strlen(text));
        for (size_t i = 0; i < 100000; i++)
            assert_int_equal(token_stream_push(&stream, tokenizer, ids.ids[i % ids.n], &out, NULL), 0);
        assert_true(stream.ids.n < 64 && out.size > 100000);
        token_stream_free(&stream);
        token_ids_free(&ids);
        tokenizer_close(tokenizer);
        buffer_free(&path);
        buffer_free(&out);
    }
}

/* Special-token strings are text if the caller says so; added tokens that are not special are still found. */
static void test_special_strings_as_text(void **state) {
    (void)state;
    Tokenizer *tokenizer = open_changed_fixture(
        "byte_level",
        "{\"added_tokens\": [{\"id\": 1, \"content\": \"<s>\", \"special\": true}, {\"id\": 500, "
        "\"content\": \"<tool>\", \"special\": false}]}");
    TokenIds ids = {0};
    int32_t tool = tokenizer_token_id(tokenizer, "<tool>");
    assert_int_equal(tokenizer_encode(tokenizer, "<s><tool>", 9, SPECIAL_NONE, &ids, NULL), 0);
    assert_int_equal(ids.n, 2);
    assert_int_equal(ids.ids[0], 1);
    ids.n = 0;
    assert_int_equal(tokenizer_encode(tokenizer, "<s><tool>", 9, SPECIAL_AS_TEXT, &ids, NULL), 0);
    assert_true(ids.n > 2);
    assert_int_not_equal(ids.ids[0], 1);
    assert_int_equal(ids.ids[ids.n - 1], tool);
    token_ids_free(&ids);
    tokenizer_close(tokenizer);
}

int run_tokenizer_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_variants_equal_the_reference),
        cmocka_unit_test(test_nul_bytes_are_data),
        cmocka_unit_test(test_broken_utf8_becomes_replacement_characters),
        cmocka_unit_test(test_encode_appends),
        cmocka_unit_test(test_a_word_of_a_million_letters_is_not_quadratic),
        cmocka_unit_test(test_a_long_run_of_marks_is_not_quadratic),
        cmocka_unit_test(test_threads_may_share_a_tokenizer),
        cmocka_unit_test(test_token_lookup),
        cmocka_unit_test(test_ids_may_have_holes),
        cmocka_unit_test(test_stream_holds_back_what_may_change),
        cmocka_unit_test(test_stream_of_random_ids_equals_decode),
        cmocka_unit_test(test_stream_prints_early),
        cmocka_unit_test(test_streams_take_linear_time),
        cmocka_unit_test(test_special_strings_as_text),
    };
    int failed = cmocka_run_group_tests_name("tokenizer", tests, NULL, NULL);
    return failed + run_tokenizer_file_tests() + run_tokenizer_golden_tests() + run_tokenizer_model_tests() +
           run_tokenizer_bulk_tests();
}
