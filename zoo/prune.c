/* What a store holds that nothing needs: files that no snapshot links to, downloads that were begun or put
 * aside, and, if wanted, revisions that no branch or tag points at any more. A repository that somebody pulls
 * at the moment is left alone. */
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "zoo/digest.h"
#include "zoo/store.h"
#include "zoo/walk.h"
#include "zoo/web.h"

/* Names of blobs, sorted before they are asked for. */
typedef struct NameSet {
    char (*names)[DIGEST_HEX];
    size_t n, room;
} NameSet;

typedef struct Pruner {
    const PruneOptions *options;
    PruneResult *result;
    Error *error;
    const char *repository; /* "datasets/ORG/NAME" */
    NameSet used;
} Pruner;

static int note_link(void *context, const char *path, const char *below) {
    NameSet *used = context;
    char target[1024];
    (void)below;
    ssize_t length = readlink(path, target, sizeof target - 1);
    target[length > 0 ? length : 0] = 0;
    const char *name = path_name(target);
    if (length <= 0 || !digest_is_name(name))
        return 0;
    if (used->n == used->room) {
        used->room = 2 * used->room + 64;
        used->names = mem_realloc(used->names, used->room * sizeof *used->names);
    }
    memcpy(used->names[used->n++], name, strlen(name) + 1);
    return 0;
}

static int compare_hashes(const void *a, const void *b) {
    return strcmp(a, b);
}

static bool is_used(const NameSet *used, const char *name) {
    return used->n > 0 && bsearch(name, used->names, used->n, sizeof *used->names, compare_hashes);
}

static int prune_blob(void *context, const char *folder, const char *name) {
    Pruner *pruner = context;
    bool whole = digest_is_name(name);
    struct stat status;
    if (whole && is_used(&pruner->used, name))
        return 0;
    char *path = path_join(folder, name);
    int result = 0;
    if (lstat(path, &status) == 0 && S_ISREG(status.st_mode)) {
        int64_t bytes = (int64_t)status.st_blocks * 512;
        if (!pruner->options->dry_run && unlink(path) != 0)
            result = error_set(pruner->error, "cannot remove %s", path);
        else
            pruner->options->report(pruner->options->context, pruner->repository,
                                    whole                               ? "unused file"
                                    : text_ends_with(name, ".mismatch") ? "wrong bytes"
                                                                        : "unfinished download",
                                    name, bytes);
        pruner->result->bytes += bytes;
        pruner->result->n++;
    }
    free(path);
    return result;
}

/* The lock that pulls share, for ourselves; false if somebody pulls. */
static bool lock_alone(const Shelf *shelf, int *lock) {
    *lock = shelf_writing_lock(shelf);
    return *lock >= 0 && flock(*lock, LOCK_EX | LOCK_NB) == 0;
}

static int prune_shelf(void *context, const char *store, const char *folder) {
    Pruner *pruner = context;
    HubName name;
    Shelf shelf;
    int lock = -1, result = 0;
    if (!shelf_parse(folder, &name))
        return 0;
    shelf_open(&shelf, store, &name);
    char *snapshots = path_join(shelf.folder, "snapshots"), *blobs = path_join(shelf.folder, "blobs");
    Buffer repository = {0};
    buffer_printf(&repository, "%s%s", name.dataset ? "datasets/" : "", name.repository);
    pruner->repository = repository.data;
    if (file_is_directory(blobs) && shelf_prepare(&shelf, pruner->error))
        result = -1;
    else if (!lock_alone(&shelf, &lock)) {
        pruner->result->n_busy++;
    } else {
        pruner->used.n = 0;
        walk_files(snapshots, note_link, &pruner->used);
        if (pruner->used.n > 0)
            qsort(pruner->used.names, pruner->used.n, sizeof *pruner->used.names, compare_hashes);
        result = each_name(blobs, prune_blob, pruner);
        web_forget(&shelf);
    }
    if (lock >= 0)
        close(lock);
    buffer_free(&repository);
    free(snapshots);
    free(blobs);
    shelf_close(&shelf);
    hub_name_free(&name);
    return result;
}

static int prune_revisions(Pruner *pruner, const char *store) {
    Arena arena = {0};
    ZooSnapshot *snapshots;
    size_t n = 0;
    int result = zoo_list_folder(store, &arena, &snapshots, &n, pruner->error);
    for (size_t i = 0; i < n && result == 0; i++) {
        int64_t freed = snapshots[i].bytes;
        if (*snapshots[i].refs)
            continue;
        snapshots[i].ours = true;
        if (!pruner->options->dry_run)
            result = zoo_remove(&snapshots[i], &freed, pruner->error);
        if (result == 0)
            pruner->options->report(pruner->options->context, snapshots[i].repository,
                                    "revision without a name", snapshots[i].commit, freed);
        pruner->result->bytes += freed;
        pruner->result->n++;
    }
    arena_free(&arena);
    return result;
}

int zoo_prune(const PruneOptions *options, PruneResult *out, Error *error) {
    Pruner pruner = {.options = options, .result = out, .error = error};
    char *store = zoo_store_folder();
    int result = 0;
    *out = (PruneResult){0};
    if (options->revisions && file_is_directory(store))
        result = prune_revisions(&pruner, store);
    if (result == 0)
        result = each_name(store, prune_shelf, &pruner);
    free(pruner.used.names);
    free(store);
    return result;
}
