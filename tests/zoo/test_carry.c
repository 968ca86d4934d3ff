/* What leaves a store and comes back: archives, lock files, prunings, data sets. */
#include "tests/zoo/tests.h"

#include <unistd.h>

#include "zoo/digest.h"
#include "zoo/tar.h"

#define COMMIT "0123456789abcdef0123456789abcdef01234567"
#define SHELF "models--test--model"

static ZooSnapshot *the_snapshot(Arena *arena) {
    ZooSnapshot *snapshots;
    size_t n;
    Error error = {0};
    if (zoo_list("test/model", arena, &snapshots, &n, &error))
        fail_msg("%s", error.message);
    assert_int_equal(n, 1);
    return snapshots;
}

static void pull(World *world) {
    PullResult result;
    pull_and_check(world, &result);
    pull_result_free(&result);
}

static void import_expecting(World *world, const char *path, int status, const char *words) {
    int64_t bytes;
    size_t n_files;
    Error error = {0};
    int result = zoo_import_tar(path, &n_files, &bytes, &error);
    if (result != status || (words && !strstr(error.message, words)))
        fail_msg("found %d, \"%s\"; expected %d, \"%s\"", result, error.message, status, words ? words : "");
    assert_true(store_is_sound(world));
}

/* ---- archives */

static void test_an_archive_goes_out_and_comes_in(void **state) {
    World *world = *state;
    Arena arena = {0};
    Error error = {0};
    int64_t bytes;
    char *tar = world_path(world, "model.tar"), *folder;
    pull(world);
    ZooSnapshot *snapshot = the_snapshot(&arena);
    if (zoo_export_tar(snapshot, tar, &bytes, &error))
        fail_msg("%s", error.message);
    assert_int_equal(file_size(tar), bytes);
    assert_int_equal(zoo_remove(snapshot, &bytes, &error), 0);
    assert_int_equal(zoo_resolve("test/model", &folder, &error), -1);
    import_expecting(world, tar, 0, NULL);
    pull(world); /* which finds everything there */
    assert_int_equal(hub_server_counts(world->hub).requests[PART_CONTENT], 1);
    free(tar);
    arena_free(&arena);
}

/* tar(1) reads what we write, as a store; and what it writes of a store, we read. */
static void test_tar_programs_agree(void **state) {
    World *world = *state;
    Arena arena = {0};
    Error error = {0};
    int64_t bytes;
    char *tar = world_path(world, "model.tar"), *again = world_path(world, "again.tar");
    pull(world);
    assert_int_equal(zoo_export_tar(the_snapshot(&arena), tar, &bytes, &error), 0);
    Buffer command = {0};
    buffer_printf(
        &command,
        "cd '%s' && mkdir out && tar xf model.tar -C out && tar cf again.tar -C out . && rm -rf hub",
        world->folder);
    if (system(command.data) == 0) {
        import_expecting(world, again, 0, NULL);
        pull(world);
        assert_int_equal(hub_server_counts(world->hub).requests[PART_CONTENT], 1);
    }
    buffer_free(&command);
    free(tar);
    free(again);
    arena_free(&arena);
}

static void write_tar(const World *world, Buffer *text, char **path) {
    tar_append_end(text);
    *path = world_path(world, "hostile.tar");
    assert_int_equal(file_write_atomic(*path, text->data, text->size, NULL), 0);
    buffer_free(text);
}

#define HASH "d670460b4b4aece5915caf5c68d12f560a9fe3e4"

static const struct {
    TarKind kind;
    const char *path, *target, *words;
} hostile[] = {
    {TAR_FILE, "../escape", "", "leads outside its folder"},
    {TAR_FILE, "/etc/escape", "", "leads outside its folder"},
    {TAR_FILE, SHELF "/blobs/../../escape", "", "leads outside its folder"},
    {TAR_FILE, "models--a/blobs/" HASH, "", "no part of an exported model"},
    {TAR_FILE, "etc/passwd", "", "no part of an exported model"},
    {TAR_LINK, SHELF "/blobs/" HASH, "/etc/passwd", "is no file"},
    {TAR_LINK, SHELF "/snapshots/" COMMIT "/a", "/etc/passwd", "no link to a file that is named by its hash"},
    {TAR_LINK, SHELF "/snapshots/" COMMIT "/a", "/x/" HASH, "leads out of its repository"},
    {TAR_LINK, SHELF "/snapshots/" COMMIT "/a", "../../../other/blobs/" HASH, "leads out of its repository"},
    {TAR_LINK, SHELF "/snapshots/" COMMIT "/a", "../../blobs/" HASH, "which is not in the archive"},
    {TAR_LINK, SHELF "/snapshots/../a", "../../blobs/" HASH, "leads outside its folder"},
    {TAR_LINK, SHELF "/snapshots/main/a", "../../blobs/" HASH, "is no name in a snapshot"},
    {TAR_FILE, SHELF "/snapshots/" COMMIT "/a", "", "no link to a file that is named by its hash"},
    {TAR_FILE, SHELF "/refs/main", "", "holds no commit"},
    {TAR_LINK, SHELF "/refs/main", "../x", "is no revision"},
    {TAR_FILE, SHELF "/blobs/" HASH, "", "hashes to"},
};

