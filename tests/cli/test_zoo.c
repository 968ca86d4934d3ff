/* The commands of the zoo, over a store that is made by hand; none of them touches the network here. */
#include "tests/cli/tests.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* "test content\n", and git's id of it. */
#define CONTENT "test content\n"
#define BLOB "d670460b4b4aece5915caf5c68d12f560a9fe3e4"
#define COMMIT "0123456789abcdef0123456789abcdef01234567"

static char *in_store(const char *name) {
    Buffer path = {0};
    buffer_printf(&path, "%s/hub/models--me--mine/%s", test_folder, name);
    return buffer_take(&path);
}

static void write_in_store(const char *name, const char *text) {
    char *path = in_store(name), *folder = path_folder(path);
    assert_int_equal(file_make_directories(folder, NULL), 0);
    assert_int_equal(file_write_atomic(path, text, strlen(text), NULL), 0);
    free(folder);
    free(path);
}

static int make_store(void **state) {
    if (test_make_folder(state))
        return -1;
    char *python = path_join(test_folder, "huggingface"), *store = path_join(test_folder, "hub");
    setenv("HF_HOME", python, 1);
    setenv("ZEVAL_STORE", store, 1);
    setenv("HF_ENDPOINT", "http://127.0.0.1:1", 1);
    unsetenv("HF_HUB_CACHE");
    unsetenv("HUGGINGFACE_HUB_CACHE");
    write_in_store("blobs/" BLOB, CONTENT);
    write_in_store("refs/main", COMMIT);
    char *link = in_store("snapshots/" COMMIT "/config.json"), *folder = path_folder(link);
    int result = file_make_directories(folder, NULL) || symlink("../../blobs/" BLOB, link);
    free(folder);
    free(link);
    free(python);
    free(store);
    return result;
}

static int remove_store(void **state) {
    unsetenv("HF_HOME");
    unsetenv("ZEVAL_STORE");
    unsetenv("HF_ENDPOINT");
    return test_remove_folder(state);
}

static void expect(int status, const char *arguments, const char *words) {
    Output output;
    test_run_expecting(status, &output, "%s", arguments);
    if (!(output.out.data && strstr(output.out.data, words)) &&
        !(output.error.data && strstr(output.error.data, words)))
        fail_msg("zeval %s\nfound: %s%s\nexpected: %s", arguments, output.out.data ? output.out.data : "",
                 output.error.data ? output.error.data : "", words);
    test_output_free(&output);
}

static void test_what_is_here_is_listed_and_found(void **state) {
    (void)state;
    expect(0, "list", "me/mine");
    expect(0, "list --json", "\"commit\": \"" COMMIT "\"");
    expect(0, "list --available", "zebra-llama-1b-4mla-12m2-dpo");
    expect(0, "list --available --json", "\"repository\": \"amd/Zebra-Llama-8B-8MLA-24Mamba-DPO\"");
    expect(0, "du", "me/mine");
    expect(0, "pull me/mine --offline", "snapshots/" COMMIT);
}

static void test_verify_ends_with_3_on_a_mismatch(void **state) {
    (void)state;
    expect(0, "verify", "all good");
    write_in_store("blobs/" BLOB, "test c0ntent\n");
    expect(3, "verify me/mine", "BAD");
    write_in_store("blobs/" BLOB, CONTENT);
    expect(0, "verify me/mine", "good");
}

static void test_wrong_names_are_wrong_usage(void **state) {
    (void)state;
    expect(2, "pull", "what is to be pulled?");
    expect(2, "pull zebra-llama-1b", "did you mean \"zebra-llama-1b-");
    expect(2, "pull ../mine", "neither a name in the registry nor ORG/NAME");
    expect(2, "pull me/other --offline", "is not on this machine");
    expect(2, "verify me/other", "is not on this machine");
    expect(2, "remove", "what is to be removed?");
    expect(2, "export me/mine", "where to?");
    expect(2, "import /nonexistent", "expected a folder that can be read");
    expect(2, "run --model llamba-1b --tasks demo", "zeval pull llamba-1b");
}

static void test_export_remove_import(void **state) {
    (void)state;
    char arguments[128];
    snprintf(arguments, sizeof arguments, "export me/mine %s/stick", test_folder);
    expect(0, arguments, "exported me/mine");
    expect(0, "remove me/mine", "removed me/mine");
    expect(2, "pull me/mine --offline", "is not on this machine");
    snprintf(arguments, sizeof arguments, "import %s/stick", test_folder);
    expect(0, arguments, "imported me/mine");
    expect(0, "verify me/mine", "all good");
}

int run_zoo_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_here_is_listed_and_found),
        cmocka_unit_test(test_verify_ends_with_3_on_a_mismatch),
        cmocka_unit_test(test_wrong_names_are_wrong_usage),
        cmocka_unit_test(test_export_remove_import),
    };
    return cmocka_run_group_tests_name("cli: zoo", tests, make_store, remove_store);
}
