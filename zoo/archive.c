/* Models and data sets in a tar archive, laid out as a store is, so that `tar xf` makes a store of it. What
 * is read in is checked as if the archive were an attack: every name must be one that an export writes, links
 * lead to blobs of their own repository only, and a blob's bytes must hash to its name. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "zoo/digest.h"
#include "zoo/store.h"
#include "zoo/tar.h"

enum { COPY_BYTES = 1 << 20, MOST_REF_BYTES = 256, MOST_ENTRIES = 1000000 };

/* ---- out */

typedef struct Export {
    int file;
    const char *path;
    int64_t bytes;
} Export;

static int put(Export *export, const void *data, size_t bytes, Error *error) {
    for (size_t done = 0; done < bytes;) {
        ssize_t wrote = write(export->file, (const char *)data + done, bytes - done);
        if (wrote < 0 && errno != EINTR)
            return error_set(error, "cannot write %s: %s", export->path, strerror(errno));
        done += wrote > 0 ? (size_t)wrote : 0;
    }
    export->bytes += (int64_t)bytes;
    return 0;
}

/* Puts what `text` holds, and empties it. */
static int put_buffer(Export *export, Buffer *text, Error *error) {
    int result = put(export, text->data, text->size, error);
    buffer_clear(text);
    return result;
}

static int put_bytes(Export *export, int from, const HubFile *file, const char *source, Error *error) {
    Digest *digest = digest_begin(file->hash, file->bytes);
    char *block = mem_alloc(COPY_BYTES), hex[DIGEST_HEX];
    int64_t done = 0;
    ssize_t got = 0;
    int result = 0;
    while (result == 0 && done < file->bytes && (got = read(from, block, COPY_BYTES)) > 0) {
        got = got < file->bytes - done ? got : (ssize_t)(file->bytes - done);
        digest_update(digest, block, (size_t)got);
        result = put(export, block, (size_t)got, error);
        done += got;
    }
    free(block);
    digest_end(digest, hex);
    if (result == 0 && got < 0)
        result = error_set(error, "cannot read %s: %s", source, strerror(errno));
    if (result == 0 && strcmp(hex, file->hash) != 0)
        result =
            error_set_kind(error, ERROR_CHECK, "%s: its bytes hash to %s, expected %s; nothing was exported",
                           source, hex, file->hash);
    return result;
}

