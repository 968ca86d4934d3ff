/* Rows from a split's files or from the binary; see dataset.h. */
#include "tasks/dataset.h"

#include <stdlib.h>
#include <string.h>

#include "base/embedded.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/text.h"
#include "tasks/parquet.h"

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

static int push_row(RowList *list, const Value *row, const char *where, Error *error) {
    if (list->n >= ROWS_MAX)
        return error_set(error, "%s: more than %d rows", where, ROWS_MAX);
    if (list->n == list->room) {
        list->room = list->room ? list->room * 2 : 256;
        list->rows = mem_realloc(list->rows, list->room * sizeof *list->rows);
    }
    list->rows[list->n++] = *row;
    return 0;
}

static int add_line(RowList *list, Arena *arena, const char *line, size_t bytes, const char *where,
                    size_t number, Error *error) {
    Value row;
    if (is_blank(line, bytes))
        return 0;
    if (value_from_json(&row, arena, line, bytes, where, number, error))
        return -1;
    if (row.kind != VALUE_DICT)
        return error_set(error, "%s:%zu: found %s; a JSON object with the row's columns was expected", where,
                         number, value_kind_name(row.kind));
    return push_row(list, &row, where, error);
}

static int read_lines(RowList *list, Arena *arena, const char *file, Error *error) {
    LineReader *reader;
    const char *line;
    size_t bytes;
    if (line_reader_open(&reader, file, error))
        return -1;
    int got;
    while ((got = line_reader_next(reader, &line, &bytes, error)) > 0)
        if (add_line(list, arena, line, bytes, file, line_reader_number(reader), error)) {
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
        if (add_line(list, arena, at, (size_t)(stop - at), file->name, number, error))
            return -1;
        at = stop + 1;
    }
    return 0;
}

static int read_parquet(RowList *list, Arena *arena, const char *file, Error *error) {
    ParquetReader *reader;
    Value *rows;
    size_t n;
    int got;
    if (parquet_open(&reader, file, &parquet_limits, error))
        return -1;
    while ((got = parquet_next(reader, arena, &rows, &n, error)) > 0)
        for (size_t i = 0; i < n && got > 0; i++)
            got = push_row(list, &rows[i], file, error) ? -1 : got;
    parquet_close(reader);
    return got;
}

static int read_file(DatasetFile *out, RowList *list, Arena *arena, const char *data_root, Error *error) {
    char hex[SHA256_HEX];
    const char *file = arena_printf(arena, "%s/%s", data_root, out->name);
    bool parquet = text_ends_with(file, ".parquet");
    if (sha256_file(file, hex, error) ||
        (parquet ? read_parquet(list, arena, file, error) : read_lines(list, arena, file, error)))
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
        "the data set %s (%s, split %s) is missing: looked for %s/%s, plain or .gz, for .parquet "
        "in its place, and for either in parts (%s-00000-of-...); put one of them there or name "
        "another data folder",
        asked->path, asked->config, asked->split, data_root, plain, asked->split);
}

static int read_built_in(Dataset *out, RowList *list, Arena *arena, const char *data_root, Error *error) {
    const char *plain = arena_printf(arena, "%s/%s/%s.jsonl", out->path, out->config, out->split);
    const EmbeddedFile *embedded = embedded_find(arena_printf(arena, "zoo/demo/data/%s", plain));
    if (!embedded)
        return missing(out, data_root, plain, error);
    char hex[SHA256_HEX];
    sha256_text((const char *)embedded->data, embedded->bytes, hex);
    out->files = arena_alloc(arena, sizeof *out->files);
    out->files[out->n_files++] = (DatasetFile){plain, arena_strdup(arena, hex), (int64_t)embedded->bytes};
    return read_embedded(list, arena, embedded, error);
}

/* Finds the split and reads its rows into list. */
static int read_split(Dataset *out, RowList *list, Arena *arena, const char *data_root, Error *error) {
    if (data_root && dataset_find(out, arena, data_root, &out->files, &out->n_files, error))
        return -1;
    if (out->n_files == 0)
        return read_built_in(out, list, arena, data_root, error);
    for (size_t i = 0; i < out->n_files; i++)
        if (read_file(&out->files[i], list, arena, data_root, error))
            return -1;
    return 0;
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
        status =
            error_set(error, "the data set %s is empty; at least one row was expected", out->files[0].name);
    if (!status) {
        out->rows = arena_alloc(arena, list.n * sizeof *list.rows);
        memcpy(out->rows, list.rows, list.n * sizeof *list.rows);
        out->n = list.n;
    }
    free(list.rows);
    return status;
}
