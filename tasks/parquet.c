/* Parquet files as rows: the walk over row groups, column chunks and pages; see parquet.h. */
#include "tasks/parquet.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/file.h"
#include "tasks/parquet_file.h"
#include "tasks/parquet_thrift.h"

const ParquetLimits parquet_limits = {.page_bytes = (size_t)512 << 20, .n_values = 50000000};

enum { PAGE_DATA = 0, PAGE_INDEX = 1, PAGE_DICTIONARY = 2, PAGE_DATA_V2 = 3 };

struct ParquetReader {
    FileMap map; /* empty if the bytes are the caller's */
    const uint8_t *data;
    char *name;
    ParquetLimits limits;
    Arena arena; /* the footer */
    ParquetFooter footer;
    size_t group; /* the next row group */
    Buffer page;  /* scratch: a decompressed page */
};

typedef struct PageHeader {
    int64_t type, bytes, packed_bytes; /* bytes: decompressed, packed_bytes: as they stand in the file */
    int64_t crc;
    bool has_crc;
    int64_t n_values, encoding, definition_encoding, repetition_encoding;
    int64_t definition_bytes, repetition_bytes; /* version 2 */
    bool packed;                                /* version 2: the values are compressed */
} PageHeader;

/* A page's parts: levels (empty where there are none) and values. */
typedef struct PageBody {
    const uint8_t *data;
    size_t bytes;
} PageBody;

/* ---- page headers */

/* DataPageHeader, DictionaryPageHeader or DataPageHeaderV2, by the field's number in PageHeader. */
static void read_kind_header(Thrift *thrift, int kind, PageHeader *out) {
    int64_t unused = 0;
    int64_t *const fields[9][8] = {
        [5] = {NULL, &out->n_values, &out->encoding, &out->definition_encoding, &out->repetition_encoding},
        [7] = {NULL, &out->n_values, &out->encoding},
        [8] = {NULL, &out->n_values, &unused, &unused, &out->encoding, &out->definition_bytes,
               &out->repetition_bytes}};
    ThriftField field = {0};
    while (thrift_field(thrift, &field)) {
        if (field.id > 0 && field.id < 8 && fields[kind][field.id])
            thrift_int(thrift, field.type, fields[kind][field.id]);
        else if (kind == 8 && field.id == 7)
            thrift_bool(thrift, field.type, &out->packed);
        else
            thrift_skip(thrift, field.type);
    }
}

static bool header_is_sound(const PageHeader *page, const ParquetReader *reader, size_t bytes_left) {
    static const int kinds[] = {[PAGE_DATA] = 5, [PAGE_INDEX] = 6, [PAGE_DICTIONARY] = 7, [PAGE_DATA_V2] = 8};
    if (page->type < 0 || page->type >= (int64_t)(sizeof kinds / sizeof *kinds))
        return false;
    return page->bytes >= 0 && (size_t)page->bytes <= reader->limits.page_bytes && page->packed_bytes >= 0 &&
           (size_t)page->packed_bytes <= bytes_left &&
           (page->type == PAGE_INDEX || (page->n_values >= 0 && page->encoding >= 0));
}

/* Reads the header at `offset`; *body is where the page's bytes begin. */
static int read_page_header(const ParquetReader *reader, size_t offset, PageHeader *out, size_t *body,
                            Error *error) {
    const uint8_t *end = reader->data + reader->footer.bytes_before;
    Thrift thrift = {.at = reader->data + offset, .end = end};
    ThriftField field = {0};
    *out = (PageHeader){.type = -1,
                        .bytes = -1,
                        .packed_bytes = -1,
                        .n_values = -1,
                        .encoding = -1,
                        .definition_encoding = ENCODING_RLE,
                        .repetition_encoding = ENCODING_RLE,
                        .packed = true};
    while (thrift_field(&thrift, &field)) {
        int64_t *numbers[] = {NULL, &out->type, &out->bytes, &out->packed_bytes, &out->crc};
        if (field.id >= 1 && field.id <= 4) {
            thrift_int(&thrift, field.type, numbers[field.id]);
            out->has_crc |= field.id == 4;
        } else if ((field.id == 5 || field.id == 7 || field.id == 8) && field.type == THRIFT_STRUCT) {
            read_kind_header(&thrift, field.id, out);
        } else {
            thrift_skip(&thrift, field.type);
        }
    }
    if (thrift.wrong)
        return error_set(error, "its header is damaged: %s", thrift.wrong);
    if (!header_is_sound(out, reader, (size_t)(end - thrift.at)))
        return error_set(error,
                         "its header is damaged: type %lld, %lld values, encoding %lld, %lld bytes in the "
                         "file and %lld decompressed, of at most %zu and %zu",
                         (long long)out->type, (long long)out->n_values, (long long)out->encoding,
                         (long long)out->packed_bytes, (long long)out->bytes, (size_t)(end - thrift.at),
                         reader->limits.page_bytes);
    *body = (size_t)(thrift.at - reader->data);
    return 0;
}

