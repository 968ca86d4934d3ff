/* zoo: which models and data sets there are, fetching them from the hub, keeping them in a store where every
 * file is named by its hash, and saying what their bytes hash to. */
#ifndef ZEVAL_ZOO_ZOO_H
#define ZEVAL_ZOO_ZOO_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"
#include "base/memory.h"

/* A file of a checkpoint. */
typedef struct ZooFile {
    char *path; /* where it is */
    char *name; /* relative to the checkpoint's folder */
    char sha256[65];
    int64_t bytes;
} ZooFile;

/* A checkpoint on disk whose files have been hashed. */
typedef struct ZooModel {
    char *name;      /* as the user named it */
    char *folder;    /* where its files are */
    char sha256[65]; /* over the names and hashes of the model's files, tokenizer files not included */
    ZooFile *files;
    size_t n_files;
} ZooModel;

/* Finds a checkpoint by name: a folder's path, also as file: URL; "demo" for the checkpoint that ships inside
 * the program (written to the cache folder on first use, and verified against the shipped bytes on every use;
 * a folder of that name is "./demo"); or a registry name, ORG/NAME or https://HOST/PATH, with @REVISION or
 * without, that was pulled before or lies in the cache of the hub's Python client. Never touches the network.
 * *folder is a new string. ERROR_USAGE if there is no such model, or it is not on this machine. */
int zoo_resolve(const char *name, char **folder, Error *error);

/* Hashes the files that determine a model's numbers: `paths` inside `folder`. Hashes of large files are
 * remembered in the cache folder by path, size, inode and modification time, so that a second run does not
 * read gigabytes again. */
int zoo_identify(ZooModel *out, const char *name, const char *folder, const char *const *paths,
                 size_t n_paths, Error *error);
void zoo_model_free(ZooModel *model);

/* The cache folder: $ZEVAL_CACHE, else $XDG_CACHE_HOME/zeval, else ~/.cache/zeval. New string. */
char *zoo_cache_folder(void);

/* The library that fetches checkpoints, for `zeval doctor`: "libcurl/7.88.1 OpenSSL/3.0". New string. */
char *zoo_transport_version(void);

/* ---- the registry: what can be pulled by a short name */

/* A row of a published table that a checkpoint is. */
typedef struct PublishedRow {
    const char *paper, *table, *row;
} PublishedRow;

typedef enum ZooAccess { ACCESS_UNKNOWN, ACCESS_OPEN, ACCESS_GATED } ZooAccess;

/* Text that nobody has seen is NULL. */
typedef struct RegistryEntry {
    const char *name; /* "zebra-llama-1b-4mla-12m2-dpo" */
    const char **aliases;
    size_t n_aliases;
    const char *repository; /* "amd/Zebra-Llama-1B-4MLA-12Mamba-DPO" */
    const char *revision;   /* what a pull takes when none is named; NULL: main */
    bool dataset;
    ZooAccess access;
    const char *family, *parameters, *stage, *licence, *base, *teacher, *weights, *note;
    PublishedRow *published;
    size_t n_published;
} RegistryEntry;

typedef struct Registry {
    Arena arena;
    RegistryEntry *entries; /* the user's first, then the built-in ones by family */
    size_t n;
} Registry;

/* Reads the built-in registry and, before it, the user's own file: `file`, else $ZEVAL_REGISTRY, else none.
 * An entry of the user's hides a built-in one of the same name. */
int zoo_registry_open(Registry *out, const char *file, Error *error);
/* By name, alias (case does not matter) or repository; NULL if there is none. */
const RegistryEntry *zoo_registry_find(const Registry *registry, const char *name);
void zoo_registry_close(Registry *registry);

/* ---- pulling */

