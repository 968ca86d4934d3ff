/* Rows from a split's files or from the binary; see dataset.h. */
#include "tasks/dataset.h"

#include <bzlib.h>
#include <stdlib.h>
#include <string.h>

#include "base/embedded.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/text.h"
#include "tasks/parquet.h"
#include "tasks/rows.h"

enum { BZIP2_CHUNK = 1 << 20 };
static const size_t text_bytes_max = (size_t)2 << 30; /* of a file that is read as one text */

/* JSON Lines, however large, line by line. */
static int read_lines(RowList *list, Arena *arena, const char *file, Error *error) {
    LineReader *reader;
    const char *line;
    size_t bytes;
    if (line_reader_open(&reader, file, error))
        return -1;
    int got;
    while ((got = line_reader_next(reader, &line, &bytes, error)) > 0)
        if (rows_add_line(list, arena, line, bytes, file, line_reader_number(reader), error)) {
            got = -1;
            break;
        }
    line_reader_close(reader);
    return got;
}

/* One stream of a bzip2 file; *at and *left move behind it. */
static int bunzip_stream(Buffer *out, char **at, unsigned *left) {
    bz_stream stream = {.next_in = *at, .avail_in = *left};
    int status = BZ2_bzDecompressInit(&stream, 0, 0);
    while (status == BZ_OK && out->size <= text_bytes_max) {
        stream.next_out = buffer_reserve(out, BZIP2_CHUNK);
        stream.avail_out = BZIP2_CHUNK;
        status = BZ2_bzDecompress(&stream);
        out->size += BZIP2_CHUNK - stream.avail_out;
        if (status == BZ_OK && stream.avail_out > 0 && stream.avail_in == 0)
            status = BZ_UNEXPECTED_EOF;
    }
    BZ2_bzDecompressEnd(&stream);
    *at = stream.next_in;
    *left = stream.avail_in;
    return status == BZ_STREAM_END ? 0 : -1;
}

static int bunzip(Buffer *out, const FileMap *map, const char *file, Error *error) {
    char *at = (char *)map->data;
    if (map->bytes > text_bytes_max)
        return error_set(error, "%s: more than %zu bytes", file, text_bytes_max);
    unsigned left = (unsigned)map->bytes;
    int status = 0;
    while (left > 0 && !status)
        status = bunzip_stream(out, &at, &left);
    if (out->size > text_bytes_max)
        return error_set(error, "%s: more than %zu bytes after decompression", file, text_bytes_max);
    return status ? error_set(error, "%s: the bzip2 data are damaged or cut", file) : 0;
}

/* A whole text, decompressed if its name says so (.bz2) or its head (gzip). */
static int read_text(Buffer *out, const char *file, Error *error) {
    if (!text_ends_with(file, ".bz2"))
        return file_read(out, file, text_bytes_max, error);
    FileMap map;
    if (file_map(&map, file, error))
        return -1;
    int status = bunzip(out, &map, file, error);
    file_unmap(&map);
    return status;
}

/* JSON, CSV or JSON Lines as one text. */
static int read_whole(RowList *list, Arena *arena, const char *file, Error *error) {
    Buffer text = {0};
    int status = read_text(&text, file, error);
    const char *data = text.data ? text.data : "";
    if (!status && strstr(path_name(file), ".csv"))
        status = rows_from_csv(list, arena, data, text.size, file, error);
    else if (!status && strstr(path_name(file), ".jsonl"))
        status = rows_from_lines(list, arena, data, text.size, file, error);
    else if (!status)
        status = rows_from_json(list, arena, data, text.size, file, error);
    buffer_free(&text);
    return status;
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
            got = rows_push(list, &rows[i], file, error) ? -1 : got;
    parquet_close(reader);
    return got;
}

/* How each kind of file is read, by the end of its name; the first that fits. */
static const struct {
    const char *suffix;
    int (*read)(RowList *list, Arena *arena, const char *file, Error *error);
} readers[] = {
    {".parquet", read_parquet}, {".jsonl", read_lines}, {".jsonl.gz", read_lines}, {"", read_whole}};

static int read_file(DatasetFile *out, RowList *list, Arena *rows, Arena *arena, Error *error) {
    char hex[SHA256_HEX];
    const char *file = out->place;
    size_t i = 0;
    while (!text_ends_with(file, readers[i].suffix))
        i++;
    if (sha256_file(file, hex, error) || readers[i].read(list, rows, file, error))
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
        "the data set %s (%s, split %s) is missing: looked for %s/%s, for .parquet, .json or "
        ".csv in its place, plain, .gz or .bz2, whole or in parts (%s-00000-of-...); put one of them there "
        "or name another data folder",
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
    out->files[out->n_files++] =
        (DatasetFile){.name = plain, .sha256 = arena_strdup(arena, hex), .bytes = (int64_t)embedded->bytes};
    return rows_from_lines(list, &out->row_arena, (const char *)embedded->data, embedded->bytes,
                           embedded->name, error);
}

/* Finds the split and reads its rows into list. */
static int read_split(Dataset *out, RowList *list, Arena *arena, const char *data_root, Error *error) {
    if (out->named ? dataset_find_named(out, arena, data_root, out->named, &out->files, &out->n_files, error)
                   : data_root && dataset_find(out, arena, data_root, &out->files, &out->n_files, error))
        return -1;
    if (out->n_files == 0)
        return read_built_in(out, list, arena, data_root, error);
    bool parquet = false; /* has its columns, and mappings of different keys */
    for (size_t i = 0; i < out->n_files; i++) {
        if (read_file(&out->files[i], list, &out->row_arena, arena, error))
            return -1;
        parquet |= text_ends_with(out->files[i].place, ".parquet");
    }
    if (!parquet)
        rows_unify(list, &out->row_arena);
    return 0;
}

int dataset_read(Dataset *out, Arena *arena, const char *data_root, const char *path, const char *config,
                 const char *split, const Value *named, Error *error) {
    *out = (Dataset){.path = path, .config = config ? config : "default", .split = split, .named = named};
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
        out->rows = arena_alloc(&out->row_arena, list.n * sizeof *list.rows);
        memcpy(out->rows, list.rows, list.n * sizeof *list.rows);
        out->n = list.n;
    }
    free(list.rows);
    return status;
}

void dataset_pack(Dataset *dataset, const bool *kept) {
    dataset->store = row_store_create(dataset->rows, dataset->n, kept);
    dataset->rows = NULL;
    arena_free(&dataset->row_arena);
}

Value dataset_row(const Dataset *dataset, size_t i, Arena *arena) {
    return dataset->rows ? dataset->rows[i] : row_store_get(dataset->store, i, arena);
}

void dataset_free(Dataset *dataset) {
    row_store_free(dataset->store);
    arena_free(&dataset->row_arena);
}
