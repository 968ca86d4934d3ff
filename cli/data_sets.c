/* See data_sets.h. */
#include "cli/data_sets.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"

enum { FORMS = 6 };

/* The layouts that the tasks read: the hub's conversion, and what repositories have themselves. */
static void add_patterns(DataSet *set, Arena *arena, const TaskData *data) {
    const char *folders[] = {data->config, "data"};
    static const char *const ends[] = {"/*.parquet", "-*", ".*"};
    size_t n_folders = strcmp(data->config, "default") == 0 ? 2 : 1;
    const char **more = arena_alloc(arena, (set->n_patterns + FORMS) * sizeof *more);
    if (set->n_patterns > 0)
        memcpy(more, set->patterns, set->n_patterns * sizeof *more);
    set->patterns = more;
    for (size_t f = 0; f < n_folders; f++)
        for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
            set->patterns[set->n_patterns++] =
                arena_printf(arena, "%s/%s%s", folders[f], data->split, ends[i]);
}

int data_sets_of_tasks(DataSets *out, const TaskOptions *options, Arena *arena, Error *error) {
    TaskData *data;
    size_t n;
    *out = (DataSets){0};
    if (task_data(options, arena, &data, &n, error))
        return -1;
    out->items = mem_alloc_zero(n + 1, sizeof *out->items);
    for (size_t i = 0; i < n; i++) {
        size_t at = 0;
        while (at < out->n && strcmp(out->items[at].path, data[i].path) != 0)
            at++;
        if (at == out->n)
            out->items[out->n++].path = data[i].path;
        add_patterns(&out->items[at], arena, &data[i]);
    }
    return 0;
}

static bool is_built_in(const char *path) {
    Buffer prefix = {0};
    bool found = false;
    buffer_printf(&prefix, "zoo/demo/data/%s/", path);
    for (size_t i = 0; i < n_embedded_files && !found; i++)
        found = text_starts_with(embedded_files[i].name, prefix.data);
    buffer_free(&prefix);
    return found;
}

void data_sets_drop_present(DataSets *sets, const char *data_root) {
    size_t n = 0;
    for (size_t i = 0; i < sets->n; i++) {
        char *folder = data_root ? path_join(data_root, sets->items[i].path) : NULL;
        if (!is_built_in(sets->items[i].path) && !(folder && file_is_directory(folder)))
            sets->items[n++] = sets->items[i];
        free(folder);
    }
    sets->n = n;
}

void data_sets_free(DataSets *sets) {
    free(sets->items);
    *sets = (DataSets){0};
}

int data_set_pull(const DataSet *set, const PullOptions *options, PullResult *result, Error *error) {
    PullOptions only = *options;
    PullResult own;
    Buffer name = {0};
    buffer_printf(&name, "datasets/%s", set->path);
    only.only = set->patterns;
    only.n_only = set->n_patterns;
    int failed = zoo_pull(result ? result : &own, name.data, &only, error);
    if (!failed && !result)
        pull_result_free(&own);
    buffer_free(&name);
    return failed;
}
