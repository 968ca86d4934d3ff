/* One file on its way from the hub into the store. Bytes go to HASH.incomplete while they are hashed; only a
 * file whose size and hash are right gets its name. */
#ifndef ZEVAL_ZOO_DOWNLOAD_H
#define ZEVAL_ZOO_DOWNLOAD_H

#include "zoo/hasher.h"
#include "zoo/http.h"
#include "zoo/store.h"

typedef struct Download {
    const HubFile *file;
    const Shelf *shelf;
    const char *commit;
    const char *second_store; /* where verified bytes may already lie; NULL: nowhere */
    char *url, *what, *blob, *partial;
    Hasher *hasher; /* runs while `out` is open */
    int lock, out;  /* descriptors, -1: closed */
    int64_t offset, fetched;
    int mismatches;
    bool done;
    HttpTask *task;
} Download;

/* Fills *task so that http_run carries the download out. */
void download_begin(Download *out, HttpTask *task, const Hub *hub, const HubName *name, const Shelf *shelf,
                    const char *commit, const HubFile *file, const char *page);
/* Closes what is open; the partial file stays for the next time. */
void download_end(Download *download);

#endif