static void test_hostile_archives_are_refused(void **state) {
    World *world = *state;
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        Buffer text = {0};
        char *path, *folder;
        tar_append_header(&text, hostile[i].kind, hostile[i].path, hostile[i].target, 0);
        write_tar(world, &text, &path);
        import_expecting(world, path, -1, hostile[i].words);
        assert_int_equal(zoo_resolve("test/model", &folder, NULL), -1);
        free(path);
    }
    char *path = world_path(world, "hostile.tar");
    assert_int_equal(file_write_atomic(path, "no archive at all", 17, NULL), 0);
    import_expecting(world, path, -1, "was cut off");
    char noise[1024];
    memset(noise, 'x', sizeof noise);
    assert_int_equal(file_write_atomic(path, noise, sizeof noise, NULL), 0);
    import_expecting(world, path, -1, "is no tar archive");
    free(path);
}

/* An archive with any byte changed is refused or brings nothing that is not verified. */
static void test_damaged_archives(void **state) {
    World *world = *state;
    Arena arena = {0};
    Random random;
    int64_t bytes;
    size_t n_files;
    Error error = {0};
    char *tar = world_path(world, "model.tar");
    static const char small[] = "small";
    hub_server_add(world->hub, "model.safetensors", small, sizeof small, true);
    PullResult result;
    assert_int_equal(zoo_pull(&result, "test/model", &world->options, &error), 0);
    pull_result_free(&result);
    ZooSnapshot *snapshot = the_snapshot(&arena);
    assert_int_equal(zoo_export_tar(snapshot, tar, &bytes, &error), 0);
    Buffer text = {0};
    assert_int_equal(file_read(&text, tar, 1 << 20, NULL), 0);
    random_seed(&random, 11);
    for (int i = 0; i < 100; i++) {
        char *copy = mem_alloc(text.size);
        memcpy(copy, text.data, text.size);
        copy[random_below(&random, text.size)] ^= (char)(1 + random_below(&random, 255));
        size_t length = i % 3 ? text.size : random_below(&random, text.size);
        assert_int_equal(file_write_atomic(tar, copy, length, NULL), 0);
        zoo_import_tar(tar, &n_files, &bytes, &error);
        assert_true(store_is_sound(world));
        free(copy);
    }
    buffer_free(&text);
    free(tar);
    arena_free(&arena);
}

/* ---- lock files */

static void test_a_lock_pins_every_byte(void **state) {
    World *world = *state;
    ZooLock lock = {0}, read;
    PullResult result;
    Error error = {0};
    char *path = world_path(world, "zeval.lock");
    pull_and_check(world, &result);
    assert_int_equal(zoo_lock_add(&lock, "test/model", false, COMMIT, result.folder, &error), 0);
    assert_int_equal(zoo_lock_add(&lock, "test/model", false, COMMIT, result.folder, &error), 0);
    assert_int_equal(lock.n, 1); /* not twice */
    assert_int_equal(zoo_lock_write(&lock, path, &error), 0);
    if (zoo_lock_read(&read, path, true, &error))
        fail_msg("%s", error.message);
    assert_int_equal(read.n, 1);
    assert_int_equal(read.entries[0].n_files, 3);
    assert_string_equal(read.entries[0].files[1].path, "model.safetensors");
    assert_string_equal(read.entries[0].files[1].sha256, hub_server_hash(world->hub, "model.safetensors"));
    assert_int_equal(zoo_lock_check(&read.entries[0], result.folder, &error), 0);
    /* A byte changes here. */
    char *config = path_join(result.folder, "config.json"), *real = realpath(config, NULL);
    assert_int_equal(file_write_atomic(real, "{}", 2, NULL), 0);
    assert_int_equal(zoo_lock_check(&read.entries[0], result.folder, &error), -1);
    assert_int_equal(error.kind, ERROR_CHECK);
    unlink(real);
    assert_int_equal(zoo_lock_check(&read.entries[0], result.folder, &error), -1);
    assert_non_null(strstr(error.message, "is missing"));
    /* A byte changes there. */
    world->weights[5] ^= 1;
    hub_server_add(world->hub, "model.safetensors", world->weights, WEIGHTS_BYTES, true);
    world->options.locked = &read.entries[0];
    PullResult other;
    assert_int_equal(zoo_pull(&other, "test/model@" COMMIT, &world->options, &error), -1);
    assert_int_equal(error.kind, ERROR_CHECK);
    assert_non_null(strstr(error.message, "the hub lists"));
    free(config);
    free(real);
    free(path);
    pull_result_free(&result);
    zoo_lock_close(&lock);
    zoo_lock_close(&read);
}

