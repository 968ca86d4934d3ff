/* zeval tasks */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/selection.h"

static void field(Buffer *out, const char *name, const char *value, bool first) {
    buffer_printf(out, "%s\"%s\": ", first ? "" : ", ", name);
    if (value)
        text_append_json(out, value, strlen(value));
    else
        buffer_append_text(out, "null");
}

static void print_listing_json(const TaskListing *listing) {
    Buffer line = {0};
    buffer_append_char(&line, '{');
    field(&line, "name", listing->name, true);
    field(&line, "kind", listing->kind, false);
    field(&line, "output_type", listing->output_type, false);
    field(&line, "dataset", listing->dataset, false);
    field(&line, "file", listing->file, false);
    if (listing->fault)
        field(&line, "fault", listing->fault, false);
    buffer_printf(&line, ", \"n_members\": %zu}\n", listing->n_members);
    fwrite(line.data, 1, line.size, stdout);
    buffer_free(&line);
}

static void print_listing(const TaskListing *listing, int width) {
    if (listing->fault) {
        printf("%s  %s\n", listing->kind, listing->fault);
        return;
    }
    printf("%-*s  %-5s  ", width, listing->name, listing->kind);
    if (strcmp(listing->kind, "task") == 0)
        printf("%-16s  %s\n", listing->output_type ? listing->output_type : "",
               listing->dataset ? listing->dataset : "");
    else
        printf("%zu members\n", listing->n_members);
}

static int list_tasks(const char *include_path, Compat compat, bool json, Error *error) {
    Arena arena = {0};
    TaskListing *listings;
    size_t n;
    int result = task_list(include_path, compat, &arena, &listings, &n, error), width = 0;
    for (size_t i = 0; i < n && result == 0; i++)
        width = (int)strlen(listings[i].name) > width ? (int)strlen(listings[i].name) : width;
    for (size_t i = 0; i < n && result == 0; i++) {
        if (json)
            print_listing_json(&listings[i]);
        else
            print_listing(&listings[i], width);
    }
    arena_free(&arena);
    return result;
}

/* Builds every request of the file's tasks: what only the data can show to be wrong. */
static int validate_with_data(const char *file, const char *include_path, const char *data, Compat compat,
                              Error *error) {
    const TaskOptions options = {.names = &file,
                                 .n_names = 1,
                                 .data_root = data,
                                 .include_path = include_path,
                                 .num_fewshot = -1,
                                 .fewshot_seed = 1234,
                                 .compat = compat};
    TaskSet *set;
    Arena arena = {0};
    if (task_set_open(&set, &options, error))
        return -1;
    int result = 0;
    for (size_t t = 0; t < task_set_count(set) && result == 0; t++) {
        const Task *task = task_set_task(set, t);
        size_t n_requests = 0;
        for (size_t i = 0; i < task_info(task)->n_documents && result == 0; i++) {
            TaskDocument document;
            result = task_document(task, i, &arena, &document, error);
            n_requests += result ? 0 : document.n_requests;
            arena_reset(&arena);
        }
        if (result == 0)
            printf("  data of %s: %zu documents, %zu requests, %d-shot\n", task_info(task)->name,
                   task_info(task)->n_documents, n_requests, task_info(task)->num_fewshot);
    }
    arena_free(&arena);
    task_set_close(set);
    return result;
}

static void print_checked(const char *file, const TaskListing *found) {
    if (strcmp(found->kind, "part") == 0)
        printf("%s: names no task or group; it can be included by others\n", file);
    else if (found->output_type)
        printf("%s: the task %s (%s on %s) is in order\n", file, found->name, found->output_type,
               found->dataset);
    else
        printf("%s: the group %s (%zu members) is in order\n", file, found->name, found->n_members);
}

/* Every file of a folder, a line each; faults are told and counted. */
static int validate_folder(const char *folder, const char *include_path, const char *data, Compat compat,
                           Error *error) {
    Arena arena = {0};
    TaskListing *found = NULL;
    size_t n = 0, n_faults = 0;
    const char *root = include_path ? include_path : folder;
    int result = task_folder_check(folder, include_path, compat, &arena, &found, &n, error);
    for (size_t i = 0; i < n && result == 0; i++) {
        Error fault = {0};
        const char *told = found[i].fault;
        if (!told)
            print_checked(found[i].file, &found[i]);
        if (!told && data && strcmp(found[i].kind, "part") != 0 &&
            validate_with_data(found[i].file, root, data, compat, &fault))
            told = fault.message;
        if (told)
            printf("fault: %s\n", told);
        n_faults += told != NULL;
    }
    arena_free(&arena);
    if (result == 0 && n == 0)
        return error_set_kind(error, ERROR_USAGE, "%s: the folder holds no *.yaml", folder);
    if (result == 0 && n_faults > 0)
        return error_set(error, "%s: %zu of %zu files are not in order", folder, n_faults, n);
    if (result == 0)
        printf("%s: nothing is wrong in %zu file%s\n", folder, n, n == 1 ? "" : "s");
    return result;
}

static int validate(const char *file, const char *include_path, const char *data, Compat compat,
                    Error *error) {
    Arena arena = {0};
    TaskListing found;
    if (file_is_directory(file))
        return validate_folder(file, include_path, data, compat, error);
    int result = task_file_check(file, include_path, compat, &arena, &found, error);
    if (result == 0)
        print_checked(file, &found);
    if (result == 0 && data)
        result = validate_with_data(file, include_path, data, compat, error);
    arena_free(&arena);
    return result;
}

int command_tasks(int argc, char **argv, Error *error) {
    const char *include_path = NULL, *file = NULL, *data = NULL, *profile = NULL;
    bool json = false;
    Compat compat;
    const Option options[] = {
        {"include-path", "DIR", OPTION_TEXT, &include_path, 0, 0, false,
         "folder with more task files, listed too"},
        {"json", NULL, OPTION_FLAG, &json, 0, 0, false, "print JSON Lines"},
        {"validate", "PATH", OPTION_TEXT, &file, 0, 0, false,
         "check one file, or all of a folder, instead: keys, templates, functions, members"},
        {"data", "DIR", OPTION_TEXT, &data, 0, 0, false,
         "with --validate: build every request from the data sets in this folder"},
        COMPAT_OPTION(profile),
        {0}};
    const Usage usage = {
        .command = "tasks",
        .synopsis = "[options]",
        .about = "Lists what --tasks understands: tasks; groups, which add up the tasks below them; tags,\n"
                 "which only stand for them. Task files are lm-evaluation-harness's YAML. With --validate,\n"
                 "checks a file, or every .yaml file below a folder, a line each: exit code 0 if all are in\n"
                 "order, 1 with each one's first fault and its line if not.",
        .examples = "  zeval tasks --include-path ./my-tasks\n"
                    "  zeval tasks --validate ./my-tasks/trivia.yaml --data ./datasets\n"
                    "  zeval tasks --validate ./my-tasks",
        .options = options};
    int parsed = options_parse(&usage, argc, argv, error);
    if (parsed)
        return parsed < 0 ? -1 : 0;
    if (data && !file)
        return error_set_kind(error, ERROR_USAGE, "tasks: --data is for --validate");
    if (selection_compat(profile, &compat, error))
        return -1;
    return file ? validate(file, include_path, data, compat, error)
                : list_tasks(include_path, compat, json, error);
}
