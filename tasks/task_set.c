/* Names into open tasks and groups. Everything a set gives out lives in its arena. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "tasks/prompt.h"
#include "tasks/task.h"

enum { GROUP_DEPTH_MAX = 16, SHOTS_MAX = 1000, LEAVES_MAX = 1 << 20 };

struct TaskSet {
    Arena arena;
    Library *library;
    const TaskOptions *options; /* while opening */
    double limit;               /* the same; v0.4.0 changes it on the way */
    cJSON *samples;             /* the same; NULL: none */
    const Chat *chat;           /* NULL: plain text */
    int num_fewshot;            /* the same: what the name being opened asks for, -1: the task's own */
    Task **tasks;
    size_t n_tasks, tasks_room;
    TaskGroup **groups;
    size_t n_groups, groups_room;
    Dataset **datasets; /* each split is read once, however many tasks use it */
    size_t n_datasets, datasets_room;
};

/* A growing list of what a group consists of. */
typedef struct Members {
    const char **children;
    const Task **leaves;
    size_t n_children, n_leaves, children_room, leaves_room;
} Members;

/* The groups being opened, innermost first: what finds a cycle. */
typedef struct GroupChain {
    const LibraryEntry *group;
    const struct GroupChain *outer;
    int depth;
    Value overrides; /* keys for all that is below */
} GroupChain;

static void *grow(void *items, size_t n, size_t *room) {
    if (n < *room)
        return items;
    *room = *room ? *room * 2 : 16;
    return mem_realloc(items, *room * sizeof(void *));
}

static int find_dataset(TaskSet *set, const TaskConfig *config, const char *split, const Dataset **out,
                        Error *error) {
    const char *name = config->dataset_name ? config->dataset_name : "default";
    for (size_t i = 0; i < set->n_datasets; i++) {
        *out = set->datasets[i];
        const Value *named = (*out)->named;
        if (text_equal((*out)->path, config->dataset_path) && text_equal((*out)->config, name) &&
            text_equal((*out)->split, split) && !named == !config->data_files &&
            (!named || value_equal(named, config->data_files)))
            return 0;
    }
    Dataset *dataset = arena_alloc(&set->arena, sizeof *dataset);
    if (dataset_read(dataset, &set->arena, set->options->data_root, config->dataset_path, name, split,
                     config->data_files, error)) {
        dataset_free(dataset);
        return error_prefix(error, "%s", config->name);
    }
    set->datasets = grow(set->datasets, set->n_datasets, &set->datasets_room);
    set->datasets[set->n_datasets++] = dataset;
    *out = dataset;
    return 0;
}

/* --limit as lm-eval reads it. v0.4.0 rounds a fraction down, and what it makes for the first task is the
 * number of documents of all later ones. */
static int limit_documents(TaskSet *set, Task *task, Error *error) {
    size_t n = task->info.n_documents_total;
    bool old = set->options->compat == COMPAT_V0_4_0;
    task->info.n_documents = n;
    if (set->limit <= 0)
        return 0;
    double product = (double)n * set->limit;
    double kept = set->limit >= 1 ? floor(set->limit) : old ? floor(product) : ceil(product);
    if (old)
        set->limit = kept;
    if (kept < 1)
        return error_set_kind(error, ERROR_USAGE, "%s: the limit leaves none of its %zu documents",
                              task->info.name, n);
    if (kept < (double)n)
        task->info.n_documents = (size_t)kept;
    return 0;
}

static int compare_rows(const void *a, const void *b) {
    size_t left = *(const size_t *)a, right = *(const size_t *)b;
    return (left > right) - (left < right);
}

/* The documents that --samples lists for the task, in the split's order, each once. */
static int choose_documents(TaskSet *set, Task *task, const cJSON *list, Error *error) {
    size_t n = 0, total = task->info.n_documents_total;
    const cJSON *item;
    size_t *rows = arena_alloc(&set->arena, ((size_t)cJSON_GetArraySize(list) + 1) * sizeof *rows);
    cJSON_ArrayForEach(item, list) {
        if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0) || item->valuedouble >= (double)total ||
            floor(item->valuedouble) != item->valuedouble)
            return error_set_kind(error, ERROR_USAGE,
                                  "%s: %s: item %zu is not the number of one of its %zu documents",
                                  set->options->samples, task->info.name, n, total);
        rows[n++] = (size_t)item->valuedouble;
    }
    if (n == 0)
        return error_set_kind(error, ERROR_USAGE, "%s: %s: a list of document numbers was expected",
                              set->options->samples, task->info.name);
    qsort(rows, n, sizeof *rows, compare_rows);
    size_t kept = 1;
    for (size_t i = 1; i < n; i++)
        if (rows[i] != rows[kept - 1])
            rows[kept++] = rows[i];
    task->chosen = rows;
    task->info.n_documents = kept;
    return 0;
}

