/* SHA-256 (OpenSSL's EVP underneath). */
#ifndef ZEVAL_BASE_HASH_H
#define ZEVAL_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum { SHA256_BYTES = 32, SHA256_HEX = 65 }; /* the hex form with its NUL */

typedef struct Sha256 Sha256;
Sha256 *sha256_begin(void);
void sha256_update(Sha256 *hash, const void *data, size_t bytes);
/* Appends the length and then the bytes, so that two fields can never run into each other. */
void sha256_update_field(Sha256 *hash, const void *data, size_t bytes);
/* Finishes, frees, and writes the digest as lower-case hex. */
void sha256_end(Sha256 *hash, char hex[SHA256_HEX]);

void sha256_text(const char *text, size_t bytes, char hex[SHA256_HEX]);
int sha256_file(const char *path, char hex[SHA256_HEX], Error *error);

#endif
