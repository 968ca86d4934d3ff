/* A split whose files a task names itself, as load_dataset's data_files does; see dataset.h. */
#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "tasks/dataset.h"

enum { FILES_MAX = 10000 };
static const char hub[] = "hf://datasets/";

bool dataset_reads_files(const char *path) {
    return text_equal(path, "json") || text_equal(path, "csv") || text_equal(path, "parquet");
}

typedef struct Named {
    const Dataset *asked;
    const char *data_root;
    Arena *arena;
    DatasetFile *files;
    size_t n;
    Error *error;
} Named;

/* "hf://datasets/ORG/NAME@REVISION/FILE" lies at ORG/NAME/FILE in the data folder; every other name is one of
 * this machine. NULL on an error. */
static const char *place_of(Named *named, const char *name) {
    if (!text_starts_with(name, hub))
        return name;
    const char *rest = name + strlen(hub), *at = strchr(rest, '@'), *after = at ? strchr(at, '/') : NULL;
    const char *inside = after ? arena_printf(named->arena, "%.*s%s", (int)(at - rest), rest, after)
                               : arena_strdup(named->arena, rest);
    if (!path_is_inside(inside)) {
        error_set(named->error, "the data file '%.200s' would leave the data folder", name);
        return NULL;
    }
    if (named->data_root)
        return arena_printf(named->arena, "%s/%s", named->data_root, inside);
    error_set(named->error,
              "the data file %.200s is not here and no data folder was given; name the one that holds %.200s",
              name, inside);
    return NULL;
}

static int check_format(Named *named, const char *file) {
    const char *format = named->asked->path, *name = path_name(file);
    bool parquet = text_ends_with(name, ".parquet"), csv = strstr(name, ".csv") != NULL;
    if (parquet == (strcmp(format, "parquet") == 0) && csv == (strcmp(format, "csv") == 0))
        return 0;
    return error_set(named->error, "%s: by its name this is no %s file, which dataset_path says", file,
                     format);
}

/* A name or a pattern: all files that it stands for, in order of their names. */
static int add_matches(Named *named, const char *name) {
    const char *place = place_of(named, name);
    size_t root = text_starts_with(name, hub) && named->data_root ? strlen(named->data_root) + 1 : 0;
    glob_t found;
    if (!place)
        return -1;
    int status = glob(place, 0, NULL, &found);
    if (status) {
        globfree(&found);
        return error_set(named->error, "the data file %s is missing%s", place,
                         *place == '/' ? ""
                                       : " (it is looked for from the working directory, as upstream does)");
    }
    for (size_t i = 0; i < found.gl_pathc && !status; i++) {
        const char *file = arena_strdup(named->arena, found.gl_pathv[i]);
        if (named->n == FILES_MAX)
            status = error_set(named->error, "%s: more than %d files", place, FILES_MAX);
        else if ((status = check_format(named, file)) == 0)
            named->files[named->n++] = (DatasetFile){.name = file + root, .place = file};
    }
    globfree(&found);
    return status;
}

/* The names of the split; a name or a list without splits is the split "train". */
static const Value *names_of(const Named *named, const Value *files) {
    if (files->kind == VALUE_DICT)
        return value_get(files, named->asked->split);
    return strcmp(named->asked->split, "train") == 0 ? files : NULL;
}

int dataset_find_named(const Dataset *asked, Arena *arena, const char *data_root, const Value *files,
                       DatasetFile **out, size_t *n, Error *error) {
    Named named = {.asked = asked, .data_root = data_root, .arena = arena, .error = error};
    const Value *names = names_of(&named, files);
    if (!names)
        return error_set(error, "data_files name no split '%s'%s", asked->split,
                         files->kind == VALUE_DICT ? "" : "; files without splits are the split 'train'");
    named.files = arena_alloc(arena, FILES_MAX * sizeof *named.files);
    size_t n_names = names->kind == VALUE_LIST ? names->n : 1;
    for (size_t i = 0; i < n_names; i++)
        if (add_matches(&named, (names->kind == VALUE_LIST ? &names->as.items[i] : names)->as.text))
            return -1;
    *out = named.files;
    *n = named.n;
    return 0;
}
