/* The footer of a Parquet file: row groups and where their columns' pages begin. */
#include <string.h>

#include "tasks/parquet_file.h"
#include "tasks/parquet_thrift.h"

enum { MAGIC_BYTES = 4, TAIL_BYTES = 8, ROWS_MAX = 50000000 };

static int wrong_footer(const Thrift *thrift, Error *error) {
    return error_set(error, "the footer is damaged: %s",
                     thrift->wrong ? thrift->wrong : "a field that it needs is missing");
}

/* ColumnMetaData of the leaf. */
static int read_column(Thrift *thrift, const ParquetNode *leaf, ParquetChunk *out, Error *error) {
    ThriftField field = {0};
    int64_t type = -1, data_page = -1, dictionary_page = 0;
    *out = (ParquetChunk){.codec = -1, .n_values = -1};
    while (thrift_field(thrift, &field)) {
        int64_t *numbers[] = {
            [1] = &type, [4] = &out->codec, [5] = &out->n_values, [9] = &data_page, [11] = &dictionary_page};
        if (field.id >= 0 && field.id <= 11 && numbers[field.id])
            thrift_int(thrift, field.type, numbers[field.id]);
        else
            thrift_skip(thrift, field.type);
    }
    if (thrift->wrong || out->codec < 0 || out->n_values < 0 || data_page < 0)
        return wrong_footer(thrift, error);
    if (type != (int64_t)leaf->type)
        return error_set(error, "column '%s': its data are of type %lld, the schema says %d", leaf->path,
                         (long long)type, (int)leaf->type);
    bool first_is_dictionary = dictionary_page > 0 && dictionary_page < data_page;
    out->start = first_is_dictionary ? dictionary_page : data_page;
    return 0;
}

static int read_chunk(Thrift *thrift, const ParquetNode *leaf, ParquetChunk *out, Error *error) {
    ThriftField field = {0};
    bool found = false;
    while (thrift_field(thrift, &field)) {
        if (field.id == 1)
            return error_set(error, "column '%s': its data lie in another file", leaf->path);
        if (field.id == 8 || field.id == 9)
            return error_set(error, "column '%s' is encrypted", leaf->path);
        if (field.id == 3 && thrift_is(thrift, field.type, THRIFT_STRUCT)) {
            if (read_column(thrift, leaf, out, error))
                return -1;
            found = true;
        } else {
            thrift_skip(thrift, field.type);
        }
    }
    return thrift->wrong || !found ? wrong_footer(thrift, error) : 0;
}

static int read_chunks(Thrift *thrift, ThriftType type, const ParquetFooter *footer, Arena *arena,
                       ParquetGroup *out, Error *error) {
    ThriftType item;
    size_t n;
    if (!thrift_is(thrift, type, THRIFT_LIST) || !thrift_list(thrift, &item, &n) ||
        !thrift_is(thrift, item, THRIFT_STRUCT))
        return wrong_footer(thrift, error);
    if (n != footer->n_leaves)
        return error_set(error, "a row group has %zu columns, the schema %zu", n, footer->n_leaves);
    out->chunks = arena_alloc(arena, n * sizeof *out->chunks);
    for (size_t i = 0; i < n; i++)
        if (read_chunk(thrift, footer->leaves[i], &out->chunks[i], error))
            return -1;
    return 0;
}

static int read_group(Thrift *thrift, ParquetFooter *footer, Arena *arena, ParquetGroup *out, Error *error) {
    ThriftField field = {0};
    int64_t rows = -1;
    *out = (ParquetGroup){0};
    while (thrift_field(thrift, &field)) {
        if (field.id == 1 && !out->chunks) {
            if (read_chunks(thrift, field.type, footer, arena, out, error))
                return -1;
        } else if (field.id == 3) {
            thrift_int(thrift, field.type, &rows);
        } else {
            thrift_skip(thrift, field.type);
        }
    }
    if (thrift->wrong || (!out->chunks && footer->n_leaves) || rows < 0)
        return wrong_footer(thrift, error);
    if ((uint64_t)rows > ROWS_MAX - footer->n_rows)
        return error_set(error, "more than %d rows", ROWS_MAX);
    out->n_rows = (size_t)rows;
    footer->n_rows += out->n_rows;
    return 0;
}

