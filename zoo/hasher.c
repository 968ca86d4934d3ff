/* The thread that hashes behind a download; see hasher.h. Invariant: hashed <= written, and only the thread
 * touches the digest until it has ended. */
#include "zoo/hasher.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"

enum { BLOCK_BYTES = 256 << 10 };

struct Hasher {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    Digest *digest;
    int file, read_error;
    int64_t hashed, written;
    bool closing, dropped; /* no more will be written; the result is not wanted */
};

/* How many bytes can be hashed now; 0 when the thread's work is over. */
static int64_t wait_for_bytes(Hasher *hasher) {
    pthread_mutex_lock(&hasher->lock);
    while (hasher->hashed == hasher->written && !hasher->closing)
        pthread_cond_wait(&hasher->changed, &hasher->lock);
    int64_t ready = hasher->dropped ? 0 : hasher->written - hasher->hashed;
    pthread_mutex_unlock(&hasher->lock);
    return ready;
}

static void *hash_along(void *argument) {
    Hasher *hasher = argument;
    char *block = mem_alloc(BLOCK_BYTES);
    for (int64_t ready; (ready = wait_for_bytes(hasher)) > 0;) {
        size_t bytes = ready < BLOCK_BYTES ? (size_t)ready : BLOCK_BYTES;
        ssize_t got = pread(hasher->file, block, bytes, hasher->hashed);
        if (got > 0) {
            digest_update(hasher->digest, block, (size_t)got);
            pthread_mutex_lock(&hasher->lock);
            hasher->hashed += got;
            pthread_mutex_unlock(&hasher->lock);
        } else if (got == 0 || errno != EINTR) {
            pthread_mutex_lock(&hasher->lock);
            hasher->read_error = got == 0 ? ENODATA : errno;
            pthread_mutex_unlock(&hasher->lock);
            break;
        }
    }
    free(block);
    return NULL;
}

Hasher *hasher_begin(int file, const char *name, int64_t bytes) {
    Hasher *hasher = mem_alloc_zero(1, sizeof *hasher);
    hasher->file = file;
    hasher->digest = digest_begin(name, bytes);
    pthread_mutex_init(&hasher->lock, NULL);
    pthread_cond_init(&hasher->changed, NULL);
    if (pthread_create(&hasher->thread, NULL, hash_along, hasher) != 0) {
        fputs("zeval: the system gives no thread to hash with\n", stderr);
        abort();
    }
    return hasher;
}

void hasher_advance(Hasher *hasher, int64_t written) {
    pthread_mutex_lock(&hasher->lock);
    hasher->written = written;
    pthread_cond_signal(&hasher->changed);
    pthread_mutex_unlock(&hasher->lock);
}

int64_t hasher_lag(Hasher *hasher) {
    pthread_mutex_lock(&hasher->lock);
    int64_t lag = hasher->read_error ? 0 : hasher->written - hasher->hashed;
    pthread_mutex_unlock(&hasher->lock);
    return lag;
}

static void join(Hasher *hasher, bool dropped) {
    pthread_mutex_lock(&hasher->lock);
    hasher->closing = true;
    hasher->dropped = dropped;
    pthread_cond_signal(&hasher->changed);
    pthread_mutex_unlock(&hasher->lock);
    pthread_join(hasher->thread, NULL);
    pthread_mutex_destroy(&hasher->lock);
    pthread_cond_destroy(&hasher->changed);
}

int hasher_end(Hasher *hasher, char hex[DIGEST_HEX], const char *what, Error *error) {
    join(hasher, false);
    int read_error = hasher->read_error;
    digest_end(hasher->digest, hex);
    free(hasher);
    return read_error
               ? error_set(error, "%s: cannot read back what was written: %s", what, strerror(read_error))
               : 0;
}

void hasher_free(Hasher *hasher) {
    if (!hasher)
        return;
    join(hasher, true);
    digest_free(hasher->digest);
    free(hasher);
}
