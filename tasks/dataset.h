/* Data sets: rows of one split, read whole and checked. A split's files lie below DATA_ROOT/ORG/NAME as the
 * hub lays them out; the first of these that is there is read, FORMAT being .jsonl, .parquet, .json (an array
 * of objects, or JSON Lines) or .csv, all but .parquet also with .gz or .bz2:
 *
 *   CONFIG/SPLIT.FORMAT
 *   CONFIG/SPLIT-00000-of-00002.FORMAT ...   parts, all of them
 *   CONFIG/SPLIT/0000.parquet ...            parts of the hub's own conversion (refs/convert/parquet)
 *
 * and, where no configuration is named, the same with data/ in place of default/. What is not there is
 * looked for among the files in the binary, below zoo/demo/data (plain JSON Lines only). */
#ifndef ZEVAL_TASKS_DATASET_H
#define ZEVAL_TASKS_DATASET_H

#include "base/error.h"
#include "base/memory.h"
#include "tasks/row_store.h"

/* A file of a split. */
typedef struct DatasetFile {
    const char *name;  /* "ORG/NAME/CONFIG/SPLIT.jsonl.gz", or as a task names it */
    const char *place; /* on this machine; NULL if it is in the binary */
    const char *sha256;
    int64_t bytes;
} DatasetFile;

typedef struct Dataset {
    const char *path, *config, *split; /* what was asked for */
    const Value *named;                /* the files that a task names itself, NULL if none */
    DatasetFile *files;                /* in order of their rows */
    size_t n_files;
    Value *rows; /* dicts; NULL once they are packed */
    size_t n;
    Arena row_arena; /* of rows and what is in them */
    RowStore *store; /* NULL before */
} Dataset;

/* Reads a split; config NULL stands for "default", data_root NULL for embedded data only. Everything but the
 * rows lives in arena; dataset_free, also after a failure, frees those. A missing file, no row at all, a line
 * that is no JSON object, a damaged Parquet page: one sentence with file and place.
 *
 * `named`, if not NULL, is load_dataset's data_files where path is its "json", "csv" or "parquet": a file's
 * name or pattern, a list of them, or a mapping from splits to either; without splits all are the split
 * "train". Names are of this machine, relative to the working directory; "hf://datasets/ORG/NAME/FILE" is
 * ORG/NAME/FILE below data_root. It must live as long as the data set. */
int dataset_read(Dataset *out, Arena *arena, const char *data_root, const char *path, const char *config,
                 const char *split, const Value *named, Error *error);

/* Keeps from now on only those rows for which kept[i] is set, in little memory. */
void dataset_pack(Dataset *dataset, const bool *kept);
/* Row i, which is kept; it lives as long as the data set as it is now and the arena. */
Value dataset_row(const Dataset *dataset, size_t i, Arena *arena);
void dataset_free(Dataset *dataset);

/* The split's files below data_root by name, allocated in arena, sha256 and bytes not filled in yet; *n is 0
 * if there is none. Parts that are missing are an error. */
int dataset_find(const Dataset *asked, Arena *arena, const char *data_root, DatasetFile **files, size_t *n,
                 Error *error);
/* The same for files that a task names; none is an error. */
int dataset_find_named(const Dataset *asked, Arena *arena, const char *data_root, const Value *files,
                       DatasetFile **out, size_t *n, Error *error);
/* Whether a dataset_path is a kind of files ("json", "csv", "parquet") rather than a data set of the hub. */
bool dataset_reads_files(const char *path);
/* The formats' name endings, in order of preference, closed by NULL. */
extern const char *const dataset_suffixes[];

#endif