static int select_documents(TaskSet *set, Task *task, Error *error) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(set->samples, task->info.name);
    return list ? choose_documents(set, task, list, error) : limit_documents(set, task, error);
}

static int open_samples(TaskSet *set, Error *error) {
    enum { SAMPLES_BYTES_MAX = 64 << 20 };
    if (!set->options->samples)
        return 0;
    if (json_parse_file(&set->samples, set->options->samples, SAMPLES_BYTES_MAX, error))
        return -1;
    if (cJSON_IsObject(set->samples))
        return 0;
    return error_set_kind(error, ERROR_USAGE, "%s: a JSON object of lists was expected",
                          set->options->samples);
}

/* Every task that --samples names was opened. */
static int check_samples(const TaskSet *set, Error *error) {
    const cJSON *item;
    cJSON_ArrayForEach(item, set->samples) {
        bool found = false;
        for (size_t i = 0; i < set->n_tasks; i++)
            found |= strcmp(set->tasks[i]->info.name, item->string) == 0;
        if (!found)
            return error_set_kind(error, ERROR_USAGE, "%s: '%.100s' is none of the tasks that were asked for",
                                  set->options->samples, item->string);
    }
    return 0;
}

static int shots(const TaskConfig *config, int asked) {
    int own = config->num_fewshot < 0 ? 0 : config->num_fewshot;
    return asked < 0 || config->num_fewshot == 0 ? own : asked; /* a task that says 0 stays at 0 */
}

static int open_pool(TaskSet *set, Task *task, const Dataset **out, Error *error) {
    const char *split = fewshot_split(&task->config);
    *out = NULL;
    if (!task_has_examples(task))
        return 0;
    if (!split) {
        const Value *samples = task->config.fewshot_samples;
        Dataset *literal = arena_alloc(&set->arena, sizeof *literal);
        *literal = (Dataset){.rows = samples->as.items, .n = samples->n};
        task->pool = literal;
        return 0;
    }
    if (find_dataset(set, &task->config, split, out, error))
        return error_prefix(error, "few-shot examples");
    task->pool = *out;
    return 0;
}

/* The first document tells for all of them whether choices are contexts. */
static int find_contexts(TaskSet *set, Task *task, const Value *first, Error *error) {
    Turn turn;
    if (task->config.output_type != OUTPUT_MULTIPLE_CHOICE)
        return 0;
    if (turn_read(&task->config.prompt, first, &set->arena, &turn, error))
        return error_prefix(error, "%s: document 0", task->info.name);
    task->many_contexts = turn.text.kind == VALUE_INT;
    return 0;
}

/* Which keys name columns, by the first row of the split and the first example. */
static int find_columns(TaskSet *set, Task *task, Error *error) {
    Value document;
    if (task_process(task, &task->data->rows[0], &set->arena, &document, error) ||
        config_find_columns(&task->config.prompt, &document, &task->config, error) ||
        find_contexts(set, task, &document, error))
        return -1;
    if (!task_has_examples(task))
        return 0;
    if (pool_document(task, 0, &set->arena, &document, error))
        return error_prefix(error, "few-shot examples");
    return config_find_columns(&task->config.fewshot, &document, &task->config, error);
}

static void note_files(TaskSet *set, Task *task, const LibraryEntry *entry, const Dataset *const data[2]) {
    size_t n = 0, room = entry->n_files + data[0]->n_files + (data[1] ? data[1]->n_files : 0);
    TaskFile *files = arena_alloc(&set->arena, room * sizeof *files);
    for (size_t i = 0; i < entry->n_files; i++) {
        const LibraryFile *file = entry->files[i];
        files[n++] = (TaskFile){"task", file->name, file->sha256, file->bytes};
    }
    for (int i = 0; i < 2; i++)
        for (size_t k = 0; data[i] && (i == 0 || data[i] != data[0]) && k < data[i]->n_files; k++) {
            const DatasetFile *file = &data[i]->files[k];
            files[n++] = (TaskFile){"dataset", file->name, file->sha256, file->bytes};
        }
    task->info.files = files;
    task->info.n_files = n;
}