typedef struct PullOptions {
    const char *registry_file; /* NULL: $ZEVAL_REGISTRY */
    bool offline;              /* only look at what is here */
    bool all;                  /* every file of the repository, not only what a runtime reads */
    const char *const *include;
    size_t n_include; /* shell patterns of further files to take */
    const char *const *only;
    size_t n_only; /* of a data set: shell patterns of the files to take; all where none fits */
    const struct LockEntry
        *locked;        /* exactly these files, and only as they were; NULL: as the hub has them */
    int parallel;       /* connections; 0: 4 */
    int64_t part_bytes; /* a larger file is fetched in parts of this size side by side; 0: as suits it */
    int64_t bytes_per_second; /* 0: as fast as it goes */
    int stall_s;              /* give up on a silent connection after this; 0: 30 */
    int retry_delay_ms;       /* first pause between attempts, doubling; 0: 500 */
    FILE *progress;           /* NULL: silent */
    const volatile sig_atomic_t *stop;
} PullOptions;

typedef struct PullResult {
    char *folder; /* the snapshot: names linked to verified files */
    char *repository, *commit;
    bool dataset;
    size_t n_files, n_fetched;
    int64_t bytes, bytes_fetched;
} PullResult;

/* Fetches NAME[@REVISION] (a registry name, ORG/NAME or datasets/ORG/NAME) into the store: every file is
 * verified by size and hash before it gets its name. A folder on the web, https://HOST/PATH, is a repository
 * too: its hashes are those of the bytes that came first, and its commit is a hash over them. Interrupted
 * work goes on where it was. The hub is $HF_ENDPOINT, else the public one; the token $HF_TOKEN, else the file
 * of the hub's Python client. Of a data set without a named revision the hub's own conversion to Parquet is
 * taken, and where it has none, main. */
int zoo_pull(PullResult *out, const char *name, const PullOptions *options, Error *error);
void pull_result_free(PullResult *result);
/* True if zoo_pull would ask the hub for a name: one of the registry, or ORG/NAME; or a server for the
 * files of https://HOST/PATH. */
bool zoo_can_pull(const char *name);
/* The hub's address. */
const char *zoo_hub_address(void);

/* ---- lock files: exactly what was pulled, so that it can be had again */

typedef struct LockFile {
    const char *path; /* inside the repository */
    char sha256[65];
    int64_t bytes;
} LockFile;

typedef struct LockEntry {
    const char *repository, *commit;
    bool dataset;
    LockFile *files; /* sorted by path */
    size_t n_files;
} LockEntry;

typedef struct ZooLock {
    Arena arena;
    LockEntry *entries; /* sorted by kind and repository */
    size_t n;
} ZooLock;

/* Reads a lock file; `must_exist` false: one that is not there is an empty one. */
int zoo_lock_read(ZooLock *out, const char *path, bool must_exist, Error *error);
/* Notes a snapshot folder's files, each hashed anew; an entry of the same repository is replaced. */
int zoo_lock_add(ZooLock *lock, const char *repository, bool dataset, const char *commit, const char *folder,
                 Error *error);
int zoo_lock_write(const ZooLock *lock, const char *path, Error *error);
void zoo_lock_close(ZooLock *lock);
/* Hashes the files of `folder` and holds them against the entry: ERROR_CHECK at the first difference, also if
 * one is missing. Files that the entry does not name do not matter. */
int zoo_lock_check(const LockEntry *entry, const char *folder, Error *error);
/* "ORG/NAME@COMMIT", with datasets/ in front for a data set: what to pull. New string. */
char *zoo_lock_name(const LockEntry *entry);

/* ---- what is here */

/* A folder in which every data set of this machine lies as ORG/NAME, by links, for the tasks to read; made
 * anew by each call. NULL if there is no data set. New string. */
int zoo_data_folder(char **out, Error *error);

/* "ORG/NAME@COMMIT" of the snapshot that `folder` is or leads to, as a folder's place says; NULL if it is
 * none. New string. */
char *zoo_provenance(const char *folder);

