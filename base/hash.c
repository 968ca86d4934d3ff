/* SHA-256 through OpenSSL's EVP interface; see hash.h. */
#include "base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"

struct Sha256 {
    EVP_MD_CTX *context;
};

/* The library fails only when it has no memory or no SHA-256; neither leaves anything to go on with. */
static void require(int succeeded) {
    if (succeeded == 1)
        return;
    fprintf(stderr, "zeval: the cryptographic library cannot compute SHA-256\n");
    abort();
}

Sha256 *sha256_begin(void) {
    Sha256 *hash = mem_alloc(sizeof *hash);
    hash->context = EVP_MD_CTX_new();
    require(hash->context && EVP_DigestInit_ex(hash->context, EVP_sha256(), NULL));
    return hash;
}

void sha256_update(Sha256 *hash, const void *data, size_t bytes) {
    require(EVP_DigestUpdate(hash->context, data, bytes));
}

void sha256_update_field(Sha256 *hash, const void *data, size_t bytes) {
    unsigned char length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)((uint64_t)bytes >> (8 * i));
    sha256_update(hash, length, sizeof length);
    sha256_update(hash, data, bytes);
}

void sha256_end(Sha256 *hash, char hex[SHA256_HEX]) {
    unsigned char digest[SHA256_BYTES];
    require(EVP_DigestFinal_ex(hash->context, digest, NULL));
    for (int i = 0; i < SHA256_BYTES; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    EVP_MD_CTX_free(hash->context);
    free(hash);
}

void sha256_text(const char *text, size_t bytes, char hex[SHA256_HEX]) {
    Sha256 *hash = sha256_begin();
    sha256_update(hash, text, bytes);
    sha256_end(hash, hex);
}

int sha256_file(const char *path, char hex[SHA256_HEX], Error *error) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return error_set(error, "cannot read %s: %s", path, strerror(errno));
    enum { CHUNK = 1 << 20 };
    unsigned char *chunk = mem_alloc(CHUNK);
    Sha256 *hash = sha256_begin();
    ssize_t got;
    while ((got = read(file, chunk, CHUNK)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            break;
        sha256_update(hash, chunk, (size_t)got);
    }
    int failure = got < 0 ? errno : 0;
    sha256_end(hash, hex);
    free(chunk);
    close(file);
    return failure ? error_set(error, "cannot read %s: %s", path, strerror(failure)) : 0;
}
