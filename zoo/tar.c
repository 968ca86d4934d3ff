/* Tar archives; see tar.h. An archive may be anybody's: lengths are bounded before they are used. */
#include "zoo/tar.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"

enum { BLOCK = 512, MOST_EXTRA = 64 << 10 };
#define MOST_FILE_BYTES ((int64_t)1 << 46)

typedef struct Header {
    char name[100], mode[8], owner[8], group[8], size[12], time[12], sum[8], type, target[100];
    char magic[6], version[2], owner_name[32], group_name[32], major[8], minor[8], prefix[155], rest[12];
} Header;
_Static_assert(sizeof(Header) == BLOCK, "a header is one block");

/* ---- reading */

void tar_open(TarReader *out, int file, const char *name) {
    *out = (TarReader){.file = file, .name = name};
}

static void forget(TarReader *reader) {
    free(reader->entry.path);
    free(reader->entry.target);
    reader->entry = (TarEntry){0};
}

void tar_close(TarReader *reader) {
    forget(reader);
}

/* All `bytes`, or fewer at the file's end. */
static int64_t read_fully(TarReader *reader, void *out, size_t bytes, Error *error) {
    size_t done = 0;
    while (done < bytes) {
        ssize_t got = read(reader->file, (char *)out + done, bytes - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set(error, "cannot read %s: %s", reader->name, strerror(errno));
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (int64_t)done;
}

static int cut_off(const TarReader *reader, Error *error) {
    return error_set(error, "%s ends in the middle of a file: it was cut off", reader->name);
}

int64_t tar_read(TarReader *reader, void *out, size_t room, Error *error) {
    size_t bytes = (int64_t)room < reader->left ? room : (size_t)reader->left;
    int64_t got = read_fully(reader, out, bytes, error);
    if (got >= 0 && (size_t)got < bytes)
        return cut_off(reader, error);
    reader->left -= got > 0 ? got : 0;
    return got;
}

static int skip_rest(TarReader *reader, Error *error) {
    char block[BLOCK * 16];
    reader->left += reader->padding;
    reader->padding = 0;
    while (reader->left > 0)
        if (tar_read(reader, block, sizeof block, error) < 0)
            return -1;
    return 0;
}

/* Octal digits, or, with the first bit set, a big-endian binary number. -1 if it is neither. */
static int64_t read_number(const char *field, size_t width) {
    const unsigned char *bytes = (const unsigned char *)field;
    int64_t value = 0;
    if (bytes[0] & 0x80) {
        for (size_t i = 1; i < width; i++) {
            if (value > MOST_FILE_BYTES)
                return -1;
            value = value * 256 + bytes[i];
        }
        return (bytes[0] & 0x7f) ? -1 : value;
    }
    size_t i = 0;
    while (i < width && field[i] == ' ')
        i++;
    for (; i < width && field[i] >= '0' && field[i] <= '7'; i++)
        value = value * 8 + (field[i] - '0');
    return i < width && field[i] && field[i] != ' ' ? -1 : value;
}

static bool sum_is_right(const Header *header) {
    const unsigned char *bytes = (const unsigned char *)header;
    size_t from = offsetof(Header, sum);
    int64_t sum = 0;
    for (size_t i = 0; i < BLOCK; i++)
        sum += i >= from && i < from + sizeof header->sum ? ' ' : bytes[i];
    return read_number(header->sum, sizeof header->sum) == sum;
}

static char *header_path(const Header *header) {
    Buffer path = {0};
    if (memcmp(header->magic, "ustar", 6) == 0 && header->prefix[0])
        buffer_printf(&path, "%.*s/", (int)sizeof header->prefix, header->prefix);
    buffer_printf(&path, "%.*s", (int)sizeof header->name, header->name);
    return buffer_take(&path);
}

/* What extended headers say about the entry that follows them. */
typedef struct Extra {
    char *path, *target;
    int64_t bytes; /* -1: nothing */
} Extra;

/* One pax record "LENGTH KEY=VALUE\n"; returns its length, 0 if it is wrong. */
static size_t read_record(const char *text, size_t bytes, Extra *extra) {
    char *end;
    unsigned long length = strtoul(text, &end, 10);
    if (*end != ' ' || length > bytes || length < 5 || text[length - 1] != '\n')
        return 0;
    const char *key = end + 1, *equals = memchr(key, '=', length - (size_t)(key - text));
    if (!equals)
        return 0;
    char *value = mem_strndup(equals + 1, length - (size_t)(equals + 1 - text) - 1);
    bool path = text_starts_with(key, "path="), target = text_starts_with(key, "linkpath=");
    if (path || target) {
        char **field = path ? &extra->path : &extra->target;
        free(*field);
        *field = value;
        return length;
    }
    bool good = !text_starts_with(key, "size=") || text_to_int(value, &extra->bytes);
    free(value);
    return good ? length : 0;
}

static int read_extra(TarReader *reader, char type, int64_t bytes, Extra *extra, Error *error) {
    if (bytes > MOST_EXTRA)
        return error_set(error, "%s: a header of %lld bytes, expected at most %d", reader->name,
                         (long long)bytes, MOST_EXTRA);
    char *text = mem_alloc_zero(1, (size_t)bytes + 1);
    int result = 0;
    if (tar_read(reader, text, (size_t)bytes, error) < 0)
        result = -1;
    for (size_t at = 0, length; type == 'x' && result == 0 && at < (size_t)bytes; at += length) {
        length = read_record(text + at, (size_t)bytes - at, extra);
        if (length == 0)
            result = error_set(error, "%s: a pax header is damaged", reader->name);
    }
    if (result == 0 && (type == 'L' || type == 'K')) {
        char **field = type == 'L' ? &extra->path : &extra->target;
        free(*field);
        *field = text;
        text = NULL;
    }
    free(text);
    return result;
}

static int read_header(TarReader *reader, Header *header, Error *error) {
    static const Header zeros;
    int64_t got = read_fully(reader, header, BLOCK, error);
    if (got <= 0 || (got == BLOCK && memcmp(header, &zeros, BLOCK) == 0))
        return got < 0 ? -1 : 0;
    if (got < BLOCK)
        return cut_off(reader, error);
    reader->left = read_number(header->size, sizeof header->size);
    if (!sum_is_right(header) || reader->left < 0 || reader->left > MOST_FILE_BYTES)
        return error_set(error, "%s is no tar archive, or it is damaged", reader->name);
    reader->padding = (BLOCK - reader->left % BLOCK) % BLOCK;
    return 1;
}

static TarKind kind_of(char type) {
    return type == '0' || type == 0 ? TAR_FILE
           : type == '2'            ? TAR_LINK
           : type == '5'            ? TAR_FOLDER
                                    : TAR_OTHER;
}

static int take_entry(TarReader *reader, const Header *header, Extra *extra, Error *error) {
    if (extra->bytes > MOST_FILE_BYTES || extra->bytes < -1)
        return error_set(error, "%s: a file of %lld bytes cannot be", reader->name, (long long)extra->bytes);
    if (extra->bytes >= 0) {
        reader->left = extra->bytes;
        reader->padding = (BLOCK - reader->left % BLOCK) % BLOCK;
    }
    reader->entry = (TarEntry){.kind = kind_of(header->type),
                               .type = header->type,
                               .path = extra->path ? extra->path : header_path(header),
                               .target = extra->target ? extra->target
                                                       : mem_strndup(header->target, sizeof header->target),
                               .bytes = reader->left};
    extra->path = extra->target = NULL;
    return 1;
}

int tar_next(TarReader *reader, Error *error) {
    Extra extra = {.bytes = -1};
    Header header;
    int result = 0;
    forget(reader);
    for (;;) {
        result = skip_rest(reader, error) ? -1 : read_header(reader, &header, error);
        if (result <= 0)
            break;
        if (!strchr("xgLK", header.type) || !header.type) {
            result = take_entry(reader, &header, &extra, error);
            break;
        }
        if (read_extra(reader, header.type, reader->left, &extra, error)) {
            result = -1;
            break;
        }
    }
    free(extra.path);
    free(extra.target);
    return result;
}

/* ---- writing */

static void append_block(Buffer *out, char type, const char *path, const char *target, int64_t bytes) {
    Header header = {.type = type};
    unsigned sum = 0;
    char size[32], sums[16];
    memcpy(header.name, path, strnlen(path, sizeof header.name));
    memcpy(header.target, target, strnlen(target, sizeof header.target));
    memcpy(header.mode, type == '5' ? "0000755" : "0000644", 8);
    memcpy(header.owner, "0000000", 8);
    memcpy(header.group, "0000000", 8);
    snprintf(size, sizeof size, "%011llo", (unsigned long long)bytes & 077777777777ULL);
    memcpy(header.size, size, sizeof header.size);
    memcpy(header.time, "00000000000", 12);
    memcpy(header.magic, "ustar", 6);
    memcpy(header.version, "00", 2);
    memset(header.sum, ' ', sizeof header.sum);
    for (size_t i = 0; i < BLOCK; i++)
        sum += ((const unsigned char *)&header)[i];
    snprintf(sums, sizeof sums, "%06o", sum);
    memcpy(header.sum, sums, 7);
    buffer_append(out, &header, sizeof header);
}

/* A record's length counts its own digits. */
static void append_record(Buffer *out, const char *key, const char *value) {
    size_t bytes = strlen(key) + strlen(value) + 3, digits = 1;
    for (size_t length = bytes + digits; length >= 10; length /= 10)
        digits++;
    if (snprintf(NULL, 0, "%zu", bytes + digits) > (int)digits)
        digits++;
    buffer_printf(out, "%zu %s=%s\n", bytes + digits, key, value);
}

void tar_append_padding(Buffer *out, int64_t bytes) {
    static const char zeros[BLOCK];
    buffer_append(out, zeros, (size_t)((BLOCK - bytes % BLOCK) % BLOCK));
}

void tar_append_header(Buffer *out, TarKind kind, const char *path, const char *target, int64_t bytes) {
    Buffer extra = {0};
    char size[32];
    if (strlen(path) > sizeof((Header *)0)->name)
        append_record(&extra, "path", path);
    if (strlen(target) > sizeof((Header *)0)->target)
        append_record(&extra, "linkpath", target);
    if (bytes > 077777777777LL) {
        snprintf(size, sizeof size, "%lld", (long long)bytes);
        append_record(&extra, "size", size);
    }
    if (extra.size > 0) {
        append_block(out, 'x', "pax", "", (int64_t)extra.size);
        buffer_append(out, extra.data, extra.size);
        tar_append_padding(out, (int64_t)extra.size);
    }
    append_block(out, kind == TAR_LINK ? '2' : kind == TAR_FOLDER ? '5' : '0', path, target, bytes);
    buffer_free(&extra);
}

void tar_append_end(Buffer *out) {
    static const char zeros[2 * BLOCK];
    buffer_append(out, zeros, sizeof zeros);
}
