/* What is in the stores: listing, checking, removing, measuring. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "zoo/digest.h"
#include "zoo/store.h"
#include "zoo/walk.h"
#include "zoo/web.h"

/* ---- listing */

typedef struct Lister {
    Arena *arena;
    ZooSnapshot *found;
    size_t n;
    const HubName *only;
    const char *only_commit;
    bool ours;
    const char *store;
    const Shelf *shelf; /* the repository at hand */
    const HubName *name;
    const char *commit;
    Buffer refs;
} Lister;

static int add_size(void *context, const char *path, const char *below) {
    ZooSnapshot *snapshot = context;
    (void)below;
    int64_t bytes = file_size(path);
    snapshot->n_files++;
    snapshot->bytes += bytes > 0 ? bytes : 0;
    return 0;
}

static int add_ref(void *context, const char *path, const char *below) {
    Lister *lister = context;
    (void)path;
    char *commit = revision_is_valid(below) ? shelf_commit(lister->shelf, below) : NULL;
    if (commit && strcmp(commit, lister->commit) == 0)
        buffer_printf(&lister->refs, "%s%s", lister->refs.size ? ", " : "", below);
    free(commit);
    return 0;
}

static int add_snapshot(void *context, const char *folder, const char *name) {
    Lister *lister = context;
    if (!is_commit(name) || (lister->only_commit && strcmp(lister->only_commit, name) != 0))
        return 0;
    char *path = path_join(folder, name), *refs = path_join(lister->shelf->folder, "refs");
    if (file_is_directory(path)) {
        lister->commit = name;
        buffer_clear(&lister->refs);
        walk_files(refs, add_ref, lister);
        lister->found = mem_realloc(lister->found, (lister->n + 1) * sizeof *lister->found);
        ZooSnapshot *snapshot = &lister->found[lister->n++];
        *snapshot =
            (ZooSnapshot){.repository = arena_strdup(lister->arena, lister->name->repository),
                          .commit = arena_strdup(lister->arena, name),
                          .folder = arena_strdup(lister->arena, path),
                          .store = arena_strdup(lister->arena, lister->store),
                          .refs = arena_strdup(lister->arena, lister->refs.size ? lister->refs.data : ""),
                          .dataset = lister->name->dataset,
                          .ours = lister->ours};
        walk_files(path, add_size, snapshot);
    }
    free(path);
    free(refs);
    return 0;
}

static int add_shelf(void *context, const char *folder, const char *name) {
    Lister *lister = context;
    HubName here;
    if (!shelf_parse(name, &here))
        return 0;
    Shelf shelf;
    shelf_open(&shelf, folder, &here);
    bool wanted = !lister->only || (lister->only->dataset == here.dataset &&
                                    strcmp(lister->only->repository, here.repository) == 0);
    if (wanted) {
        char *commit = lister->only ? shelf_commit(&shelf, lister->only->revision) : NULL;
        if (!commit && lister->only && lister->only->unnamed)
            commit = shelf_commit(&shelf, "main");
        char *snapshots = path_join(shelf.folder, "snapshots");
        lister->only_commit = commit;
        lister->shelf = &shelf;
        lister->name = &here;
        if (!lister->only || commit)
            each_name(snapshots, add_snapshot, lister);
        free(snapshots);
        free(commit);
    }
    shelf_close(&shelf);
    hub_name_free(&here);
    return 0;
}

/* By repository; then ours first, since the first that is found is the one used; then by commit. */
static int compare_snapshots(const void *a, const void *b) {
    const ZooSnapshot *first = a, *second = b;
    int order = strcmp(first->repository, second->repository);
    if (order == 0)
        order = (int)second->ours - (int)first->ours;
    return order ? order : strcmp(first->commit, second->commit);
}

static void list_stores(Lister *lister) {
    char *stores[2];
    store_folders(stores);
    for (int i = 0; i < 2; i++) {
        lister->ours = i == 0;
        lister->store = stores[i];
        if (stores[i])
            each_name(stores[i], add_shelf, lister);
        free(stores[i]);
    }
}

