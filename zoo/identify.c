/* What a checkpoint's files hash to. A hash is remembered in the cache folder under the file's path and
 * believed as long as size, inode, modification and change time are the same, and the file was not changed in
 * the seconds before it was hashed (a later write in the same tick would go unseen). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/base.h"
#include "zoo/zoo.h"

enum { MEMO_MIN_BYTES = 8 << 20, MEMO_SETTLE_S = 2 };

static char *memo_path(const char *path) {
    char *absolute = realpath(path, NULL);
    if (!absolute)
        return NULL;
    char hex[SHA256_HEX];
    sha256_text(absolute, strlen(absolute), hex);
    free(absolute);
    char *cache = zoo_cache_folder();
    Buffer file = {0};
    buffer_printf(&file, "%s/hashes/%s", cache, hex);
    free(cache);
    return buffer_take(&file);
}

static void describe(const struct stat *status, Buffer *out) {
    buffer_printf(out, "%lld %llu %lld.%09ld %lld.%09ld", (long long)status->st_size,
                  (unsigned long long)status->st_ino, (long long)status->st_mtim.tv_sec,
                  status->st_mtim.tv_nsec, (long long)status->st_ctim.tv_sec, status->st_ctim.tv_nsec);
}

/* The memo is one line: the description, a space, the hash. */
static bool recall(const char *memo, const char *description, char hex[SHA256_HEX]) {
    Buffer text = {0};
    size_t length = strlen(description);
    bool found = file_exists(memo) && file_read(&text, memo, 4096, NULL) == 0 &&
                 text.size == length + 1 + SHA256_HEX - 1 && memcmp(text.data, description, length) == 0;
    if (found)
        memcpy(hex, text.data + length + 1, SHA256_HEX);
    found = found && strspn(hex, "0123456789abcdef") == SHA256_HEX - 1;
    buffer_free(&text);
    return found;
}

/* A cache that cannot be written costs time on the next run, nothing else; so failures are not reported. */
static void remember(const char *memo, const struct stat *status, const char *description,
                     const char hex[SHA256_HEX]) {
    time_t now = time(NULL);
    if (now - status->st_mtim.tv_sec < MEMO_SETTLE_S || now - status->st_ctim.tv_sec < MEMO_SETTLE_S)
        return;
    char *folder = path_folder(memo);
    Buffer text = {0};
    buffer_printf(&text, "%s %s", description, hex);
    if (file_make_directories(folder, NULL) == 0)
        file_write_atomic(memo, text.data, text.size, NULL);
    buffer_free(&text);
    free(folder);
}

static int hash_file(const char *path, char hex[SHA256_HEX], int64_t *bytes, Error *error) {
    struct stat status;
    if (stat(path, &status) != 0)
        return sha256_file(path, hex, error); /* says what is wrong */
    *bytes = status.st_size;
    if (status.st_size < MEMO_MIN_BYTES)
        return sha256_file(path, hex, error);
    Buffer description = {0};
    describe(&status, &description);
    char *memo = memo_path(path);
    int result = 0;
    if (!memo || !recall(memo, description.data, hex)) {
        result = sha256_file(path, hex, error);
        if (result == 0 && memo)
            remember(memo, &status, description.data, hex);
    }
    free(memo);
    buffer_free(&description);
    return result;
}

static int compare_files(const void *a, const void *b) {
    return strcmp(((const ZooFile *)a)->name, ((const ZooFile *)b)->name);
}

/* The part of path below folder, or its last component when it lies elsewhere. */
static const char *name_below(const char *folder, const char *path) {
    size_t length = strlen(folder);
    if (strncmp(path, folder, length) == 0 && path[length] == '/')
        return path + length + 1;
    return path_name(path);
}

static void hash_of_hashes(ZooModel *model) {
    Sha256 *hash = sha256_begin();
    for (size_t i = 0; i < model->n_files; i++) {
        sha256_update_field(hash, model->files[i].name, strlen(model->files[i].name));
        sha256_update_field(hash, model->files[i].sha256, SHA256_HEX - 1);
    }
    sha256_end(hash, model->sha256);
}

int zoo_identify(ZooModel *out, const char *name, const char *folder, const char *const *paths,
                 size_t n_paths, Error *error) {
    *out = (ZooModel){.name = mem_strdup(name),
                      .folder = mem_strdup(folder),
                      .files = mem_alloc_zero(n_paths, sizeof *out->files)};
    for (size_t i = 0; i < n_paths; i++) {
        ZooFile *file = &out->files[out->n_files++];
        file->path = mem_strdup(paths[i]);
        file->name = mem_strdup(name_below(folder, paths[i]));
        if (hash_file(file->path, file->sha256, &file->bytes, error)) {
            zoo_model_free(out);
            return -1;
        }
    }
    qsort(out->files, out->n_files, sizeof *out->files, compare_files);
    hash_of_hashes(out);
    return 0;
}

void zoo_model_free(ZooModel *model) {
    for (size_t i = 0; i < model->n_files; i++) {
        free(model->files[i].path);
        free(model->files[i].name);
    }
    free(model->files);
    free(model->folder);
    free(model->name);
    *model = (ZooModel){0};
}