static int check_crc(const PageHeader *page, const uint8_t *data, Error *error) {
    if (!page->has_crc)
        return 0;
    uint32_t found = (uint32_t)crc32_z(0, data, (size_t)page->packed_bytes);
    if (found != (uint32_t)page->crc)
        return error_set(error, "its check sum is %08x, %08x was expected: the file is damaged", found,
                         (uint32_t)page->crc);
    return 0;
}

/* ---- pages into columns */

static void *grow(void *items, size_t needed, size_t *room, size_t bytes_each) {
    if (needed <= *room)
        return items;
    while (*room < needed)
        *room = *room ? *room * 2 : 256;
    return mem_realloc(items, *room * bytes_each);
}

/* Makes room for n more entries. */
static void reserve_entries(ParquetColumn *column, size_t n) {
    size_t room = column->room_entries;
    if (column->leaf->max_definition)
        column->definitions = grow(column->definitions, column->n_entries + n, &room, 1);
    room = column->room_entries;
    if (column->leaf->max_repetition)
        column->repetitions = grow(column->repetitions, column->n_entries + n, &room, 1);
    column->room_entries = room;
}

static int read_dictionary(ParquetReader *reader, ParquetColumn *column, const ParquetChunk *chunk,
                           const PageHeader *page, const uint8_t *data, Error *error) {
    if (column->dictionary || column->n_entries)
        return error_set(error, "a dictionary that is not the column's first page");
    if (page->encoding != ENCODING_PLAIN && page->encoding != ENCODING_PLAIN_DICTIONARY)
        return error_set(error, "a dictionary in encoding %lld", (long long)page->encoding);
    if ((size_t)page->n_values > reader->limits.n_values)
        return error_set(error, "a dictionary of %lld values", (long long)page->n_values);
    if (parquet_decompress(&reader->page, chunk->codec, data, (size_t)page->packed_bytes, (size_t)page->bytes,
                           error))
        return -1;
    /* A value takes a bit at least, so that a false count is refused before memory is asked for. */
    if ((size_t)page->n_values > reader->page.size * 8)
        return error_set(error, "a dictionary of %lld values in %zu bytes", (long long)page->n_values,
                         reader->page.size);
    column->n_dictionary = (size_t)page->n_values;
    column->dictionary = mem_alloc_zero(column->n_dictionary + 1, sizeof *column->dictionary);
    return parquet_read_values(column, ENCODING_PLAIN, (const uint8_t *)reader->page.data, reader->page.size,
                               column->dictionary, column->n_dictionary, error);
}

/* Levels of a version 1 page: behind their length, or in the old form without one. Moves body behind them. */
static int read_v1_levels(uint8_t *out, size_t n, int max, int64_t encoding, PageBody *body, Error *error) {
    size_t used;
    if (encoding == ENCODING_BIT_PACKED) {
        if (parquet_read_packed_levels(out, n, max, body->data, body->bytes, &used, error))
            return -1;
    } else if (encoding == ENCODING_RLE) {
        size_t length = 0;
        for (size_t i = 0; i < 4 && body->bytes >= 4; i++)
            length |= (size_t)body->data[i] << 8 * i;
        if (body->bytes < 4 || length > body->bytes - 4)
            return error_set(error, "%zu bytes of levels in a page of %zu", length, body->bytes);
        if (parquet_read_levels(out, n, max, body->data + 4, length, error))
            return -1;
        used = length + 4;
    } else {
        return error_set(error, "levels in encoding %lld", (long long)encoding);
    }
    body->data += used, body->bytes -= used;
    return 0;
}