static int open_task(TaskSet *set, Task *task, const LibraryEntry *entry, Error *error) {
    TaskConfig *config = &task->config;
    const Dataset *data[2];
    if (config_read(config, entry, &set->arena, error))
        return -1;
    task->info = (TaskInfo){.name = config->name,
                            .alias = config->alias,
                            .version = config->version,
                            .compat = compat_name(set->options->compat),
                            .output_type = config->output_type,
                            .dataset_path = config->dataset_path,
                            .dataset_name = config->dataset_name ? config->dataset_name : "",
                            .split = config->test_split ? config->test_split : config->validation_split,
                            .num_fewshot = shots(config, set->num_fewshot),
                            .metrics = config->metrics,
                            .n_metrics = config->n_metrics,
                            .filters = config->filters,
                            .n_filters = config->n_filters,
                            .results_function = config->results_function};
    if (find_dataset(set, config, task->info.split, &data[0], error))
        return -1;
    task->data = data[0];
    task->info.n_documents_total = data[0]->n;
    task->keys = &entry->keys;
    task->chat = set->chat;
    task->multiturn = set->options->chat && set->options->chat->fewshot_multiturn;
    task->system_instruction = set->options->system_instruction ? set->options->system_instruction : "";
    if (select_documents(set, task, error) || open_pool(set, task, &data[1], error) ||
        find_columns(set, task, error) || fewshot_draw(task, set->options->fewshot_seed, &set->arena, error))
        return -1;
    note_files(set, task, entry, data);
    task->info.config_json = config_dump(entry, config, task->info.num_fewshot, &set->arena);
    return 0;
}

static int add_task(TaskSet *set, const LibraryEntry *entry, const Task **out, Error *error) {
    for (size_t i = 0; i < set->n_tasks; i++) {
        *out = set->tasks[i];
        if (strcmp((*out)->info.name, entry->name) != 0)
            continue;
        if (shots(&(*out)->config, set->num_fewshot) != (*out)->info.num_fewshot)
            return error_set_kind(
                error, ERROR_USAGE, "the task '%s' was asked for twice, with %d examples and with %d",
                entry->name, (*out)->info.num_fewshot, shots(&(*out)->config, set->num_fewshot));
        bool same_file = strcmp((*out)->config.file, entry->file) == 0;
        if (same_file && !value_equal((*out)->keys, &entry->keys))
            return error_set_kind(error, ERROR_USAGE,
                                  "the task '%s' was asked for twice, with different settings", entry->name);
        if (same_file)
            return 0;
        return error_set_kind(error, ERROR_USAGE, "the task '%s' was asked for twice, from %s and from %s",
                              entry->name, (*out)->config.file, entry->file);
    }
    Task *task = arena_alloc(&set->arena, sizeof *task);
    if (open_task(set, task, entry, error))
        return -1;
    set->tasks = grow(set->tasks, set->n_tasks, &set->tasks_room);
    set->tasks[set->n_tasks++] = task;
    *out = task;
    return 0;
}

/* False if the name is there already: a member counts once. */
static bool push_child(Members *members, const char *name) {
    for (size_t i = 0; i < members->n_children; i++)
        if (strcmp(members->children[i], name) == 0)
            return false;
    members->children = grow(members->children, members->n_children, &members->children_room);
    members->children[members->n_children++] = name;
    return true;
}

static void push_leaf(Members *members, const Task *task) {
    members->leaves = grow(members->leaves, members->n_leaves, &members->leaves_room);
    members->leaves[members->n_leaves++] = task;
}

static void members_free(Members *members) {
    free(members->children);
    free(members->leaves);
}

static int add_name(TaskSet *set, const char *name, const GroupChain *chain, Members *into, bool *found,
                    Error *error);
static int add_entry(TaskSet *set, const LibraryEntry *entry, const GroupChain *chain, Members *into,
                     Error *error);