/* Sorts what was found and moves it into the arena. */
static void hand_over(Lister *lister, ZooSnapshot **out, size_t *n) {
    if (lister->n > 0) {
        qsort(lister->found, lister->n, sizeof *lister->found, compare_snapshots);
        *out = arena_alloc(lister->arena, lister->n * sizeof **out);
        memcpy(*out, lister->found, lister->n * sizeof **out);
    }
    *n = lister->n;
    free(lister->found);
    buffer_free(&lister->refs);
}

int zoo_list(const char *name, Arena *arena, ZooSnapshot **out, size_t *n, Error *error) {
    Lister lister = {.arena = arena};
    HubName only = {0};
    *out = NULL;
    *n = 0;
    if (name) {
        Registry registry;
        if (zoo_registry_open(&registry, NULL, error))
            return -1;
        int result = hub_name_parse(&only, name, &registry, error);
        zoo_registry_close(&registry);
        if (result)
            return -1;
        lister.only = &only;
    }
    list_stores(&lister);
    hub_name_free(&only);
    hand_over(&lister, out, n);
    return 0;
}

int zoo_list_folder(const char *folder, Arena *arena, ZooSnapshot **out, size_t *n, Error *error) {
    Lister lister = {.arena = arena, .store = folder};
    *out = NULL;
    *n = 0;
    if (!file_is_directory(folder) || access(folder, R_OK | X_OK) != 0)
        return error_set_kind(error, ERROR_USAGE, "%s: expected a folder that can be read", folder);
    each_name(folder, add_shelf, &lister);
    hand_over(&lister, out, n);
    return 0;
}

/* ---- removing */

static int unlink_file(void *context, const char *path, const char *below) {
    (void)below;
    if (unlink(path) != 0)
        return error_set(context, "cannot remove %s: %s", path, strerror(errno));
    return 0;
}

static int remove_empty(void *context, const char *folder, const char *name) {
    (void)context;
    char *path = path_join(folder, name);
    struct stat status;
    if (lstat(path, &status) == 0 && S_ISDIR(status.st_mode)) {
        each_name(path, remove_empty, NULL);
        rmdir(path);
    }
    free(path);
    return 0;
}

/* The blobs that snapshots still link to, as one text of lines. */
static int note_use(void *context, const char *path, const char *below) {
    char target[512];
    (void)below;
    ssize_t length = readlink(path, target, sizeof target - 1);
    if (length > 0) {
        target[length] = 0;
        buffer_printf(context, "\n%s\n", path_name(target));
    }
    return 0;
}

typedef struct Sweep {
    const Buffer *used;
    int64_t freed;
    Error *error;
} Sweep;

static int sweep_blob(void *context, const char *folder, const char *name) {
    Sweep *sweep = context;
    Buffer line = {0};
    char *path = path_join(folder, name);
    int result = 0;
    buffer_printf(&line, "\n%s\n", name);
    if (!sweep->used->data || !strstr(sweep->used->data, line.data)) {
        int64_t bytes = file_size(path);
        result = unlink_file(sweep->error, path, name);
        sweep->freed += result == 0 && bytes > 0 ? bytes : 0;
    }
    buffer_free(&line);
    free(path);
    return result;
}

static void drop_refs(const Shelf *shelf, const ZooSnapshot *snapshot) {
    char *refs = mem_strdup(snapshot->refs), *save = NULL;
    for (char *ref = strtok_r(refs, ", ", &save); ref; ref = strtok_r(NULL, ", ", &save)) {
        Buffer path = {0};
        buffer_printf(&path, "%s/refs/%s", shelf->folder, ref);
        unlink(path.data);
        buffer_free(&path);
    }
    free(refs);
}