static int open_v1(ParquetReader *reader, ParquetColumn *column, const ParquetChunk *chunk,
                   const PageHeader *page, const uint8_t *data, PageBody *values, Error *error) {
    const ParquetNode *leaf = column->leaf;
    size_t n = (size_t)page->n_values, at = column->n_entries;
    if (parquet_decompress(&reader->page, chunk->codec, data, (size_t)page->packed_bytes, (size_t)page->bytes,
                           error))
        return -1;
    *values = (PageBody){(const uint8_t *)reader->page.data, reader->page.size};
    if (leaf->max_repetition && read_v1_levels(column->repetitions + at, n, leaf->max_repetition,
                                               page->repetition_encoding, values, error))
        return error_prefix(error, "repetition levels");
    if (leaf->max_definition && read_v1_levels(column->definitions + at, n, leaf->max_definition,
                                               page->definition_encoding, values, error))
        return error_prefix(error, "definition levels");
    return 0;
}

/* Version 2: levels stand uncompressed in front, repetition first. */
static int open_v2(ParquetReader *reader, ParquetColumn *column, const ParquetChunk *chunk,
                   const PageHeader *page, const uint8_t *data, PageBody *values, Error *error) {
    const ParquetNode *leaf = column->leaf;
    size_t n = (size_t)page->n_values, at = column->n_entries;
    int64_t levels = 0;
    if (page->repetition_bytes < 0 || page->definition_bytes < 0 ||
        (levels = page->repetition_bytes + page->definition_bytes) > page->packed_bytes ||
        levels > page->bytes)
        return error_set(error, "%lld and %lld bytes of levels in a page of %lld",
                         (long long)page->repetition_bytes, (long long)page->definition_bytes,
                         (long long)page->packed_bytes);
    const uint8_t *definitions = data + page->repetition_bytes;
    if (leaf->max_repetition && parquet_read_levels(column->repetitions + at, n, leaf->max_repetition, data,
                                                    (size_t)page->repetition_bytes, error))
        return error_prefix(error, "repetition levels");
    if (leaf->max_definition && parquet_read_levels(column->definitions + at, n, leaf->max_definition,
                                                    definitions, (size_t)page->definition_bytes, error))
        return error_prefix(error, "definition levels");
    size_t packed = (size_t)(page->packed_bytes - levels), bytes = (size_t)(page->bytes - levels);
    *values = (PageBody){data + levels, packed};
    if (!page->packed || bytes == 0) {
        values->bytes = bytes == 0 ? 0 : packed;
        return 0;
    }
    if (parquet_decompress(&reader->page, chunk->codec, data + levels, packed, bytes, error))
        return -1;
    *values = (PageBody){(const uint8_t *)reader->page.data, reader->page.size};
    return 0;
}

static size_t count_present(const ParquetColumn *column, size_t n) {
    size_t present = 0;
    if (!column->leaf->max_definition)
        return n;
    for (size_t i = 0; i < n; i++)
        present += column->definitions[column->n_entries + i] == column->leaf->max_definition;
    return present;
}

static int read_data_page(ParquetReader *reader, ParquetColumn *column, const ParquetChunk *chunk,
                          const PageHeader *page, const uint8_t *data, Error *error) {
    PageBody body;
    size_t n = (size_t)page->n_values;
    if (n > (size_t)chunk->n_values - column->n_entries)
        return error_set(error, "%zu values where the column has %zu left", n,
                         (size_t)chunk->n_values - column->n_entries);
    reserve_entries(column, n + 1); /* never NULL, not even for a page of no values */
    int status = page->type == PAGE_DATA ? open_v1(reader, column, chunk, page, data, &body, error)
                                         : open_v2(reader, column, chunk, page, data, &body, error);
    if (status)
        return -1;
    size_t present = count_present(column, n);
    column->values =
        grow(column->values, column->n_values + present, &column->room_values, sizeof *column->values);
    if (present || body.bytes) {
        Value *values = column->values ? column->values + column->n_values : NULL;
        if (parquet_read_values(column, (ParquetEncoding)page->encoding, body.data, body.bytes, values,
                                present, error))
            return -1;
    }
    column->n_values += present;
    column->n_entries += n;
    return 0;
}

static int read_page(ParquetReader *reader, ParquetColumn *column, const ParquetChunk *chunk, size_t *offset,
                     Error *error) {
    PageHeader page;
    size_t body = 0;
    if (*offset >= reader->footer.bytes_before)
        return error_set(error, "it lies behind the file's last page");
    if (read_page_header(reader, *offset, &page, &body, error))
        return -1;
    const uint8_t *data = reader->data + body;
    *offset = body + (size_t)page.packed_bytes;
    if (check_crc(&page, data, error))
        return -1;
    if (page.type == PAGE_INDEX)
        return 0;
    return page.type == PAGE_DICTIONARY ? read_dictionary(reader, column, chunk, &page, data, error)
                                        : read_data_page(reader, column, chunk, &page, data, error);
}

