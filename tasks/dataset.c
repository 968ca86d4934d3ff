/* JSON Lines from disk or from the binary; see dataset.h. */
#include "tasks/dataset.h"

#include <stdlib.h>
#include <string.h>

#include "base/embedded.h"
#include "base/file.h"
#include "base/hash.h"

enum { ROWS_MAX = 50000000 };

typedef struct RowList {
    Value *rows;
    size_t n, room;
} RowList;

static bool is_blank(const char *line, size_t bytes) {
    for (size_t i = 0; i < bytes; i++)
        if (line[i] != ' ' && line[i] != '\t' && line[i] != '\r')
            return false;
    return true;
}

static int add_row(RowList *list, Arena *arena, const char *line, size_t bytes, const char *where,
                   size_t number, Error *error) {
    Value row;
    if (is_blank(line, bytes))
        return 0;
    if (value_from_json(&row, arena, line, bytes, where, number, error))
        return -1;
    if (row.kind != VALUE_DICT)
        return error_set(error, "%s:%zu: found %s; a JSON object with the row's columns was expected", where,
                         number, value_kind_name(row.kind));
    if (list->n >= ROWS_MAX)
        return error_set(error, "%s: more than %d rows", where, ROWS_MAX);
    if (list->n == list->room) {
        list->room = list->room ? list->room * 2 : 256;
        list->rows = mem_realloc(list->rows, list->room * sizeof *list->rows);
    }
    list->rows[list->n++] = row;
    return 0;
}

static int read_lines(RowList *list, Arena *arena, const char *file, Error *error) {
    LineReader *reader;
    const char *line;
    size_t bytes;
    if (line_reader_open(&reader, file, error))
        return -1;
    int got;
    while ((got = line_reader_next(reader, &line, &bytes, error)) > 0)
        if (add_row(list, arena, line, bytes, file, line_reader_number(reader), error)) {
            got = -1;
            break;
        }
    line_reader_close(reader);
    return got;
}

static int read_embedded(RowList *list, Arena *arena, const EmbeddedFile *file, Error *error) {
    const char *at = (const char *)file->data, *end = at + file->bytes;
    for (size_t number = 1; at < end; number++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop)
            stop = end;
        if (add_row(list, arena, at, (size_t)(stop - at), file->name, number, error))
            return -1;
        at = stop + 1;
    }
    return 0;
}

static int read_disk(Dataset *out, RowList *list, Arena *arena, const char *file, Error *error) {
    char hex[SHA256_HEX];
    if (sha256_file(file, hex, error) || read_lines(list, arena, file, error))
        return -1;
    out->sha256 = arena_strdup(arena, hex);
    out->bytes = file_size(file);
    return 0;
}

static int missing(const Dataset *asked, const char *data_root, const char *plain, Error *error) {
    if (!data_root)
        return error_set(
            error,
            "the data set %s (%s, split %s) is not built in, and no data folder was given; name the "
            "folder that holds %s[.gz]",
            asked->path, asked->config, asked->split, plain);
    return error_set(
        error,
        "the data set %s (%s, split %s) is missing: looked for %s/%s and %s/%s.gz; put one of them "
        "there or name another data folder",
        asked->path, asked->config, asked->split, data_root, plain, data_root, plain);
}

/* Finds the split and reads its rows into list. */
static int read_split(Dataset *out, RowList *list, Arena *arena, const char *data_root, Error *error) {
    const char *plain = arena_printf(arena, "%s/%s/%s.jsonl", out->path, out->config, out->split);
    const char *const suffixes[] = {".gz", ""};
    for (int i = 0; i < 2 && data_root; i++) {
        const char *file = arena_printf(arena, "%s/%s%s", data_root, plain, suffixes[i]);
        if (!file_exists(file))
            continue;
        out->name = arena_printf(arena, "%s%s", plain, suffixes[i]);
        return read_disk(out, list, arena, file, error);
    }
    const EmbeddedFile *embedded = embedded_find(arena_printf(arena, "zoo/demo/data/%s", plain));
    if (!embedded)
        return missing(out, data_root, plain, error);
    char hex[SHA256_HEX];
    sha256_text((const char *)embedded->data, embedded->bytes, hex);
    out->sha256 = arena_strdup(arena, hex);
    out->bytes = (int64_t)embedded->bytes;
    out->name = plain;
    return read_embedded(list, arena, embedded, error);
}

int dataset_read(Dataset *out, Arena *arena, const char *data_root, const char *path, const char *config,
                 const char *split, Error *error) {
    *out = (Dataset){.path = path, .config = config ? config : "default", .split = split};
    const char *const names[] = {out->path, out->config, out->split};
    for (int i = 0; i < 3; i++)
        if (!path_is_inside(names[i]))
            return error_set(error, "the data set's name '%.200s' would leave the data folder", names[i]);
    RowList list = {0};
    int status = read_split(out, &list, arena, data_root, error);
    if (!status && list.n == 0)
        status = error_set(error, "the data set %s is empty; at least one row was expected", out->name);
    if (!status) {
        out->rows = arena_alloc(arena, list.n * sizeof *list.rows);
        memcpy(out->rows, list.rows, list.n * sizeof *list.rows);
        out->n = list.n;
    }
    free(list.rows);
    return status;
}
