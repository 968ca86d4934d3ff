/* Hashes a growing file on a thread of its own, so that hashing and receiving do not wait for each other. The
 * bytes are read back from the page cache just behind the writer. */
#ifndef ZEVAL_ZOO_HASHER_H
#define ZEVAL_ZOO_HASHER_H

#include "zoo/digest.h"

typedef struct Hasher Hasher;
/* Hashes from the beginning of the file behind `file` (which stays the caller's and must stay open), as the
 * hash `name` wants it; `bytes` is the size it will have. Nothing is read before hasher_advance allows it. */
Hasher *hasher_begin(int file, const char *name, int64_t bytes);
/* Bytes up to `written` are in the file. */
void hasher_advance(Hasher *hasher, int64_t written);
/* How many of the bytes allowed so far are not hashed yet. */
int64_t hasher_lag(Hasher *hasher);
/* Waits until all bytes allowed so far are hashed, ends the thread, frees, and writes lower-case hex. -1 with
 * an Error naming `what` if the file cannot be read back. */
int hasher_end(Hasher *hasher, char hex[DIGEST_HEX], const char *what, Error *error);
/* Ends the thread without waiting for the rest; NULL does nothing. */
void hasher_free(Hasher *hasher);

#endif
