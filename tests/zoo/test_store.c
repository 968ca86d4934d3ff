/* Listing, checking, removing and measuring what was pulled. */
#include "tests/zoo/tests.h"

#include <unistd.h>

#define SECOND_COMMIT "89abcdef0123456789abcdef0123456789abcdef"

static void pull_two_revisions(World *world) {
    static const char other[] = "{\"model_type\": \"other\"}\n";
    PullResult result;
    Error error = {0};
    pull_and_check(world, &result);
    pull_result_free(&result);
    hub_server_commit(world->hub, SECOND_COMMIT);
    hub_server_add(world->hub, "config.json", other, sizeof other - 1, false);
    if (zoo_pull(&result, "test/model@v2", &world->options, &error))
        fail_msg("%s", error.message);
    assert_int_equal(result.n_fetched, 1); /* what both have is shared */
    pull_result_free(&result);
}

static void list(const char *name, Arena *arena, ZooSnapshot **snapshots, size_t n) {
    size_t found;
    Error error = {0};
    if (zoo_list(name, arena, snapshots, &found, &error))
        fail_msg("%s", error.message);
    assert_int_equal(found, n);
}

static void test_listing_names_revisions(void **state) {
    Arena arena = {0};
    ZooSnapshot *snapshots;
    pull_two_revisions(*state);
    list(NULL, &arena, &snapshots, 2);
    assert_string_equal(snapshots[0].refs, "main");
    assert_string_equal(snapshots[1].refs, "v2");
    assert_string_equal(snapshots[1].commit, SECOND_COMMIT);
    assert_int_equal(snapshots[0].n_files, 3);
    assert_true(snapshots[0].ours);
    list("test/model@v2", &arena, &snapshots, 1);
    list("datasets/test/model", &arena, &snapshots, 0);
    arena_free(&arena);
}

typedef struct Seen {
    size_t n[3];
    char text[512];
} Seen;

static void note(void *context, const ZooSnapshot *snapshot, const char *file, VerifyState how,
                 const char *what) {
    Seen *seen = context;
    (void)snapshot;
    seen->n[how]++;
    if (what)
        snprintf(seen->text, sizeof seen->text, "%s: %s", file, what);
}

static void test_verify_finds_a_changed_byte(void **state) {
    World *world = *state;
    Arena arena = {0};
    ZooSnapshot *snapshots;
    PullResult result;
    Seen seen = {0};
    size_t n_bad, n_checked;
    Error error = {0};
    pull_and_check(world, &result);
    list("test/model", &arena, &snapshots, 1);
    assert_int_equal(zoo_verify(&snapshots[0], 1, note, &seen, &n_checked, &n_bad, &error), 0);
    assert_int_equal(n_bad, 0);
    assert_int_equal(seen.n[VERIFY_GOOD], 3);
    char *blob = world_path(world, "hub/models--test--model/blobs/%s",
                            hub_server_hash(world->hub, "model.safetensors"));
    world->weights[12345] ^= 1;
    assert_int_equal(file_write_atomic(blob, world->weights, WEIGHTS_BYTES, NULL), 0);
    assert_int_equal(zoo_verify(&snapshots[0], 1, note, &seen, &n_checked, &n_bad, &error), 0);
    assert_int_equal(n_bad, 1);
    assert_non_null(strstr(seen.text, "model.safetensors: its bytes hash to"));
    unlink(blob);
    assert_int_equal(zoo_verify(&snapshots[0], 1, note, &seen, &n_checked, &n_bad, &error), 0);
    assert_int_equal(n_bad, 1);
    assert_non_null(strstr(seen.text, "are gone"));
    free(blob);
    arena_free(&arena);
    pull_result_free(&result);
}

/* A sample takes what was verified longest ago; an index that is gone or damaged costs nothing but that. */
static void test_samples_take_turns(void **state) {
    World *world = *state;
    Arena arena = {0};
    ZooSnapshot *snapshots;
    PullResult result;
    size_t n_bad, n_checked;
    Error error = {0};
    char *index = world_path(world, "hub/.locks/index.sqlite");
    pull_and_check(world, &result);
    list("test/model", &arena, &snapshots, 1);
    assert_true(zoo_verified_at(&snapshots[0]) > 0);
    for (int round = 0; round < 3; round++) {
        Seen seen = {0};
        if (round == 1)
            unlink(index);
        if (round == 2)
            assert_int_equal(file_write_atomic(index, "not a database at all, and long enough", 38, NULL), 0);
        if (zoo_verify(&snapshots[0], 0.4, note, &seen, &n_checked, &n_bad, &error))
            fail_msg("%s", error.message);
        assert_int_equal(n_checked, 2);
        assert_int_equal(n_bad, 0);
    }
    assert_int_equal(zoo_verified_at(&snapshots[0]), 0); /* one file was never verified since */
    assert_int_equal(zoo_verify(&snapshots[0], 0.3, note, &(Seen){0}, &n_checked, &n_bad, &error), 0);
    assert_true(zoo_verified_at(&snapshots[0]) > 0);
    free(index);
    arena_free(&arena);
    pull_result_free(&result);
}

