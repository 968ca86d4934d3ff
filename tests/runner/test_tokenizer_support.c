#include "tests/runner/test_tokenizer_support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

char *make_temporary_folder(void) {
    const char *root = getenv("TMPDIR");
    Buffer path = {0};
    buffer_printf(&path, "%s/zeval-tokenizer-XXXXXX", root && *root ? root : "/tmp");
    char *folder = buffer_take(&path);
    assert_non_null(mkdtemp(folder));
    return folder;
}

void remove_folder(char *folder) {
    static const char *const names[] = {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
                                        "tokenizer.model", "changed.json"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = path_join(folder, names[i]);
        unlink(path);
        free(path);
    }
    rmdir(folder);
    free(folder);
}

void write_text(const char *folder, const char *name, const char *text) {
    Error error = {0};
    char *path = path_join(folder, name);
    if (file_write_atomic(path, text, strlen(text), &error))
        fail_msg("%s", error.message);
    free(path);
}

Tokenizer *open_tokenizer(const char *path) {
    Tokenizer *tokenizer;
    Error error = {0};
    if (tokenizer_open(&tokenizer, path, &error))
        fail_msg("%s", error.message);
    return tokenizer;
}

static cJSON *read_fixture(const char *fixture) {
    Buffer path = {0};
    Error error = {0};
    cJSON *root;
    buffer_printf(&path, "%s/%s.json", TOKENIZER_FIXTURES, fixture);
    if (json_parse_file(&root, path.data, 1 << 24, &error))
        fail_msg("%s", error.message);
    buffer_free(&path);
    return root;
}

Tokenizer *open_changed_fixture(const char *fixture, const char *changes) {
    char *folder = make_temporary_folder();
    cJSON *root = read_fixture(fixture), *parts = cJSON_Parse(changes), *part;
    assert_non_null(parts);
    while ((part = parts->child)) {
        cJSON_DetachItemViaPointer(parts, part);
        cJSON *owner = strncmp(part->string, "model.", 6) ? root : cJSON_GetObjectItem(root, "model");
        char *key = mem_strdup(owner == root ? part->string : part->string + 6);
        cJSON_DeleteItemFromObjectCaseSensitive(owner, key);
        cJSON_AddItemToObject(owner, key, part);
        free(key);
    }
    char *text = cJSON_PrintUnformatted(root), *path = path_join(folder, "changed.json");
    write_text(folder, "changed.json", text);
    Tokenizer *tokenizer = open_tokenizer(path);
    free(text);
    free(path);
    cJSON_Delete(parts);
    cJSON_Delete(root);
    remove_folder(folder);
    return tokenizer;
}

TokenIds ids_of_json(const cJSON *list) {
    TokenIds ids = {0};
    const cJSON *item;
    cJSON_ArrayForEach(item, list) token_ids_append(&ids, item->valueint);
    return ids;
}

static char *ids_text(const int32_t *ids, size_t n) {
    Buffer text = {0};
    for (size_t i = 0; i < n; i++)
        buffer_printf(&text, "%s%d", i ? "," : "", (int)ids[i]);
    return buffer_take(&text);
}

void expect_ids(const Tokenizer *tokenizer, const char *label, const char *text, size_t bytes,
                SpecialPolicy policy, const cJSON *expected) {
    TokenIds ids = {0}, wanted = ids_of_json(expected);
    Error error = {0};
    if (tokenizer_encode(tokenizer, text, bytes, policy, &ids, &error))
        fail_msg("%s: \"%s\": %s", label, text, error.message);
    char *found_text = ids_text(ids.ids, ids.n), *wanted_text = ids_text(wanted.ids, wanted.n);
    if (strcmp(found_text, wanted_text) != 0)
        fail_msg("%s: \"%s\"\n   found: %s\nexpected: %s", label, text, found_text, wanted_text);
    free(found_text);
    free(wanted_text);
    token_ids_free(&ids);
    token_ids_free(&wanted);
}

void expect_decoded(const Tokenizer *tokenizer, const char *label, const cJSON *list, bool skip_special,
                    const char *expected, size_t bytes) {
    TokenIds ids = ids_of_json(list);
    Buffer text = {0};
    Error error = {0};
    if (tokenizer_decode(tokenizer, ids.ids, ids.n, skip_special, &text, &error))
        fail_msg("%s: %s", label, error.message);
    if (text.size != bytes || (bytes && memcmp(text.data, expected, bytes) != 0))
        fail_msg("%s: decoded\n   found: \"%s\"\nexpected: \"%s\"", label, text.data ? text.data : "",
                 expected);
    buffer_free(&text);
    token_ids_free(&ids);
}

void expect_stream(const Tokenizer *tokenizer, const char *label, const int32_t *ids, size_t n) {
    TokenStream stream = {0};
    Buffer streamed = {0}, whole = {0};
    Error error = {0};
    for (size_t i = 0; i < n; i++) {
        if (token_stream_push(&stream, tokenizer, ids[i], &streamed, &error))
            fail_msg("%s: %s", label, error.message);
        if (streamed.size && !utf8_valid(streamed.data, streamed.size))
            fail_msg("%s: half a character after %zu ids", label, i + 1);
    }
    assert_int_equal(token_stream_finish(&stream, tokenizer, &streamed, &error), 0);
    assert_int_equal(tokenizer_decode(tokenizer, ids, n, true, &whole, &error), 0);
    if (streamed.size != whole.size || (whole.size && memcmp(streamed.data, whole.data, whole.size) != 0))
        fail_msg("%s: streamed\n   found: \"%s\"\nexpected: \"%s\"", label,
                 streamed.data ? streamed.data : "", whole.data ? whole.data : "");
    token_stream_free(&stream);
    buffer_free(&streamed);
    buffer_free(&whole);
}

const char *shared_folder(void) {
    const char *folder = getenv("ZEVAL_SHARED");
    if (!folder || !*folder)
        folder = "../shared";
    if (file_is_directory(folder))
        return folder;
    printf("skipped: no shared data at %s (set ZEVAL_SHARED)\n", folder);
    return NULL;
}