static int read_column(ParquetReader *reader, ParquetColumn *column, const ParquetChunk *chunk,
                       Error *error) {
    size_t offset = (size_t)chunk->start;
    while (column->n_entries < (size_t)chunk->n_values) {
        size_t start = offset;
        if (read_page(reader, column, chunk, &offset, error)) {
            error_prefix(error, "column '%s', page at byte %zu", column->leaf->path, start);
            return error_prefix(error, "%s: row group %zu", reader->name, reader->group);
        }
    }
    free(column->dictionary);
    column->dictionary = NULL;
    return 0;
}

/* ---- row groups */

static int check_group(const ParquetReader *reader, const ParquetGroup *group, Error *error) {
    size_t total = group->n_rows;
    for (size_t i = 0; i < reader->footer.n_leaves; i++) {
        size_t n = (size_t)group->chunks[i].n_values;
        if (total > reader->limits.n_values || n > reader->limits.n_values - total)
            return error_set(error, "%s: row group %zu has more than %zu values", reader->name, reader->group,
                             reader->limits.n_values);
        total += n;
    }
    return 0;
}

static void free_columns(ParquetColumn *columns, size_t n) {
    for (size_t i = 0; i < n; i++) {
        free(columns[i].definitions);
        free(columns[i].repetitions);
        free(columns[i].values);
        free(columns[i].dictionary);
    }
    free(columns);
}

int parquet_next(ParquetReader *reader, Arena *arena, Value **rows, size_t *n, Error *error) {
    if (reader->group >= reader->footer.n_groups)
        return 0;
    const ParquetGroup *group = &reader->footer.groups[reader->group];
    size_t n_leaves = reader->footer.n_leaves;
    if (check_group(reader, group, error))
        return -1;
    ParquetColumn *columns = mem_alloc_zero(n_leaves, sizeof *columns);
    int status = 0;
    for (size_t i = 0; i < n_leaves && !status; i++) {
        columns[i].leaf = reader->footer.leaves[i];
        columns[i].arena = arena;
        columns[i].page_bytes = reader->limits.page_bytes;
        status = read_column(reader, &columns[i], &group->chunks[i], error);
    }
    if (!status) {
        *n = group->n_rows;
        *rows = arena_alloc(arena, (*n + 1) * sizeof **rows);
        status = parquet_assemble(&reader->footer.root, columns, *n, arena, *rows, error);
        if (status)
            error_prefix(error, "%s: row group %zu", reader->name, reader->group);
    }
    free_columns(columns, n_leaves);
    reader->group++;
    return status ? -1 : 1;
}

/* ---- files */

static int open_reader(ParquetReader *reader, const char *name, size_t bytes, const ParquetLimits *limits,
                       Error *error) {
    reader->name = mem_strdup(name);
    reader->limits = *limits;
    if (parquet_read_footer(&reader->footer, &reader->arena, reader->data, bytes, error))
        return error_prefix(error, "%s", name);
    return 0;
}

int parquet_open_bytes(ParquetReader **out, const void *bytes, size_t size, const char *name,
                       const ParquetLimits *limits, Error *error) {
    ParquetReader *reader = mem_alloc_zero(1, sizeof *reader);
    reader->data = bytes;
    if (open_reader(reader, name, size, limits, error)) {
        parquet_close(reader);
        return -1;
    }
    *out = reader;
    return 0;
}

int parquet_open(ParquetReader **out, const char *path, const ParquetLimits *limits, Error *error) {
    ParquetReader *reader = mem_alloc_zero(1, sizeof *reader);
    int status = file_map(&reader->map, path, error);
    reader->data = reader->map.data;
    if (status || open_reader(reader, path, reader->map.bytes, limits, error)) {
        parquet_close(reader);
        return -1;
    }
    *out = reader;
    return 0;
}

void parquet_close(ParquetReader *reader) {
    if (!reader)
        return;
    file_unmap(&reader->map);
    arena_free(&reader->arena);
    buffer_free(&reader->page);
    free(reader->name);
    free(reader);
}