static int put_blob(Export *export, const Shelf *shelf, const HubFile *file, Error *error) {
    Buffer text = {0}, path = {0};
    char *source = shelf_blob(shelf, file->hash, "");
    int from = open(source, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    buffer_printf(&path, "%s/blobs/%s", shelf->name, file->hash);
    tar_append_header(&text, TAR_FILE, path.data, "", file->bytes);
    int result = from < 0 ? error_set(error, "cannot open %s: %s", source, strerror(errno))
                          : put_buffer(export, &text, error);
    if (result == 0)
        result = put_bytes(export, from, file, source, error);
    tar_append_padding(&text, file->bytes);
    if (result == 0 && text.size > 0)
        result = put_buffer(export, &text, error);
    if (from >= 0)
        close(from);
    buffer_free(&text);
    buffer_free(&path);
    free(source);
    return result;
}

static int put_link(Export *export, const Shelf *shelf, const char *commit, const HubFile *file,
                    Error *error) {
    Buffer text = {0}, path = {0};
    char *target = shelf_link_target(file);
    buffer_printf(&path, "%s/snapshots/%s/%s", shelf->name, commit, file->path);
    tar_append_header(&text, TAR_LINK, path.data, target, 0);
    int result = put_buffer(export, &text, error);
    buffer_free(&text);
    buffer_free(&path);
    free(target);
    return result;
}

static int put_refs(Export *export, const Shelf *shelf, const ZooSnapshot *snapshot, Error *error) {
    char *refs = mem_strdup(snapshot->refs), *save = NULL;
    Buffer text = {0}, path = {0};
    for (char *ref = strtok_r(refs, ", ", &save); ref; ref = strtok_r(NULL, ", ", &save)) {
        buffer_clear(&path);
        buffer_printf(&path, "%s/refs/%s", shelf->name, ref);
        tar_append_header(&text, TAR_FILE, path.data, "", (int64_t)strlen(snapshot->commit));
        buffer_append_text(&text, snapshot->commit);
        tar_append_padding(&text, (int64_t)strlen(snapshot->commit));
    }
    tar_append_end(&text);
    int result = put_buffer(export, &text, error);
    buffer_free(&text);
    buffer_free(&path);
    free(refs);
    return result;
}

static int put_snapshot(Export *export, const ZooSnapshot *snapshot, Error *error) {
    HubName name = {.repository = (char *)snapshot->repository, .dataset = snapshot->dataset};
    HubListing listing = {0};
    Shelf shelf;
    shelf_open(&shelf, snapshot->store, &name);
    int result = shelf_settle(&shelf, error);
    if (result == 0)
        result = shelf_list(&shelf, snapshot->folder, &listing, error);
    for (size_t i = 0; i < listing.n && result == 0; i++) {
        bool again = false; /* two names for the same bytes */
        for (size_t k = 0; k < i && !again; k++)
            again = strcmp(listing.files[k].hash, listing.files[i].hash) == 0;
        result = again ? 0 : put_blob(export, &shelf, &listing.files[i], error);
    }
    for (size_t i = 0; i < listing.n && result == 0; i++)
        result = put_link(export, &shelf, snapshot->commit, &listing.files[i], error);
    if (result == 0)
        result = put_refs(export, &shelf, snapshot, error);
    hub_listing_free(&listing);
    shelf_close(&shelf);
    return result;
}

int zoo_export_tar(const ZooSnapshot *snapshot, const char *path, int64_t *bytes, Error *error) {
    Buffer partial = {0};
    buffer_printf(&partial, "%s.%ld.incomplete", path, (long)getpid());
    Export export = {.path = path, .file = open(partial.data, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644)};
    int result = export.file < 0 ? error_set(error, "cannot create %s: %s", partial.data, strerror(errno))
                                 : put_snapshot(&export, snapshot, error);
    if (result == 0 && (fsync(export.file) != 0 || rename(partial.data, path) != 0))
        result = error_set(error, "cannot finish %s: %s", path, strerror(errno));
    if (export.file >= 0)
        close(export.file);
    if (result)
        unlink(partial.data);
    *bytes = export.bytes;
    buffer_free(&partial);
    return result;
}

/* ---- in */

/* A link or a ref that is made when all blobs are here. */
typedef struct Promise {
    char *shelf, *commit, *ref; /* ref NULL: a link */
    HubFile file;
} Promise;

typedef struct Import {
    TarReader tar;
    const char *store;
    Promise *promises;
    size_t n;
    int64_t copied;
} Import;

static int refuse(const Import *import, const char *why, Error *error) {
    return error_set(error, "%s: \"%.300s\" %s", import->tar.name, import->tar.entry.path, why);
}

static Promise *promise(Import *import, const char *shelf, const char *commit) {
    import->promises = mem_realloc(import->promises, (import->n + 1) * sizeof *import->promises);
    import->promises[import->n] = (Promise){.shelf = mem_strdup(shelf), .commit = mem_strdup(commit)};
    return &import->promises[import->n++];
}

static int open_shelf(const Import *import, const char *folder, Shelf *out) {
    HubName name;
    if (!shelf_parse(folder, &name))
        return -1;
    shelf_open(out, import->store, &name);
    hub_name_free(&name);
    return 0;
}

static int copy_out(Import *import, int to, const char *partial, Digest *digest, Error *error) {
    char *block = mem_alloc(COPY_BYTES);
    int64_t got = 0;
    int result = 0;
    while (result == 0 && (got = tar_read(&import->tar, block, COPY_BYTES, error)) > 0) {
        digest_update(digest, block, (size_t)got);
        for (int64_t done = 0; done < got && result == 0;) {
            ssize_t wrote = write(to, block + done, (size_t)(got - done));
            if (wrote < 0 && errno != EINTR)
                result = error_set(error, "cannot write %s: %s", partial, strerror(errno));
            done += wrote > 0 ? wrote : 0;
        }
    }
    free(block);
    return got < 0 ? -1 : result;
}

/* A blob gets its name only when its bytes hash to it. */
static int take_blob(Import *import, const Shelf *shelf, const char *hash, Error *error) {
    Buffer suffix = {0};
    buffer_printf(&suffix, ".%ld.incomplete", (long)getpid());
    char *blob = shelf_blob(shelf, hash, ""), *partial = shelf_blob(shelf, hash, suffix.data),
         hex[DIGEST_HEX];
    int result = 0;
    if (file_size(blob) != import->tar.entry.bytes) {
        int to = open(partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
        Digest *digest = digest_begin(hash, import->tar.entry.bytes);
        result = to < 0 ? error_set(error, "cannot create %s: %s", partial, strerror(errno))
                        : copy_out(import, to, partial, digest, error);
        digest_end(digest, hex);
        if (result == 0 && strcmp(hex, hash) != 0)
            result = error_set_kind(error, ERROR_CHECK, "%s: \"%s\" hashes to %s; it was not taken",
                                    import->tar.name, import->tar.entry.path, hex);
        if (result == 0 && (fdatasync(to) != 0 || rename(partial, blob) != 0))
            result = error_set(error, "cannot finish %s: %s", blob, strerror(errno));
        if (result && to >= 0)
            unlink(partial);
        if (to >= 0)
            close(to);
        import->copied += result == 0 ? import->tar.entry.bytes : 0;
    }
    buffer_free(&suffix);
    free(blob);
    free(partial);
    return result;
}

/* COMMIT/PATH, a link to one of the repository's own blobs. */
static int take_link(Import *import, const char *folder, const char *inside, Error *error) {
    const char *slash = strchr(inside, '/');
    char *commit = slash ? mem_strndup(inside, (size_t)(slash - inside)) : mem_strdup(inside);
    const TarEntry *entry = &import->tar.entry;
    const char *hash = path_name(entry->target);
    int result = 0;
    if (!slash || !is_commit(commit) || !path_is_inside(slash + 1))
        result = refuse(import, "is no name in a snapshot", error);
    else if (entry->kind != TAR_LINK || !digest_is_name(hash))
        result = refuse(import, "is no link to a file that is named by its hash", error);
    if (result == 0) {
        HubFile file = {.path = mem_strdup(slash + 1)};
        memcpy(file.hash, hash, strlen(hash) + 1);
        char *target = shelf_link_target(&file);
        if (strcmp(target, entry->target) != 0) {
            result = refuse(import, "is a link that leads out of its repository", error);
            free(file.path);
        } else {
            promise(import, folder, commit)->file = file;
        }
        free(target);
    }
    free(commit);
    return result;
}

static int take_ref(Import *import, const char *folder, const char *revision, Error *error) {
    char commit[MOST_REF_BYTES + 1] = "";
    if (import->tar.entry.kind != TAR_FILE || import->tar.entry.bytes > MOST_REF_BYTES ||
        !revision_is_valid(revision))
        return refuse(import, "is no revision", error);
    if (tar_read(&import->tar, commit, MOST_REF_BYTES, error) < 0)
        return -1;
    commit[strcspn(commit, " \r\n")] = 0;
    if (!is_commit(commit))
        return refuse(import, "holds no commit", error);
    promise(import, folder, commit)->ref = mem_strdup(revision);
    return 0;
}

/* REPOSITORY/blobs/HASH, REPOSITORY/snapshots/COMMIT/PATH, REPOSITORY/refs/REVISION; the rest of a store's
 * files (lists, notes, what is not whole) is left alone. */
static int take_entry(Import *import, Error *error) {
    const char *path = import->tar.entry.path;
    while (text_starts_with(path, "./"))
        path += 2;
    if (import->tar.entry.kind == TAR_FOLDER && (!*path || strcmp(path, ".") == 0))
        return 0;
    size_t length = strlen(path);
    char *folder = mem_strndup(path, length > 0 && path[length - 1] == '/' ? length - 1 : length);
    Shelf shelf = {0};
    int result = 0;
    if (!path_is_inside(folder))
        result = refuse(import, "leads outside its folder", error);
    char *slash = strchr(folder, '/'), *inside = slash ? slash + 1 : NULL;
    if (slash)
        *slash = 0;
    if (result || import->tar.entry.kind == TAR_FOLDER || strcmp(folder, ".locks") == 0) {
        free(folder);
        return result;
    }
    if (!inside || open_shelf(import, folder, &shelf))
        result = refuse(import, "is no part of an exported model or data set", error);
    else if (import->tar.entry.kind == TAR_OTHER)
        result = refuse(import, "is neither a file nor a link", error);
    else if (text_starts_with(inside, "snapshots/"))
        result = take_link(import, folder, inside + strlen("snapshots/"), error);
    else if (text_starts_with(inside, "refs/"))
        result = take_ref(import, folder, inside + strlen("refs/"), error);
    else if (text_starts_with(inside, "blobs/") && digest_is_name(inside + strlen("blobs/"))) {
        if (import->tar.entry.kind != TAR_FILE)
            result = refuse(import, "is no file", error);
        else if ((result = shelf_prepare(&shelf, error)) == 0)
            result = take_blob(import, &shelf, inside + strlen("blobs/"), error);
    }
    shelf_close(&shelf);
    free(folder);
    return result;
}

/* Links and refs; only when every blob that is linked to is here. */
static int keep_promises(Import *import, bool refs, Error *error) {
    int result = 0;
    for (size_t i = 0; i < import->n && result == 0; i++) {
        Promise *given = &import->promises[i];
        Shelf shelf;
        if ((given->ref != NULL) != refs || open_shelf(import, given->shelf, &shelf))
            continue;
        char *blob = refs ? NULL : shelf_blob(&shelf, given->file.hash, "");
        if (blob && !file_exists(blob))
            result = error_set(error, "%s: %s of %s is linked to %s, which is not in the archive",
                               import->tar.name, given->file.path, given->shelf, given->file.hash);
        else if (refs)
            result = shelf_set_ref(&shelf, given->ref, given->commit, error);
        else
            result = shelf_link(&shelf, given->commit, &given->file, error);
        free(blob);
        shelf_close(&shelf);
    }
    return result;
}

int zoo_import_tar(const char *path, size_t *n_files, int64_t *copied, Error *error) {
    char *store = zoo_store_folder();
    Import import = {.store = store};
    int file = open(path, O_RDONLY | O_CLOEXEC), result = 0, got = 0;
    size_t n_entries = 0;
    tar_open(&import.tar, file, path);
    if (file < 0)
        result = error_set_kind(error, ERROR_USAGE, "cannot open %s: %s", path, strerror(errno));
    while (result == 0 && (got = tar_next(&import.tar, error)) > 0)
        result = ++n_entries > MOST_ENTRIES
                     ? error_set(error, "%s has more than %d entries", path, MOST_ENTRIES)
                     : take_entry(&import, error);
    if (result == 0 && got == 0 && import.n == 0)
        result = error_set_kind(error, ERROR_USAGE, "%s holds no exported model or data set", path);
    if (result == 0 && got == 0)
        result = keep_promises(&import, false, error) || keep_promises(&import, true, error) ? -1 : 0;
    *copied = import.copied;
    *n_files = 0;
    for (size_t i = 0; i < import.n; i++) {
        *n_files += import.promises[i].ref == NULL;
        free(import.promises[i].shelf);
        free(import.promises[i].commit);
        free(import.promises[i].ref);
        free(import.promises[i].file.path);
    }
    free(import.promises);
    tar_close(&import.tar);
    if (file >= 0)
        close(file);
    free(store);
    return result || got < 0 ? -1 : 0;
}
