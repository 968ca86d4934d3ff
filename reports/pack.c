#include "reports/pack.h"

#include <limits.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/memory.h"

void pack_base64(Buffer *out, const void *data, size_t bytes) {
    const unsigned char *at = data;
    enum { STEP = 3 << 20 }; /* a multiple of 3: only the last piece is padded */
    while (bytes > 0) {
        size_t n = bytes < STEP ? bytes : STEP;
        char *room = buffer_reserve(out, 4 * ((n + 2) / 3) + 1);
        out->size += (size_t)EVP_EncodeBlock((unsigned char *)room, at, (int)n);
        at += n;
        bytes -= n;
    }
}

void pack_gzip(Buffer *out, const char *data, size_t bytes) {
    enum { GZIP = 16, WINDOW = 15, LEVEL = 9, MEMORY = 9 };
    z_stream stream = {0};
    /* Fails only without memory, and then there is none to say so in. */
    if (bytes > UINT_MAX ||
        deflateInit2(&stream, LEVEL, Z_DEFLATED, WINDOW + GZIP, MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
        abort();
    size_t room = deflateBound(&stream, (uLong)bytes);
    unsigned char *packed = mem_alloc(room);
    stream.next_in = (unsigned char *)data;
    stream.avail_in = (uInt)bytes;
    stream.next_out = packed;
    stream.avail_out = (uInt)room;
    deflate(&stream, Z_FINISH);
    deflateEnd(&stream);
    pack_base64(out, packed, room - stream.avail_out);
    free(packed);
}

void pack_digest(Buffer *out, const void *data, size_t bytes) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int n = 0;
    if (!EVP_Digest(data, bytes, digest, &n, EVP_sha256(), NULL))
        abort();
    pack_base64(out, digest, n);
}
