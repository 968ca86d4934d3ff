/* Offsets, and JSON Lines in bulk. */
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

/* ---- offsets */

static TokenSpans spans_of(const Tokenizer *tokenizer, const char *text, size_t bytes, SpecialPolicy policy) {
    TokenIds ids = {0}, again = {0};
    TokenSpans spans = {0};
    Error error = {0};
    if (tokenizer_encode_spans(tokenizer, text, bytes, policy, &ids, &spans, &error))
        fail_msg("%s", error.message);
    assert_int_equal(tokenizer_encode(tokenizer, text, bytes, policy, &again, &error), 0);
    assert_int_equal(ids.n, spans.n);
    assert_int_equal(ids.n, again.n);
    if (ids.n)
        assert_memory_equal(ids.ids, again.ids, ids.n * sizeof *ids.ids);
    token_ids_free(&ids);
    token_ids_free(&again);
    return spans;
}

/* `expected` is "start-end start-end ...". */
static void expect_spans(const Tokenizer *tokenizer, const char *text, SpecialPolicy policy,
                         const char *expected) {
    TokenSpans spans = spans_of(tokenizer, text, strlen(text), policy);
    Buffer found = {0};
    for (size_t i = 0; i < spans.n; i++)
        buffer_printf(&found, "%s%zu-%zu", i ? " " : "", spans.items[i].start, spans.items[i].end);
    if (strcmp(found.data ? found.data : "", expected) != 0)
        fail_msg("\"%s\"\n   found: %s\nexpected: %s", text, found.data, expected);
    buffer_free(&found);
    token_spans_free(&spans);
}

/* Byte-level tokens without normalization lie one after the other, whatever the bytes. */
static void test_byte_level_spans_cover_the_text(void **state) {
    static const char text[] = "The dog's \xC3\xA9\xF0\x9F\x98\x80 x\0y<s> \n\n 12",
                      broken[] = "a\xFF\xC3 b\xE2\x82";
    (void)state;
    Tokenizer *tokenizer = open_tokenizer(TOKENIZER_FIXTURES "/byte_level.json");
    TokenSpans spans = spans_of(tokenizer, text, sizeof text - 1, SPECIAL_NONE);
    for (size_t i = 0; i < spans.n; i++)
        assert_int_equal(spans.items[i].start, i ? spans.items[i - 1].end : 0);
    assert_int_equal(spans.items[spans.n - 1].end, sizeof text - 1);
    token_spans_free(&spans);
    spans = spans_of(tokenizer, broken, sizeof broken - 1, SPECIAL_NONE);
    for (size_t i = 0; i < spans.n; i++)
        assert_true(spans.items[i].start < spans.items[i].end && spans.items[i].end <= sizeof broken - 1);
    assert_int_equal(spans.items[spans.n - 1].start, 5);
    token_spans_free(&spans);
    tokenizer_close(tokenizer);
}

#define LETTERS                                                                                              \
    "\"model.vocab\": {\"a\": 0, \"b\": 1, \"ab\": 2, \"\xC3\xA9\": 3, \"_\": 4, \"<u>\": 5, \"_a\": 6}, "   \
    "\"model.merges\": [\"a b\", \"_ a\"], \"model.unk_token\": \"<u>\", \"model.fuse_unk\": true, "         \
    "\"added_tokens\": [{\"id\": 7, \"content\": \"<s>\", \"special\": true, \"lstrip\": true}], "           \
    "\"post_processor\": null"

static void expect_stage_spans(const char *stage, const char *text, const char *expected) {
    Buffer changes = {0};
    buffer_printf(&changes, "{" LETTERS ", %s}", stage);
    Tokenizer *tokenizer = open_changed_fixture("plain", changes.data);
    expect_spans(tokenizer, text, SPECIAL_NONE, expected);
    tokenizer_close(tokenizer);
    buffer_free(&changes);
}