/* A member as the group's file has it: a name, or a mapping with a name and keys of its own. A name that
 * stands for nothing makes of its mapping a task or a group of the group's own. */
static int add_member(TaskSet *set, const GroupChain *chain, const Value *member, Members *members,
                      Error *error) {
    bool found, is_group = value_get(member, "group") != NULL;
    const char *name = group_member_name(member)->as.text;
    GroupChain below = *chain;
    if (member->kind == VALUE_DICT)
        below.overrides = library_merged_keys(&set->arena, &chain->overrides, member);
    if (is_group && !library_find(set->library, name)) {
        const Value *list = value_get(member, "task");
        if (!list || list->kind != VALUE_LIST)
            return error_set(error, "%s:%u: task: the group '%.100s' has no list of members",
                             chain->group->file, member->line, name);
        return add_entry(set, library_inline(set->library, chain->group, name, member, true), chain, members,
                         error);
    }
    if (add_name(set, name, &below, members, &found, error))
        return -1;
    if (found)
        return 0;
    if (member->kind == VALUE_DICT && value_get(member, "dataset_path"))
        return add_entry(set, library_inline(set->library, chain->group, name, &below.overrides, false), NULL,
                         members, error);
    return error_set(error, "%s:%u: task: there is no task, group or tag '%.100s'", chain->group->file,
                     group_member_name(member)->line, name);
}

static int add_group_members(TaskSet *set, const GroupConfig *config, const GroupChain *chain,
                             Members *members, Error *error) {
    for (size_t i = 0; i < config->members->n; i++)
        if (add_member(set, chain, &config->members->as.items[i], members, error))
            return -1;
    return 0;
}

static void keep_group(TaskSet *set, const GroupConfig *config, const Members *members) {
    for (size_t i = 0; i < set->n_groups; i++)
        if (strcmp(set->groups[i]->name, config->name) == 0)
            return;
    TaskGroup *group = arena_alloc(&set->arena, sizeof *group);
    const char **children = arena_alloc(&set->arena, (members->n_children + 1) * sizeof *children);
    const Task **leaves = arena_alloc(&set->arena, (members->n_leaves + 1) * sizeof *leaves);
    if (members->n_children)
        memcpy(children, members->children, members->n_children * sizeof *children);
    if (members->n_leaves)
        memcpy(leaves, members->leaves, members->n_leaves * sizeof *leaves);
    *group = (TaskGroup){.name = config->name,
                         .alias = config->alias,
                         .version = config->version,
                         .metrics = config->metrics,
                         .n_metrics = config->n_metrics,
                         .children = children,
                         .n_children = members->n_children,
                         .leaves = leaves,
                         .n_leaves = members->n_leaves};
    set->groups = grow(set->groups, set->n_groups, &set->groups_room);
    set->groups[set->n_groups++] = group;
}

static int add_group(TaskSet *set, const LibraryEntry *entry, const GroupChain *outer, Members *into,
                     Error *error) {
    GroupChain chain = {.group = entry, .outer = outer, .depth = outer ? outer->depth + 1 : 0};
    for (const GroupChain *link = outer; link; link = link->outer)
        if (link->group == entry)
            return error_set(error, "%s: the group '%s' contains itself", entry->file, entry->name);
    if (chain.depth > GROUP_DEPTH_MAX)
        return error_set(error, "%s: groups are nested deeper than %d levels", entry->file, GROUP_DEPTH_MAX);
    GroupConfig config;
    Members members = {0};
    if (config_read_group(&config, entry, &set->arena, error))
        return -1;
    chain.overrides = library_group_overrides(entry, &set->arena);
    if (outer)
        chain.overrides = library_merged_keys(&set->arena, &chain.overrides, &outer->overrides);
    int status = add_group_members(set, &config, &chain, &members, error);
    if (!status)
        keep_group(set, &config, &members);
    bool is_new = push_child(into, config.name);
    if (!status && into->n_leaves + members.n_leaves > LEAVES_MAX)
        status =
            error_set(error, "%s: groups in groups stand for more than %d tasks", entry->file, LEAVES_MAX);
    for (size_t i = 0; i < members.n_leaves && is_new && !status; i++)
        push_leaf(into, members.leaves[i]);
    members_free(&members);
    return status;
}

