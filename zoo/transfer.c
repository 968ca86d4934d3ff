/* A snapshot on its way between stores: every file is hashed while it is copied, and only right ones arrive.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "zoo/digest.h"
#include "zoo/store.h"

enum { COPY_BYTES = 1 << 20, MOST_DEPTH = 32, MOST_FILES = 100000 };

typedef struct Transfer {
    Shelf from, to;
    HubListing listing; /* what the snapshot links to */
    int64_t copied;
} Transfer;

typedef struct Gathering {
    const Shelf *shelf;
    HubListing *listing;
} Gathering;

/* ---- which files */

/* The hash that a link leads to; only blobs of the same repository count. */
static int read_link(const Gathering *gathering, const char *path, HubFile *file, Error *error) {
    struct stat status;
    char target[1024];
    ssize_t length = readlink(path, target, sizeof target - 1);
    target[length > 0 ? length : 0] = 0;
    const char *hash = path_name(target);
    if (length <= 0 || !digest_is_name(hash))
        return error_set(error, "%s: expected a link to a file that is named by its hash", path);
    char *blob = shelf_blob(gathering->shelf, hash, "");
    int found = lstat(blob, &status);
    free(blob);
    if (found != 0 || !S_ISREG(status.st_mode))
        return error_set(error, "%s: the bytes that it is linked to are not in the store's blobs folder",
                         path);
    memcpy(file->hash, hash, strlen(hash) + 1);
    file->bytes = status.st_size;
    return 0;
}

static int gather(Gathering *gathering, const char *folder, const char *below, int depth, Error *error);

static int gather_one(Gathering *gathering, const char *folder, const char *below, const char *name,
                      int depth, Error *error) {
    Buffer inside = {0};
    char *path = path_join(folder, name);
    struct stat status;
    HubFile file = {0};
    int result = 0;
    buffer_printf(&inside, "%s%s%s", below, *below ? "/" : "", name);
    if (!path_is_inside(inside.data))
        result = error_set(error, "%s: its name cannot be stored", path);
    else if (lstat(path, &status) == 0 && S_ISDIR(status.st_mode))
        result = gather(gathering, path, inside.data, depth + 1, error);
    else if (gathering->listing->n >= MOST_FILES)
        result = error_set(error, "%s: the snapshot has more than %d files", folder, MOST_FILES);
    else if ((result = read_link(gathering, path, &file, error)) == 0) {
        file.path = mem_strdup(inside.data);
        HubListing *listing = gathering->listing;
        listing->files = mem_realloc(listing->files, (listing->n + 1) * sizeof *listing->files);
        listing->files[listing->n++] = file;
    }
    buffer_free(&inside);
    free(path);
    return result;
}