static void test_spans_go_through_every_stage(void **state) {
    (void)state;
    expect_stage_spans("\"pre_tokenizer\": null, \"normalizer\": null", "ab?!b <s>", "0-2 2-4 4-5 5-9");
    expect_stage_spans("\"pre_tokenizer\": {\"type\": \"Whitespace\"}", " ab  b", "1-3 5-6");
    expect_stage_spans("\"pre_tokenizer\": null, \"normalizer\": {\"type\": \"NFC\"}",
                       "be\xCC\x81"
                       "a",
                       "0-1 1-4 4-5");
    expect_stage_spans("\"pre_tokenizer\": null, \"normalizer\": {\"type\": \"Lowercase\"}", "AB\xC3\x89",
                       "0-2 2-4");
    expect_stage_spans("\"pre_tokenizer\": null, \"normalizer\": {\"type\": \"Strip\", \"strip_left\": true, "
                       "\"strip_right\": true}",
                       "  ab ", "2-4");
    expect_stage_spans(
        "\"pre_tokenizer\": null, \"normalizer\": {\"type\": \"Replace\", \"pattern\": {\"String\": "
        "\"xx\"}, \"content\": \"ab\"}",
        "bxxb", "0-1 1-3 3-4");
    expect_stage_spans("\"pre_tokenizer\": null, \"normalizer\": {\"type\": \"Prepend\", \"prepend\": \"_\"}",
                       "ab", "0-0 0-2");
    expect_stage_spans(
        "\"pre_tokenizer\": {\"type\": \"Metaspace\", \"replacement\": \"_\", \"split\": true}", "b ab",
        "0-0 0-1 1-2 2-4");
}

static void test_template_tokens_have_empty_spans(void **state) {
    (void)state;
    Tokenizer *tokenizer = open_tokenizer(TOKENIZER_FIXTURES "/byte_fallback.json");
    TokenSpans spans = spans_of(tokenizer, "ab", 2, SPECIAL_ADD);
    assert_int_equal(spans.items[0].start, 0);
    assert_int_equal(spans.items[0].end, 0);
    assert_int_equal(spans.items[spans.n - 1].end, 2);
    token_spans_free(&spans);
    tokenizer_close(tokenizer);
}

/* ---- bulk */

/* What lines become, or the error's message. */
static char *process(const Tokenizer *tokenizer, const char *lines, BulkOptions options) {
    char *folder = make_temporary_folder(), *path = path_join(folder, "changed.json"), *text = NULL;
    size_t bytes = 0;
    LineReader *reader;
    Error error = {0};
    FILE *out = open_memstream(&text, &bytes);
    write_text(folder, "changed.json", lines);
    options.name = "lines";
    assert_int_equal(line_reader_open(&reader, path, &error), 0);
    if (tokenizer_process_lines(tokenizer, reader, &options, out, &error))
        fputs(error.message, out);
    fclose(out);
    line_reader_close(reader);
    free(path);
    remove_folder(folder);
    return text;
}

static void expect_processed(const Tokenizer *tokenizer, const char *lines, BulkOptions options,
                             const char *expected) {
    char *text = process(tokenizer, lines, options);
    assert_string_equal(text, expected);
    free(text);
}

static void expect_line_refused(const Tokenizer *tokenizer, const char *line, const char *word) {
    Buffer lines = {0};
    buffer_printf(&lines, "{\"text\": \"\"}\n%s\n{\"text\": \"\"}\n", line);
    char *text = process(tokenizer, lines.data, (BulkOptions){.n_threads = 1});
    static const char first[] = "{\"ids\": []}\nlines:2: ";
    if (strncmp(text, first, sizeof first - 1) != 0 || !strstr(text, word))
        fail_msg("%s\n   found: %s\nexpected: %s", line, text, word);
    free(text);
    buffer_free(&lines);
}

