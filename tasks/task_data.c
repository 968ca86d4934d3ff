/* Which data sets tasks read, from the task files alone: what has to be here before they can be opened. */
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "tasks/config.h"
#include "tasks/library.h"

enum { MOST_NESTED = 32 };

typedef struct Collector {
    Library *library;
    Arena *arena, *scratch;
    TaskData *found;
    size_t n;
    int depth;
} Collector;

/* The group that a member is reached through, and the keys for all that is below it. */
typedef struct Above {
    const LibraryEntry *group;
    Value overrides;
} Above;

static int collect_name(Collector *collector, const char *name, const Above *above, bool *known,
                        Error *error);
static int collect_entry(Collector *collector, const LibraryEntry *entry, const Above *above, Error *error);

static void add(Collector *collector, const char *path, const char *config, const char *split) {
    config = config ? config : "default";
    for (size_t i = 0; i < collector->n; i++)
        if (strcmp(collector->found[i].path, path) == 0 && strcmp(collector->found[i].config, config) == 0 &&
            strcmp(collector->found[i].split, split) == 0)
            return;
    collector->found = mem_realloc(collector->found, (collector->n + 1) * sizeof *collector->found);
    collector->found[collector->n++] =
        (TaskData){arena_strdup(collector->arena, path), arena_strdup(collector->arena, config),
                   arena_strdup(collector->arena, split)};
}

static int collect_task(Collector *collector, const LibraryEntry *entry, Error *error) {
    TaskConfig task = {0};
    if (config_read(&task, entry, collector->scratch, error))
        return -1;
    const char *const splits[] = {task.training_split, task.validation_split, task.test_split,
                                  task.fewshot_split};
    for (size_t i = 0; i < sizeof splits / sizeof *splits && task.dataset_path && !task.data_files; i++)
        if (splits[i])
            add(collector, task.dataset_path, task.dataset_name, splits[i]);
    return 0;
}

/* A member as the group's file has it; a mapping whose name stands for nothing defines what it names. */
static int collect_member(Collector *collector, const Above *above, const Value *member, Error *error) {
    bool known, is_group = value_get(member, "group") != NULL;
    const char *name = group_member_name(member)->as.text;
    Above below = *above;
    if (member->kind == VALUE_DICT)
        below.overrides = library_merged_keys(collector->scratch, &above->overrides, member);
    bool own_group = is_group && !library_find(collector->library, name);
    const Value *list = value_get(member, "task");
    if (own_group && (!list || list->kind != VALUE_LIST))
        return error_set(error, "%s:%u: task: the group '%.100s' has no list of members", above->group->file,
                         member->line, name);
    if (own_group)
        return collect_entry(collector, library_inline(collector->library, above->group, name, member, true),
                             above, error);
    if (collect_name(collector, name, &below, &known, error))
        return -1;
    if (known || member->kind != VALUE_DICT || !value_get(member, "dataset_path"))
        return 0;
    return collect_task(
        collector, library_inline(collector->library, above->group, name, &below.overrides, false), error);
}

static int collect_group(Collector *collector, const LibraryEntry *entry, const Above *above, Error *error) {
    GroupConfig group;
    if (config_read_group(&group, entry, collector->scratch, error))
        return -1;
    if (++collector->depth > MOST_NESTED)
        return error_set(error, "group %s: groups are nested more than %d deep", entry->name, MOST_NESTED);
    Above below = {entry, library_group_overrides(entry, collector->scratch)};
    if (above)
        below.overrides = library_merged_keys(collector->scratch, &below.overrides, &above->overrides);
    int result = 0;
    for (size_t i = 0; i < group.members->n && result == 0; i++)
        result = collect_member(collector, &below, &group.members->as.items[i], error);
    collector->depth--;
    return result;
}

static int collect_entry(Collector *collector, const LibraryEntry *entry, const Above *above, Error *error) {
    if (entry->is_group)
        return collect_group(collector, entry, above, error);
    if (above)
        entry = library_override(collector->library, entry, &above->overrides, above->group->file);
    return collect_task(collector, entry, error);
}

/* A task, a group, a tag or a pattern of names. */
static int collect_name(Collector *collector, const char *name, const Above *above, bool *known,
                        Error *error) {
    const LibraryEntry *entry = library_find(collector->library, name);
    *known = entry != NULL;
    if (entry)
        return collect_entry(collector, entry, above, error);
    bool pattern = strpbrk(name, "*?[") != NULL;
    for (size_t i = 0; i < library_count(collector->library); i++) {
        entry = library_entry(collector->library, i);
        if (!library_has_tag(entry, name) && !(pattern && text_glob(name, entry->name)))
            continue;
        *known = true;
        if (collect_entry(collector, entry, above, error))
            return -1;
    }
    return 0;
}

/* One name as the user gave it: "NAME:5" asks for five examples, "FILE.yaml" is a task file. */
static int collect_asked(Collector *collector, const char *asked, Error *error) {
    const LibraryEntry *entry;
    bool known = false;
    const char *colon = strrchr(asked, ':');
    bool shots = colon && colon[1] && strspn(colon + 1, "0123456789") == strlen(colon + 1);
    char *name = shots ? mem_strndup(asked, (size_t)(colon - asked)) : mem_strdup(asked);
    int result = 0;
    if (text_ends_with(name, ".yaml") && file_exists(name)) {
        known = true;
        result = library_add_file(collector->library, name, &entry, error) ||
                 collect_entry(collector, entry, NULL, error);
    } else {
        result = collect_name(collector, name, NULL, &known, error);
    }
    if (result == 0 && !known)
        result = library_unknown(collector->library, name, error);
    free(name);
    return result ? -1 : 0;
}

int task_data(const TaskOptions *options, Arena *arena, TaskData **out, size_t *n, Error *error) {
    Arena scratch = {0};
    Collector collector = {.arena = arena, .scratch = &scratch};
    *out = NULL;
    *n = 0;
    int result = library_open(&collector.library, options->include_path, options->compat, error);
    for (size_t i = 0; i < options->n_names && result == 0; i++)
        result = collect_asked(&collector, options->names[i], error);
    if (result == 0 && collector.n > 0) {
        *out = arena_alloc(arena, collector.n * sizeof **out);
        memcpy(*out, collector.found, collector.n * sizeof **out);
        *n = collector.n;
    }
    free(collector.found);
    library_close(collector.library);
    arena_free(&scratch);
    return result;
}
