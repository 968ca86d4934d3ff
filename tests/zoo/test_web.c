/* Checkpoints in plain folders on the web. */
#include "tests/zoo/tests.h"

#include <sys/wait.h>
#include <unistd.h>

static const char index_json[] =
    "{\"weight_map\": {\"a\": \"model-1.safetensors\", \"b\": \"model-2.safetensors\", "
    "\"c\": \"model-1.safetensors\"}}";

static char *address(const World *world) {
    Buffer text = {0};
    buffer_printf(&text, "%s/files", hub_server_endpoint(world->hub));
    return buffer_take(&text);
}

static int pull_web(World *world, PullResult *result, Error *error) {
    char *name = address(world);
    int failed = zoo_pull(result, name, &world->options, error);
    free(name);
    return failed;
}

static void expect_error(World *world, const char *words, ErrorKind kind) {
    PullResult result;
    Error error = {0};
    assert_int_equal(pull_web(world, &result, &error), -1);
    if (!strstr(error.message, words) || error.kind != kind)
        fail_msg("found kind %d: %s\nexpected kind %d: %s", error.kind, error.message, kind, words);
}

static void expect_file(const PullResult *result, const char *name, const void *data, size_t bytes) {
    char *path = path_join(result->folder, name);
    FileMap map;
    assert_int_equal(file_map(&map, path, NULL), 0);
    assert_int_equal(map.bytes, bytes);
    assert_memory_equal(map.data, data, bytes);
    file_unmap(&map);
    free(path);
}

static void pull_weights(World *world, PullResult *result) {
    Error error = {0};
    if (pull_web(world, result, &error))
        fail_msg("%s", error.message);
    expect_file(result, "model.safetensors", world->weights, WEIGHTS_BYTES);
}

static void test_known_names_are_found(void **state) {
    World *world = *state;
    PullResult result;
    char *name = address(world), *folder;
    Error error = {0};
    assert_int_equal(zoo_resolve(name, &folder, &error), -1);
    assert_int_equal(error.kind, ERROR_USAGE);
    assert_true(zoo_can_pull(name));
    pull_weights(world, &result);
    assert_int_equal(result.n_files, 3); /* no README, no pickled weights */
    assert_int_equal(hub_server_counts(world->hub).tokens[PART_RESOLVE], 0);
    assert_int_equal(hub_server_counts(world->hub).tokens[PART_CONTENT], 0);
    if (zoo_resolve(name, &folder, &error))
        fail_msg("%s", error.message);
    assert_string_equal(folder, result.folder);
    char *provenance = zoo_provenance(folder);
    assert_true(text_starts_with(provenance, name));
    free(provenance);
    free(folder);
    free(name);
    pull_result_free(&result);
}

static void test_the_same_etag_is_not_fetched_again(void **state) {
    World *world = *state;
    PullResult first, second;
    pull_weights(world, &first);
    pull_weights(world, &second);
    assert_int_equal(second.n_fetched, 0);
    assert_string_equal(first.commit, second.commit);
    pull_result_free(&second);
    world->weights[5] ^= 1;
    hub_server_add(world->hub, "model.safetensors", world->weights, WEIGHTS_BYTES, true);
    pull_weights(world, &second);
    assert_int_equal(second.n_fetched, 1);
    assert_string_not_equal(first.commit, second.commit);
    pull_result_free(&first);
    pull_result_free(&second);
}

/* The connection breaks every half megabyte, and the parts are joined by If-Range. */
static void test_cuts_are_resumed_in_parts(void **state) {
    World *world = *state;
    PullResult result;
    world->options.part_bytes = WEIGHTS_BYTES / 3;
    hub_server_fault(world->hub, PART_CONTENT, FAULT_CUT, 1 << 19, -1);
    pull_weights(world, &result);
    HubCounts counts = hub_server_counts(world->hub);
    assert_true(counts.if_ranges >= 3);
    assert_true(counts.content_bytes < WEIGHTS_BYTES + 4096);
    pull_result_free(&result);
}

/* Without an ETag nothing is joined: after a cut the file comes again from its beginning, and at every pull.
 */
static void test_without_etags_nothing_is_joined(void **state) {
    World *world = *state;
    PullResult result;
    world->options.part_bytes = WEIGHTS_BYTES / 3;
    hub_server_no_etags(world->hub, true);
    hub_server_fault(world->hub, PART_CONTENT, FAULT_CUT, 1 << 19, 3);
    pull_weights(world, &result);
    assert_int_equal(hub_server_counts(world->hub).ranges, 0);
    pull_result_free(&result);
    pull_weights(world, &result);
    assert_int_equal(result.n_fetched, 3);
    pull_result_free(&result);
}

static void test_a_file_that_changes_meanwhile(void **state) {
    World *world = *state;
    hub_server_fault(world->hub, PART_CONTENT, FAULT_CHANGED, 0, -1);
    expect_error(world, "changed on the server meanwhile", ERROR_FAILED);
}

static void test_shards_of_an_index(void **state) {
    World *world = *state;
    PullResult result;
    Error error = {0};
    hub_server_remove(world->hub, "model.safetensors");
    hub_server_add(world->hub, "model.safetensors.index.json", index_json, sizeof index_json - 1, false);
    hub_server_add(world->hub, "model-1.safetensors", world->weights, 1000, true);
    expect_error(world, "looking for model-2.safetensors", ERROR_USAGE);
    hub_server_add(world->hub, "model-2.safetensors", world->weights, 2000, true);
    assert_int_equal(pull_web(world, &result, &error), 0);
    assert_int_equal(result.n_files, 5);
    expect_file(&result, "model-2.safetensors", world->weights, 2000);
    pull_result_free(&result);
    static const char outside[] = "{\"weight_map\": {\"a\": \"../secret\"}}";
    hub_server_add(world->hub, "model.safetensors.index.json", outside, sizeof outside - 1, false);
    expect_error(world, "tensor \"a\": expected the name of a file", ERROR_FAILED);
}

