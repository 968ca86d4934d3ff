/* Finding a checkpoint by name. The demo checkpoint lives inside the program and is laid out in the cache
 * folder, where its bytes are compared with the program's own before every use. */
#include "zoo/zoo.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "zoo/store.h"

#define DEMO_PREFIX "zoo/demo/model/"

char *zoo_cache_folder(void) {
    const char *own = getenv("ZEVAL_CACHE"), *shared = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (own && *own)
        return mem_strdup(own);
    if (shared && *shared)
        return path_join(shared, "zeval");
    return path_join(home && *home ? home : "/tmp", ".cache/zeval");
}

char *zoo_transport_version(void) {
    return mem_strdup(curl_version());
}

static bool same_bytes(const char *path, const EmbeddedFile *file) {
    FileMap map;
    if (file_map(&map, path, NULL))
        return false;
    bool same = map.bytes == file->bytes && (map.bytes == 0 || memcmp(map.data, file->data, map.bytes) == 0);
    file_unmap(&map);
    return same;
}

static int lay_out(const char *folder, const EmbeddedFile *file, Error *error) {
    char *path = path_join(folder, file->name + strlen(DEMO_PREFIX));
    int result = same_bytes(path, file) ? 0 : file_write_atomic(path, file->data, file->bytes, error);
    free(path);
    return result;
}

static int resolve_demo(char **folder, Error *error) {
    char *cache = zoo_cache_folder();
    char *target = path_join(cache, "demo-model");
    free(cache);
    int result = file_make_directories(target, error), n_files = 0;
    for (size_t i = 0; result == 0 && i < n_embedded_files; i++) {
        if (!text_starts_with(embedded_files[i].name, DEMO_PREFIX))
            continue;
        result = lay_out(target, &embedded_files[i], error);
        n_files++;
    }
    if (result == 0 && n_files == 0)
        result = error_set(error,
                           "this build holds no demo model: it was built without the folder zoo/demo/model");
    if (result == 0)
        *folder = target;
    else
        free(target);
    return result;
}

/* A model that was pulled, or that the hub's Python client has. */
static int resolve_stored(const char *name, char **folder, Error *error) {
    Arena arena = {0};
    ZooSnapshot *snapshots;
    size_t n;
    Error reason = {0};
    int result = zoo_list(name, &arena, &snapshots, &n, &reason);
    if (result && reason.kind != ERROR_USAGE)
        *error = reason;
    else if (result)
        error_set_kind(error, ERROR_USAGE, "model %s: there is no such folder, and %s", name, reason.message);
    else if (n == 0)
        result = error_set_kind(error, ERROR_USAGE,
                                "model %s is not on this machine; `zeval pull %s` fetches it", name, name);
    else if ((result = snapshot_settle(&snapshots[0], error)) == 0)
        *folder = mem_strdup(snapshots[0].folder);
    arena_free(&arena);
    return result;
}

int zoo_resolve(const char *name, char **folder, Error *error) {
    *folder = NULL;
    if (strcmp(name, "demo") == 0)
        return resolve_demo(folder, error);
    if (text_starts_with(name, "file:")) { /* file:///folder, file://localhost/folder, file:folder */
        name += strlen("file:");
        name += text_starts_with(name, "//localhost/") ? strlen("//localhost")
                : text_starts_with(name, "///")        ? 2
                                                       : 0;
    }
    if (file_is_directory(name)) {
        *folder = mem_strdup(name);
        return 0;
    }
    if (file_exists(name))
        return error_set_kind(error, ERROR_USAGE,
                              "model %s: found a file, expected a checkpoint folder (with config.json in it)",
                              name);
    return resolve_stored(name, folder, error);
}
