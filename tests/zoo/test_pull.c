/* Pulling from a hub that is well. */
#include "tests/zoo/tests.h"

#include <sys/wait.h>
#include <unistd.h>

/* What a runtime reads arrives, linked to blobs named by hash; the rest stays away. */
static void test_a_pull_brings_what_a_runtime_reads(void **state) {
    World *world = *state;
    PullResult result;
    pull_and_check(world, &result);
    char *readme = path_join(result.folder, "README.md"),
         *bin = path_join(result.folder, "pytorch_model.bin");
    assert_int_equal(result.n_files, 3);
    assert_int_equal(result.n_fetched, 3);
    assert_false(file_exists(readme));
    assert_false(file_exists(bin));
    free(readme);
    free(bin);
    pull_result_free(&result);
}

static void test_a_second_pull_fetches_nothing(void **state) {
    World *world = *state;
    PullResult result;
    pull_and_check(world, &result);
    pull_result_free(&result);
    long long sent = hub_server_counts(world->hub).content_bytes;
    pull_and_check(world, &result);
    assert_int_equal(result.n_fetched, 0);
    assert_int_equal(hub_server_counts(world->hub).content_bytes, sent);
    pull_result_free(&result);
}

static void test_all_and_include_take_more(void **state) {
    World *world = *state;
    PullResult result;
    const char *patterns[] = {"onnx/*"};
    world->options.include = patterns;
    world->options.n_include = 1;
    pull_and_check(world, &result);
    assert_int_equal(result.n_files, 4);
    pull_result_free(&result);
    world->options.all = true;
    pull_and_check(world, &result);
    assert_int_equal(result.n_files, 6);
    pull_result_free(&result);
}

/* Where a repository has no safetensors, its pickled weights are what a runtime reads. */
static void test_pickled_weights_come_only_alone(void **state) {
    World *world = *state;
    PullResult result;
    Error error = {0};
    hub_server_listing(world->hub,
                       "[{\"type\": \"directory\", \"oid\": \"\", \"path\": \"onnx\"},"
                       "{\"type\": \"file\", \"path\": \"pytorch_model.bin\", \"size\": 7, \"oid\": "
                       "\"ad8d2ba4396a8b0d9d6b4e4e3b3e3a5d6a9a8f10\"}]");
    hub_server_fault(world->hub, PART_RESOLVE, FAULT_MISSING, 0, -1);
    assert_int_equal(zoo_pull(&result, "test/model", &world->options, &error), -1);
    assert_non_null(strstr(error.message, "fetching pytorch_model.bin"));
}

static void test_the_listing_may_have_pages(void **state) {
    World *world = *state;
    PullResult result;
    hub_server_pages(world->hub, 2);
    pull_and_check(world, &result);
    assert_int_equal(hub_server_counts(world->hub).requests[PART_API], 1 + 3);
    pull_result_free(&result);
}

/* The token goes to the hub and never to the content server, which is another host. */
static void test_the_token_stays_home(void **state) {
    World *world = *state;
    PullResult result;
    pull_and_check(world, &result);
    HubCounts counts = hub_server_counts(world->hub);
    assert_int_equal(counts.tokens[PART_API], counts.requests[PART_API]);
    assert_int_equal(counts.tokens[PART_RESOLVE], counts.requests[PART_RESOLVE]);
    assert_true(counts.requests[PART_CONTENT] > 0);
    assert_int_equal(counts.tokens[PART_CONTENT], 0);
    pull_result_free(&result);
}

static void test_a_pulled_model_is_found_by_name(void **state) {
    World *world = *state;
    PullResult result;
    char *folder;
    Error error = {0};
    assert_int_equal(zoo_resolve("test/model", &folder, &error), -1);
    assert_non_null(strstr(error.message, "zeval pull test/model"));
    pull_and_check(world, &result);
    if (zoo_resolve("test/model", &folder, &error))
        fail_msg("%s", error.message);
    assert_string_equal(folder, result.folder);
    free(folder);
    if (zoo_resolve("test/model@0123456789abcdef0123456789abcdef01234567", &folder, &error))
        fail_msg("%s", error.message);
    assert_string_equal(folder, result.folder);
    free(folder);
    assert_int_equal(zoo_resolve("test/model@v2", &folder, &error), -1);
    pull_result_free(&result);
}

