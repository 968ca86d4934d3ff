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
    buffer_printf(&line, ", \"n_members\": %zu}\n", listing->n_members);
    fwrite(line.data, 1, line.size, stdout);
    buffer_free(&line);
}

static void print_listing(const TaskListing *listing, int width) {
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

static int validate(const char *file, const char *include_path, const char *data, Compat compat,
                    Error *error) {
    Arena arena = {0};
    TaskListing found;
    int result = task_file_check(file, include_path, compat, &arena, &found, error);
    if (result == 0 && found.output_type)
        printf("%s: the task %s (%s on %s) is in order\n", file, found.name, found.output_type,
               found.dataset);
    else if (result == 0)
        printf("%s: the group %s (%zu members) is in order\n", file, found.name, found.n_members);
    if (result == 0 && data)
        result = validate_with_data(file, include_path, data, compat, error);
    arena_free(&arena);
    return result;
}

int command_tasks(int argc, char **argv, Error *error) {
    const char *include_path = NULL, *file = NULL, *data = NULL, *profile = NULL;
    bool json = false;
    Compat compat;
    const Option options[] = {{"include-path", "DIR", OPTION_TEXT, &include_path, 0, 0, false,
                               "folder with more task files, listed too"},
                              {"json", NULL, OPTION_FLAG, &json, 0, 0, false, "print JSON Lines"},
                              {"validate", "FILE", OPTION_TEXT, &file, 0, 0, false,
                               "check one task or group file instead: keys, templates, functions, members"},
                              {"data", "DIR", OPTION_TEXT, &data, 0, 0, false,
                               "with --validate: build every request from the data sets in this folder"},
                              COMPAT_OPTION(profile),
                              {0}};
    const Usage usage = {
        .command = "tasks",
        .synopsis = "[options]",
        .about = "Lists what --tasks understands: tasks; groups, which add up the tasks below them; tags,\n"
                 "which only stand for them. Task files are lm-evaluation-harness's YAML. With --validate,\n"
                 "checks a file: exit code 0 if it is in order, 1 with the first fault and its line if not.",
        .examples = "  zeval tasks --include-path ./my-tasks\n"
                    "  zeval tasks --validate ./my-tasks/trivia.yaml --data ./datasets",
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
