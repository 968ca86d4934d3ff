/* The partial file on disk; see partial.h. The record behind the bytes is as wide as PartialRecord, in this
 * machine's byte order: it never leaves the machine, and one that does not fit is dropped. */
#include "zoo/partial.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

static const char magic[16] = "zeval parts 1\n";

typedef struct PartialRecord {
    char magic[16];
    int64_t bytes, part_bytes;
    PartialState state;
} PartialRecord;

static int failed(const PartialFile *file, const char *verb, Error *error) {
    return error_set(error, "cannot %s %s: %s", verb, file->path, strerror(errno));
}

int partial_write(PartialFile *file, const void *data, size_t bytes, int64_t at, Error *error) {
    for (size_t done = 0; done < bytes;) {
        ssize_t wrote =
            pwrite(file->out, (const char *)data + done, bytes - done, (off_t)(at + (int64_t)done));
        if (wrote < 0 && errno != EINTR)
            return failed(file, "write", error);
        done += wrote > 0 ? (size_t)wrote : 0;
    }
    return 0;
}

static bool record_fits(const PartialFile *file, const PartialRecord *record) {
    if (memcmp(record->magic, magic, sizeof magic) != 0 || record->bytes != file->bytes ||
        record->part_bytes != file->part_bytes || !memchr(record->state.etag, 0, PARTIAL_ETAG))
        return false;
    for (size_t i = 0; i < file->n_parts; i++)
        if (record->state.done[i] < 0 || record->state.done[i] > file->bytes)
            return false;
    return true;
}

/* A beginning of `have` bytes fills the parts from the first on. */
static void spread(const PartialFile *file, int64_t have, PartialState *state) {
    for (size_t i = 0; i < file->n_parts && have > 0; i++) {
        state->done[i] = have < file->part_bytes ? have : file->part_bytes;
        have -= state->done[i];
    }
}

/* The first part alone may hold more than its share: then the file was fetched from its beginning on. */
static void read_record(PartialFile *file, PartialState *state) {
    PartialRecord record;
    ssize_t got = pread(file->out, &record, sizeof record, (off_t)file->bytes);
    if (got != (ssize_t)sizeof record || !record_fits(file, &record))
        return;
    memcpy(state->etag, record.state.etag, PARTIAL_ETAG);
    if (record.state.done[0] > file->part_bytes) {
        spread(file, record.state.done[0], state);
        return;
    }
    for (size_t i = 0; i < file->n_parts; i++)
        state->done[i] = record.state.done[i] < file->part_bytes ? record.state.done[i] : file->part_bytes;
}

/* Opens the one of a single part: its size says how far it got; more than the file can hold is none of it. */
static int open_sequential(PartialFile *file, PartialState *state, Error *error) {
    struct stat status;
    if (fstat(file->out, &status) != 0)
        return failed(file, "examine", error);
    state->done[0] = status.st_size <= file->bytes ? status.st_size : 0;
    return 0;
}

static int write_record(PartialFile *file, const PartialState *state, Error *error) {
    PartialRecord record = {.bytes = file->bytes, .part_bytes = file->part_bytes, .state = *state};
    memcpy(record.magic, magic, sizeof magic);
    return file->n_parts == 1 ? 0 : partial_write(file, &record, sizeof record, file->bytes, error);
}

int partial_open(PartialFile *file, PartialState *state, Error *error) {
    struct stat status;
    int64_t begun = -1;
    *state = (PartialState){0};
    if (file->n_parts > 1 && lstat(file->path, &status) != 0 && lstat(file->sequential, &status) == 0 &&
        S_ISREG(status.st_mode) && rename(file->sequential, file->path) == 0)
        begun = status.st_size;
    file->out = open(file->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (file->out < 0)
        return failed(file, "open", error);
    if (file->n_parts == 1)
        return open_sequential(file, state, error);
    if (begun > 0 && begun <= file->bytes)
        spread(file, begun, state);
    else
        read_record(file, state);
    return write_record(file, state, error);
}

int partial_note(PartialFile *file, size_t i, int64_t done, Error *error) {
    int64_t at = file->bytes + (int64_t)offsetof(PartialRecord, state.done) + (int64_t)(i * sizeof done);
    return file->n_parts == 1 ? 0 : partial_write(file, &done, sizeof done, at, error);
}

int partial_note_etag(PartialFile *file, const char *etag, Error *error) {
    char text[PARTIAL_ETAG] = "";
    snprintf(text, sizeof text, "%s", etag);
    int64_t at = file->bytes + (int64_t)offsetof(PartialRecord, state.etag);
    return file->n_parts == 1 ? 0 : partial_write(file, text, sizeof text, at, error);
}

int partial_restart(PartialFile *file, const char *aside, Error *error) {
    if (aside) {
        if (ftruncate(file->out, (off_t)file->bytes) != 0 || rename(file->path, aside) != 0)
            return failed(file, "put aside", error);
        close(file->out);
        file->out = open(file->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (file->out < 0)
            return failed(file, "open", error);
    } else if (ftruncate(file->out, 0) != 0) {
        return failed(file, "empty", error);
    }
    PartialState nothing = {0};
    return write_record(file, &nothing, error);
}

int partial_finish(PartialFile *file, const char *blob, Error *error) {
    if (ftruncate(file->out, (off_t)file->bytes) != 0 || fchmod(file->out, 0644) != 0)
        return failed(file, "finish", error);
    if (rename(file->path, blob) != 0)
        return failed(file, "rename", error);
    partial_close(file);
    return 0;
}

void partial_close(PartialFile *file) {
    if (file->out >= 0)
        close(file->out);
    file->out = -1;
}
