/* Reads the directory of a zip archive (PKWARE's APPNOTE 6.3, sections 4.3 and 4.5.3), backwards from the end
 * record. Invariant of every member handed out: its bytes lie inside the archive, behind a local header that
 * says what the central directory says, and no other member claims any of them. */
#include "runner/checkpoint/zip.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/file.h"
#include "base/memory.h"

enum {
    LOCAL_BYTES = 30,
    CENTRAL_BYTES = 46,
    END_BYTES = 22,
    END64_BYTES = 56,
    LOCATOR64_BYTES = 20,
    COMMENT_MAX_BYTES = 65535,
    NAME_MAX_BYTES = 1024,
    MEMBERS_MAX = 1000000,
    ZIP64_EXTRA = 1
};

/* Flag bits that a stored member may have: sizes in a descriptor behind the data, a UTF-8 name. */
enum { FLAG_DESCRIPTOR = 1 << 3, FLAG_UTF8 = 1 << 11 };

typedef struct Reader {
    const uint8_t *data;
    size_t bytes;
    const char *where;
} Reader;

static uint64_t little_endian(const uint8_t *p, int n) {
    uint64_t value = 0;
    while (n-- > 0)
        value = value << 8 | p[n];
    return value;
}

static uint32_t get16(const uint8_t *p) {
    return (uint32_t)little_endian(p, 2);
}

static uint32_t get32(const uint8_t *p) {
    return (uint32_t)little_endian(p, 4);
}

/* What the end record, or its zip64 form, says. */
typedef struct Directory {
    uint64_t n_members, offset, bytes;
    size_t limit; /* where the directory must end */
} Directory;

/* The end record lies before a comment of up to 64 KiB; the comment's length must reach to the end exactly.
 */
static int find_end(const Reader *zip, size_t *at, Error *error) {
    size_t lowest =
        zip->bytes > END_BYTES + COMMENT_MAX_BYTES ? zip->bytes - END_BYTES - COMMENT_MAX_BYTES : 0;
    for (size_t i = zip->bytes < END_BYTES ? lowest : zip->bytes - END_BYTES + 1; i-- > lowest;)
        if (memcmp(zip->data + i, "PK\5\6", 4) == 0 &&
            get16(zip->data + i + 20) == zip->bytes - i - END_BYTES) {
            *at = i;
            return 0;
        }
    return error_set(error, "%s: has no end record of a zip archive; the file is cut short or something else",
                     zip->where);
}

static int read_end64(const Reader *zip, size_t end, Directory *out, Error *error) {
    const uint8_t *locator = zip->data + end - LOCATOR64_BYTES;
    uint64_t at = little_endian(locator + 8, 8);
    if (get32(locator + 4) != 0 || get32(locator + 16) > 1)
        return error_set(error, "%s: is one part of a split zip archive", zip->where);
    if (end < LOCATOR64_BYTES + END64_BYTES || at != end - LOCATOR64_BYTES - END64_BYTES ||
        memcmp(zip->data + at, "PK\6\6", 4) != 0 || little_endian(zip->data + at + 4, 8) != END64_BYTES - 12)
        return error_set(error, "%s: the zip64 end record is not where its locator says (byte %llu)",
                         zip->where, (unsigned long long)at);
    const uint8_t *record = zip->data + at;
    if (get32(record + 16) != 0 || get32(record + 20) != 0 ||
        little_endian(record + 24, 8) != little_endian(record + 32, 8))
        return error_set(error, "%s: is one part of a split zip archive", zip->where);
    *out = (Directory){little_endian(record + 32, 8), little_endian(record + 48, 8),
                       little_endian(record + 40, 8), (size_t)at};
    return 0;
}

/* A field of the short end record says what the zip64 record says, or that it is there. */
static bool agrees(uint64_t field, uint64_t absent, uint64_t value) {
    return field == absent || field == value;
}

static int read_end(const Reader *zip, Directory *out, Error *error) {
    size_t end = 0;
    if (find_end(zip, &end, error))
        return -1;
    const uint8_t *record = zip->data + end;
    uint32_t n = get16(record + 10), bytes = get32(record + 12), offset = get32(record + 16);
    bool has_64 = end >= LOCATOR64_BYTES && memcmp(record - LOCATOR64_BYTES, "PK\6\7", 4) == 0;
    if (get16(record + 4) != 0 || get16(record + 6) != 0 || get16(record + 8) != n)
        return error_set(error, "%s: is one part of a split zip archive", zip->where);
    *out = (Directory){n, offset, bytes, end};
    if (has_64 && read_end64(zip, end, out, error))
        return -1;
    if (has_64 && (!agrees(n, 0xffff, out->n_members) || !agrees(bytes, 0xffffffff, out->bytes) ||
                   !agrees(offset, 0xffffffff, out->offset)))
        return error_set(error, "%s: the two end records of the zip archive contradict each other",
                         zip->where);
    if (out->offset > out->limit || out->bytes != out->limit - out->offset)
        return error_set(error,
                         "%s: the zip directory claims bytes %llu to %llu, but must end where the end record "
                         "begins, at %zu",
                         zip->where, (unsigned long long)out->offset,
                         (unsigned long long)(out->offset + out->bytes), out->limit);
    if (out->n_members > MEMBERS_MAX || out->n_members > out->bytes / CENTRAL_BYTES)
        return error_set(error, "%s: the zip directory claims %llu members in %llu bytes", zip->where,
                         (unsigned long long)out->n_members, (unsigned long long)out->bytes);
    return 0;
}