static const struct {
    const char *text, *words;
} bad_locks[] = {
    {"[]", "expected an object"},
    {"{\"format\": \"zeval lock 2\", \"entries\": []}", "this program knows"},
    {"{\"format\": \"zeval lock 1\", \"entries\": [1]}", "expected an object"},
    {"{\"format\": \"zeval lock 1\", \"entries\": [{\"kind\": \"model\", \"repository\": \"../x\", "
     "\"commit\": "
     "\"" COMMIT "\", \"files\": {}}]}",
     "expected a model or dataset"},
    {"{\"format\": \"zeval lock 1\", \"entries\": [{\"kind\": \"model\", \"repository\": \"a/b\", "
     "\"commit\": "
     "\"" COMMIT "\", \"files\": {\"../x\": {\"sha256\": \"\", \"bytes\": 1}}}]}",
     "is no name of a file"},
    {"{\"format\": \"zeval lock 1\", \"entries\": [{\"kind\": \"model\", \"repository\": \"a/b\", "
     "\"commit\": "
     "\"" COMMIT "\", \"files\": {\"x\": {\"sha256\": \"12\", \"bytes\": 1}}}]}",
     "64 hexadecimal digits"},
};

static void test_bad_lock_files(void **state) {
    World *world = *state;
    char *path = world_path(world, "zeval.lock");
    for (size_t i = 0; i < sizeof bad_locks / sizeof *bad_locks; i++) {
        ZooLock lock;
        Error error = {0};
        assert_int_equal(file_write_atomic(path, bad_locks[i].text, strlen(bad_locks[i].text), NULL), 0);
        if (zoo_lock_read(&lock, path, true, &error) == 0 || !strstr(error.message, bad_locks[i].words))
            fail_msg("found \"%s\", expected \"%s\"", error.message, bad_locks[i].words);
    }
    free(path);
}

/* ---- pruning */

static void count(void *context, const char *repository, const char *what, const char *name, int64_t bytes) {
    (void)repository;
    (void)name;
    (void)bytes;
    buffer_printf(context, "%s;", what);
}

static void prune_expecting(bool dry_run, bool revisions, size_t n, const char *words) {
    Buffer said = {0};
    PruneOptions options = {.dry_run = dry_run, .revisions = revisions, .report = count, .context = &said};
    PruneResult result;
    Error error = {0};
    if (zoo_prune(&options, &result, &error))
        fail_msg("%s", error.message);
    if (result.n != n || (n > 0 && !strstr(said.data, words)))
        fail_msg("found %zu: %s, expected %zu with \"%s\"", result.n, said.data ? said.data : "", n, words);
    buffer_free(&said);
}

static void test_pruning_takes_what_nothing_needs(void **state) {
    World *world = *state;
    PullResult result;
    Error error = {0};
    pull(world);
    prune_expecting(false, false, 0, "");
    char *begun = world_path(world, "hub/" SHELF "/blobs/%064d.parts", 1),
         *aside = world_path(world, "hub/" SHELF "/blobs/%064d.mismatch", 1),
         *unused = world_path(world, "hub/" SHELF "/blobs/%040d", 1);
    file_write_atomic(begun, "x", 1, NULL);
    file_write_atomic(aside, "x", 1, NULL);
    file_write_atomic(unused, "x", 1, NULL);
    prune_expecting(true, false, 3, "unfinished download");
    assert_true(file_exists(unused));
    prune_expecting(false, false, 3, "unused file");
    assert_false(file_exists(unused) || file_exists(begun) || file_exists(aside));
    /* A newer commit takes the branch's name; the old one goes only if that is wanted. */
    hub_server_commit(world->hub, "89abcdef0123456789abcdef0123456789abcdef");
    assert_int_equal(zoo_pull(&result, "test/model", &world->options, &error), 0);
    pull_result_free(&result);
    prune_expecting(false, false, 0, "");
    prune_expecting(true, true, 1, "revision without a name");
    prune_expecting(false, true, 1, "revision without a name");
    pull(world);
    free(begun);
    free(aside);
    free(unused);
}