static void test_lines_in_and_out(void **state) {
    static const char letters[] = "{" LETTERS ", \"pre_tokenizer\": null, \"normalizer\": null}";
    (void)state;
    Tokenizer *tokenizer = open_changed_fixture("plain", letters);
    expect_processed(tokenizer, "", (BulkOptions){0}, "");
    expect_processed(tokenizer,
                     " {\"x\": [1, {\"text\": null}], \"text\" : \"\\u0061b\\u00e9\"} \r\n{\"text\":\"\"}",
                     (BulkOptions){0}, "{\"ids\": [2, 3]}\n{\"ids\": []}\n");
    expect_processed(tokenizer, "{\"text\": \"a\\u0000b\"}\n", (BulkOptions){.offsets = true},
                     "{\"ids\": [0, 5, 1], \"offsets\": [[0, 1], [1, 2], [2, 3]]}\n");
    expect_processed(tokenizer, "{\"ids\": [0, 7 , 1]}\n{\"ids\": []}\n",
                     (BulkOptions){.decode = true, .skip_special = true},
                     "{\"text\": \"a b\"}\n{\"text\": \"\"}\n");
    expect_processed(tokenizer, "{\"ids\": [99]}\n", (BulkOptions){.decode = true},
                     "lines:1: decoding: id 99 is not in the vocabulary of 8 ids");
    tokenizer_close(tokenizer);
}

static void test_bad_lines(void **state) {
    (void)state;
    Tokenizer *tokenizer = open_tokenizer(TOKENIZER_FIXTURES "/byte_level.json");
    static const struct {
        const char *line, *word;
    } bad[] = {
        {"", "an object"},
        {"[]", "an object"},
        {"{\"text\": 1}", "a string"},
        {"{}", "found nothing"},
        {"{\"text\": \"a\"", "'}'"},
        {"{\"text\": \"a", "closing quote"},
        {"{\"text\": \"a\tb\"}", "control character"},
        {"{\"text\": \"\\x\"}", "backslash"},
        {"{\"text\": \"\\u12\"}", "hexadecimal"},
        {"{\"text\": \"\\ud800\"}", "surrogate"},
        {"{\"text\": \"\\ud800\\u0041\"}", "surrogate"},
        {"{\"text\": \"\\udc00\"}", "surrogate"},
        {"{\"text\": \"a\"} x", "nothing after"},
        {"{\"text\": \"a\", \"n\": 01}", "a value"},
        {"{\"text\": \"a\", \"n\": 1.}", "a digit"},
        {"{\"text\": \"a\", \"n\": nul}", "a value"},
        {"{\"text\" \"a\"}", "':'"},
        {"{text: \"a\"}", "a string"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        expect_line_refused(tokenizer, bad[i].line, bad[i].word);
    Buffer deep = {0};
    buffer_append_text(&deep, "{\"x\": ");
    for (int i = 0; i < 100000; i++)
        buffer_append_char(&deep, '[');
    expect_line_refused(tokenizer, deep.data, "less nesting");
    buffer_free(&deep);
    tokenizer_close(tokenizer);
}

static void test_order_does_not_depend_on_threads(void **state) {
    (void)state;
    Tokenizer *tokenizer = open_tokenizer(TOKENIZER_FIXTURES "/byte_level.json");
    Buffer lines = {0};
    for (int i = 0; i < 20000; i++)
        buffer_printf(&lines, "{\"text\": \"the dog %d is lazy\"}\n", i * 7919 % 10007);
    char *one = process(tokenizer, lines.data, (BulkOptions){.n_threads = 1}),
         *many = process(tokenizer, lines.data, (BulkOptions){.n_threads = 5});
    assert_string_equal(one, many);
    free(one);
    free(many);
    buffer_free(&lines);
    tokenizer_close(tokenizer);
}

int run_tokenizer_bulk_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_byte_level_spans_cover_the_text),
        cmocka_unit_test(test_spans_go_through_every_stage),
        cmocka_unit_test(test_template_tokens_have_empty_spans),
        cmocka_unit_test(test_lines_in_and_out),
        cmocka_unit_test(test_bad_lines),
        cmocka_unit_test(test_order_does_not_depend_on_threads),
    };
    return cmocka_run_group_tests_name("tokenizer bulk", tests, NULL, NULL);
}
