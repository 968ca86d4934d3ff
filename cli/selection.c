/* See selection.h. */
#include "cli/selection.h"

#include <stdlib.h>
#include <strings.h>

#include "eval/replay.h"
#include "zoo/zoo.h"

int selection_compat(const char *profile, Compat *out, Error *error) {
    *out = COMPAT_MAIN;
    if (!profile || compat_parse(profile, out))
        return 0;
    return error_set_kind(error, ERROR_USAGE, "--compat: found '%s'; 'main' or 'v0.4.0' was expected",
                          profile);
}

static int read_multiturn(const Selection *selection, bool *out, Error *error) {
    const char *given = selection->multiturn;
    *out = !given || strcasecmp(given, "false") != 0;
    if (given && *out && *given && strcasecmp(given, "true") != 0)
        return error_set_kind(error, ERROR_USAGE,
                              "--fewshot-as-multiturn: found \"%s\", expected true or false", given);
    if (given && *out && !selection->chat_name)
        return error_set_kind(error, ERROR_USAGE, "--fewshot-as-multiturn needs --apply-chat-template");
    return 0;
}

int selection_chat(Selection *selection, const char *model, Error *error) {
    ChatTemplate *read = &selection->chat_template;
    if (read_multiturn(selection, &selection->chat.fewshot_multiturn, error))
        return -1;
    if (!selection->chat_name)
        return 0;
    if (!model)
        return error_set_kind(error, ERROR_USAGE,
                              "--apply-chat-template needs --model, whose template it is");
    if (replay_path(model))
        return error_set_kind(error, ERROR_USAGE,
                              "--apply-chat-template: recorded answers (%s) have no chat template", model);
    if (chat_template_read(read, model, selection->chat_name, error))
        return -1;
    selection->chat.name = read->name;
    selection->chat.source = read->source;
    selection->chat.bos_token = read->bos_token;
    selection->chat.eos_token = read->eos_token;
    selection->chat.variables = read->variables;
    selection->chat.date = selection->date;
    return 0;
}

int selection_prepare(Selection *selection, Error *error) {
    if (selection_compat(selection->profile, &selection->compat, error))
        return -1;
    if (selection->limit > 0 && selection->samples)
        return error_set_kind(error, ERROR_USAGE, "--limit and --samples cannot both choose the documents");
    selection->data_is_ours = !selection->data && !(getenv("ZEVAL_DATA") && *getenv("ZEVAL_DATA"));
    return selection->data_is_ours ? zoo_data_folder(&selection->pulled, error) : 0;
}

void selection_free(Selection *selection) {
    option_list_free(&selection->tasks);
    chat_template_free(&selection->chat_template);
    free(selection->pulled);
}

TaskOptions selection_task_options(const Selection *selection, Log *log) {
    const char *data = selection->data           ? selection->data
                       : selection->data_is_ours ? selection->pulled
                                                 : getenv("ZEVAL_DATA");
    return (TaskOptions){.names = selection->tasks.items,
                         .n_names = selection->tasks.n,
                         .data_root = data && *data ? data : NULL,
                         .include_path = selection->include_path,
                         .num_fewshot = (int)selection->num_fewshot,
                         .limit = selection->limit,
                         .fewshot_seed = (uint64_t)selection->fewshot_seed,
                         .log = log,
                         .compat = selection->compat,
                         .chat = selection->chat_name ? &selection->chat : NULL,
                         .system_instruction = selection->system_instruction,
                         .samples = selection->samples};
}

Log verbosity_log(const Verbosity *verbosity) {
    LogLevel level = verbosity->quiet ? LOG_ERROR : verbosity->verbose ? LOG_DEBUG : LOG_INFO;
    return (Log){.stream = stderr, .level = level};
}

FILE *verbosity_progress(const Verbosity *verbosity) {
    return verbosity->quiet ? NULL : stderr;
}