static void test_pickled_weights_where_there_are_no_others(void **state) {
    World *world = *state;
    PullResult result;
    Error error = {0};
    hub_server_remove(world->hub, "model.safetensors");
    assert_int_equal(pull_web(world, &result, &error), 0);
    assert_int_equal(result.n_files, 3);
    pull_result_free(&result);
    hub_server_remove(world->hub, "pytorch_model.bin");
    expect_error(world, "neither model.safetensors nor pytorch_model.bin", ERROR_USAGE);
}

static void test_what_is_no_folder_of_a_checkpoint(void **state) {
    World *world = *state;
    hub_server_fault(world->hub, PART_RESOLVE, FAULT_HTML, 0, -1);
    expect_error(world, "has no config.json (or answers with a web page)", ERROR_USAGE);
    hub_server_fault(world->hub, PART_RESOLVE, FAULT_BROKEN, 0, -1);
    expect_error(world, "answered HTTP 500", ERROR_FAILED);
    hub_server_fault(world->hub, PART_RESOLVE, FAULT_NONE, 0, 0);
    world->options.all = true;
    expect_error(world, "has no list of its files", ERROR_USAGE);
}

static void test_addresses_that_are_refused(void **state) {
    World *world = *state;
    static const char *const names[] = {"http://example.com/model",  "https://user:secret@host/model",
                                        "https://host/a/../b",       "https://host/a?b=c",
                                        "https://host/a#b",          "https://",
                                        "https:host/model",          "https://host//a",
                                        "http://localhost.evil.com", "https://host/a b",
                                        "https://host/a\nb"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        PullResult result;
        Error error = {0};
        assert_int_equal(zoo_pull(&result, names[i], &world->options, &error), -1);
        if (!strstr(error.message, "expected https://HOST/PATH"))
            fail_msg("%s: found: %s", names[i], error.message);
    }
}

/* A lock pins what came: the same bytes pass, others are found before or while they come. */
static void test_a_lock_pins_the_hashes(void **state) {
    World *world = *state;
    PullResult result;
    Error error = {0};
    ZooLock lock = {0}, again;
    char *path = world_path(world, "zeval.lock");
    pull_weights(world, &result);
    assert_int_equal(zoo_lock_add(&lock, result.repository, false, result.commit, result.folder, &error), 0);
    assert_int_equal(zoo_lock_write(&lock, path, &error), 0);
    if (zoo_lock_read(&again, path, true, &error))
        fail_msg("%s", error.message);
    pull_result_free(&result);
    char *store = world_path(world, "other");
    setenv("ZEVAL_STORE", store, 1);
    char *name = zoo_lock_name(&again.entries[0]);
    world->options.locked = &again.entries[0];
    if (zoo_pull(&result, name, &world->options, &error))
        fail_msg("%s", error.message);
    assert_int_equal(zoo_lock_check(&again.entries[0], result.folder, &error), 0);
    Arena arena = {0};
    ZooSnapshot *snapshots;
    size_t n;
    int64_t freed;
    assert_int_equal(zoo_list(name, &arena, &snapshots, &n, &error), 0);
    assert_int_equal(n, 1);
    assert_int_equal(zoo_remove(&snapshots[0], &freed, &error), 0);
    assert_true(freed > WEIGHTS_BYTES);
    ZooUsage *usages;
    assert_int_equal(zoo_usage(&arena, &usages, &n, &error), 0);
    assert_int_equal(n, 0); /* nothing stays behind */
    arena_free(&arena);
    pull_result_free(&result);
    world->weights[9] ^= 1;
    hub_server_add(world->hub, "model.safetensors", world->weights, WEIGHTS_BYTES, true);
    expect_error(world, "its bytes hash to", ERROR_CHECK);
    hub_server_add(world->hub, "model.safetensors", world->weights, 100, true);
    expect_error(world, "locked are", ERROR_CHECK);
    unsetenv("ZEVAL_STORE");
    zoo_lock_close(&lock);
    zoo_lock_close(&again);
    free(name);
    free(store);
    free(path);
}

static void test_two_processes_fetch_once(void **state) {
    World *world = *state;
    PullResult result;
    hub_server_throttle(world->hub, 12 << 20);
    Buffer sentence;
    char *name = address(world);
    pid_t child = child_pull(world, name, false);
    pull_weights(world, &result);
    assert_int_equal(child_wait(world, child, &sentence), 0);
    free(name);
    buffer_free(&sentence);
    assert_true(hub_server_counts(world->hub).content_bytes < WEIGHTS_BYTES + 4096);
    pull_result_free(&result);
}

#define HERE(test) cmocka_unit_test_setup_teardown(test, world_open, world_close)

int run_web_tests(void) {
    const struct CMUnitTest tests[] = {
        HERE(test_known_names_are_found),
        HERE(test_the_same_etag_is_not_fetched_again),
        HERE(test_cuts_are_resumed_in_parts),
        HERE(test_without_etags_nothing_is_joined),
        HERE(test_a_file_that_changes_meanwhile),
        HERE(test_shards_of_an_index),
        HERE(test_pickled_weights_where_there_are_no_others),
        HERE(test_what_is_no_folder_of_a_checkpoint),
        HERE(test_addresses_that_are_refused),
        HERE(test_a_lock_pins_the_hashes),
        HERE(test_two_processes_fetch_once),
    };
    return cmocka_run_group_tests_name("zoo: web", tests, NULL, NULL);
}