static int remove_from_shelf(const Shelf *shelf, const ZooSnapshot *snapshot, int64_t *freed, Error *error) {
    Buffer used = {0}, tree = {0};
    char *snapshots = path_join(shelf->folder, "snapshots"), *blobs = path_join(shelf->folder, "blobs"),
         *note = path_join(shelf->folder, "unsettled");
    Sweep sweep = {.used = &used, .error = error};
    buffer_printf(&tree, "%s/trees/%s.json", shelf->folder, snapshot->commit);
    drop_refs(shelf, snapshot);
    int result = walk_files(snapshot->folder, unlink_file, error);
    if (result == 0) {
        unlink(tree.data);
        walk_files(snapshots, note_use, &used);
        result = each_name(blobs, sweep_blob, &sweep);
        web_forget(shelf);
        each_name(shelf->folder, remove_empty, NULL);
        if (!file_exists(blobs))
            unlink(note);
        rmdir(shelf->folder);
    }
    *freed = sweep.freed;
    buffer_free(&used);
    buffer_free(&tree);
    free(snapshots);
    free(blobs);
    free(note);
    return result;
}

int zoo_remove(const ZooSnapshot *snapshot, int64_t *freed, Error *error) {
    *freed = 0;
    if (!snapshot->ours)
        return error_set_kind(error, ERROR_USAGE,
                              "%s lies in %s, which belongs to the hub's Python client; remove it with that",
                              snapshot->repository, snapshot->store);
    HubName name = {.repository = (char *)snapshot->repository, .dataset = snapshot->dataset};
    Shelf shelf;
    shelf_open(&shelf, snapshot->store, &name);
    int result = remove_from_shelf(&shelf, snapshot, freed, error);
    shelf_close(&shelf);
    return result;
}

/* ---- measuring */

typedef struct Meter {
    Arena *arena;
    ZooUsage *found;
    size_t n;
} Meter;

static int measure_blob(void *context, const char *path, const char *below) {
    ZooUsage *usage = context;
    int64_t bytes = file_size(path);
    bool whole = !strchr(below, '.');
    usage->n_blobs += whole;
    usage->n_partial += !whole;
    usage->bytes += whole && bytes > 0 ? bytes : 0;
    usage->partial_bytes += !whole && bytes > 0 ? bytes : 0;
    return 0;
}

static int count_commit(void *context, const char *folder, const char *name) {
    ZooUsage *usage = context;
    (void)folder;
    usage->n_snapshots += is_commit(name);
    return 0;
}

static int measure_shelf(void *context, const char *folder, const char *name) {
    Meter *meter = context;
    HubName here;
    if (!shelf_parse(name, &here))
        return 0;
    char *shelf = path_join(folder, name), *blobs = path_join(shelf, "blobs"),
         *snapshots = path_join(shelf, "snapshots");
    meter->found = mem_realloc(meter->found, (meter->n + 1) * sizeof *meter->found);
    ZooUsage *usage = &meter->found[meter->n++];
    *usage = (ZooUsage){.repository = arena_strdup(meter->arena, here.repository), .dataset = here.dataset};
    walk_files(blobs, measure_blob, usage);
    each_name(snapshots, count_commit, usage);
    free(shelf);
    free(blobs);
    free(snapshots);
    hub_name_free(&here);
    return 0;
}

static int compare_usage(const void *a, const void *b) {
    return strcmp(((const ZooUsage *)a)->repository, ((const ZooUsage *)b)->repository);
}

int zoo_usage(Arena *arena, ZooUsage **out, size_t *n, Error *error) {
    Meter meter = {.arena = arena};
    char *store = zoo_store_folder();
    int result = 0;
    if (file_exists(store) && access(store, R_OK | X_OK) != 0)
        result = error_set(error, "cannot look into %s: %s", store, strerror(errno));
    else
        each_name(store, measure_shelf, &meter);
    *out = arena_alloc(arena, (meter.n + 1) * sizeof **out);
    if (meter.n > 0) {
        qsort(meter.found, meter.n, sizeof *meter.found, compare_usage);
        memcpy(*out, meter.found, meter.n * sizeof **out);
    }
    *n = meter.n;
    free(meter.found);
    free(store);
    return result;
}
