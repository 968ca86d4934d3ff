/* The data sets that tasks read, as things to pull. */
#ifndef ZEVAL_CLI_DATA_SETS_H
#define ZEVAL_CLI_DATA_SETS_H

#include "tasks/tasks.h"
#include "zoo/zoo.h"

typedef struct DataSet {
    const char *path;      /* "ORG/NAME" */
    const char **patterns; /* of the files that hold the splits, in whatever layout */
    size_t n_patterns;
} DataSet;

typedef struct DataSets {
    DataSet *items;
    size_t n;
} DataSets;

/* The data sets of options->names; strings live in the arena. */
int data_sets_of_tasks(DataSets *out, const TaskOptions *options, Arena *arena, Error *error);
/* Keeps those that neither data_root (may be NULL) nor the program itself has. */
void data_sets_drop_present(DataSets *sets, const char *data_root);
void data_sets_free(DataSets *sets);
/* Pulls the splits of one. `result` may be NULL. */
int data_set_pull(const DataSet *set, const PullOptions *options, PullResult *result, Error *error);

#endif
