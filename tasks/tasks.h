/* tasks: documents become requests. Reads lm-evaluation-harness task files (YAML), renders their templates (a
 * Jinja subset), reads data sets from ORG/NAME/CONFIG/SPLIT folders and draws few-shot examples. Knows
 * nothing of models. Everything is deterministic: few-shot indices are drawn once, in document order, when a
 * task opens. */
#ifndef ZEVAL_TASKS_TASKS_H
#define ZEVAL_TASKS_TASKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"

/* Whose prompts and numbers: the version of lm-evaluation-harness that a run is comparable with. */
typedef enum Compat {
    COMPAT_MAIN,  /* 4e7e0d4, the default */
    COMPAT_V0_4_0 /* c9bbec6, the release of December 2023 */
} Compat;
const char *compat_name(Compat compat); /* "main", "v0.4.0" */
/* False if there is no profile of that name. */
bool compat_parse(const char *name, Compat *out);

typedef enum OutputType {
    OUTPUT_MULTIPLE_CHOICE,
    OUTPUT_LOGLIKELIHOOD,
    OUTPUT_LOGLIKELIHOOD_ROLLING,
    OUTPUT_GENERATE_UNTIL
} OutputType;
const char *output_type_name(OutputType type); /* "multiple_choice", ... */

/* One request to a model. context and continuation are UTF-8, NUL-terminated. */
typedef struct TaskRequest {
    OutputType type;     /* multiple_choice tasks make OUTPUT_LOGLIKELIHOOD requests */
    int idx;             /* number of the request within its document; repeats of a generation count on */
    const char *context; /* loglikelihood_rolling: the whole text to be scored */
    const char *continuation; /* loglikelihood; otherwise NULL */
    const char *generation;   /* generate_until: the generation_kwargs, one line of JSON; otherwise NULL */
} TaskRequest;

/* A document and what is asked about it. */
typedef struct TaskDocument {
    int64_t doc_id;     /* index in the evaluated split */
    const char *json;   /* the document, one line of JSON in column order */
    const char *target; /* the target as a string, as lm-eval logs it */
    int64_t gold; /* index of the right choice; -100 if it names no choice; -1 if the task has no choices */
    const int64_t *golds;       /* [n_golds] several right choices; -100 for one that names no choice */
    size_t n_golds;             /* 0: there is one, `gold` */
    const char *const *targets; /* [n_targets] generate_until: every right answer */
    size_t n_targets;
    const char *const *choices; /* [n_choices], without delimiter; what acc_norm measures the length of */
    size_t n_choices; /* requests 0 to n_choices - 1 are theirs; with acc_mutual_info as many without context
                         follow */
    const TaskRequest *requests; /* [n_requests]; generate_until: all the same, once for each repeat */
    size_t n_requests;
} TaskDocument;

typedef struct TaskMetric {
    const char *name;        /* "acc", "acc_norm" */
    const char *aggregation; /* "mean" */
    bool higher_is_better;
    /* exact_match: what is taken away from both texts before they are compared, in this order */
    const char *const *ignored_regexes; /* [n_ignored_regexes] Python's patterns */
    size_t n_ignored_regexes;
    bool ignore_case, ignore_punctuation, ignore_numbers;
} TaskMetric;

typedef enum FilterFunction {
    FILTER_TAKE_FIRST,
    FILTER_TAKE_FIRST_K,
    FILTER_MAJORITY_VOTE,
    FILTER_REGEX,
    FILTER_MULTI_CHOICE_REGEX,
    FILTER_REMOVE_WHITESPACE,
    FILTER_LOWERCASE,
    FILTER_UPPERCASE,
    FILTER_MAP
} FilterFunction;
const char *filter_function_name(FilterFunction function); /* "take_first", ... */

/* One step on the way from a response to what is scored. */
typedef struct TaskFilterStep {
    FilterFunction function;
    int64_t k;            /* take_first_k */
    const char *pattern;  /* regex, multi_choice_regex: Python's pattern */
    int64_t group_select; /* which match; negative: from the end */
    const char *fallback; /* what stands for no match; map: for an unknown answer, NULL if nothing does */
    const char *const *from, *const *to; /* map: [n_pairs] */
    size_t n_pairs;
    const char *const *ignored_regexes; /* multi_choice_regex */
    size_t n_ignored_regexes;
    bool ignore_case, ignore_punctuation;
} TaskFilterStep;

/* A pipeline; each gives results of its own under its name. */
typedef struct TaskFilter {
    const char *name;
    const TaskFilterStep *steps;
    size_t n_steps;
} TaskFilter;

/* A file that a task was made from. */
typedef struct TaskFile {
    const char *role; /* "task" or "dataset" */
    const char *name; /* task: path as found, dataset: "ORG/NAME/CONFIG/SPLIT.jsonl.gz" */
    const char *sha256;
    int64_t bytes;
} TaskFile;

typedef struct Task Task;
typedef struct TaskInfo {
    const char *name, *alias;
    const char *version; /* metadata.version as text; "Yaml" if the file names none */
    const char *compat;  /* compat_name of the profile it was opened with */
    OutputType output_type;
    const char *dataset_path, *dataset_name; /* dataset_name "" if none */
    const char *split;                       /* the evaluated split's name in the data set */
    int num_fewshot;
    size_t n_documents_total; /* in the split */
    size_t n_documents;       /* after --limit */
    const TaskMetric *metrics;
    size_t n_metrics;
    const TaskFilter *filters; /* at least one: "none", which takes the first response */
    size_t n_filters;
    const char *config_json;      /* the configuration as lm-eval's results files have it, one line of JSON */
    const char *results_function; /* "FOLDER/module.name" of upstream's function that scores; NULL: none */
    const TaskFile *files;
    size_t n_files;
} TaskInfo;

