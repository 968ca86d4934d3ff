/* A file that is not whole yet. One that is fetched from its beginning to its end is HASH.incomplete, as the
 * hub's Python client has it: its size is how far it got. One that is fetched in parts is HASH.parts: the
 * file's bytes with gaps, and behind them a record of how far each part got, so that a killed process loses
 * nothing. (A file with gaps under the other name would be taken for whole by its size.) */
#ifndef ZEVAL_ZOO_PARTIAL_H
#define ZEVAL_ZOO_PARTIAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum { PARTIAL_MOST_PARTS = 256, PARTIAL_ETAG = 128 };

typedef struct PartialFile {
    char *path;
    char *sequential; /* the path of HASH.incomplete, which is taken over; NULL for a file of one part */
    int64_t bytes, part_bytes;
    size_t n_parts;
    int out; /* descriptor, -1: closed */
} PartialFile;

/* What an earlier process left: how far each part got, and the ETag of the file it came from ("" unknown). */
typedef struct PartialState {
    int64_t done[PARTIAL_MOST_PARTS];
    char etag[PARTIAL_ETAG];
} PartialState;

/* Opens or creates the partial file and says what is in it; a record that cannot be is as good as none. */
int partial_open(PartialFile *file, PartialState *state, Error *error);
/* Writes bytes at a place in the file, all of them. */
int partial_write(PartialFile *file, const void *data, size_t bytes, int64_t at, Error *error);
/* Keeps that `done` bytes of part i are here. Does nothing for a file of one part. */
int partial_note(PartialFile *file, size_t i, int64_t done, Error *error);
/* Keeps the ETag of the file that is fetched now (shorter than PARTIAL_ETAG). */
int partial_note_etag(PartialFile *file, const char *etag, Error *error);
/* Empties it; what was there is kept as `aside` if that is not NULL. */
int partial_restart(PartialFile *file, const char *aside, Error *error);
/* Gives the whole file its name. */
int partial_finish(PartialFile *file, const char *blob, Error *error);
void partial_close(PartialFile *file);

#endif