static int add_entry(TaskSet *set, const LibraryEntry *entry, const GroupChain *chain, Members *into,
                     Error *error) {
    const Task *task;
    if (entry->is_group)
        return add_group(set, entry, chain, into, error);
    if (chain)
        entry = library_override(set->library, entry, &chain->overrides, chain->group->file);
    if (add_task(set, entry, &task, error))
        return -1;
    if (push_child(into, task->info.name))
        push_leaf(into, task);
    return 0;
}

/* A task, a group, or a tag's tasks by name; *found tells whether the name stands for anything. */
static int add_name(TaskSet *set, const char *name, const GroupChain *chain, Members *into, bool *found,
                    Error *error) {
    const LibraryEntry *entry = library_find(set->library, name);
    *found = entry != NULL;
    if (entry)
        return add_entry(set, entry, chain, into, error);
    for (size_t i = 0; i < library_count(set->library); i++) {
        entry = library_entry(set->library, i);
        if (!library_has_tag(entry, name))
            continue;
        *found = true;
        if (add_entry(set, entry, chain, into, error))
            return -1;
    }
    return 0;
}

static int add_matches(TaskSet *set, const char *pattern, Members *into, bool *found, Error *error) {
    const char **tags;
    size_t n_tags;
    bool tag_found;
    for (size_t i = 0; i < library_count(set->library); i++) {
        const LibraryEntry *entry = library_entry(set->library, i);
        if (!text_glob(pattern, entry->name))
            continue;
        *found = true;
        if (add_entry(set, entry, NULL, into, error))
            return -1;
    }
    library_tags(set->library, &set->arena, &tags, &n_tags);
    for (size_t i = 0; i < n_tags; i++) {
        if (!text_glob(pattern, tags[i]))
            continue;
        *found = true;
        if (add_name(set, tags[i], NULL, into, &tag_found, error))
            return -1;
    }
    return 0;
}

/* One name as the user gave it. */
static int add_request(TaskSet *set, const char *name, Members *into, Error *error) {
    bool found;
    const LibraryEntry *entry;
    if (add_name(set, name, NULL, into, &found, error))
        return -1;
    if (found)
        return 0;
    if (text_ends_with(name, ".yaml")) {
        if (!file_exists(name))
            return error_set_kind(error, ERROR_USAGE, "%s: there is no such task file", name);
        return library_add_file(set->library, name, &entry, error) ? -1
                                                                   : add_entry(set, entry, NULL, into, error);
    }
    if (strpbrk(name, "*?[") && add_matches(set, name, into, &found, error))
        return -1;
    return found ? 0 : library_unknown(set->library, name, error);
}

/* A name that may end in :SHOTS. */
static int add_request_with_shots(TaskSet *set, const char *name, Members *into, Error *error) {
    const char *colon = strrchr(name, ':');
    int64_t asked;
    set->num_fewshot = set->options->num_fewshot;
    if (!colon || !text_to_int(colon + 1, &asked) || strspn(colon + 1, "0123456789") != strlen(colon + 1))
        return add_request(set, name, into, error);
    if (asked > SHOTS_MAX)
        return error_set_kind(error, ERROR_USAGE, "%s: 0 to %d few-shot examples are possible", name,
                              SHOTS_MAX);
    set->num_fewshot = (int)asked;
    return add_request(set, arena_strndup(&set->arena, name, (size_t)(colon - name)), into, error);
}

