/* Data sets: rows of one split, read whole and checked. Files lie at DATA_ROOT/ORG/NAME/CONFIG/SPLIT.jsonl,
 * plain or with .gz; what is not there is looked for among the files in the binary, below zoo/demo/data
 * (plain only). */
#ifndef ZEVAL_TASKS_DATASET_H
#define ZEVAL_TASKS_DATASET_H

#include "base/error.h"
#include "base/memory.h"
#include "tasks/value.h"

typedef struct Dataset {
    const char *path, *config, *split; /* what was asked for */
    const char *name;                  /* "ORG/NAME/CONFIG/SPLIT.jsonl.gz" */
    const char *sha256;
    int64_t bytes;
    Value *rows; /* dicts */
    size_t n;
} Dataset;

/* Reads a split; config NULL stands for "default", data_root NULL for embedded data only. Everything lives in
 * arena. A missing file, an empty file, a line that is no JSON object: one sentence with file and place. */
int dataset_read(Dataset *out, Arena *arena, const char *data_root, const char *path, const char *config,
                 const char *split, Error *error);

#endif
