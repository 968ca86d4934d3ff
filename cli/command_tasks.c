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

int command_tasks(int argc, char **argv, Error *error) {
    const char *include_path = NULL;
    bool json = false;
    const Option options[] = {{"include-path", "DIR", OPTION_TEXT, &include_path, 0, 0, false,
                               "folder with more task files, listed too"},
                              {"json", NULL, OPTION_FLAG, &json, 0, 0, false, "print JSON Lines"},
                              {0}};
    const Usage usage = {
        .command = "tasks",
        .synopsis = "[options]",
        .about = "Lists what --tasks understands: tasks; groups, which add up the tasks below them; tags,\n"
                 "which only stand for them. Task files are lm-evaluation-harness's YAML.",
        .options = options};
    int parsed = options_parse(&usage, argc, argv, error);
    if (parsed)
        return parsed < 0 ? -1 : 0;
    return list_tasks(include_path, json, error);
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
                 "task, doc_id, idx, request_type, context, continuation.",
        .examples = "  zeval requests --tasks demo --limit 1\n"
                    "  zeval requests --tasks mmlu --num-fewshot 5 --data ./datasets",
        .options = options};
    int parsed = options_parse(&usage, argc, argv, error);
    int result = parsed ? parsed : print_requests(&selection, &verbosity, error);
    option_list_free(&selection.tasks);
    return result < 0 ? -1 : 0;
}
