/* See selection.h. */
#include "cli/selection.h"

#include <stdlib.h>

#include "zoo/zoo.h"

int selection_compat(const char *profile, Compat *out, Error *error) {
    *out = COMPAT_MAIN;
    if (!profile || compat_parse(profile, out))
        return 0;
    return error_set_kind(error, ERROR_USAGE, "--compat: found '%s'; 'main' or 'v0.4.0' was expected",
                          profile);
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
