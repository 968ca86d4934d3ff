/* Data sets as the tasks look for them: a folder of links ORG/NAME to snapshots. It is made anew each time it
 * is asked for, so it never says anything that the stores do not. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "zoo/store.h"
#include "zoo/walk.h"

/* Of several snapshots the converted one is taken, then main, then any; ours before the Python client's. */
static int rank(const ZooSnapshot *snapshot) {
    int order = strstr(snapshot->refs, PARQUET_REVISION) ? 0 : strstr(snapshot->refs, "main") ? 1 : 2;
    return order + (snapshot->ours ? 0 : 3);
}

static const ZooSnapshot *best(const ZooSnapshot *snapshots, size_t n, const char *repository) {
    const ZooSnapshot *found = NULL;
    for (size_t i = 0; i < n; i++)
        if (snapshots[i].dataset && strcmp(snapshots[i].repository, repository) == 0 &&
            (!found || rank(&snapshots[i]) < rank(found)))
            found = &snapshots[i];
    return found;
}

static int link_data_set(const char *view, const ZooSnapshot *snapshot, Error *error) {
    char *link = path_join(view, snapshot->repository), *folder = path_folder(link),
         *target = realpath(snapshot->folder, NULL), found[1024];
    Buffer temporary = {0};
    buffer_printf(&temporary, "%s.%ld.link", link, (long)getpid());
    int result = target ? file_make_directories(folder, error) : 0;
    ssize_t length = readlink(link, found, sizeof found);
    bool there = target && length == (ssize_t)strlen(target) && memcmp(found, target, (size_t)length) == 0;
    if (result == 0 && target && !there) {
        unlink(temporary.data);
        if (symlink(target, temporary.data) != 0 || rename(temporary.data, link) != 0)
            result = error_set(error, "cannot link %s to %s: %s", link, target, strerror(errno));
    }
    buffer_free(&temporary);
    free(target);
    free(link);
    free(folder);
    return result;
}

/* A link that leads nowhere is of a data set that was removed. */
static int drop_dead(void *context, const char *path, const char *below) {
    struct stat status;
    (void)context;
    (void)below;
    if (stat(path, &status) != 0 && errno == ENOENT)
        unlink(path);
    return 0;
}

int zoo_data_folder(char **out, Error *error) {
    Arena arena = {0};
    ZooSnapshot *snapshots;
    size_t n, n_linked = 0;
    char *cache = zoo_cache_folder(), *view = path_join(cache, "data");
    int result = zoo_list(NULL, &arena, &snapshots, &n, error);
    for (size_t i = 0; i < n && result == 0; i++)
        if (snapshots[i].dataset && best(snapshots, n, snapshots[i].repository) == &snapshots[i] &&
            (result = snapshot_settle(&snapshots[i], error)) == 0) {
            result = link_data_set(view, &snapshots[i], error);
            n_linked++;
        }
    walk_files(view, drop_dead, NULL);
    *out = result == 0 && n_linked > 0 ? mem_strdup(view) : NULL;
    free(view);
    free(cache);
    arena_free(&arena);
    return result;
}

/* .../datasets--ORG--NAME/snapshots/COMMIT */
char *zoo_provenance(const char *folder) {
    char *real = realpath(folder, NULL), *shelf = NULL, *middle = NULL;
    Buffer text = {0};
    HubName name = {0};
    if (real && is_commit(path_name(real))) {
        middle = path_folder(real);
        shelf = path_folder(middle);
        if (strcmp(path_name(middle), "snapshots") == 0 && shelf_parse(path_name(shelf), &name)) {
            buffer_printf(&text, "%s%s@%s", name.dataset ? "datasets/" : "", name.repository,
                          path_name(real));
            hub_name_free(&name);
        }
    }
    free(real);
    free(middle);
    free(shelf);
    return text.data;
}
