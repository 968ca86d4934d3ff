/* A task file as a typed configuration: includes merged, every key known, every value of its type. */
#ifndef ZEVAL_TASKS_CONFIG_H
#define ZEVAL_TASKS_CONFIG_H

#include "tasks/library.h"
#include "tasks/tasks.h"
#include "tasks/template.h"
#include "tasks/value.h"

/* A twin in C of a `!function` that task files name (functions.h). */
typedef int DocumentFunction(const Value *document, Arena *arena, Value *out, Error *error);

/* Where a text, target or list of choices comes from. */
typedef enum SourceKind {
    SOURCE_NONE,
    SOURCE_TEMPLATE,
    SOURCE_COLUMN, /* a template whose text is the very name of a column: the raw value */
    SOURCE_VALUE,  /* a literal: an integer or a list */
    SOURCE_FUNCTION
} SourceKind;

typedef struct Source {
    SourceKind kind;
    const char *text; /* SOURCE_TEMPLATE, SOURCE_COLUMN */
    const Template *template;
    Value value;
    DocumentFunction *function;
} Source;

/* How a document becomes a turn; few-shot examples may have sources of their own. */
typedef struct Prompt {
    Source text, target, choice;
    Source prefix; /* gen_prefix: how the answer begins */
    const char *target_delimiter, *fewshot_delimiter;
} Prompt;

typedef struct TaskConfig {
    Compat compat;
    const char *file; /* for messages */
    const char *name, *alias, *version;
    const char *dataset_path, *dataset_name; /* dataset_name NULL if none */
    const Value *data_files;                 /* see dataset_read; NULL if none */
    const char *training_split, *validation_split, *test_split, *fewshot_split; /* NULL if none */
    DocumentFunction *process_docs, *process_pool; /* of documents and of examples; NULL if none */
    Prompt prompt, fewshot;
    Source description;
    bool fewshot_first_n;         /* sampler first_n; otherwise default */
    const Value *fewshot_samples; /* a list of documents; NULL if none */
    int num_fewshot;              /* -1: not given */
    OutputType output_type;
    const char *generation; /* generate_until: the generation_kwargs, one line of JSON */
    int repeats;            /* texts generated for each document, at least 1; other requests are asked once */
    TaskMetric *metrics;
    size_t n_metrics;
    bool wants_unconditional; /* acc_mutual_info: each choice is also asked for without its context */
    const TaskFilter *filters;
    size_t n_filters;
    const char *results_function; /* NULL if none */
} TaskConfig;

/* Settles which templates of a prompt are names of columns, which only a document can tell. A template that
 * is a single word and no column is an error: every prompt would be that word. */
int config_find_columns(Prompt *prompt, const Value *document, const TaskConfig *config, Error *error);

/* Checks an entry's merged keys and builds its configuration in arena. */
int config_read(TaskConfig *out, const LibraryEntry *entry, Arena *arena, Error *error);

/* The configuration as lm-eval writes it into its results files, one line of JSON in arena. */
const char *config_dump(const LibraryEntry *entry, const TaskConfig *config, int num_fewshot, Arena *arena);

typedef struct GroupConfig {
    const char *name, *alias, *version;
    const Value *members; /* list of names, or of mappings with a name and keys that override the member's */
    const GroupMetric *metrics;
    size_t n_metrics; /* 0: no aggregate */
} GroupConfig;

/* A member's name: itself, or its key group or task; NULL if it has none. */
const Value *group_member_name(const Value *member);
int config_read_group(GroupConfig *out, const LibraryEntry *entry, Arena *arena, Error *error);

#endif