const TaskInfo *task_info(const Task *task);
/* Builds document number i (0 <= i < n_documents) in `arena`; all pointers live as long as the arena. May be
 * called in any order and from several threads with different arenas. */
int task_document(const Task *task, size_t i, Arena *arena, TaskDocument *out, Error *error);
/* The same without the first n_dropped of its few-shot examples, of which there are info->num_fewshot. */
int task_document_dropping(const Task *task, size_t i, size_t n_dropped, Arena *arena, TaskDocument *out,
                           Error *error);

/* One of a group's aggregates: the mean of its tasks' values of a metric. */
typedef struct GroupMetric {
    const char *metric;         /* "acc" */
    const char *const *filters; /* [n_filters] of its tasks, each a row of its own; 0: all there are */
    size_t n_filters;
    bool weight_by_size; /* by the tasks' documents; otherwise all tasks count the same */
} GroupMetric;

/* A group (mmlu, mmlu_stem, ...), whose leaves are tasks of the same set. */
typedef struct TaskGroup {
    const char *name, *alias, *version;
    const GroupMetric *metrics; /* [n_metrics] its aggregates; a group may have none */
    size_t n_metrics;
    const char *const *children; /* [n_children] names of direct members, tasks or groups */
    size_t n_children;
    const Task *const
        *leaves; /* [n_leaves] every task below it, in order; as often as groups in it have it */
    size_t n_leaves;
} TaskGroup;

/* A chat template and what it is rendered with. All strings are the caller's and outlive the set. */
typedef struct TaskChat {
    const char *name;      /* the template's name in the model's files; NULL: its only or default one */
    const char *source;    /* the template itself: Jinja */
    const char *bos_token; /* the tokenizer's; "" if it has none */
    const char *eos_token; /* the same */
    const char *variables; /* a JSON object of more names: special tokens, the user's own; NULL: none */
    const char *date; /* what strftime_now shows, YYYY-MM-DD; NULL: 2024-07-26, so that prompts never age */
    bool fewshot_multiturn; /* examples are turns of their own; otherwise all text is one user turn */
} TaskChat;

typedef struct TaskOptions {
    /* task, group, tag and suite names, wildcards, paths of .yaml files; any may end in :SHOTS
     * ("arc_challenge:25"), which comes before num_fewshot */
    const char *const *names;
    size_t n_names;
    const char *data_root;    /* folder that holds ORG/NAME/... (dataset.h); NULL: embedded data only */
    const char *include_path; /* folder with more task files, searched before the built-in ones; NULL: none */
    int num_fewshot;          /* -1: the task's own */
    double limit; /* 0: all; below 1: that fraction (rounded up); else the first int(limit) documents */
    uint64_t fewshot_seed; /* lm-eval's default is 1234 */
    Log *log;
    Compat compat;
    const TaskChat *chat;           /* NULL: prompts are plain text */
    const char *system_instruction; /* before the description, or the chat's system turn; NULL: none */
    const char *samples; /* a JSON file {"TASK": [ids]}: only these documents of the tasks named; or NULL */
} TaskOptions;

/* Opens every task that the names stand for, each once, in order of first mention; a name that stands for
 * nothing is ERROR_USAGE and suggests near ones. Reads and checks task files and data sets; an empty data
 * set, an unknown key, a template error: one sentence with file and place. */
typedef struct TaskSet TaskSet;
int task_set_open(TaskSet **out, const TaskOptions *options, Error *error);
void task_set_close(TaskSet *set);
size_t task_set_count(const TaskSet *set);
const Task *task_set_task(const TaskSet *set, size_t i);
/* Groups, children before parents. */
size_t task_set_group_count(const TaskSet *set);
const TaskGroup *task_set_group(const TaskSet *set, size_t i);

/* One line of `zeval tasks`: everything a name can be. */
typedef struct TaskListing {
    const char *name;
    const char *kind; /* "task", "group", "suite" (a group without an aggregate), "tag"; "unreadable", a file
                         that was left out; "part", a file that only others include */
    const char *output_type; /* of a task */
    const char *dataset;     /* "ORG/NAME CONFIG" of a task */
    size_t n_members;        /* of a group or tag */
    const char *file;
    const char *fault; /* a sentence that names file and line; NULL: none */
} TaskListing;
/* Lists the built-in task files and those in include_path (may be NULL), sorted by name, allocated in arena;
 * files that cannot be read come first, with a fault. */
int task_list(const char *include_path, Compat compat, Arena *arena, TaskListing **out, size_t *n,
              Error *error);

/* A split of a data set that a task reads. */
typedef struct TaskData {
    const char *path;   /* "ORG/NAME" */
    const char *config; /* "default" where the task names none */
    const char *split;
} TaskData;

/* Which splits the options' names read, each once, allocated in arena; no data set is opened. */
int task_data(const TaskOptions *options, Arena *arena, TaskData **out, size_t *n, Error *error);

/* Checks one task or group file without its data: every key and its value, that templates compile and
 * functions are known, that a group's members exist. *out is what the file defines, allocated in arena. A
 * file that is not there is ERROR_USAGE. */
int task_file_check(const char *path, const char *include_path, Compat compat, Arena *arena, TaskListing *out,
                    Error *error);
/* The same for every .yaml file below a folder, which is also where members and includes are looked for
 * unless include_path is given: a line for each, with its fault if it has one. */
int task_folder_check(const char *folder, const char *include_path, Compat compat, Arena *arena,
                      TaskListing **out, size_t *n, Error *error);

#endif
