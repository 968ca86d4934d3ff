/* Decompression of Parquet pages: each to exactly the size that the page header declares. */
#include <string.h>

#include <brotli/decode.h>
#include <lz4.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

#include "tasks/parquet_file.h"

/* Each puts exactly `room` bytes into out or returns false. */
typedef bool Decompress(char *out, size_t room, const uint8_t *data, size_t bytes);

static bool from_plain(char *out, size_t room, const uint8_t *data, size_t bytes) {
    if (bytes == room && bytes > 0)
        memcpy(out, data, bytes);
    return bytes == room;
}

static bool from_snappy(char *out, size_t room, const uint8_t *data, size_t bytes) {
    size_t length, used = room;
    const char *text = (const char *)data;
    return snappy_uncompressed_length(text, bytes, &length) == SNAPPY_OK && length == room &&
           snappy_uncompress(text, bytes, out, &used) == SNAPPY_OK && used == room;
}

/* One or several gzip (or zlib) members on end. */
static bool from_gzip(char *out, size_t room, const uint8_t *data, size_t bytes) {
    z_stream stream = {
        .next_in = (Bytef *)data, .avail_in = (uInt)bytes, .next_out = (Bytef *)out, .avail_out = (uInt)room};
    if (inflateInit2(&stream, 15 + 32) != Z_OK)
        return false;
    int status = Z_STREAM_END;
    while (stream.avail_in > 0 && status == Z_STREAM_END)
        if ((status = inflate(&stream, Z_FINISH)) == Z_STREAM_END && stream.avail_in > 0 &&
            inflateReset(&stream) != Z_OK)
            break;
    bool whole = status == Z_STREAM_END && stream.avail_out == 0;
    inflateEnd(&stream);
    return whole;
}

static bool from_brotli(char *out, size_t room, const uint8_t *data, size_t bytes) {
    size_t length = room;
    return BrotliDecoderDecompress(bytes, data, &length, (uint8_t *)out) == BROTLI_DECODER_RESULT_SUCCESS &&
           length == room;
}

static bool from_zstd(char *out, size_t room, const uint8_t *data, size_t bytes) {
    size_t length = ZSTD_decompress(out, room, data, bytes);
    return !ZSTD_isError(length) && length == room;
}

static bool from_lz4_raw(char *out, size_t room, const uint8_t *data, size_t bytes) {
    int length = LZ4_decompress_safe((const char *)data, out, (int)bytes, (int)room);
    return length >= 0 && (size_t)length == room;
}

static size_t big_endian(const uint8_t *data) {
    return (size_t)data[0] << 24 | (size_t)data[1] << 16 | (size_t)data[2] << 8 | data[3];
}

/* Hadoop's framing: blocks of (decompressed size, compressed size, LZ4 block). */
static bool from_lz4_framed(char *out, size_t room, const uint8_t *data, size_t bytes) {
    while (bytes >= 8) {
        size_t length = big_endian(data), packed = big_endian(data + 4);
        if (packed > bytes - 8 || length > room || !from_lz4_raw(out, length, data + 8, packed))
            return false;
        out += length, room -= length;
        data += 8 + packed, bytes -= 8 + packed;
    }
    return bytes == 0 && room == 0;
}

/* The codec called LZ4 was written framed by some and bare by others; a bare block that looks framed does not
 * come out at the right size. */
static bool from_lz4(char *out, size_t room, const uint8_t *data, size_t bytes) {
    return from_lz4_framed(out, room, data, bytes) || from_lz4_raw(out, room, data, bytes);
}

/* ratio: no valid page of the codec shrinks more; it bounds what is allocated for a false size. */
static const struct {
    const char *name;
    Decompress *decompress;
    size_t ratio; /* 0: unbounded */
} codecs[] = {{"UNCOMPRESSED", from_plain, 1}, {"SNAPPY", from_snappy, 64},
              {"GZIP", from_gzip, 1100},       {"LZO", NULL, 0},
              {"BROTLI", from_brotli, 0},      {"LZ4", from_lz4, 256},
              {"ZSTD", from_zstd, 0},          {"LZ4_RAW", from_lz4_raw, 256}};

int parquet_decompress(Buffer *out, int64_t codec, const uint8_t *data, size_t bytes, size_t expected,
                       Error *error) {
    buffer_clear(out);
    if (codec < 0 || codec >= (int64_t)(sizeof codecs / sizeof *codecs))
        return error_set(error, "there is no codec %lld", (long long)codec);
    if (!codecs[codec].decompress)
        return error_set(error, "the codec %s is not supported", codecs[codec].name);
    bool possible = expected <= INT32_MAX && bytes <= INT32_MAX &&
                    (codecs[codec].ratio == 0 || expected / codecs[codec].ratio <= bytes);
    if (!possible || !codecs[codec].decompress(buffer_reserve(out, expected), expected, data, bytes))
        return error_set(error, "%zu bytes of codec %s do not decompress to the %zu bytes declared", bytes,
                         codecs[codec].name, expected);
    out->size = expected;
    return 0;
}