static int check_options(const TaskOptions *options, Error *error) {
    if (options->n_names == 0)
        return error_set_kind(error, ERROR_USAGE, "no task was named");
    if (!(options->limit >= 0))
        return error_set_kind(error, ERROR_USAGE, "the limit %g is not a number of documents",
                              options->limit);
    if (options->num_fewshot < -1 || options->num_fewshot > SHOTS_MAX)
        return error_set_kind(error, ERROR_USAGE, "%d few-shot examples; 0 to %d are possible",
                              options->num_fewshot, SHOTS_MAX);
    bool is_chat = options->chat || options->system_instruction;
    if (is_chat && options->compat == COMPAT_V0_4_0)
        return error_set_kind(
            error, ERROR_USAGE,
            "v0.4.0 of lm-evaluation-harness knew neither chat templates nor system instructions");
    if (options->data_root && !file_is_directory(options->data_root))
        return error_set_kind(error, ERROR_USAGE, "the data folder %s does not exist", options->data_root);
    return 0;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names in the order in which they are opened: as given, or sorted where v0.4.0's order shows in a
 * result, which is when the first task's limit becomes that of all. */
static const char *const *ordered_names(TaskSet *set) {
    const TaskOptions *options = set->options;
    if (options->compat != COMPAT_V0_4_0 || options->limit <= 0 || options->limit >= 1)
        return options->names;
    const char **names = arena_alloc(&set->arena, options->n_names * sizeof *names);
    memcpy(names, options->names, options->n_names * sizeof *names);
    qsort(names, options->n_names, sizeof *names, compare_names);
    return names;
}

/* A file left out may hide that a built-in task of its name is run in its place. */
static void warn_of_faults(const TaskSet *set) {
    enum { MOST_SHOWN = 3 };
    size_t n;
    const char *const *faults = library_faults(set->library, &n);
    for (size_t i = 0; i < n && i < MOST_SHOWN; i++)
        log_warning(set->options->log, "a task file is left out: %s", faults[i]);
    if (n > MOST_SHOWN)
        log_warning(set->options->log, "and %zu more; zeval tasks --validate %s names them all",
                    n - MOST_SHOWN, set->options->include_path);
}

/* From here on nothing but documents are asked for: those that were selected, and their examples. */
static void pack_dataset(const TaskSet *set, Dataset *dataset) {
    bool *kept = mem_alloc_zero(dataset->n, sizeof *kept);
    for (size_t t = 0; t < set->n_tasks; t++) {
        const Task *task = set->tasks[t];
        size_t n = task->info.n_documents, n_draws = n * (size_t)task->info.num_fewshot;
        for (size_t i = 0; i < n && task->data == dataset; i++)
            kept[task->chosen ? task->chosen[i] : i] = true;
        for (size_t i = 0; i < n_draws && task->pool == dataset; i++)
            if (task->draws[i] != SIZE_MAX)
                kept[task->draws[i]] = true;
    }
    dataset_pack(dataset, kept);
    free(kept);
}

int task_set_open(TaskSet **out, const TaskOptions *options, Error *error) {
    if (check_options(options, error))
        return -1;
    TaskSet *set = mem_alloc_zero(1, sizeof *set);
    Members members = {0};
    set->options = options;
    set->limit = options->limit;
    const char *const *names = ordered_names(set);
    int status = library_open(&set->library, options->include_path, options->compat, error);
    if (!status)
        warn_of_faults(set);
    if (!status)
        status = open_samples(set, error);
    if (!status && options->chat)
        status = chat_open(&set->chat, &set->arena, options->chat, error);
    for (size_t i = 0; i < options->n_names && !status; i++)
        status = add_request_with_shots(set, names[i], &members, error);
    if (!status)
        status = check_samples(set, error);
    members_free(&members);
    cJSON_Delete(set->samples);
    set->options = NULL;
    if (status) {
        task_set_close(set);
        return -1;
    }
    for (size_t i = 0; i < set->n_datasets; i++)
        pack_dataset(set, set->datasets[i]);
    for (size_t i = 0; i < set->n_tasks; i++)
        log_debug(options->log, "%s: %zu of %zu documents, %d-shot", set->tasks[i]->info.name,
                  set->tasks[i]->info.n_documents, set->tasks[i]->info.n_documents_total,
                  set->tasks[i]->info.num_fewshot);
    *out = set;
    return 0;
}

void task_set_close(TaskSet *set) {
    if (!set)
        return;
    library_close(set->library);
    for (size_t i = 0; i < set->n_datasets; i++)
        dataset_free(set->datasets[i]);
    free(set->tasks);
    free(set->groups);
    free(set->datasets);
    arena_free(&set->arena);
    free(set);
}

size_t task_set_count(const TaskSet *set) {
    return set->n_tasks;
}
const Task *task_set_task(const TaskSet *set, size_t i) {
    return set->tasks[i];
}
size_t task_set_group_count(const TaskSet *set) {
    return set->n_groups;
}
const TaskGroup *task_set_group(const TaskSet *set, size_t i) {
    return set->groups[i];
}
