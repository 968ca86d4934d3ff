#include "tests/zoo/tests.h"

#include <dirent.h>
#include <unistd.h>

#include "zoo/digest.h"

static const char config_json[] = "{\"model_type\": \"test\"}\n", tokenizer_json[] = "{}\n",
                  readme[] = "# Test\n";

int world_open(void **state) {
    World *world = mem_alloc_zero(1, sizeof *world);
    Random random;
    snprintf(world->folder, sizeof world->folder, "%s/zeval-test-XXXXXX",
             getenv("TMPDIR") && strlen(getenv("TMPDIR")) < 40 ? getenv("TMPDIR") : "/tmp");
    if (!mkdtemp(world->folder))
        return -1;
    world->weights = mem_alloc(WEIGHTS_BYTES);
    random_seed(&random, 7);
    for (size_t i = 0; i < WEIGHTS_BYTES; i += 4) {
        uint32_t word = random_u32(&random);
        memcpy(world->weights + i, &word, 4);
    }
    world->hub = hub_server_start(0);
    hub_server_add(world->hub, "README.md", readme, sizeof readme - 1, false);
    hub_server_add(world->hub, "config.json", config_json, sizeof config_json - 1, false);
    hub_server_add(world->hub, "model.safetensors", world->weights, WEIGHTS_BYTES, true);
    hub_server_add(world->hub, "onnx/model.onnx", readme, sizeof readme - 1, false);
    hub_server_add(world->hub, "pytorch_model.bin", readme, sizeof readme - 1, false);
    hub_server_add(world->hub, "tokenizer.json", tokenizer_json, sizeof tokenizer_json - 1, false);
    world->options = (PullOptions){.stall_s = 1, .retry_delay_ms = 2};
    char *python = path_join(world->folder, "huggingface");
    setenv("ZEVAL_CACHE", world->folder, 1);
    setenv("HF_HOME", python, 1);
    setenv("HF_ENDPOINT", hub_server_endpoint(world->hub), 1);
    setenv("HF_TOKEN", "hf_secret", 1);
    setenv("no_proxy", "127.0.0.1,localhost", 1);
    unsetenv("ZEVAL_STORE");
    unsetenv("ZEVAL_REGISTRY");
    unsetenv("HF_HUB_CACHE");
    unsetenv("HUGGINGFACE_HUB_CACHE");
    free(python);
    *state = world;
    return 0;
}

int world_close(void **state) {
    World *world = *state;
    char command[128];
    hub_server_stop(world->hub);
    snprintf(command, sizeof command, "rm -rf '%s'", world->folder);
    free(world->weights);
    free(world);
    return system(command);
}

char *world_path(const World *world, const char *format, ...) {
    Buffer path = {0};
    va_list arguments;
    buffer_printf(&path, "%s/", world->folder);
    va_start(arguments, format);
    buffer_vprintf(&path, format, arguments);
    va_end(arguments);
    return buffer_take(&path);
}

static void check_file(const PullResult *result, const char *name, const void *data, size_t bytes) {
    char *path = path_join(result->folder, name);
    FileMap map;
    Error error = {0};
    if (file_map(&map, path, &error))
        fail_msg("%s", error.message);
    if (map.bytes != bytes || memcmp(map.data, data, bytes) != 0)
        fail_msg("%s: found %zu bytes that differ, expected the hub's %zu", path, map.bytes, bytes);
    file_unmap(&map);
    free(path);
}

void pull_and_check(World *world, PullResult *result) {
    Error error = {0};
    if (zoo_pull(result, "test/model", &world->options, &error))
        fail_msg("%s", error.message);
    check_file(result, "config.json", config_json, sizeof config_json - 1);
    check_file(result, "tokenizer.json", tokenizer_json, sizeof tokenizer_json - 1);
    check_file(result, "model.safetensors", world->weights, WEIGHTS_BYTES);
    assert_true(store_is_sound(world));
}

void pull_expecting_error(World *world, const char *words) {
    PullResult result;
    Error error = {0};
    if (zoo_pull(&result, "test/model", &world->options, &error) == 0)
        fail_msg("found a pull that succeeds, expected an error with \"%s\"", words);
    if (!strstr(error.message, words))
        fail_msg("found:    %s\nexpected: %s", error.message, words);
    assert_true(store_is_sound(world));
}

bool store_is_sound(const World *world) {
    char *blobs = world_path(world, "hub/models--test--model/blobs");
    DIR *open = opendir(blobs);
    bool sound = true;
    for (struct dirent *entry; open && (entry = readdir(open));) {
        char hex[DIGEST_HEX] = "", *path = path_join(blobs, entry->d_name);
        if (digest_is_name(entry->d_name) &&
            (digest_file(path, entry->d_name, hex, NULL) || strcmp(hex, entry->d_name) != 0)) {
            print_error("found %s with hash %s\n", path, hex);
            sound = false;
        }
        free(path);
    }
    if (open)
        closedir(open);
    free(blobs);
    return sound;
}

void world_await_content(World *world, int n) {
    double start_s = clock_seconds();
    while (hub_server_counts(world->hub).requests[PART_CONTENT] < n) {
        if (clock_seconds() - start_s > 120)
            fail_msg("found %d contents asked for after 120 s, expected %d",
                     hub_server_counts(world->hub).requests[PART_CONTENT], n);
        usleep(1000);
    }
}
