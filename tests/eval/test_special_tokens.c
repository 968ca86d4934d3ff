/* What lm-eval's results files say about the tokenizer's special tokens, as lm-eval itself says it of the
 * demo's tokenizer under several configurations (tests/oracle/special_tokens.py). */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "eval/special_tokens.h"
#include "tests/eval/tests.h"

static void write_json(const char *folder, const char *name, const cJSON *json) {
    char *path = path_join(folder, name);
    unlink(path);
    if (!cJSON_IsNull(json)) {
        char *text = cJSON_PrintUnformatted(json);
        assert_int_equal(file_write_atomic(path, text, strlen(text), NULL), 0);
        cJSON_free(text);
    }
    free(path);
}

static void check_case(const char *folder, const Tokenizer *tokenizer, const cJSON *item) {
    char *text = NULL;
    cJSON *found = NULL;
    Error error = {0};
    write_json(folder, "tokenizer_config.json", cJSON_GetObjectItem(item, "config"));
    write_json(folder, "special_tokens_map.json", cJSON_GetObjectItem(item, "map"));
    if (special_tokens_json(folder, tokenizer, &text, &error) ||
        json_parse(&found, text, strlen(text), "tokens", &error))
        fail_msg("%s", error.message);
    if (!cJSON_Compare(found, cJSON_GetObjectItem(item, "expected"), true)) {
        char *expected = cJSON_PrintUnformatted(item);
        fail_msg("found %s\nof %s", text, expected);
    }
    cJSON_Delete(found);
    free(text);
}

static void test_special_tokens_are_lm_evals(void **state) {
    (void)state;
    const char *base = getenv("TMPDIR");
    Buffer folder = {0};
    Error error = {0};
    Tokenizer *tokenizer = NULL;
    cJSON *cases = NULL;
    const cJSON *item;
    buffer_printf(&folder, "%s/zeval-tokens-XXXXXX", base && *base ? base : "/tmp");
    assert_non_null(mkdtemp(folder.data));
    if (tokenizer_open(&tokenizer, "zoo/demo/model", &error) ||
        json_parse_file(&cases, "tests/fixtures/special_tokens.json", 1 << 20, &error))
        fail_msg("%s", error.message);
    assert_int_equal(cJSON_GetArraySize(cases), 8);
    cJSON_ArrayForEach(item, cases) check_case(folder.data, tokenizer, item);
    const cJSON *none = cJSON_GetObjectItem(cases->child, "map");
    write_json(folder.data, "tokenizer_config.json", none);
    write_json(folder.data, "special_tokens_map.json", none);
    assert_int_equal(rmdir(folder.data), 0);
    cJSON_Delete(cases);
    tokenizer_close(tokenizer);
    buffer_free(&folder);
}

int run_special_tokens_tests(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_special_tokens_are_lm_evals)};
    return cmocka_run_group_tests_name("special tokens", tests, NULL, NULL);
}
