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
    expect(2, "run --model https://host.invalid/mine --tasks demo", "zeval pull https://host.invalid/mine");
    expect(2, "pull http://host.invalid/mine", "http:// only for localhost");
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

static void test_an_archive_goes_round(void **state) {
    (void)state;
    char arguments[192];
    snprintf(arguments, sizeof arguments, "export me/mine %s/mine.tar", test_folder);
    expect(0, arguments, "exported me/mine");
    expect(0, "remove me/mine", "removed me/mine");
    snprintf(arguments, sizeof arguments, "import %s/mine.tar", test_folder);
    expect(0, arguments, "imported ");
    expect(0, "verify me/mine --sample 50", "all good");
    write_in_store("blobs/" BLOB ".mismatch", "test c0ntent\n");
    expect(0, "prune --dry-run", "would go");
    expect(0, "prune --json",
           "{\"repository\": \"me/mine\", \"what\": \"wrong bytes\", \"name\": \"" BLOB ".mismatch\"");
    expect(0, "prune", "removed: 0 files and revisions");
}

/* What was pulled is locked, and held against the lock without a network. */
static void test_a_lock_file(void **state) {
    (void)state;
    char arguments[256];
    const char *forms[] = {"pull me/mine --offline --save-lock --lock-file %s/zeval.lock",
                           "pull --locked --offline --lock-file %s/zeval.lock"};
    for (size_t i = 0; i < 2; i++) {
        snprintf(arguments, sizeof arguments, forms[i], test_folder);
        expect(0, arguments, "snapshots/" COMMIT);
    }
    write_in_store("blobs/" BLOB, "test c0ntent\n");
    expect(3, arguments, "locked is");
    write_in_store("blobs/" BLOB, CONTENT);
    expect(2, "pull --locked --lock-file /nonexistent/zeval.lock", "there is no lock file");
    expect(2, "pull --locked --tasks demo", "without --tasks");
}

/* Nothing but --pull or a yes at a terminal touches the network: the hub of this test would refuse at once,
 * and the error would say so. */
static void test_runs_fetch_only_when_asked(void **state) {
    (void)state;
    expect(2, "run --model llamba-1b --tasks demo", "is not on this machine");
    expect(2, "run --model llamba-1b --tasks demo --offline", "is not on this machine");
    expect(2, "run --model llamba-1b --tasks demo --offline --pull", "exclude each other");
    expect(1, "run --model llamba-1b --tasks demo --pull", "127.0.0.1");
    expect(2, "run --model demo --tasks arc_easy", "the data set allenai/ai2_arc is not on this machine");
    expect(1, "run --model demo --tasks arc_easy --pull", "127.0.0.1");
    expect(1, "pull --tasks arc_easy", "allenai/ai2_arc");
    expect(2, "pull --tasks no_such_task", "there is no task, group or tag");
}

int run_zoo_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_here_is_listed_and_found),
        cmocka_unit_test(test_verify_ends_with_3_on_a_mismatch),
        cmocka_unit_test(test_wrong_names_are_wrong_usage),
        cmocka_unit_test(test_export_remove_import),
        cmocka_unit_test(test_an_archive_goes_round),
        cmocka_unit_test(test_a_lock_file),
        cmocka_unit_test(test_runs_fetch_only_when_asked),
    };
    return cmocka_run_group_tests_name("cli: zoo", tests, make_store, remove_store);
}