static int gather(Gathering *gathering, const char *folder, const char *below, int depth, Error *error) {
    DIR *open = depth <= MOST_DEPTH ? opendir(folder) : NULL;
    int result = 0;
    if (!open)
        return error_set(error, "cannot look into %s: %s", folder,
                         depth <= MOST_DEPTH ? strerror(errno) : "its folders are nested too deeply");
    for (struct dirent *entry; result == 0 && (entry = readdir(open));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            result = gather_one(gathering, folder, below, entry->d_name, depth, error);
    closedir(open);
    return result;
}

int shelf_list(const Shelf *shelf, const char *snapshot, HubListing *out, Error *error) {
    Gathering gathering = {shelf, out};
    *out = (HubListing){0};
    return gather(&gathering, snapshot, "", 0, error);
}

/* ---- one file */

static int copy_bytes(int from, int to, Digest *digest, const char *path, Error *error) {
    char *block = mem_alloc(COPY_BYTES);
    ssize_t got = 0, wrote = 0;
    while (wrote >= 0 && (got = read(from, block, COPY_BYTES)) > 0) {
        digest_update(digest, block, (size_t)got);
        for (ssize_t done = 0; done < got && wrote >= 0; done += wrote)
            wrote = write(to, block + done, (size_t)(got - done));
    }
    int result = got < 0 || wrote < 0 ? error_set(error, "cannot copy %s: %s", path, strerror(errno)) : 0;
    free(block);
    return result;
}

/* Copies the file at `source` into the blob `hash`; -1 with `hex` what its bytes hash to if that is not it,
 * with hex "" and an Error if something else went wrong. */
static int copy_file(const Shelf *to_shelf, const char *source, const char *hash, int64_t bytes,
                     char hex[DIGEST_HEX], Error *error) {
    Buffer suffix = {0};
    buffer_printf(&suffix, ".%ld.incomplete", (long)getpid());
    char *blob = shelf_blob(to_shelf, hash, ""), *partial = shelf_blob(to_shelf, hash, suffix.data);
    int from = open(source, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), result;
    int to = open(partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    Digest *digest = digest_begin(hash, bytes);
    hex[0] = 0;
    if (from < 0 || to < 0)
        result = error_set(error, "cannot open %s: %s", from < 0 ? source : partial, strerror(errno));
    else
        result = copy_bytes(from, to, digest, source, error);
    if (result == 0) {
        digest_end(digest, hex);
        result = strcmp(hex, hash) == 0 ? 0 : -1;
        if (result == 0 && (fdatasync(to) != 0 || rename(partial, blob) != 0)) {
            hex[0] = 0;
            result = error_set(error, "cannot finish %s: %s", blob, strerror(errno));
        }
    } else {
        digest_free(digest);
    }
    if (result && to >= 0)
        unlink(partial);
    if (from >= 0)
        close(from);
    if (to >= 0)
        close(to);
    buffer_free(&suffix);
    free(blob);
    free(partial);
    return result;
}

int shelf_take(const Shelf *shelf, const char *path, const char *hash) {
    char hex[DIGEST_HEX], *blob = shelf_blob(shelf, hash, "");
    int result = digest_file(path, hash, hex, NULL) || strcmp(hex, hash) != 0 ? -1 : link(path, blob);
    if (result != 0 && errno == EXDEV)
        result = copy_file(shelf, path, hash, file_size(path), hex, NULL);
    free(blob);
    return result;
}

static int copy_blob(Transfer *transfer, const HubFile *file, Error *error) {
    char *source = shelf_blob(&transfer->from, file->hash, ""),
         *blob = shelf_blob(&transfer->to, file->hash, ""), hex[DIGEST_HEX];
    int result = 0;
    if (file_size(blob) != file->bytes) {
        result = copy_file(&transfer->to, source, file->hash, file->bytes, hex, error);
        if (result && hex[0])
            error_set_kind(error, ERROR_CHECK,
                           "%s of %s: its bytes hash to %s, expected %s; nothing was taken", file->path,
                           transfer->from.name, hex, file->hash);
        transfer->copied += result == 0 ? file->bytes : 0;
    }
    free(source);
    free(blob);
    return result;
}

/* ---- the whole */

static int set_refs(const Transfer *transfer, const ZooSnapshot *snapshot, Error *error) {
    char *refs = mem_strdup(snapshot->refs), *save = NULL;
    int result = 0;
    for (char *ref = strtok_r(refs, ", ", &save); ref && result == 0; ref = strtok_r(NULL, ", ", &save))
        result = shelf_set_ref(&transfer->to, ref, snapshot->commit, error);
    free(refs);
    return result;
}

static int carry_out(Transfer *transfer, const ZooSnapshot *snapshot, Error *error) {
    int result = shelf_list(&transfer->from, snapshot->folder, &transfer->listing, error);
    if (result == 0)
        result = shelf_prepare(&transfer->to, error);
    for (size_t i = 0; i < transfer->listing.n && result == 0; i++)
        result = copy_blob(transfer, &transfer->listing.files[i], error);
    /* config.json last: a snapshot that has one is whole. */
    for (int last = 0; last < 2; last++)
        for (size_t i = 0; i < transfer->listing.n && result == 0; i++)
            if ((strcmp(transfer->listing.files[i].path, "config.json") == 0) == last)
                result = shelf_link(&transfer->to, snapshot->commit, &transfer->listing.files[i], error);
    return result ? result : set_refs(transfer, snapshot, error);
}

int zoo_copy(const ZooSnapshot *snapshot, const char *store, int64_t *copied, Error *error) {
    HubName name = {.repository = (char *)snapshot->repository, .dataset = snapshot->dataset};
    Transfer transfer = {0};
    shelf_open(&transfer.from, snapshot->store, &name);
    shelf_open(&transfer.to, store, &name);
    int result = carry_out(&transfer, snapshot, error);
    *copied = transfer.copied;
    hub_listing_free(&transfer.listing);
    shelf_close(&transfer.from);
    shelf_close(&transfer.to);
    return result;
}
