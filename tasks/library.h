/* The library of task files: those in the binary and those in a folder of the user's. Reads every file's keys
 * with includes merged, so that tasks, groups and tags are known by name before any is opened. */
#ifndef ZEVAL_TASKS_LIBRARY_H
#define ZEVAL_TASKS_LIBRARY_H

#include "tasks/tasks.h"
#include "tasks/value.h"

typedef struct LibraryFile {
    const char *name; /* path as found; of an embedded file its name there */
    const char *root; /* the folder that includes may not leave */
    bool embedded;
    bool parsed;
    Value keys; /* as written */
    int64_t bytes;
    const char *sha256;
} LibraryFile;

/* One task or group. */
typedef struct LibraryEntry {
    const char *name;
    bool is_group;
    Compat compat; /* the library's profile */
    int rank;      /* of equal names the lower hides the higher: a user's file, the profile's, any built-in */
    const char *file;
    const char
        *rival; /* another of the user's files that has the name too: an error where it is used; or NULL */
    Value keys; /* includes merged; each pair's `line` is where its own file has it */
    const char **key_files;    /* [keys.n] the file each pair comes from */
    const LibraryFile **files; /* [n_files] the file itself and all that it includes */
    size_t n_files;
} LibraryEntry;

typedef struct Library Library;

/* Indexes the task files below include_path (may be NULL), which come first, and the embedded ones as the
 * profile has them. A user's file that cannot be read is left out: see library_faults. */
int library_open(Library **out, const char *include_path, Compat compat, Error *error);
void library_close(Library *library);

/* Why files were left out, a sentence for each that names the file. */
const char *const *library_faults(const Library *library, size_t *n);
/* The error of a name that stands for nothing: what is near to it, and which file was left out. ERROR_USAGE.
 */
int library_unknown(const Library *library, const char *name, Error *error);

/* All entries, sorted by name. */
size_t library_count(const Library *library);
const LibraryEntry *library_entry(const Library *library, size_t i);
/* NULL if there is none of that name. */
const LibraryEntry *library_find(const Library *library, const char *name);
/* Adds one file by its path and gives its entry. */
int library_add_file(Library *library, const char *path, const LibraryEntry **out, Error *error);
/* The same, but *out is NULL for a file that names no task or group: a part of others. */
int library_read_file(Library *library, const char *path, const LibraryEntry **out, Error *error);
/* Calls `visit` with the path of every .yaml file below the folder, sorted folder by folder, until it returns
 * -1. */
int library_walk(const char *folder, int (*visit)(void *context, const char *path, Error *error),
                 void *context, Error *error);

/* True if the library has no such task only because upstream's came after its profile. */
bool library_came_later(const Library *library, const char *name);

/* True if the entry carries the tag; a task's key `group`, as old files write it, is one. */
bool library_has_tag(const LibraryEntry *entry, const char *tag);
/* The entry with other values for the keys in the mapping `keys`, which come from `file`; the entry itself if
 * there are none. Lives in the library. */
const LibraryEntry *library_override(Library *library, const LibraryEntry *entry, const Value *keys,
                                     const char *file);
/* An entry that a group's file defines among its members: NAME of group GROUP is called GROUP::NAME. */
const LibraryEntry *library_inline(Library *library, const LibraryEntry *group, const char *name,
                                   const Value *keys, bool is_group);
/* The keys of a group that are not a group's own: they override those of its members. */
Value library_group_overrides(const LibraryEntry *group, Arena *arena);
/* Two mappings as one; what `over` has wins. */
Value library_merged_keys(Arena *arena, const Value *base, const Value *over);

/* All tags, sorted, each once; allocated in arena. */
void library_tags(const Library *library, Arena *arena, const char ***out, size_t *n);
/* How many letters differ: insertions, deletions, replacements. Texts over 64 bytes are far from all. */
size_t text_distance(const char *a, const char *b);

#endif
