/* zoo: which files a model is, where they are, and what their bytes hash to. */
#ifndef ZEVAL_ZOO_ZOO_H
#define ZEVAL_ZOO_ZOO_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

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

/* Finds a checkpoint by name: a folder's path, or "demo" for the checkpoint that ships inside the program
 * (written to the cache folder on first use, and verified against the shipped bytes on every use; a folder of
 * that name is "./demo"). *folder is a new string. ERROR_USAGE if there is no such model. */
int zoo_resolve(const char *name, char **folder, Error *error);

/* Hashes the files that determine a model's numbers: `paths` inside `folder`. Hashes of large files are
 * remembered in the cache folder by path, size, inode and modification time, so that a second run does not
 * read gigabytes again. */
int zoo_identify(ZooModel *out, const char *name, const char *folder, const char *const *paths,
                 size_t n_paths, Error *error);
void zoo_model_free(ZooModel *model);

/* The cache folder: $ZEVAL_CACHE, else $XDG_CACHE_HOME/zeval, else ~/.cache/zeval. New string. */
char *zoo_cache_folder(void);

/* The library that will fetch checkpoints, for `zeval doctor`: "libcurl/7.88.1 OpenSSL/3.0". New string. */
char *zoo_transport_version(void);

#endif