static void test_offline_never_asks_the_hub(void **state) {
    World *world = *state;
    PullResult result;
    world->options.offline = true;
    pull_expecting_error(world, "not on this machine");
    assert_int_equal(hub_server_counts(world->hub).requests[PART_API], 0);
    world->options.offline = false;
    pull_and_check(world, &result);
    pull_result_free(&result);
    int asked = hub_server_counts(world->hub).requests[PART_API];
    world->options.offline = true;
    pull_and_check(world, &result);
    assert_int_equal(hub_server_counts(world->hub).requests[PART_API], asked);
    pull_result_free(&result);
}

/* A cache of the hub's Python client (the same layout) is used in place, and its files are not fetched again.
 */
static void test_the_python_cache_is_read_in_place(void **state) {
    World *world = *state;
    PullResult result;
    char *python = world_path(world, "huggingface/hub"), *folder;
    Error error = {0};
    setenv("ZEVAL_STORE", python, 1);
    pull_and_check(world, &result);
    pull_result_free(&result);
    unsetenv("ZEVAL_STORE");
    if (zoo_resolve("test/model", &folder, &error))
        fail_msg("%s", error.message);
    assert_non_null(strstr(folder, "huggingface/hub/models--test--model/snapshots/"));
    free(folder);
    long long sent = hub_server_counts(world->hub).content_bytes;
    pull_and_check(world, &result);
    assert_non_null(strstr(result.folder, "/hub/models--test--model"));
    assert_null(strstr(result.folder, "huggingface"));
    assert_int_equal(hub_server_counts(world->hub).content_bytes, sent);
    pull_result_free(&result);
    free(python);
}

/* Two processes pull at once: both succeed, and the weights travel once. */
static void test_two_processes_share_one_download(void **state) {
    World *world = *state;
    PullResult result;
    hub_server_throttle(world->hub, 12 << 20);
    Buffer sentence;
    pid_t child = child_pull(world, "test/model", false);
    pull_and_check(world, &result);
    assert_int_equal(child_wait(world, child, &sentence), 0);
    buffer_free(&sentence);
    assert_true(hub_server_counts(world->hub).content_bytes < WEIGHTS_BYTES + 4096);
    pull_result_free(&result);
}

static void test_the_rate_can_be_limited(void **state) {
    World *world = *state;
    PullResult result;
    world->options.bytes_per_second = 2 << 20;
    world->options.parallel = 1;
    double start_s = clock_seconds();
    pull_and_check(world, &result);
    assert_true(clock_seconds() - start_s > 0.4);
    pull_result_free(&result);
}

static void test_a_stop_is_noticed_and_a_later_pull_goes_on(void **state) {
    World *world = *state;
    PullResult result;
    Error error = {0};
    volatile sig_atomic_t stop = 0;
    world->options.stop = &stop;
    hub_server_fault(world->hub, PART_CONTENT, FAULT_CUT, 1 << 20, 1);
    stop = 1;
    assert_int_equal(zoo_pull(&result, "test/model", &world->options, &error), -1);
    assert_int_equal(error.kind, ERROR_STOPPED);
    stop = 0;
    pull_and_check(world, &result);
    pull_result_free(&result);
}

#define HERE(test) cmocka_unit_test_setup_teardown(test, world_open, world_close)

int run_pull_tests(void) {
    const struct CMUnitTest tests[] = {
        HERE(test_a_pull_brings_what_a_runtime_reads),
        HERE(test_a_second_pull_fetches_nothing),
        HERE(test_all_and_include_take_more),
        HERE(test_pickled_weights_come_only_alone),
        HERE(test_the_listing_may_have_pages),
        HERE(test_the_token_stays_home),
        HERE(test_a_pulled_model_is_found_by_name),
        HERE(test_offline_never_asks_the_hub),
        HERE(test_the_python_cache_is_read_in_place),
        HERE(test_two_processes_share_one_download),
        HERE(test_the_rate_can_be_limited),
        HERE(test_a_stop_is_noticed_and_a_later_pull_goes_on),
    };
    return cmocka_run_group_tests_name("zoo: pull", tests, NULL, NULL);
}