/* Sizes and offset of a member; those that do not fit 32 bits stand in its zip64 extra field, in order. */
typedef struct Extent {
    uint64_t size, stored_size, offset;
} Extent;

static int read_extra(const Reader *zip, const char *name, const uint8_t *extra, size_t bytes, Extent *extent,
                      Error *error) {
    uint64_t *const fields[] = {&extent->size, &extent->stored_size, &extent->offset};
    size_t missing = 0;
    for (size_t i = 0; i < 3; i++)
        missing += *fields[i] == 0xffffffff;
    while (bytes >= 4) {
        size_t length = get16(extra + 2);
        if (length > bytes - 4)
            break;
        if (get16(extra) == ZIP64_EXTRA && missing) {
            size_t at = 4;
            for (size_t i = 0; i < 3; i++)
                if (*fields[i] == 0xffffffff && at + 8 <= 4 + length) {
                    *fields[i] = little_endian(extra + at, 8);
                    at += 8;
                    missing--;
                }
            if (missing)
                break;
        }
        extra += 4 + length;
        bytes -= 4 + length;
    }
    if (missing || bytes)
        return error_set(error, "%s: zip member %.200s: its extra field is broken", zip->where, name);
    return 0;
}

static int check_name(const Reader *zip, const uint8_t *name, size_t bytes, Error *error) {
    for (size_t i = 0; i < bytes; i++)
        if (name[i] < 0x20 || name[i] == 0x7f)
            return error_set(error, "%s: a zip member's name has the control character 0x%02x in it",
                             zip->where, name[i]);
    if (bytes == 0 || bytes > NAME_MAX_BYTES)
        return error_set(error, "%s: a zip member's name is %zu bytes long, expected 1 to %d", zip->where,
                         bytes, NAME_MAX_BYTES);
    return 0;
}

/* The local header repeats the central one; with a descriptor its sizes and checksum may be left 0. */
static int check_local(const Reader *zip, const ZipMember *member, const Extent *extent,
                       const uint8_t *central, size_t limit, const uint8_t **data, Error *error) {
    const char *name = member->name;
    size_t name_bytes = strlen(name);
    if (extent->offset > limit || limit - extent->offset < LOCAL_BYTES + name_bytes ||
        memcmp(zip->data + extent->offset, "PK\3\4", 4) != 0)
        return error_set(error, "%s: zip member %.200s: there is no local header at byte %llu", zip->where,
                         name, (unsigned long long)extent->offset);
    const uint8_t *local = zip->data + extent->offset;
    size_t extra_bytes = get16(local + 28), room = limit - extent->offset - LOCAL_BYTES - name_bytes;
    bool descriptor = get16(local + 6) & FLAG_DESCRIPTOR;
    if (get16(local + 26) != name_bytes || memcmp(local + LOCAL_BYTES, name, name_bytes) != 0)
        return error_set(error, "%s: zip member %.200s: its local header has another name", zip->where, name);
    if (get16(local + 6) != get16(central + 8) || get16(local + 8) != get16(central + 10))
        return error_set(error, "%s: zip member %.200s: its local header has other flags or another method",
                         zip->where, name);
    if (extra_bytes > room || extent->size > room - extra_bytes)
        return error_set(error, "%s: zip member %.200s: its %llu bytes reach beyond the directory",
                         zip->where, name, (unsigned long long)extent->size);
    Extent again = {get32(local + 22), get32(local + 18), 0};
    uint32_t crc32_again = get32(local + 14);
    if (read_extra(zip, name, local + LOCAL_BYTES + name_bytes, extra_bytes, &again, error))
        return -1;
    bool left_out = descriptor && again.size == 0 && again.stored_size == 0;
    if (!left_out && (again.size != extent->size || again.stored_size != extent->stored_size))
        return error_set(error, "%s: zip member %.200s: its local header says %llu bytes, the directory %llu",
                         zip->where, name, (unsigned long long)again.size, (unsigned long long)extent->size);
    if (crc32_again != member->crc32 && !(descriptor && crc32_again == 0))
        return error_set(error, "%s: zip member %.200s: its local header has another checksum", zip->where,
                         name);
    *data = local + LOCAL_BYTES + name_bytes + extra_bytes;
    return 0;
}

