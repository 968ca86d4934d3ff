/* One file on its way from the hub into the store. Bytes go into a partial file while they are hashed; only a
 * file whose size and hash are right gets its name. A large file is cut into parts that are fetched side by
 * side, each by a task of its own. */
#ifndef ZEVAL_ZOO_DOWNLOAD_H
#define ZEVAL_ZOO_DOWNLOAD_H

#include "zoo/hasher.h"
#include "zoo/http.h"
#include "zoo/partial.h"
#include "zoo/store.h"

typedef struct Download Download;

/* A run of the file's bytes and the task that fetches them. */
typedef struct Part {
    Download *download;
    HttpTask *task;
    int64_t begin, end; /* in the file */
    int64_t done;       /* bytes from `begin` on that are in the partial file */
    int64_t reached;    /* the most that `done` ever was: beyond it is progress */
    char *buffer;       /* what has come since; NULL: nothing yet */
    size_t held;
    double written_s;
    int generation; /* the download's when the attempt began */
} Part;

struct Download {
    HubFile *file;
    const Shelf *shelf;
    const char *commit;
    const char *second_store; /* where verified bytes may already lie; NULL: nowhere */
    char *url, *what, *blob;
    PartialFile partial;
    Hasher *hasher; /* runs while the partial file is open */
    int lock;       /* descriptor, -1: closed */
    Part *parts;
    size_t n_parts, first_open; /* parts before it are whole */
    Part *sole;                 /* fetches the whole file alone, from its beginning; NULL: all parts */
    char etag[128];             /* what the server calls the file's state; "" until it has answered */
    int generation;             /* counts how often all bytes were dropped */
    int64_t fetched;            /* bytes that came */
    int mismatches;
    bool done;
};

/* Into how many parts a file is cut; part_bytes 0: as suits its size. */
size_t download_n_parts(int64_t bytes, int64_t part_bytes);

/* Fills tasks[download_n_parts] so that http_run carries the download out. */
void download_begin(Download *out, HttpTask *tasks, const Hub *hub, const HubName *name, const Shelf *shelf,
                    const char *commit, HubFile *file, const char *page, int64_t part_bytes);
/* Bytes that are here. */
int64_t download_have(const Download *download);
/* Writes what has come, and closes; the partial file stays for the next time. */
void download_end(Download *download);

#endif
