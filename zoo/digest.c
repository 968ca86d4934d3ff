/* Hashes of files while their bytes pass by; see digest.h. */
#include "zoo/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "base/memory.h"

enum { READ_BYTES = 1 << 20 };

struct Digest {
    EVP_MD_CTX *context;
};

bool digest_is_name(const char *name) {
    size_t length = strlen(name);
    return (length == 40 || length == 64) && strspn(name, "0123456789abcdef") == length;
}

Digest *digest_begin(const char *name, int64_t bytes) {
    Digest *digest = mem_alloc(sizeof *digest);
    bool git = strlen(name) == 40;
    digest->context = EVP_MD_CTX_new();
    if (!digest->context || EVP_DigestInit_ex(digest->context, git ? EVP_sha1() : EVP_sha256(), NULL) != 1) {
        fputs("zeval: libcrypto cannot begin a hash\n", stderr);
        abort();
    }
    if (git) {
        char header[32];
        int length = snprintf(header, sizeof header, "blob %lld", (long long)bytes);
        digest_update(digest, header, (size_t)length + 1);
    }
    return digest;
}

void digest_update(Digest *digest, const void *data, size_t bytes) {
    EVP_DigestUpdate(digest->context, data, bytes);
}

void digest_end(Digest *digest, char hex[DIGEST_HEX]) {
    unsigned char value[EVP_MAX_MD_SIZE];
    unsigned int length = 0;
    EVP_DigestFinal_ex(digest->context, value, &length);
    for (unsigned int i = 0; i < length && 2 * i + 2 < DIGEST_HEX; i++)
        snprintf(hex + 2 * i, 3, "%02x", value[i]);
    digest_free(digest);
}

void digest_free(Digest *digest) {
    if (!digest)
        return;
    EVP_MD_CTX_free(digest->context);
    free(digest);
}

int digest_open_file(int file, const char *name, int64_t bytes, char hex[DIGEST_HEX], Error *error) {
    Digest *digest = digest_begin(name, bytes);
    char *block = mem_alloc(READ_BYTES);
    int64_t done = 0;
    ssize_t got = 1;
    while (done < bytes && got > 0) {
        size_t wanted = bytes - done < READ_BYTES ? (size_t)(bytes - done) : READ_BYTES;
        got = pread(file, block, wanted, (off_t)done);
        digest_update(digest, block, got > 0 ? (size_t)got : 0);
        done += got > 0 ? got : 0;
    }
    digest_end(digest, hex);
    free(block);
    if (got < 0)
        return error_set(error, "cannot read it: %s", strerror(errno));
    return done < bytes ? error_set(error, "it ended after %lld of %lld bytes while it was read",
                                    (long long)done, (long long)bytes)
                        : 0;
}

int digest_file(const char *path, const char *name, char hex[DIGEST_HEX], Error *error) {
    struct stat status;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int result = 0;
    if (file < 0 || fstat(file, &status) != 0 || !S_ISREG(status.st_mode))
        result = error_set(error, "cannot hash %s: %s", path,
                           file < 0 ? strerror(errno) : "it is no regular file");
    else if (digest_open_file(file, name, status.st_size, hex, error))
        result = error_prefix(error, "hashing %s", path);
    if (file >= 0)
        close(file);
    return result;
}