/* ---- after a loss of power */

static void test_what_the_disk_lost_is_noticed(void **state) {
    World *world = *state;
    PullResult result;
    Error error = {0};
    char *note = world_path(world, "hub/" SHELF "/unsettled"), *folder,
         *blob =
             world_path(world, "hub/" SHELF "/blobs/%s", hub_server_hash(world->hub, "model.safetensors"));
    pull(world);
    assert_true(file_exists(note));
    /* Another life of the machine, and nothing was lost. */
    assert_int_equal(file_write_atomic(note, "another", 7, NULL), 0);
    assert_int_equal(zoo_resolve("test/model", &folder, &error), 0);
    free(folder);
    assert_false(file_exists(note));
    /* And one with zeros where bytes should be. */
    char *zeros = mem_alloc_zero(1, WEIGHTS_BYTES);
    assert_int_equal(file_write_atomic(blob, zeros, WEIGHTS_BYTES, NULL), 0);
    assert_int_equal(file_write_atomic(note, "another", 7, NULL), 0);
    assert_int_equal(zoo_resolve("test/model", &folder, &error), -1);
    assert_int_equal(error.kind, ERROR_CHECK);
    assert_non_null(strstr(error.message, "the machine went down"));
    pull_and_check(world, &result);
    assert_int_equal(result.n_fetched, 1);
    pull_result_free(&result);
    free(zeros);
    free(note);
    free(blob);
}

/* ---- data sets */

static void test_pulled_data_sets_are_found(void **state) {
    World *world = *state;
    PullResult result;
    Error error = {0};
    char *view, *none;
    static const char rows[] = "PAR1";
    assert_int_equal(zoo_data_folder(&none, &error), 0);
    assert_null(none);
    hub_server_add(world->hub, "cfg/test/0000.parquet", rows, sizeof rows, true);
    hub_server_add(world->hub, "cfg/train/0000.parquet", rows, sizeof rows, true);
    const char *patterns[] = {"cfg/test/*.parquet"};
    world->options.only = patterns;
    world->options.n_only = 1;
    if (zoo_pull(&result, "datasets/org/data", &world->options, &error))
        fail_msg("%s", error.message);
    assert_true(result.dataset);
    assert_int_equal(result.n_files, 1);
    if (zoo_data_folder(&view, &error))
        fail_msg("%s", error.message);
    char *file = path_join(view, "org/data/cfg/test/0000.parquet"), *folder = path_join(view, "org/data");
    assert_int_equal(file_size(file), sizeof rows);
    char *origin = zoo_provenance(folder);
    assert_string_equal(origin, "datasets/org/data@" COMMIT);
    assert_non_null(strstr(hub_server_last_revision(world->hub), "refs%2Fconvert%2Fparquet"));
    free(origin);
    free(folder);
    free(file);
    free(view);
    pull_result_free(&result);
    /* A data set that was never converted comes as its main branch has it. */
    hub_server_no_parquet(world->hub, true);
    assert_int_equal(zoo_pull(&result, "datasets/org/other", &world->options, &error), 0);
    assert_non_null(strstr(hub_server_last_revision(world->hub), "/revision/main"));
    pull_result_free(&result);
}

#define HERE(test) cmocka_unit_test_setup_teardown(test, world_open, world_close)

int run_carry_tests(void) {
    const struct CMUnitTest tests[] = {
        HERE(test_an_archive_goes_out_and_comes_in), HERE(test_tar_programs_agree),
        HERE(test_hostile_archives_are_refused),     HERE(test_damaged_archives),
        HERE(test_a_lock_pins_every_byte),           HERE(test_bad_lock_files),
        HERE(test_pruning_takes_what_nothing_needs), HERE(test_what_the_disk_lost_is_noticed),
        HERE(test_pulled_data_sets_are_found),
    };
    return cmocka_run_group_tests_name("zoo: carrying", tests, NULL, NULL);
}
