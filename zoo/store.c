/* Paths, links and names of revisions in a store; see store.h. */
#include "zoo/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"

char *zoo_store_folder(void) {
    const char *own = getenv("ZEVAL_STORE");
    if (own && *own)
        return mem_strdup(own);
    char *cache = zoo_cache_folder(), *store = path_join(cache, "hub");
    free(cache);
    return store;
}

void store_folders(char *out[2]) {
    out[0] = zoo_store_folder();
    out[1] = hub_python_cache();
    struct stat a, b;
    bool same = strcmp(out[0], out[1]) == 0 || (stat(out[0], &a) == 0 && stat(out[1], &b) == 0 &&
                                                a.st_dev == b.st_dev && a.st_ino == b.st_ino);
    if (same) {
        free(out[1]);
        out[1] = NULL;
    }
}

void shelf_open(Shelf *out, const char *store, const HubName *name) {
    out->store = mem_strdup(store);
    out->name = hub_name_folder(name);
    out->folder = path_join(store, out->name);
}

void shelf_close(Shelf *shelf) {
    free(shelf->store);
    free(shelf->name);
    free(shelf->folder);
    *shelf = (Shelf){0};
}

char *shelf_blob(const Shelf *shelf, const char *hash, const char *suffix) {
    Buffer path = {0};
    buffer_printf(&path, "%s/blobs/%s%s", shelf->folder, hash, suffix);
    return buffer_take(&path);
}

char *shelf_lock(const Shelf *shelf, const char *hash) {
    Buffer path = {0};
    buffer_printf(&path, "%s/.locks/%s/%s.lock", shelf->store, shelf->name, hash);
    return buffer_take(&path);
}

char *shelf_snapshot(const Shelf *shelf, const char *commit) {
    Buffer path = {0};
    buffer_printf(&path, "%s/snapshots/%s", shelf->folder, commit);
    return buffer_take(&path);
}

int shelf_prepare(const Shelf *shelf, Error *error) {
    char *blobs = path_join(shelf->folder, "blobs"), *locks = path_join(shelf->store, ".locks"),
         *own_locks = path_join(locks, shelf->name);
    int result = file_make_directories(blobs, error);
    if (result == 0)
        result = file_make_directories(own_locks, error);
    if (result == 0 && access(blobs, W_OK) != 0)
        result = error_set(error, "cannot write to %s: %s", blobs, strerror(errno));
    free(blobs);
    free(locks);
    free(own_locks);
    return result;
}

static char *ref_path(const Shelf *shelf, const char *revision) {
    Buffer path = {0};
    buffer_printf(&path, "%s/refs/%s", shelf->folder, revision);
    return buffer_take(&path);
}

char *shelf_commit(const Shelf *shelf, const char *revision) {
    if (is_commit(revision))
        return mem_strdup(revision);
    char *path = ref_path(shelf, revision), *commit = NULL;
    Buffer text = {0};
    if (file_exists(path) && file_read(&text, path, 256, NULL) == 0 && text.size >= 40) {
        commit = mem_strndup(text.data, 40);
        const char *rest = text.data + 40;
        size_t left = text.size - 40;
        text_lstrip(&rest, &left);
        if (!is_commit(commit) || left > 0) {
            free(commit);
            commit = NULL;
        }
    }
    buffer_free(&text);
    free(path);
    return commit;
}

int shelf_set_ref(const Shelf *shelf, const char *revision, const char *commit, Error *error) {
    if (strcmp(revision, commit) == 0)
        return 0;
    char *path = ref_path(shelf, revision), *folder = path_folder(path);
    int result = file_make_directories(folder, error);
    if (result == 0)
        result = file_write_atomic(path, commit, strlen(commit), error);
    free(folder);
    free(path);
    return result;
}

char *shelf_link_target(const HubFile *file) {
    Buffer target = {0};
    buffer_append_text(&target, "../../");
    for (const char *at = file->path; (at = strchr(at, '/')); at++)
        buffer_append_text(&target, "../");
    buffer_printf(&target, "blobs/%s", file->hash);
    return buffer_take(&target);
}

int shelf_link(const Shelf *shelf, const char *commit, const HubFile *file, Error *error) {
    char *snapshot = shelf_snapshot(shelf, commit), *path = path_join(snapshot, file->path),
         *folder = path_folder(path), *target = shelf_link_target(file), found[256];
    Buffer temporary = {0};
    buffer_printf(&temporary, "%s.%ld.link", path, (long)getpid());
    int result = file_make_directories(folder, error);
    ssize_t length = readlink(path, found, sizeof found);
    bool there = length == (ssize_t)strlen(target) && memcmp(found, target, (size_t)length) == 0;
    if (result == 0 && !there) {
        unlink(temporary.data);
        if (symlink(target, temporary.data) != 0 || rename(temporary.data, path) != 0)
            result = error_set(error, "cannot link %s to its bytes: %s", path, strerror(errno));
    }
    buffer_free(&temporary);
    free(target);
    free(folder);
    free(path);
    free(snapshot);
    return result;
}

int shelf_keep_listing(const Shelf *shelf, const HubListing *listing, Error *error) {
    Buffer text = {0}, path = {0};
    char *folder = path_join(shelf->folder, "trees");
    buffer_append_text(&text, "{\"format_version\": 1, \"files\": {");
    for (size_t i = 0; i < listing->n; i++) {
        const HubFile *file = &listing->files[i];
        buffer_append_text(&text, i ? ",\n" : "\n");
        text_append_json(&text, file->path, strlen(file->path));
        buffer_printf(&text, ": {\"size\": %lld, \"blob_id\": \"%s\"", (long long)file->bytes, file->git_id);
        if (strlen(file->hash) == 64)
            buffer_printf(&text, ", \"lfs_sha256\": \"%s\", \"lfs_size\": %lld", file->hash,
                          (long long)file->bytes);
        buffer_append_char(&text, '}');
    }
    buffer_append_text(&text, "\n}}\n");
    buffer_printf(&path, "%s/%s.json", folder, listing->commit);
    int result = file_make_directories(folder, error);
    if (result == 0)
        result = file_write_atomic(path.data, text.data, text.size, error);
    buffer_free(&path);
    buffer_free(&text);
    free(folder);
    return result;
}

bool shelf_parse(const char *folder, HubName *out) {
    *out = (HubName){.dataset = text_starts_with(folder, "datasets--"), .repository = web_of_folder(folder)};
    if (out->repository) {
        out->revision = mem_strdup("main");
        return true;
    }
    const char *at = strstr(folder, "--");
    const char *middle = at ? strstr(at + 2, "--") : NULL;
    if (!middle || (!out->dataset && !text_starts_with(folder, "models--")))
        return false;
    Buffer repository = {0};
    buffer_printf(&repository, "%.*s/%s", (int)(middle - at - 2), at + 2, middle + 2);
    if (!repository_is_valid(repository.data)) {
        buffer_free(&repository);
        return false;
    }
    out->repository = buffer_take(&repository);
    out->revision = mem_strdup("main");
    return true;
}
