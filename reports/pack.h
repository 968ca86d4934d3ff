/* Data that travels inside a page: compressed, and written in letters that no markup can end. */
#ifndef ZEVAL_REPORTS_PACK_H
#define ZEVAL_REPORTS_PACK_H

#include <stddef.h>

#include "base/buffer.h"

/* Appends gzip of `bytes` bytes in base64. The same data gives the same text. */
void pack_gzip(Buffer *out, const char *data, size_t bytes);
/* Appends base64 of `bytes` bytes. */
void pack_base64(Buffer *out, const void *data, size_t bytes);
/* Appends the base64 of the SHA-256 of `bytes` bytes, as a content security policy names a script. */
void pack_digest(Buffer *out, const void *data, size_t bytes);

#endif
