/* Zip archives whose members are stored, not compressed, as torch.save writes them: a list of where each
 * member's bytes lie. */
#ifndef ZEVAL_RUNNER_CHECKPOINT_ZIP_H
#define ZEVAL_RUNNER_CHECKPOINT_ZIP_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct ZipMember {
    char *name;
    const uint8_t *data; /* inside the archive; any alignment */
    size_t bytes;
    uint32_t crc32; /* as the archive says; see zip_check */
    size_t begin;   /* where the member's local header lies in the archive */
} ZipMember;

typedef struct ZipArchive {
    ZipMember *members; /* sorted by name, no two alike, no two sharing a byte */
    size_t n_members;
} ZipArchive;

/* Lists the members of an archive in memory. Every header is checked: against the archive's size, and the
 * central directory against the local headers. Compressed, encrypted and split archives are refused, and so
 * are names that leave the archive's folder. `where` is used in messages. On failure *out is empty. */
int zip_parse(ZipArchive *out, const uint8_t *data, size_t bytes, const char *where, Error *error);
void zip_free(ZipArchive *archive);

/* NULL if there is none. */
const ZipMember *zip_find(const ZipArchive *archive, const char *name);
/* Reads all of a member and compares its checksum. */
int zip_check(const ZipMember *member, const char *where, Error *error);

#endif