static int read_groups(Thrift *thrift, ThriftType type, ParquetFooter *footer, Arena *arena, Error *error) {
    ThriftType item;
    size_t n;
    if (!thrift_is(thrift, type, THRIFT_LIST) || !thrift_list(thrift, &item, &n) ||
        (n && !thrift_is(thrift, item, THRIFT_STRUCT)))
        return wrong_footer(thrift, error);
    footer->groups = arena_alloc(arena, (n + 1) * sizeof *footer->groups);
    for (footer->n_groups = 0; footer->n_groups < n; footer->n_groups++)
        if (read_group(thrift, footer, arena, &footer->groups[footer->n_groups], error))
            return error_prefix(error, "row group %zu", footer->n_groups);
    return 0;
}

static int read_elements(Thrift *thrift, ThriftType type, ParquetFooter *footer, Arena *arena, Error *error) {
    ThriftType item;
    size_t n;
    if (!thrift_is(thrift, type, THRIFT_LIST) || !thrift_list(thrift, &item, &n) ||
        !thrift_is(thrift, item, THRIFT_STRUCT))
        return wrong_footer(thrift, error);
    return parquet_read_schema(footer, arena, thrift, n, error);
}

/* FileMetaData: the schema comes before the row groups, which are read by it. */
static int read_file_metadata(Thrift *thrift, ParquetFooter *out, Arena *arena, Error *error) {
    ThriftField field = {0};
    int64_t rows = -1;
    while (thrift_field(thrift, &field)) {
        int status = 0;
        if (field.id == 2 && !out->leaves)
            status = read_elements(thrift, field.type, out, arena, error);
        else if (field.id == 3)
            thrift_int(thrift, field.type, &rows);
        else if (field.id == 4 && out->leaves && !out->groups)
            status = read_groups(thrift, field.type, out, arena, error);
        else if (field.id == 8)
            status = error_set(error, "the file is encrypted");
        else
            thrift_skip(thrift, field.type);
        if (status)
            return -1;
    }
    if (thrift->wrong || !out->groups || rows < 0)
        return wrong_footer(thrift, error);
    if (rows != 0 && (uint64_t)rows != out->n_rows) /* some writers leave it 0 */
        return error_set(error, "the footer says %lld rows, its row groups have %zu", (long long)rows,
                         out->n_rows);
    return 0;
}

int parquet_read_footer(ParquetFooter *out, Arena *arena, const uint8_t *data, size_t bytes, Error *error) {
    *out = (ParquetFooter){0};
    if (bytes >= MAGIC_BYTES + TAIL_BYTES && memcmp(data, "PARE", MAGIC_BYTES) == 0)
        return error_set(error, "the file is encrypted");
    if (bytes < MAGIC_BYTES + TAIL_BYTES || memcmp(data, "PAR1", MAGIC_BYTES) != 0)
        return error_set(error, "not a Parquet file: it does not begin with PAR1");
    const uint8_t *tail = data + bytes - TAIL_BYTES;
    if (memcmp(tail + 4, "PAR1", MAGIC_BYTES) != 0)
        return error_set(error, "not a whole Parquet file: it does not end with PAR1");
    size_t length = (size_t)tail[0] | (size_t)tail[1] << 8 | (size_t)tail[2] << 16 | (size_t)tail[3] << 24;
    if (length > bytes - MAGIC_BYTES - TAIL_BYTES)
        return error_set(error, "the footer's %zu bytes are more than the file's %zu", length, bytes);
    Thrift thrift = {.at = tail - length, .end = tail};
    out->bytes_before = (size_t)(thrift.at - data);
    return read_file_metadata(&thrift, out, arena, error);
}
