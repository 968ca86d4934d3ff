/* Lock files: repository, commit and every file's SHA-256 of what was pulled, as JSON that people can read
 * and compare. Small files have git ids on the hub; here all have SHA-256, computed from the bytes on disk.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/base.h"
#include "zoo/names.h"
#include "zoo/walk.h"

#define LOCK_FORMAT "zeval lock 1"
enum { MOST_LOCK_BYTES = 64 << 20, MOST_LOCK_FILES = 100000 };

/* ---- reading */

static bool is_sha256(const char *text) {
    return strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

static int read_lock_file(LockFile *out, const cJSON *item, Arena *arena, const char *where, Error *error) {
    const char *sha256;
    if (!path_is_inside(item->string))
        return error_set(error, "%s: \"%.200s\" is no name of a file", where, item->string);
    if (!cJSON_IsObject(item) || json_get_string(item, "sha256", &sha256, where, error) ||
        json_get_int(item, "bytes", 0, (int64_t)1 << 46, &out->bytes, where, error) || !is_sha256(sha256))
        return error_set(error,
                         "%s: file \"%.200s\": expected {\"sha256\": 64 hexadecimal digits, \"bytes\": N}",
                         where, item->string);
    out->path = arena_strdup(arena, item->string);
    memcpy(out->sha256, sha256, sizeof out->sha256);
    return 0;
}

static int read_lock_entry(LockEntry *out, const cJSON *item, Arena *arena, const char *where, Error *error) {
    const char *repository, *commit, *kind;
    const cJSON *files;
    if (!cJSON_IsObject(item))
        return error_set(error, "%s: found %s, expected an object", where, json_type_name(item));
    if (json_get_string(item, "repository", &repository, where, error) ||
        json_get_string(item, "kind", &kind, where, error) ||
        json_get_string(item, "commit", &commit, where, error) ||
        json_get_object(item, "files", &files, where, error))
        return -1;
    bool web = strcmp(kind, "model") == 0 && web_is_valid(repository);
    if ((!repository_is_valid(repository) && !web) || !is_commit(commit) ||
        (strcmp(kind, "model") != 0 && strcmp(kind, "dataset") != 0))
        return error_set(
            error,
            "%s: found a %.20s \"%.100s\" at \"%.60s\", expected a model or dataset ORG/NAME or a model "
            "https://HOST/PATH at a commit of 40 hexadecimal digits",
            where, kind, repository, commit);
    size_t n = (size_t)cJSON_GetArraySize(files);
    *out = (LockEntry){.repository = arena_strdup(arena, repository),
                       .commit = arena_strdup(arena, commit),
                       .dataset = strcmp(kind, "dataset") == 0,
                       .files = arena_alloc(arena, (n + 1) * sizeof *out->files)};
    for (const cJSON *file = files->child; file; file = file->next)
        if (read_lock_file(&out->files[out->n_files++], file, arena, where, error))
            return -1;
    return 0;
}

static int read_lock(ZooLock *out, const cJSON *root, const char *path, Error *error) {
    const char *format;
    const cJSON *entries;
    if (!cJSON_IsObject(root))
        return error_set(error, "%s: found %s, expected an object", path, json_type_name(root));
    if (json_get_string(root, "format", &format, path, error) ||
        json_get_array(root, "entries", &entries, path, error))
        return -1;
    if (strcmp(format, LOCK_FORMAT) != 0)
        return error_set(error, "%s: its format is \"%.60s\", this program knows \"" LOCK_FORMAT "\"", path,
                         format);
    for (const cJSON *item = entries->child; item; item = item->next) {
        char *where = arena_printf(&out->arena, "%s, entry %zu", path, out->n + 1);
        out->entries = mem_realloc(out->entries, (out->n + 1) * sizeof *out->entries);
        if (read_lock_entry(&out->entries[out->n], item, &out->arena, where, error))
            return -1;
        out->n++;
    }
    return 0;
}

int zoo_lock_read(ZooLock *out, const char *path, bool must_exist, Error *error) {
    cJSON *root = NULL;
    *out = (ZooLock){0};
    if (!file_exists(path)) {
        return must_exist
                   ? error_set_kind(error, ERROR_USAGE,
                                    "there is no lock file %s; `zeval pull NAME --save-lock` writes one",
                                    path)
                   : 0;
    }
    int result = json_parse_file(&root, path, MOST_LOCK_BYTES, error);
    if (result == 0)
        result = read_lock(out, root, path, error);
    cJSON_Delete(root);
    if (result)
        zoo_lock_close(out);
    return result;
}

void zoo_lock_close(ZooLock *lock) {
    free(lock->entries);
    arena_free(&lock->arena);
    *lock = (ZooLock){0};
}

char *zoo_lock_name(const LockEntry *entry) {
    Buffer name = {0};
    buffer_printf(&name, "%s%s@%s", entry->dataset ? "datasets/" : "", entry->repository, entry->commit);
    return buffer_take(&name);
}

/* ---- noting */

typedef struct Noting {
    Arena *arena;
    LockEntry *entry;
    Error *error;
} Noting;

static int note_file(void *context, const char *path, const char *below) {
    Noting *noting = context;
    LockEntry *entry = noting->entry;
    if (entry->n_files >= MOST_LOCK_FILES)
        return error_set(noting->error, "%s has more than %d files", entry->repository, MOST_LOCK_FILES);
    if ((entry->n_files & (entry->n_files - 1)) == 0) { /* a power of two: full */
        LockFile *more = arena_alloc(noting->arena, (2 * entry->n_files + 1) * sizeof *more);
        if (entry->n_files > 0)
            memcpy(more, entry->files, entry->n_files * sizeof *more);
        entry->files = more;
    }
    LockFile *file = &entry->files[entry->n_files++];
    *file = (LockFile){.path = arena_strdup(noting->arena, below), .bytes = file_size(path)};
    return sha256_file(path, file->sha256, noting->error);
}

static int compare_lock_files(const void *a, const void *b) {
    return strcmp(((const LockFile *)a)->path, ((const LockFile *)b)->path);
}

static int compare_entries(const void *a, const void *b) {
    const LockEntry *first = a, *second = b;
    int order = (int)first->dataset - (int)second->dataset;
    return order ? order : strcmp(first->repository, second->repository);
}

int zoo_lock_add(ZooLock *lock, const char *repository, bool dataset, const char *commit, const char *folder,
                 Error *error) {
    LockEntry entry = {.repository = arena_strdup(&lock->arena, repository),
                       .commit = arena_strdup(&lock->arena, commit),
                       .dataset = dataset};
    Noting noting = {&lock->arena, &entry, error};
    if (walk_files(folder, note_file, &noting))
        return -1;
    if (entry.n_files > 0)
        qsort(entry.files, entry.n_files, sizeof *entry.files, compare_lock_files);
    size_t at = 0;
    while (at < lock->n && compare_entries(&lock->entries[at], &entry) != 0)
        at++;
    if (at == lock->n)
        lock->entries = mem_realloc(lock->entries, ++lock->n * sizeof *lock->entries);
    lock->entries[at] = entry;
    qsort(lock->entries, lock->n, sizeof *lock->entries, compare_entries);
    return 0;
}

int zoo_lock_write(const ZooLock *lock, const char *path, Error *error) {
    Buffer text = {0};
    buffer_append_text(&text, "{\n \"format\": \"" LOCK_FORMAT "\",\n \"entries\": [");
    for (size_t i = 0; i < lock->n; i++) {
        const LockEntry *entry = &lock->entries[i];
        buffer_printf(&text,
                      "%s\n  {\n   \"kind\": \"%s\",\n   \"repository\": \"%s\",\n   \"commit\": \"%s\",\n",
                      i ? "," : "", entry->dataset ? "dataset" : "model", entry->repository, entry->commit);
        buffer_append_text(&text, "   \"files\": {");
        for (size_t k = 0; k < entry->n_files; k++) {
            buffer_append_text(&text, k ? ",\n    " : "\n    ");
            text_append_json(&text, entry->files[k].path, strlen(entry->files[k].path));
            buffer_printf(&text, ": {\"sha256\": \"%s\", \"bytes\": %lld}", entry->files[k].sha256,
                          (long long)entry->files[k].bytes);
        }
        buffer_append_text(&text, "\n   }\n  }");
    }
    buffer_append_text(&text, "\n ]\n}\n");
    int result = file_write_atomic(path, text.data, text.size, error);
    buffer_free(&text);
    return result;
}

/* ---- checking */

int zoo_lock_check(const LockEntry *entry, const char *folder, Error *error) {
    int result = 0;
    for (size_t i = 0; i < entry->n_files && result == 0; i++) {
        const LockFile *file = &entry->files[i];
        char *path = path_join(folder, file->path), hex[SHA256_HEX];
        if (!file_exists(path))
            result = error_set_kind(error, ERROR_CHECK, "%s is missing; %s at %s is locked with it", path,
                                    entry->repository, entry->commit);
        else if ((result = sha256_file(path, hex, error)) == 0 && strcmp(hex, file->sha256) != 0)
            result = error_set_kind(error, ERROR_CHECK, "%s: its bytes hash to %s, locked is %s", path, hex,
                                    file->sha256);
        free(path);
    }
    return result;
}
