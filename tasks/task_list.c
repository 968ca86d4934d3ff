/* What a name can be: the listing behind `zeval tasks`. */
#include <stdlib.h>
#include <string.h>

#include "tasks/library.h"

static const char *key_text(const LibraryEntry *entry, const char *name) {
    const Value *value = value_get(&entry->keys, name);
    return value && value->kind == VALUE_STRING ? value->as.text : NULL;
}

static TaskListing list_entry(const LibraryEntry *entry, Arena *arena) {
    TaskListing line = {.name = arena_strdup(arena, entry->name),
                        .kind = entry->is_group ? "group" : "task",
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

int task_list(const char *include_path, Arena *arena, TaskListing **out, size_t *n, Error *error) {
    Library *library;
    const char **tags;
    size_t n_tags;
    if (library_open(&library, include_path, error))
        return -1;
    library_tags(library, arena, &tags, &n_tags);
    *n = 0;
    *out = arena_alloc(arena, (library_count(library) + n_tags + 1) * sizeof **out);
    for (size_t i = 0; i < library_count(library); i++)
        (*out)[(*n)++] = list_entry(library_entry(library, i), arena);
    for (size_t i = 0; i < n_tags; i++)
        (*out)[(*n)++] = list_tag(library, tags[i], arena);
    qsort(*out, *n, sizeof **out, compare);
    library_close(library);
    return 0;
}
