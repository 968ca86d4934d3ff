/* Real tokenizers against ids from other people's programs. Skipped where the data is not there. */
#include "runner/tokenizer/tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/runner/test_tokenizer_groups.h"
#include "tests/runner/test_tokenizer_support.h"

static void replace_all(char *text, size_t *bytes, const char *what, const char *with) {
    size_t what_bytes = strlen(what), with_bytes = strlen(with);
    char *at;
    while ((at = memmem(text, *bytes, what, what_bytes))) {
        memcpy(at, with, with_bytes);
        memmove(at + with_bytes, at + what_bytes, *bytes - (size_t)(at - text) - what_bytes + 1);
        *bytes -= what_bytes - with_bytes;
    }
}

/* cJSON ends strings at a NUL, so one travels through it as a character that no text has. */
static char *text_of_row(const cJSON *row, size_t *bytes) {
    char *text = mem_strdup(cJSON_GetObjectItem(row, "text")->valuestring);
    char *at;
    *bytes = strlen(text);
    while ((at = memmem(text, *bytes, "\xEF\xBF\xBE", 3))) {
        *at = '\0';
        memmove(at + 1, at + 3, *bytes - (size_t)(at - text) - 3 + 1);
        *bytes -= 2;
    }
    return text;
}

/* NULL for a line that is not JSON: in the shared files, texts with U+2028 and the like are torn apart. */
static cJSON *parse_row(const char *line, size_t bytes) {
    char *copy = mem_strndup(line, bytes);
    replace_all(copy, &bytes, "\\u0000", "\xEF\xBF\xBE");
    cJSON *row = cJSON_Parse(copy);
    free(copy);
    return row;
}

static void check_goldens(const char *tokenizer_path, const char *golden_path) {
    LineReader *reader;
    Error error = {0};
    const char *line;
    size_t bytes, n = 0, torn = 0;
    double start = clock_seconds();
    Tokenizer *tokenizer = open_tokenizer(tokenizer_path);
    double loaded = clock_seconds();
    assert_int_equal(line_reader_open(&reader, golden_path, &error), 0);
    while (line_reader_next(reader, &line, &bytes, &error) == 1) {
        cJSON *row = parse_row(line, bytes);
        size_t text_bytes;
        if (!row) {
            torn++;
            continue;
        }
        char *text = text_of_row(row, &text_bytes);
        expect_ids(tokenizer, path_name(golden_path), text, text_bytes, SPECIAL_NONE,
                   cJSON_GetObjectItem(row, "ids"));
        expect_ids(tokenizer, path_name(golden_path), text, text_bytes, SPECIAL_ADD,
                   cJSON_GetObjectItem(row, "ids_special"));
        free(text);
        cJSON_Delete(row);
        n++;
    }
    line_reader_close(reader);
    printf("%s: %zu texts (%zu lines are not JSON), loaded in %.0f ms\n", path_name(golden_path), n, torn,
           (loaded - start) * 1000);
    assert_true(n > 370 && torn < 10);
    tokenizer_close(tokenizer);
}

static void check_named(const char *name, const char *folder, const char *file) {
    const char *shared = shared_folder();
    if (!shared)
        skip();
    Buffer tokenizer = {0}, golden = {0};
    buffer_printf(&tokenizer, "%s/%s/%s", folder, name, file);
    buffer_printf(&golden, "%s/golden/tokenizers/%s.jsonl", shared, name);
    bool there = file_exists(tokenizer.data) && file_exists(golden.data);
    if (there)
        check_goldens(tokenizer.data, golden.data);
    else
        printf("skipped: no %s or no %s\n", tokenizer.data, golden.data);
    buffer_free(&tokenizer);
    buffer_free(&golden);
    if (!there)
        skip();
}

static void test_goldens_of_shared_tokenizers(void **state) {
    static const char *const names[] = {"gpt2", "llama2", "tinyllama", "smollm2"};
    (void)state;
    const char *shared = shared_folder();
    if (!shared)
        skip();
    char *folder = path_join(shared, "data/tokenizers");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        check_named(names[i], folder, "tokenizer.json.gz");
    free(folder);
}

