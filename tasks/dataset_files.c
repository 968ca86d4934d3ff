/* Where a split's files lie; see dataset.h. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "tasks/dataset.h"

enum { PARTS_MAX = 10000, DIGITS = 5 };

const char *const dataset_suffixes[] = {".jsonl.gz", ".jsonl",  ".jsonl.bz2", ".parquet", ".json.gz", ".json",
                                        ".json.bz2", ".csv.gz", ".csv",       ".csv.bz2", NULL};

typedef struct Finder {
    const Dataset *asked;
    Arena *arena;
    const char *data_root;
    DatasetFile *files;
    size_t n;
    Error *error;
} Finder;

static const char *on_disk(const Finder *finder, const char *name) {
    return arena_printf(finder->arena, "%s/%s", finder->data_root, name);
}

static void add(Finder *finder, const char *name) {
    finder->files[finder->n++] = (DatasetFile){.name = name, .place = on_disk(finder, name)};
}

static void make_room(Finder *finder, size_t n) {
    finder->files = arena_alloc(finder->arena, n * sizeof *finder->files);
}

/* FOLDER/SPLIT.FORMAT */
static void find_single(Finder *finder, const char *folder) {
    for (size_t i = 0; dataset_suffixes[i]; i++) {
        const char *name =
            arena_printf(finder->arena, "%s/%s%s", folder, finder->asked->split, dataset_suffixes[i]);
        if (!file_exists(on_disk(finder, name)))
            continue;
        make_room(finder, 1);
        add(finder, name);
        return;
    }
}

static bool five_digits(const char *text, size_t *out) {
    *out = 0;
    for (int i = 0; i < DIGITS; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        *out = *out * 10 + (size_t)(text[i] - '0');
    }
    return true;
}

/* "SPLIT-00000-of-00002.FORMAT": how many parts there are, and the index of the format; false if the name is
 * of another form. */
static bool parse_part(const char *name, const char *split, size_t *total, size_t *suffix) {
    size_t length = strlen(split), number;
    if (strncmp(name, split, length) != 0 || name[length] != '-' || !five_digits(name + length + 1, &number))
        return false;
    name += length + 1 + DIGITS;
    if (!text_starts_with(name, "-of-") || !five_digits(name + 4, total))
        return false;
    for (*suffix = 0; dataset_suffixes[*suffix]; ++*suffix)
        if (strcmp(name + 4 + DIGITS, dataset_suffixes[*suffix]) == 0)
            return true;
    return false;
}

static int add_parts(Finder *finder, const char *folder, size_t total, const char *suffix) {
    if (total == 0 || total > PARTS_MAX)
        return error_set(finder->error, "%s: the split %s in %zu parts; 1 to %d are possible",
                         on_disk(finder, folder), finder->asked->split, total, PARTS_MAX);
    make_room(finder, total);
    for (size_t i = 0; i < total; i++) {
        const char *name = arena_printf(finder->arena, "%s/%s-%05zu-of-%05zu%s", folder, finder->asked->split,
                                        i, total, suffix);
        if (!file_exists(on_disk(finder, name)))
            return error_set(finder->error, "part %zu of the split %s is missing: %s", i,
                             finder->asked->split, on_disk(finder, name));
        add(finder, name);
    }
    return 0;
}

/* FOLDER/SPLIT-00000-of-00002.FORMAT ... */
static int find_parts(Finder *finder, const char *folder) {
    DIR *directory = opendir(on_disk(finder, folder));
    size_t total = 0, suffix = 0, n = 0;
    bool alike = true;
    if (!directory)
        return 0;
    for (const struct dirent *entry; (entry = readdir(directory));) {
        size_t its_total, its_suffix;
        if (!parse_part(entry->d_name, finder->asked->split, &its_total, &its_suffix))
            continue;
        alike &= n == 0 || (its_total == total && its_suffix == suffix);
        total = its_total, suffix = its_suffix;
        n++;
    }
    closedir(directory);
    if (n == 0)
        return 0;
    if (!alike)
        return error_set(finder->error, "%s holds the split %s twice, in parts of different number or format",
                         on_disk(finder, folder), finder->asked->split);
    return add_parts(finder, folder, total, dataset_suffixes[suffix]);
}

static const char *numbered(const Finder *finder, const char *folder, size_t i) {
    return arena_printf(finder->arena, "%s/%s/%04zu.parquet", folder, finder->asked->split, i);
}

/* FOLDER/SPLIT/0000.parquet ... */
static void find_numbered(Finder *finder, const char *folder) {
    size_t n = 0;
    while (n < PARTS_MAX && file_exists(on_disk(finder, numbered(finder, folder, n))))
        n++;
    make_room(finder, n + 1);
    for (size_t i = 0; i < n; i++)
        add(finder, numbered(finder, folder, i));
}

int dataset_find(const Dataset *asked, Arena *arena, const char *data_root, DatasetFile **files, size_t *n,
                 Error *error) {
    Finder finder = {.asked = asked, .arena = arena, .data_root = data_root, .error = error};
    const char *const folders[] = {asked->config, "data"};
    size_t n_folders = strcmp(asked->config, "default") == 0 ? 2 : 1;
    for (size_t i = 0; i < n_folders && finder.n == 0; i++) {
        const char *folder = arena_printf(arena, "%s/%s", asked->path, folders[i]);
        find_single(&finder, folder);
        if (finder.n == 0 && find_parts(&finder, folder))
            return -1;
        if (finder.n == 0)
            find_numbered(&finder, folder);
    }
    *files = finder.files;
    *n = finder.n;
    return 0;
}
