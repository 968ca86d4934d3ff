/* zeval tasks, zeval requests */
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

static int list_tasks(const char *include_path, bool json, Error *error) {
    Arena arena = {0};
    TaskListing *listings;
    size_t n;
    int result = task_list(include_path, &arena, &listings, &n, error), width = 0;
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
static int validate_with_data(const char *file, const char *include_path, const char *data, Error *error) {
    const TaskOptions options = {.names = &file,
                                 .n_names = 1,
                                 .data_root = data,
                                 .include_path = include_path,
                                 .num_fewshot = -1,
                                 .fewshot_seed = 1234,
                                 .requests_only = true};
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

static int validate(const char *file, const char *include_path, const char *data, Error *error) {
    Arena arena = {0};
    TaskListing found;
    int result = task_file_check(file, include_path, &arena, &found, error);
    if (result == 0 && found.output_type)
        printf("%s: the task %s (%s on %s) is in order\n", file, found.name, found.output_type,
               found.dataset);
    else if (result == 0)
        printf("%s: the group %s (%zu members) is in order\n", file, found.name, found.n_members);
    if (result == 0 && data)
        result = validate_with_data(file, include_path, data, error);
    if (result == 0 && found.unscored)
        printf("  not scored yet: %s\n", found.unscored);
    arena_free(&arena);
    return result;
}

int command_tasks(int argc, char **argv, Error *error) {
    const char *include_path = NULL, *file = NULL, *data = NULL;
    bool json = false;
    const Option options[] = {{"include-path", "DIR", OPTION_TEXT, &include_path, 0, 0, false,
                               "folder with more task files, listed too"},
                              {"json", NULL, OPTION_FLAG, &json, 0, 0, false, "print JSON Lines"},
                              {"validate", "FILE", OPTION_TEXT, &file, 0, 0, false,
                               "check one task or group file instead: keys, templates, functions, members"},
                              {"data", "DIR", OPTION_TEXT, &data, 0, 0, false,
                               "with --validate: build every request from the data sets in this folder"},
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
    return file ? validate(file, include_path, data, error) : list_tasks(include_path, json, error);
}

static void print_request(const TaskInfo *task, const TaskDocument *document, const TaskRequest *request,
                          Buffer *line) {
    buffer_clear(line);
    buffer_append_char(line, '{');
    field(line, "task", task->name, true);
    buffer_printf(line, ", \"doc_id\": %lld, \"idx\": %d", (long long)document->doc_id, request->idx);
    field(line, "request_type", output_type_name(request->type), false);
    field(line, "context", request->context, false);
    field(line, "continuation", request->continuation, false);
    if (request->generation)
        buffer_printf(line, ", \"generation_kwargs\": %s", request->generation);
    buffer_append_text(line, "}\n");
    fwrite(line->data, 1, line->size, stdout);
}

static int print_task_requests(const Task *task, Error *error) {
    const TaskInfo *info = task_info(task);
    Arena arena = {0};
    Buffer line = {0};
    TaskDocument document;
    int result = 0;
    for (size_t i = 0; i < info->n_documents && result == 0; i++) {
        result = task_document(task, i, &arena, &document, error);
        for (size_t r = 0; result == 0 && r < document.n_requests; r++)
            print_request(info, &document, &document.requests[r], &line);
        arena_reset(&arena);
    }
    buffer_free(&line);
    arena_free(&arena);
    return result;
}

static int print_requests(const Selection *selection, const Verbosity *verbosity, Error *error) {
    Log log = verbosity_log(verbosity);
    TaskOptions options = selection_task_options(selection, &log);
    TaskSet *set;
    options.requests_only = true;
    if (task_set_open(&set, &options, error))
        return -1;
    int result = 0;
    for (size_t i = 0; i < task_set_count(set) && result == 0; i++)
        result = print_task_requests(task_set_task(set, i), error);
    task_set_close(set);
    return result;
}

int command_requests(int argc, char **argv, Error *error) {
    Selection selection = SELECTION_DEFAULTS;
    Verbosity verbosity = {0};
    const Option options[] = {SELECTION_OPTIONS(selection), VERBOSITY_OPTIONS(verbosity), {0}};
    const Usage usage = {
        .command = "requests",
        .synopsis = "--tasks LIST [options]",
        .about = "Prints every request that a run would score, one JSON object a line, without a model:\n"
                 "task, doc_id, idx, request_type, context, continuation, and generation_kwargs of requests\n"
                 "that generate text.",
        .examples = "  zeval requests --tasks demo --limit 1\n"
                    "  zeval requests --tasks mmlu --num-fewshot 5 --data ./datasets",
        .options = options};
    int parsed = options_parse(&usage, argc, argv, error);
    int result = parsed ? parsed : print_requests(&selection, &verbosity, error);
    option_list_free(&selection.tasks);
    return result < 0 ? -1 : 0;
}