static void test_goldens_of_downloaded_tokenizers(void **state) {
    static const char *const names[] = {"llama3_1", "qwen3"};
    (void)state;
    const char *folder = getenv("ZEVAL_TOKENIZERS");
    if (!folder || !*folder) {
        printf("skipped: set ZEVAL_TOKENIZERS to a folder with llama3_1/ and qwen3/tokenizer.json\n");
        skip();
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        check_named(names[i], folder, "tokenizer.json");
}

/* Texts apart by a line of their own, ids of one text a line. */
static void check_llama_cpp(const char *shared, const char *vocabulary, const char *tokenizer_path) {
    static const char divider[] = "\n__ggml_vocab_test__\n";
    Buffer input = {0}, output = {0}, path = {0};
    Error error = {0};
    buffer_printf(&path, "%s/data/tokenizers/llama_cpp_goldens/ggml-vocab-%s.gguf.inp", shared, vocabulary);
    if (!file_exists(path.data) || !file_exists(tokenizer_path)) {
        printf("skipped: no %s or no %s\n", path.data, tokenizer_path);
        buffer_free(&path);
        return;
    }
    assert_int_equal(file_read(&input, path.data, 1 << 20, &error), 0);
    memcpy(path.data + path.size - 3, "out", 3);
    assert_int_equal(file_read(&output, path.data, 1 << 20, &error), 0);
    Tokenizer *tokenizer = open_tokenizer(tokenizer_path);
    char *text = input.data, *line = output.data, *next;
    size_t n = 0;
    for (; text && *line; text = next, n++) {
        char *end = strstr(text, divider), *newline = strchr(line, '\n');
        next = end ? end + sizeof divider - 1 : NULL;
        cJSON *ids = cJSON_CreateArray();
        for (char *at = line; at < newline;) {
            char *after;
            long id = strtol(at, &after, 10);
            if (after == at || after > newline)
                break;
            cJSON_AddItemToArray(ids, cJSON_CreateNumber((double)id));
            at = after;
        }
        expect_ids(tokenizer, vocabulary, text, end ? (size_t)(end - text) : strlen(text), SPECIAL_NONE, ids);
        cJSON_Delete(ids);
        line = newline ? newline + 1 : line + strlen(line);
    }
    printf("llama.cpp %s: %zu texts\n", vocabulary, n);
    assert_true(n > 40);
    tokenizer_close(tokenizer);
    buffer_free(&input);
    buffer_free(&output);
    buffer_free(&path);
}

static void test_goldens_of_llama_cpp(void **state) {
    (void)state;
    const char *shared = shared_folder(), *downloaded = getenv("ZEVAL_TOKENIZERS");
    if (!shared)
        skip();
    char *gpt2 = path_join(shared, "data/tokenizers/gpt2"),
         *llama2 = path_join(shared, "data/tokenizers/llama2");
    check_llama_cpp(shared, "gpt-2", gpt2);
    check_llama_cpp(shared, "llama-spm", llama2);
    free(gpt2);
    free(llama2);
    if (!downloaded)
        return;
    char *llama3 = path_join(downloaded, "llama3_1/tokenizer.json"),
         *qwen = path_join(downloaded, "qwen3/tokenizer.json");
    check_llama_cpp(shared, "llama-bpe", llama3);
    check_llama_cpp(shared, "qwen2", qwen);
    free(llama3);
    free(qwen);
}

static void test_stories_tokenizer(void **state) {
    (void)state;
    const char *shared = shared_folder();
    if (!shared)
        skip();
    char *model = path_join(shared, "models/stories260K-hf"),
         *path = path_join(shared, "models/stories260K/greedy.json");
    Error error = {0};
    cJSON *golden;
    Tokenizer *tokenizer = open_tokenizer(model);
    assert_int_equal(json_parse_file(&golden, path, 1 << 20, &error), 0);
    const char *text = cJSON_GetObjectItem(golden, "text")->valuestring;
    const cJSON *list = cJSON_GetObjectItem(golden, "ids");
    expect_ids(tokenizer, "stories260K", text, strlen(text), SPECIAL_ADD, list);
    expect_decoded(tokenizer, "stories260K", list, true, text, strlen(text));
    TokenIds ids = ids_of_json(list);
    expect_stream(tokenizer, "stories260K", ids.ids, ids.n);
    assert_int_equal(tokenizer_bos_id(tokenizer), 1);
    assert_int_equal(tokenizer_eos_id(tokenizer), 2);
    assert_true(tokenizer_adds_bos(tokenizer));
    assert_string_equal(tokenizer_bos_text(tokenizer), "<s>");
    assert_int_equal(tokenizer_model_max_length(tokenizer), 512);
    assert_int_equal(tokenizer_vocab_size(tokenizer), 512);
    assert_int_equal(tokenizer_file_count(tokenizer), 2);
    token_ids_free(&ids);
    tokenizer_close(tokenizer);
    cJSON_Delete(golden);
    free(model);
    free(path);
}

int run_tokenizer_golden_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goldens_of_shared_tokenizers),
        cmocka_unit_test(test_goldens_of_downloaded_tokenizers),
        cmocka_unit_test(test_goldens_of_llama_cpp),
        cmocka_unit_test(test_stories_tokenizer),
    };
    return cmocka_run_group_tests_name("tokenizer goldens", tests, NULL, NULL);
}