/* One entry of the central directory at `central`; *entry_bytes is what it takes of the `left` bytes. */
static int read_member(const Reader *zip, ZipMember *member, const uint8_t *central, size_t left,
                       size_t limit, size_t *entry_bytes, Error *error) {
    if (left < CENTRAL_BYTES || memcmp(central, "PK\1\2", 4) != 0)
        return error_set(error, "%s: the zip directory is cut short or broken", zip->where);
    size_t name_bytes = get16(central + 28), extra_bytes = get16(central + 30);
    *entry_bytes = CENTRAL_BYTES + name_bytes + extra_bytes + get16(central + 32);
    if (*entry_bytes > left)
        return error_set(error, "%s: an entry of the zip directory reaches beyond its end", zip->where);
    if (check_name(zip, central + CENTRAL_BYTES, name_bytes, error))
        return -1;
    const char *name = member->name = mem_strndup((const char *)central + CENTRAL_BYTES, name_bytes);
    uint32_t flags = get16(central + 8), method = get16(central + 10);
    Extent extent = {get32(central + 24), get32(central + 20), get32(central + 42)};
    member->crc32 = get32(central + 16);
    if (!path_is_inside(name))
        return error_set(error, "%s: zip member \"%.200s\" is not inside the archive's folder", zip->where,
                         name);
    if (method != 0)
        return error_set(error, "%s: zip member %.200s is compressed (method %u%s), expected stored bytes",
                         zip->where, name, method, method == 8 ? ", deflate" : "");
    if (flags & ~(uint32_t)(FLAG_DESCRIPTOR | FLAG_UTF8))
        return error_set(error, "%s: zip member %.200s is encrypted or patched (flags 0x%04x)", zip->where,
                         name, flags);
    if (read_extra(zip, name, central + CENTRAL_BYTES + name_bytes, extra_bytes, &extent, error))
        return -1;
    if (extent.size != extent.stored_size)
        return error_set(error, "%s: zip member %.200s: stores %llu bytes of %llu", zip->where, name,
                         (unsigned long long)extent.stored_size, (unsigned long long)extent.size);
    if (get16(central + 34) != 0)
        return error_set(error, "%s: is one part of a split zip archive", zip->where);
    member->bytes = (size_t)extent.size;
    member->begin = (size_t)extent.offset;
    return check_local(zip, member, &extent, central, limit, &member->data, error);
}

static int compare_begins(const void *a, const void *b) {
    size_t x = ((const ZipMember *)a)->begin, y = ((const ZipMember *)b)->begin;
    return (x > y) - (x < y);
}

static int compare_names(const void *a, const void *b) {
    return strcmp(((const ZipMember *)a)->name, ((const ZipMember *)b)->name);
}

static int check_distinct(const Reader *zip, ZipArchive *archive, Error *error) {
    ZipMember *members = archive->members;
    qsort(members, archive->n_members, sizeof *members, compare_begins);
    for (size_t i = 1; i < archive->n_members; i++)
        if (members[i - 1].data + members[i - 1].bytes > zip->data + members[i].begin)
            return error_set(error, "%s: zip members %.200s and %.200s overlap", zip->where,
                             members[i - 1].name, members[i].name);
    qsort(members, archive->n_members, sizeof *members, compare_names);
    for (size_t i = 1; i < archive->n_members; i++)
        if (strcmp(members[i - 1].name, members[i].name) == 0)
            return error_set(error, "%s: zip member %.200s is there twice", zip->where, members[i].name);
    return 0;
}

static int read_members(const Reader *zip, const Directory *directory, ZipArchive *out, Error *error) {
    size_t at = (size_t)directory->offset;
    out->members = mem_alloc_zero((size_t)directory->n_members, sizeof *out->members);
    while (out->n_members < directory->n_members) {
        size_t entry_bytes = 0;
        if (read_member(zip, &out->members[out->n_members++], zip->data + at, directory->limit - at,
                        (size_t)directory->offset, &entry_bytes, error))
            return -1;
        at += entry_bytes;
    }
    if (at != directory->limit)
        return error_set(error, "%s: the zip directory has %zu bytes more than its %llu entries", zip->where,
                         directory->limit - at, (unsigned long long)directory->n_members);
    return out->n_members ? check_distinct(zip, out, error) : 0;
}

int zip_parse(ZipArchive *out, const uint8_t *data, size_t bytes, const char *where, Error *error) {
    Reader zip = {data, bytes, where};
    Directory directory = {0};
    *out = (ZipArchive){0};
    if (read_end(&zip, &directory, error) || read_members(&zip, &directory, out, error)) {
        zip_free(out);
        return -1;
    }
    return 0;
}

void zip_free(ZipArchive *archive) {
    for (size_t i = 0; i < archive->n_members; i++)
        free(archive->members[i].name);
    free(archive->members);
    *archive = (ZipArchive){0};
}

static int compare_name_to_member(const void *name, const void *member) {
    return strcmp(name, ((const ZipMember *)member)->name);
}

const ZipMember *zip_find(const ZipArchive *archive, const char *name) {
    return archive->n_members ? bsearch(name, archive->members, archive->n_members, sizeof *archive->members,
                                        compare_name_to_member)
                              : NULL;
}

int zip_check(const ZipMember *member, const char *where, Error *error) {
    uLong found = crc32_z(crc32_z(0, NULL, 0), member->data, member->bytes);
    if (found != member->crc32)
        return error_set(error, "%s: zip member %.200s has checksum %08lx, but the archive says %08lx", where,
                         member->name, found, (unsigned long)member->crc32);
    return 0;
}
