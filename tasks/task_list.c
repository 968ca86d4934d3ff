/* What a name can be, and whether task files are in order: behind `zeval tasks`. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "tasks/config.h"
#include "tasks/library.h"

static const char *key_text(const LibraryEntry *entry, const char *name) {
    const Value *value = value_get(&entry->keys, name);
    return value && value->kind == VALUE_STRING ? value->as.text : NULL;
}

static TaskListing list_entry(const LibraryEntry *entry, Arena *arena) {
    TaskListing line = {.name = arena_strdup(arena, entry->name),
                        .kind = !entry->is_group                                   ? "task"
                                : value_get(&entry->keys, "aggregate_metric_list") ? "group"
                                                                                   : "suite",
                        .file = arena_strdup(arena, entry->file)};
    if (entry->is_group) {
        line.n_members = value_get(&entry->keys, "task")->n;
        return line;
    }
    const char *type = key_text(entry, "output_type"), *path = key_text(entry, "dataset_path"),
               *config = key_text(entry, "dataset_name");
    line.output_type = arena_strdup(arena, type ? type : "generate_until");
    line.dataset = arena_printf(arena, "%s%s%s", path ? path : "", config ? " " : "", config ? config : "");
    return line;
}

static TaskListing list_tag(const Library *library, const char *tag, Arena *arena) {
    TaskListing line = {.name = arena_strdup(arena, tag), .kind = "tag", .file = ""};
    for (size_t i = 0; i < library_count(library); i++)
        line.n_members += library_has_tag(library_entry(library, i), tag);
    return line;
}

static int compare(const void *a, const void *b) {
    const TaskListing *left = a, *right = b;
    int order = strcmp(left->name, right->name);
    return order ? order : strcmp(left->kind, right->kind);
}

int task_list(const char *include_path, Compat compat, Arena *arena, TaskListing **out, size_t *n,
              Error *error) {
    Library *library;
    const char **tags;
    size_t n_tags;
    if (library_open(&library, include_path, compat, error))
        return -1;
    library_tags(library, arena, &tags, &n_tags);
    *n = 0;
    size_t n_faults;
    const char *const *faults = library_faults(library, &n_faults);
    *out = arena_alloc(arena, (library_count(library) + n_tags + n_faults + 1) * sizeof **out);
    for (size_t i = 0; i < n_faults; i++)
        (*out)[(*n)++] = (TaskListing){
            .name = "", .kind = "unreadable", .file = "", .fault = arena_strdup(arena, faults[i])};
    for (size_t i = 0; i < library_count(library); i++)
        (*out)[(*n)++] = list_entry(library_entry(library, i), arena);
    for (size_t i = 0; i < n_tags; i++)
        (*out)[(*n)++] = list_tag(library, tags[i], arena);
    qsort(*out, *n, sizeof **out, compare);
    library_close(library);
    return 0;
}

static bool stands_for_something(const Library *library, const char *name) {
    bool found = library_find(library, name) != NULL;
    for (size_t i = 0; i < library_count(library) && !found; i++)
        found = library_has_tag(library_entry(library, i), name);
    return found;
}

static int check_group(const Library *library, const LibraryEntry *entry, Arena *arena, Error *error) {
    GroupConfig group;
    if (config_read_group(&group, entry, arena, error))
        return -1;
    for (size_t i = 0; i < group.members->n; i++) {
        const Value *member = &group.members->as.items[i];
        const Value *name = group_member_name(member);
        const Value *list = value_get(member, "task");
        bool is_group = value_get(member, "group") != NULL;
        bool defines =
            is_group ? list && list->kind == VALUE_LIST : value_get(member, "dataset_path") != NULL;
        if (is_group && !defines && !library_find(library, name->as.text))
            return error_set(error, "%s:%u: task: the group '%.100s' has no list of members", entry->file,
                             member->line, name->as.text);
        if (!defines && !stands_for_something(library, name->as.text))
            return error_set(error, "%s:%u: task: there is no task, group or tag '%.100s'", entry->file,
                             name->line, name->as.text);
    }
    return 0;
}

static int check_entry(const Library *library, const LibraryEntry *entry, Arena *arena, Error *error) {
    TaskConfig task = {0};
    const LibraryEntry *other = library_find(library, entry->name);
    if (other && other->rank == entry->rank && !text_equal(other->file, entry->file))
        return error_set(error, "%s: the name '%.100s' is already that of %s", entry->file, entry->name,
                         other->file);
    return entry->is_group ? check_group(library, entry, arena, error)
                           : config_read(&task, entry, arena, error);
}

int task_file_check(const char *path, const char *include_path, Compat compat, Arena *arena, TaskListing *out,
                    Error *error) {
    Library *library;
    if (!file_exists(path))
        return error_set_kind(error, ERROR_USAGE, "%s: there is no such task file", path);
    if (library_open(&library, include_path, compat, error))
        return -1;
    const LibraryEntry *entry;
    int status = library_add_file(library, path, &entry, error);
    if (status == 0) {
        *out = list_entry(entry, arena);
        status = check_entry(library, entry, arena, error);
    }
    library_close(library);
    return status;
}

/* The checks of a folder's files, gathered. */
typedef struct Checks {
    Library *library;
    Arena *arena;
    TaskListing *lines;
    size_t n, room;
} Checks;

static int check_one(void *context, const char *path, Error *error) {
    Checks *checks = context;
    const LibraryEntry *entry = NULL;
    Error fault = {0};
    (void)error;
    if (checks->n == checks->room) {
        checks->room = checks->room ? checks->room * 2 : 64;
        checks->lines = mem_realloc(checks->lines, checks->room * sizeof *checks->lines);
    }
    TaskListing *line = &checks->lines[checks->n++];
    *line = (TaskListing){.name = "", .kind = "part"};
    int status = library_read_file(checks->library, path, &entry, &fault);
    if (status)
        line->kind = "unreadable";
    if (entry) {
        *line = list_entry(entry, checks->arena);
        status = check_entry(checks->library, entry, checks->arena, &fault);
    }
    line->file = arena_strdup(checks->arena, path);
    line->fault = status ? arena_strdup(checks->arena, fault.message) : NULL;
    return 0;
}

int task_folder_check(const char *folder, const char *include_path, Compat compat, Arena *arena,
                      TaskListing **out, size_t *n, Error *error) {
    Checks checks = {.arena = arena};
    if (library_open(&checks.library, include_path ? include_path : folder, compat, error))
        return -1;
    int status = library_walk(folder, check_one, &checks, error);
    *n = checks.n;
    *out = arena_alloc(arena, (checks.n + 1) * sizeof **out);
    if (checks.n)
        memcpy(*out, checks.lines, checks.n * sizeof **out);
    free(checks.lines);
    library_close(checks.library);
    return status;
}
