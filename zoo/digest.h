/* The two hashes by which the hub names a file: SHA-256 of a large file's bytes, and git's blob id (SHA-1 of
 * "blob SIZE", a NUL and the bytes) of a small one. */
#ifndef ZEVAL_ZOO_DIGEST_H
#define ZEVAL_ZOO_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum { DIGEST_HEX = 65 };

typedef struct Digest Digest;
/* `name` chooses the hash by its length: 64 hexadecimal digits SHA-256, 40 a git blob id of `bytes` bytes. */
Digest *digest_begin(const char *name, int64_t bytes);
void digest_update(Digest *digest, const void *data, size_t bytes);
/* Finishes, frees and writes lower-case hex. */
void digest_end(Digest *digest, char hex[DIGEST_HEX]);
void digest_free(Digest *digest);

/* True if a name is one of the two: 40 or 64 lower-case hexadecimal digits. */
bool digest_is_name(const char *name);
/* Hashes `bytes` bytes of an open file from its beginning, as `name` wants it. */
int digest_open_file(int file, const char *name, int64_t bytes, char hex[DIGEST_HEX], Error *error);
/* Hashes the file at `path` as `name` wants it. */
int digest_file(const char *path, const char *name, char hex[DIGEST_HEX], Error *error);

#endif