/* One revision of a repository in a store. Strings live in the caller's arena. */
typedef struct ZooSnapshot {
    const char *repository, *commit, *folder, *store;
    const char *refs; /* "main, v1.0"; "" if none points here */
    bool dataset;
    bool ours; /* in the store that pull writes, not in the cache of the hub's Python client */
    size_t n_files;
    int64_t bytes;
} ZooSnapshot;

/* The folder that pull writes: $ZEVAL_STORE, else "hub" in the cache folder. New string. */
char *zoo_store_folder(void);
/* Every snapshot, sorted by repository and commit; `name` (as for zoo_pull) narrows them, NULL is all. */
int zoo_list(const char *name, Arena *arena, ZooSnapshot **out, size_t *n, Error *error);

/* The same for the store in one folder only, an exported one for example; every snapshot of it. */
int zoo_list_folder(const char *folder, Arena *arena, ZooSnapshot **out, size_t *n, Error *error);

/* Copies a snapshot and the names that point at it into the store at `store` (created if need be). Each file
 * is hashed on the way, and one that is not what its name says is not taken (ERROR_CHECK). *copied is the
 * bytes that were not there before. */
int zoo_copy(const ZooSnapshot *snapshot, const char *store, int64_t *copied, Error *error);

/* The same to a tar archive and from one, whatever tar wrote it: `tar xf` makes a store of it. Import refuses
 * names and links that no export writes; *n_files is how many it brought. */
int zoo_export_tar(const ZooSnapshot *snapshot, const char *path, int64_t *bytes, Error *error);
int zoo_import_tar(const char *path, size_t *n_files, int64_t *copied, Error *error);

typedef enum VerifyState { VERIFY_GOOD, VERIFY_BAD, VERIFY_UNKNOWN } VerifyState;
/* Called once per file; `what` says what is wrong (NULL if good). */
typedef void VerifyReport(void *context, const ZooSnapshot *snapshot, const char *file, VerifyState state,
                          const char *what);
/* Reads files of a snapshot again and holds them against the hash that they are named by: all of them, or the
 * `share` (0 to 1) of them that was verified longest ago, at least one. *n_checked of them were read, *n_bad
 * differ; -1 only if the check itself cannot be done. */
int zoo_verify(const ZooSnapshot *snapshot, double share, VerifyReport *report, void *context,
               size_t *n_checked, size_t *n_bad, Error *error);
/* When the file of a snapshot that was verified longest ago was so, in seconds since 1970; 0: never. */
int64_t zoo_verified_at(const ZooSnapshot *snapshot);

/* Removes a snapshot, the names that point at it, and the files that no other snapshot of the repository
 * uses. *freed is the bytes given back. Only in the store that pull writes. */
int zoo_remove(const ZooSnapshot *snapshot, int64_t *freed, Error *error);

/* Called for each thing that goes: "unused file", "unfinished download", "wrong bytes", "revision without a
 * name". */
typedef void PruneReport(void *context, const char *repository, const char *what, const char *name,
                         int64_t bytes);
typedef struct PruneOptions {
    bool dry_run;   /* report, remove nothing */
    bool revisions; /* also snapshots that no branch or tag points at: those pulled by commit are such */
    PruneReport *report;
    void *context;
} PruneOptions;
typedef struct PruneResult {
    size_t n, n_busy; /* n_busy repositories were left alone since somebody pulls them */
    int64_t bytes;
} PruneResult;
/* Removes from the store that pull writes what nothing in it needs. */
int zoo_prune(const PruneOptions *options, PruneResult *out, Error *error);

/* A repository's folder in the store that pull writes. */
typedef struct ZooUsage {
    const char *repository;
    bool dataset;
    size_t n_snapshots, n_blobs, n_partial;
    int64_t bytes, partial_bytes; /* files that were verified; downloads begun or kept aside */
} ZooUsage;
int zoo_usage(Arena *arena, ZooUsage **out, size_t *n, Error *error);

#endif
