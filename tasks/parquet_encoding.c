/* Parquet's encodings: levels and values out of a page's bytes. Every decoder stays inside [data, end),
 * and yields exactly the number of values that the page declares. Bytes behind them mean nothing: fastparquet
 * leaves 8 behind the values of every page. */
#include <stdlib.h>
#include <string.h>

#include "tasks/parquet_file.h"

typedef struct Bytes {
    const uint8_t *at, *end;
} Bytes;

static size_t bytes_left(const Bytes *bytes) {
    return (size_t)(bytes->end - bytes->at);
}

static int ends_early(Error *error) {
    return error_set(error, "the page ends in the middle of its values");
}

static int read_varint(Bytes *bytes, uint64_t *out, Error *error) {
    *out = 0;
    for (int shift = 0; shift < 64 && bytes->at < bytes->end; shift += 7) {
        uint8_t byte = *bytes->at++;
        *out |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return 0;
    }
    return ends_early(error);
}

static uint32_t read_u32(const uint8_t *data) {
    return (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
}

/* Bits [at, at + width) of packed values, lowest bit first; width at most 64, all inside the data. */
static uint64_t unpack(const uint8_t *data, size_t at, unsigned width) {
    uint64_t value = 0;
    for (unsigned done = 0; done < width;) {
        unsigned offset = (unsigned)((at + done) & 7), take = 8 - offset;
        if (take > width - done)
            take = width - done;
        uint64_t part = (uint64_t)data[(at + done) >> 3] >> offset & ((1u << take) - 1);
        value |= part << done;
        done += take;
    }
    return value;
}

/* ---- the hybrid of run lengths and bit packing */

typedef struct Hybrid {
    Bytes bytes;
    unsigned width;  /* bits of a value, 0 to 32 */
    size_t run_left; /* values left of the current run */
    bool packed;     /* the run is bit-packed at `packed_data`, otherwise it repeats `value` */
    const uint8_t *packed_data;
    size_t packed_at; /* values of the packed run taken */
    uint32_t value;
} Hybrid;

static int next_run(Hybrid *hybrid, Error *error) {
    uint64_t head;
    size_t value_bytes = (hybrid->width + 7) / 8;
    if (read_varint(&hybrid->bytes, &head, error))
        return -1;
    if (head >> 1 == 0 || head >> 1 > UINT32_MAX)
        return error_set(error, "a run of %llu values", (unsigned long long)(head >> 1));
    hybrid->packed = head & 1;
    if (hybrid->packed) {
        size_t groups = (size_t)(head >> 1), available = bytes_left(&hybrid->bytes);
        if (hybrid->width && groups > available / hybrid->width) {
            /* Some writers leave out the last group's unused bytes. */
            hybrid->run_left = available * 8 / hybrid->width;
            groups = 0;
        } else {
            hybrid->run_left = groups * 8;
        }
        if (hybrid->run_left == 0)
            return ends_early(error);
        hybrid->packed_data = hybrid->bytes.at;
        hybrid->packed_at = 0;
        hybrid->bytes.at =
            groups || !hybrid->width ? hybrid->bytes.at + groups * hybrid->width : hybrid->bytes.end;
        return 0;
    }
    if (value_bytes > bytes_left(&hybrid->bytes))
        return ends_early(error);
    hybrid->run_left = (size_t)(head >> 1);
    hybrid->value = 0;
    for (size_t i = 0; i < value_bytes; i++)
        hybrid->value |= (uint32_t)*hybrid->bytes.at++ << 8 * i;
    return 0;
}

static int next_value(Hybrid *hybrid, uint32_t *out, Error *error) {
    if (hybrid->run_left == 0 && next_run(hybrid, error))
        return -1;
    hybrid->run_left--;
    *out = hybrid->packed
               ? (uint32_t)unpack(hybrid->packed_data, hybrid->packed_at++ * hybrid->width, hybrid->width)
               : hybrid->value;
    return 0;
}

/* ---- levels */

static unsigned bit_width(uint32_t max) {
    unsigned width = 0;
    while (max >> width)
        width++;
    return width;
}

static int check_level(uint32_t level, int max, Error *error) {
    return level > (uint32_t)max ? error_set(error, "a level of %u; at most %d was expected", level, max) : 0;
}

int parquet_read_levels(uint8_t *out, size_t n, int max, const uint8_t *data, size_t bytes, Error *error) {
    Hybrid hybrid = {.bytes = {data, data + bytes}, .width = bit_width((uint32_t)max)};
    for (size_t i = 0; i < n; i++) {
        uint32_t level;
        if (next_value(&hybrid, &level, error) || check_level(level, max, error))
            return error_prefix(error, "level %zu of %zu", i, n);
        out[i] = (uint8_t)level;
    }
    return 0;
}

/* The old form: bits packed from the highest down. */
int parquet_read_packed_levels(uint8_t *out, size_t n, int max, const uint8_t *data, size_t bytes,
                               size_t *used, Error *error) {
    unsigned width = bit_width((uint32_t)max);
    *used = n / 8 * width + (n % 8 * width + 7) / 8;
    if (*used > bytes)
        return ends_early(error);
    for (size_t i = 0; i < n; i++) {
        uint32_t level = 0;
        for (size_t bit = i * width; bit < (i + 1) * width; bit++)
            level = level << 1 | (data[bit >> 3] >> (7 - (bit & 7)) & 1u);
        if (check_level(level, max, error))
            return error_prefix(error, "level %zu of %zu", i, n);
        out[i] = (uint8_t)level;
    }
    return 0;
}

/* ---- values */

static int read_plain_booleans(const Bytes *bytes, Value *out, size_t n, Error *error) {
    if (n / 8 + (n % 8 > 0) > bytes_left(bytes))
        return error_set(error, "%zu bytes for %zu truth values", bytes_left(bytes), n);
    for (size_t i = 0; i < n; i++)
        out[i] = value_bool(bytes->at[i >> 3] >> (i & 7) & 1);
    return 0;
}

static int read_plain(const ParquetColumn *column, Bytes *bytes, Value *out, size_t n, Error *error) {
    const ParquetNode *leaf = column->leaf;
    if (leaf->type == PARQUET_BOOLEAN)
        return read_plain_booleans(bytes, out, n, error);
    for (size_t i = 0; i < n; i++) {
        size_t length = leaf->width;
        if (length == 0) {
            if (bytes_left(bytes) < 4)
                return ends_early(error);
            length = read_u32(bytes->at);
            bytes->at += 4;
        }
        if (length > bytes_left(bytes))
            return ends_early(error);
        if (parquet_from_bytes(leaf, column->arena, bytes->at, length, &out[i], error))
            return -1;
        bytes->at += length;
    }
    return 0;
}

static int read_run_length_booleans(Bytes *bytes, Value *out, size_t n, Error *error) {
    if (bytes_left(bytes) < 4)
        return ends_early(error);
    uint32_t length = read_u32(bytes->at);
    if (length > bytes_left(bytes) - 4)
        return error_set(error, "%u bytes of run lengths are declared, the page has %zu", length,
                         bytes_left(bytes) - 4);
    Hybrid hybrid = {.bytes = {bytes->at + 4, bytes->at + 4 + length}, .width = 1};
    for (size_t i = 0; i < n; i++) {
        uint32_t value;
        if (next_value(&hybrid, &value, error))
            return -1;
        out[i] = value_bool(value != 0);
    }
    return 0;
}

static int read_dictionary_indices(const ParquetColumn *column, Bytes *bytes, Value *out, size_t n,
                                   Error *error) {
    if (!column->dictionary)
        return error_set(error, "the page refers to a dictionary that the column does not have");
    if (n == 0)
        return 0;
    if (bytes_left(bytes) == 0)
        return ends_early(error);
    Hybrid hybrid = {.width = *bytes->at};
    hybrid.bytes = (Bytes){bytes->at + 1, bytes->end};
    if (hybrid.width > 32)
        return error_set(error, "dictionary indices of %u bits; at most 32 were expected", hybrid.width);
    for (size_t i = 0; i < n; i++) {
        uint32_t index;
        if (next_value(&hybrid, &index, error))
            return -1;
        if (index >= column->n_dictionary)
            return error_set(error, "value %zu is number %u of a dictionary of %zu", i, index,
                             column->n_dictionary);
        out[i] = column->dictionary[index];
    }
    return 0;
}

/* DELTA_BINARY_PACKED: a head, then blocks of miniblocks of bit-packed differences. */
typedef struct Delta {
    Bytes bytes;
    uint64_t block_size, n_miniblocks, mini_size; /* mini_size: values of a miniblock */
    uint64_t total, value, min_delta;
    const uint8_t *widths; /* [n_miniblocks] of the current block */
} Delta;

static uint64_t unzigzag(uint64_t value) {
    return (value >> 1) ^ (0 - (value & 1));
}

static int delta_begin(Delta *delta, const Bytes *bytes, size_t n, Error *error) {
    uint64_t first;
    delta->bytes = *bytes;
    if (read_varint(&delta->bytes, &delta->block_size, error) ||
        read_varint(&delta->bytes, &delta->n_miniblocks, error) ||
        read_varint(&delta->bytes, &delta->total, error) || read_varint(&delta->bytes, &first, error))
        return -1;
    if (delta->n_miniblocks == 0 || delta->block_size == 0 || delta->block_size > 1 << 20 ||
        delta->block_size % delta->n_miniblocks || delta->block_size / delta->n_miniblocks % 8)
        return error_set(error, "delta blocks of %llu values in %llu parts",
                         (unsigned long long)delta->block_size, (unsigned long long)delta->n_miniblocks);
    if (delta->total != n)
        return error_set(error, "%llu delta-encoded values where the page has %zu",
                         (unsigned long long)delta->total, n);
    delta->mini_size = delta->block_size / delta->n_miniblocks;
    delta->value = unzigzag(first);
    return 0;
}

/* One miniblock's values into out, n of them wanted (at most mini_size). */
static int read_miniblock(Delta *delta, unsigned width, int64_t *out, size_t n, Error *error) {
    size_t bytes = (size_t)(delta->mini_size / 8 * width);
    if (width > 64)
        return error_set(error, "delta values of %u bits; at most 64 were expected", width);
    if (bytes > bytes_left(&delta->bytes)) {
        /* The last miniblock may be cut behind its last value. */
        bytes = (n * width + 7) / 8;
        if (bytes > bytes_left(&delta->bytes))
            return ends_early(error);
    }
    for (size_t i = 0; i < n; i++) {
        delta->value += delta->min_delta + unpack(delta->bytes.at, i * width, width);
        out[i] = (int64_t)delta->value;
    }
    delta->bytes.at += bytes;
    return 0;
}

static int read_block(Delta *delta, int64_t *out, size_t n, Error *error) {
    if (read_varint(&delta->bytes, &delta->min_delta, error))
        return -1;
    delta->min_delta = unzigzag(delta->min_delta);
    if (delta->n_miniblocks > bytes_left(&delta->bytes))
        return ends_early(error);
    delta->widths = delta->bytes.at;
    delta->bytes.at += delta->n_miniblocks;
    for (size_t i = 0, done = 0; done < n; i++) {
        size_t take = n - done < delta->mini_size ? n - done : (size_t)delta->mini_size;
        if (read_miniblock(delta, delta->widths[i], out + done, take, error))
            return -1;
        done += take;
    }
    return 0;
}

/* n integers from the front of bytes, which then begin behind them. */
static int read_deltas(Bytes *bytes, int64_t *out, size_t n, Error *error) {
    Delta delta = {0};
    if (delta_begin(&delta, bytes, n, error))
        return -1;
    if (n)
        out[0] = (int64_t)delta.value;
    for (size_t done = 1; done < n;) {
        size_t take = n - done < delta.block_size ? n - done : (size_t)delta.block_size;
        if (read_block(&delta, out + done, take, error))
            return -1;
        done += take;
    }
    *bytes = delta.bytes;
    return 0;
}

static int read_delta_integers(const ParquetColumn *column, Bytes *bytes, Value *out, size_t n,
                               Error *error) {
    int64_t *numbers = mem_alloc_zero(n + 1, sizeof *numbers);
    int status = read_deltas(bytes, numbers, n, error);
    for (size_t i = 0; i < n && !status; i++) {
        int64_t number =
            column->leaf->type == PARQUET_INT32 ? (int64_t)(int32_t)(uint32_t)numbers[i] : numbers[i];
        status = parquet_from_integer(column->leaf, column->arena, number, &out[i], error);
    }
    free(numbers);
    return status;
}

static int check_fixed(const ParquetNode *leaf, size_t length, Error *error) {
    if (leaf->width && length != leaf->width)
        return error_set(error, "a value of %zu bytes; %zu were expected", length, leaf->width);
    return 0;
}

static int read_delta_lengths(const ParquetColumn *column, Bytes *bytes, Value *out, size_t n, Error *error) {
    int64_t *lengths = mem_alloc_zero(n + 1, sizeof *lengths);
    int status = read_deltas(bytes, lengths, n, error);
    for (size_t i = 0; i < n && !status; i++) {
        if (lengths[i] < 0 || (uint64_t)lengths[i] > bytes_left(bytes)) {
            status = ends_early(error);
            break;
        }
        status = check_fixed(column->leaf, (size_t)lengths[i], error) ||
                         parquet_from_bytes(column->leaf, column->arena, bytes->at, (size_t)lengths[i],
                                            &out[i], error)
                     ? -1
                     : 0;
        bytes->at += lengths[i];
    }
    free(lengths);
    return status ? -1 : 0;
}

/* One value of DELTA_BYTE_ARRAY: `prefix` bytes of the last one, `suffix` bytes of the page. */
static int read_delta_string(const ParquetColumn *column, Bytes *bytes, Buffer *last, int64_t prefix,
                             int64_t suffix, Value *out, Error *error) {
    if (prefix < 0 || (uint64_t)prefix > last->size)
        return error_set(error, "a value begins with %lld bytes of one that has %zu", (long long)prefix,
                         last->size);
    if (suffix < 0 || (uint64_t)suffix > bytes_left(bytes))
        return ends_early(error);
    last->size = (size_t)prefix;
    buffer_append(last, bytes->at, (size_t)suffix);
    bytes->at += suffix;
    if (check_fixed(column->leaf, last->size, error))
        return -1;
    return parquet_from_bytes(column->leaf, column->arena, (const uint8_t *)last->data, last->size, out,
                              error);
}

static int read_delta_strings(const ParquetColumn *column, Bytes *bytes, Value *out, size_t n, Error *error) {
    int64_t *prefixes = mem_alloc_zero(n + 1, sizeof *prefixes);
    int64_t *suffixes = mem_alloc_zero(n + 1, sizeof *suffixes);
    Buffer last = {0};
    size_t total = 0;
    int status = read_deltas(bytes, prefixes, n, error) || read_deltas(bytes, suffixes, n, error) ? -1 : 0;
    for (size_t i = 0; i < n && !status; i++) {
        status = read_delta_string(column, bytes, &last, prefixes[i], suffixes[i], &out[i], error);
        total += last.size;
        if (!status && total > column->page_bytes)
            status = error_set(error, "the values of a page take more than %zu bytes", column->page_bytes);
    }
    buffer_free(&last);
    free(prefixes);
    free(suffixes);
    return status ? -1 : 0;
}

/* The first bytes of all values, then the second ones, and so on. */
static int read_split_bytes(const ParquetColumn *column, const Bytes *bytes, Value *out, size_t n,
                            Error *error) {
    size_t width = column->leaf->width, total;
    if (!mem_mul(n, width, &total) || total != bytes_left(bytes))
        return error_set(error, "%zu bytes for %zu values of %zu bytes", bytes_left(bytes), n, width);
    Buffer one = {0};
    int status = 0;
    for (size_t i = 0; i < n && !status; i++) {
        buffer_clear(&one);
        for (size_t k = 0; k < width; k++)
            buffer_append_char(&one, (char)bytes->at[k * n + i]);
        status =
            parquet_from_bytes(column->leaf, column->arena, (const uint8_t *)one.data, width, &out[i], error);
    }
    buffer_free(&one);
    return status;
}

int parquet_read_values(const ParquetColumn *column, ParquetEncoding encoding, const uint8_t *data,
                        size_t bytes, Value *out, size_t n, Error *error) {
    Bytes page = {data, data + bytes};
    ParquetType type = column->leaf->type;
    bool integer = type == PARQUET_INT32 || type == PARQUET_INT64;
    bool array = type == PARQUET_BYTE_ARRAY || type == PARQUET_FIXED_LEN_BYTE_ARRAY;
    if (encoding == ENCODING_PLAIN)
        return read_plain(column, &page, out, n, error);
    if (encoding == ENCODING_PLAIN_DICTIONARY || encoding == ENCODING_RLE_DICTIONARY)
        return read_dictionary_indices(column, &page, out, n, error);
    if (n == 0 && bytes == 0)
        return 0;
    if (encoding == ENCODING_RLE && type == PARQUET_BOOLEAN)
        return read_run_length_booleans(&page, out, n, error);
    if (encoding == ENCODING_DELTA_BINARY_PACKED && integer)
        return read_delta_integers(column, &page, out, n, error);
    if (encoding == ENCODING_DELTA_LENGTH_BYTE_ARRAY && type == PARQUET_BYTE_ARRAY)
        return read_delta_lengths(column, &page, out, n, error);
    if (encoding == ENCODING_DELTA_BYTE_ARRAY && array)
        return read_delta_strings(column, &page, out, n, error);
    if (encoding == ENCODING_BYTE_STREAM_SPLIT && column->leaf->width)
        return read_split_bytes(column, &page, out, n, error);
    return error_set(error, "there is no encoding %d for values of type %d", (int)encoding, (int)type);
}
