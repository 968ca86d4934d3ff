/* zeval requests */
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
    const char *model = NULL;
    const Option options[] = {SELECTION_OPTIONS(selection),
                              {"model", "NAME", OPTION_TEXT, &model, 0, 0, false,
                               "a checkpoint or a folder with tokenizer files, for --apply-chat-template"},
                              VERBOSITY_OPTIONS(verbosity),
                              {0}};
    const Usage usage = {
        .command = "requests",
        .synopsis = "--tasks LIST [options]",
        .about = "Prints every request that a run would score, one JSON object a line, without a model:\n"
                 "task, doc_id, idx, request_type, context, continuation, and generation_kwargs of requests\n"
                 "that generate text.",
        .examples =
            "  zeval requests --tasks demo --limit 1\n"
            "  zeval requests --tasks mmlu --num-fewshot 5 --data ./datasets\n"
            "  zeval requests --tasks gsm8k_cot_llama --model ./m --apply-chat-template --data ./datasets",
        .options = options};
    int parsed = options_parse(&usage, argc, argv, error);
    int result = parsed;
    if (!parsed)
        result = selection_prepare(&selection, error) || selection_chat(&selection, model, error) ||
                         print_requests(&selection, &verbosity, error)
                     ? -1
                     : 0;
    selection_free(&selection);
    return result < 0 ? -1 : 0;
}
