/* Tar archives (POSIX ustar with pax headers; GNU's long names are read too), as far as exported models need
 * them: regular files, symbolic links, folders. */
#ifndef ZEVAL_ZOO_TAR_H
#define ZEVAL_ZOO_TAR_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

typedef enum TarKind { TAR_FILE, TAR_LINK, TAR_FOLDER, TAR_OTHER } TarKind;

typedef struct TarEntry {
    TarKind kind;
    char type;     /* as it is in the archive, for messages */
    char *path;    /* as it is in the archive: nothing about it was checked */
    char *target;  /* of a link */
    int64_t bytes; /* of a file */
} TarEntry;

typedef struct TarReader {
    int file;
    const char *name; /* of the archive, for messages */
    TarEntry entry;
    int64_t left, padding; /* of the entry at hand, not read yet */
} TarReader;

/* Reads from an open file. */
void tar_open(TarReader *out, int file, const char *name);
/* 1: reader->entry is the next one; 0: end; -1: error. What was not read of the last one is skipped. */
int tar_next(TarReader *reader, Error *error);
/* Up to `room` bytes of the entry's file; 0 at its end; -1: error. */
int64_t tar_read(TarReader *reader, void *out, size_t room, Error *error);
void tar_close(TarReader *reader);

/* Appends the header of an entry: a file's bytes follow, and then tar_append_padding. */
void tar_append_header(Buffer *out, TarKind kind, const char *path, const char *target, int64_t bytes);
void tar_append_padding(Buffer *out, int64_t bytes);
void tar_append_end(Buffer *out);

#endif