static void test_removing_keeps_what_others_use(void **state) {
    World *world = *state;
    Arena arena = {0};
    ZooSnapshot *snapshots;
    ZooUsage *usage;
    size_t n;
    int64_t freed;
    Error error = {0};
    pull_two_revisions(world);
    assert_int_equal(zoo_usage(&arena, &usage, &n, &error), 0);
    assert_int_equal(n, 1);
    assert_int_equal(usage[0].n_snapshots, 2);
    assert_int_equal(usage[0].n_blobs, 4);
    list("test/model", &arena, &snapshots, 1);
    if (zoo_remove(&snapshots[0], &freed, &error))
        fail_msg("%s", error.message);
    assert_true(freed > 0 && freed < 100);
    list("test/model@v2", &arena, &snapshots, 1);
    char *weights = path_join(snapshots[0].folder, "model.safetensors");
    assert_int_equal(file_size(weights), WEIGHTS_BYTES);
    free(weights);
    if (zoo_remove(&snapshots[0], &freed, &error))
        fail_msg("%s", error.message);
    assert_true(freed > WEIGHTS_BYTES);
    list(NULL, &arena, &snapshots, 0);
    assert_int_equal(zoo_usage(&arena, &usage, &n, &error), 0);
    assert_int_equal(n, 0);
    arena_free(&arena);
}

static void test_the_python_cache_is_never_removed(void **state) {
    World *world = *state;
    Arena arena = {0};
    ZooSnapshot *snapshots;
    PullResult result;
    int64_t freed;
    Error error = {0};
    char *python = world_path(world, "huggingface/hub");
    setenv("ZEVAL_STORE", python, 1);
    pull_and_check(world, &result);
    unsetenv("ZEVAL_STORE");
    list("test/model", &arena, &snapshots, 1);
    assert_int_equal(zoo_remove(&snapshots[0], &freed, &error), -1);
    assert_non_null(strstr(error.message, "Python client"));
    free(python);
    arena_free(&arena);
    pull_result_free(&result);
}

/* Out to a folder, gone, and in again; a changed byte on the way is noticed and not taken. */
static void test_export_and_import(void **state) {
    World *world = *state;
    Arena arena = {0};
    ZooSnapshot *snapshots;
    PullResult result;
    int64_t bytes;
    size_t n;
    Error error = {0};
    char *stick = world_path(world, "stick"), *store = zoo_store_folder(), *folder;
    pull_and_check(world, &result);
    pull_result_free(&result);
    list("test/model", &arena, &snapshots, 1);
    if (zoo_copy(&snapshots[0], stick, &bytes, &error))
        fail_msg("%s", error.message);
    assert_true(bytes > WEIGHTS_BYTES);
    assert_int_equal(zoo_remove(&snapshots[0], &bytes, &error), 0);
    assert_int_equal(zoo_list_folder(stick, &arena, &snapshots, &n, &error), 0);
    assert_int_equal(n, 1);
    assert_string_equal(snapshots[0].refs, "main");
    if (zoo_copy(&snapshots[0], store, &bytes, &error))
        fail_msg("%s", error.message);
    assert_true(store_is_sound(world));
    if (zoo_resolve("test/model", &folder, &error))
        fail_msg("%s", error.message);
    free(folder);
    ZooSnapshot *here;
    list("test/model", &arena, &here, 1);
    assert_int_equal(zoo_remove(&here[0], &bytes, &error), 0);
    char *blob = world_path(world, "stick/models--test--model/blobs/%s",
                            hub_server_hash(world->hub, "model.safetensors"));
    world->weights[77] ^= 1;
    assert_int_equal(file_write_atomic(blob, world->weights, WEIGHTS_BYTES, NULL), 0);
    assert_int_equal(zoo_copy(&snapshots[0], store, &bytes, &error), -1);
    assert_int_equal(error.kind, ERROR_CHECK);
    assert_int_equal(zoo_resolve("test/model", &folder, &error), -1);
    unlink(blob);
    assert_int_equal(symlink("/etc/passwd", blob), 0);
    assert_int_equal(zoo_copy(&snapshots[0], store, &bytes, &error), -1);
    assert_non_null(strstr(error.message, "not in the store's blobs folder"));
    assert_true(store_is_sound(world));
    free(blob);
    free(stick);
    free(store);
    arena_free(&arena);
}

static void test_a_store_that_cannot_be_written(void **state) {
    World *world = *state;
    char *file = world_path(world, "file");
    assert_int_equal(file_write_atomic(file, "x", 1, NULL), 0);
    setenv("ZEVAL_STORE", file, 1);
    pull_expecting_error(world, "cannot");
    unsetenv("ZEVAL_STORE");
    free(file);
}

#define HERE(test) cmocka_unit_test_setup_teardown(test, world_open, world_close)

int run_store_tests(void) {
    const struct CMUnitTest tests[] = {
        HERE(test_listing_names_revisions),
        HERE(test_verify_finds_a_changed_byte),
        HERE(test_samples_take_turns),
        HERE(test_removing_keeps_what_others_use),
        HERE(test_the_python_cache_is_never_removed),
        HERE(test_export_and_import),
        HERE(test_a_store_that_cannot_be_written),
    };
    return cmocka_run_group_tests_name("zoo: store", tests, NULL, NULL);
}
