/* The part of a task file that says how answers are scored: metrics, aggregation, functions that score. What
 * config.c and config_scoring.c read an entry with stands here too. */
#ifndef ZEVAL_TASKS_CONFIG_SCORING_H
#define ZEVAL_TASKS_CONFIG_SCORING_H

#include "tasks/config.h"

/* An entry on its way to a configuration. */
typedef struct Reader {
    const LibraryEntry *entry;
    Arena *arena;
    Error *error;
} Reader;

/* A merged key with the place it comes from. */
typedef struct Key {
    const char *name, *file;
    const Value *value; /* NULL if absent or null */
} Key;

/* Fails with the key's place: "FILE:LINE: KEY: ...". */
int config_fail(const Reader *reader, const Key *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A key of the entry; its value is NULL if it is absent or null. */
Key config_key(const Reader *reader, const char *name);
/* Optional keys: *out stays as it is if the key is absent; another type is an error. */
int config_string(const Reader *reader, const char *name, const char **out);
int config_count(const Reader *reader, const char *name, int max, int *out);
/* The name of the folder that holds the file, allocated in arena. */
const char *config_folder(Arena *arena, const char *file);

/* A list of strings and a truth value that are named `name` in the value of `key`. */
int config_strings(const Reader *reader, const Key *key, const char *name, const Value *list,
                   const char *const **out, size_t *n);
int config_flag(const Reader *reader, const Key *key, const ValuePair *pair, bool *out);

/* dataset_kwargs where dataset_path is a kind of files: `data_files`. */
int config_data_files(const Reader *reader, TaskConfig *out);
/* metric_list, or upstream's metrics for the output type when the task names none; filter_list;
 * process_results. */
int config_scoring(const Reader *reader, TaskConfig *out);
/* filter_list alone: at least one filter, "none" when the task names none. */
int config_filters(const Reader *reader, TaskConfig *out);
/* A group's aggregate_metric_list. */
int config_aggregate(const Reader *reader, GroupConfig *out);

#endif
