/* The store: one folder a repository, laid out as the cache of the hub's Python client, which can read it:
 *
 *     models--ORG--NAME/blobs/HASH             a file, named by its SHA-256 or git blob id
 *     models--ORG--NAME/blobs/HASH.incomplete  a download under way
 *     models--ORG--NAME/snapshots/COMMIT/PATH  a link to a blob
 *     models--ORG--NAME/refs/REVISION          a commit
 *     models--ORG--NAME/trees/COMMIT.json      the hub's list of files, sizes and hashes
 *     web--ADDRESS/seen/KEY                    of a folder on the web: the hash of what came (web.h)
 *     models--ORG--NAME/unsettled              files were added that the disk may not have yet (settle.c)
 *     .locks/models--ORG--NAME/HASH.lock       held while a blob is fetched
 *
 * Invariant: a file in blobs/ without a suffix is complete and was verified when it got its name. */
#ifndef ZEVAL_ZOO_STORE_H
#define ZEVAL_ZOO_STORE_H

#include "zoo/hub.h"

/* A repository's folder in a store. */
typedef struct Shelf {
    char *store, *folder, *name; /* ".../hub", ".../hub/models--ORG--NAME", "models--ORG--NAME" */
} Shelf;

void shelf_open(Shelf *out, const char *store, const HubName *name);
void shelf_close(Shelf *shelf);

/* Creates the folders that a pull writes to. */
int shelf_prepare(const Shelf *shelf, Error *error);
/* Before the first file gets its name: notes that the disk may lag behind. *lock is a descriptor, to be
 * closed (if it is not -1) when all is done. */
int shelf_begin_writing(const Shelf *shelf, int *lock, Error *error);
/* The file that shelf_begin_writing locks, opened and not locked yet; -1 if it cannot be. */
int shelf_writing_lock(const Shelf *shelf);
/* Before files are used: if the machine went down before the disk had them, hashes them all and puts aside
 * those that it does not have. ERROR_CHECK if there are any. */
int shelf_settle(const Shelf *shelf, Error *error);
/* The same for the repository of a snapshot of our store; nothing to do in another. */
int snapshot_settle(const ZooSnapshot *snapshot, Error *error);

/* Takes the file at `path` in as the blob `hash`: by a second name for its bytes, or by a copy where they lie
 * on another file system. -1 (without an Error) if its bytes hash to something else or it cannot be read. */
int shelf_take(const Shelf *shelf, const char *path, const char *hash);

/* Paths inside; new strings. */
char *shelf_blob(const Shelf *shelf, const char *hash, const char *suffix);
char *shelf_lock(const Shelf *shelf, const char *hash);
char *shelf_snapshot(const Shelf *shelf, const char *commit);

/* The commit that a revision stands for here; NULL if that is not known. New string. */
char *shelf_commit(const Shelf *shelf, const char *revision);
/* Makes `revision` stand for `commit` (nothing to do when it is the commit itself). */
int shelf_set_ref(const Shelf *shelf, const char *revision, const char *commit, Error *error);
/* What a snapshot links to, with sizes; refuses links to anything but blobs of the same repository. Free it.
 */
int shelf_list(const Shelf *shelf, const char *snapshot, HubListing *out, Error *error);
/* "../../blobs/HASH", with one more "../" for each folder in the file's path. New string. */
char *shelf_link_target(const HubFile *file);
/* Links PATH in the commit's snapshot to the blob, replacing what was there. */
int shelf_link(const Shelf *shelf, const char *commit, const HubFile *file, Error *error);
/* Keeps the hub's list of a commit, in the Python client's format. */
int shelf_keep_listing(const Shelf *shelf, const HubListing *listing, Error *error);

/* Reads "models--ORG--NAME" back; false if a folder is not named so. The strings are the caller's. */
bool shelf_parse(const char *folder, HubName *out);

/* The stores that are read, ours first; new strings, the second NULL when it is the same folder. */
void store_folders(char *out[2]);

#endif
