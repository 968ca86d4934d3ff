/* See selection.h. */
#include "cli/selection.h"

#include <stdlib.h>

TaskOptions selection_task_options(const Selection *selection, Log *log) {
    const char *data = selection->data ? selection->data : getenv("ZEVAL_DATA");
    return (TaskOptions){.names = selection->tasks.items,
                         .n_names = selection->tasks.n,
                         .data_root = data && *data ? data : NULL,
                         .include_path = selection->include_path,
                         .num_fewshot = (int)selection->num_fewshot,
                         .limit = selection->limit,
                         .fewshot_seed = (uint64_t)selection->fewshot_seed,
                         .log = log};
}

Log verbosity_log(const Verbosity *verbosity) {
    LogLevel level = verbosity->quiet ? LOG_ERROR : verbosity->verbose ? LOG_DEBUG : LOG_INFO;
    return (Log){.stream = stderr, .level = level};
}

FILE *verbosity_progress(const Verbosity *verbosity) {
    return verbosity->quiet ? NULL : stderr;
}
