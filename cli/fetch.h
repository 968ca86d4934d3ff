/* Fetching what a run needs and this machine does not have: only when asked to, or when a person at the
 * terminal says yes. */
#ifndef ZEVAL_CLI_FETCH_H
#define ZEVAL_CLI_FETCH_H

#include "cli/selection.h"

typedef struct Fetch {
    bool pull, offline;
} Fetch;

/* clang-format off */
#define FETCH_OPTIONS(f) \
    {"pull", NULL, OPTION_FLAG, &(f).pull, 0, 0, false, \
     "fetch the model and the tasks' data sets if they are not here\n(without it: a terminal is asked, nothing else touches the network)"}, \
    {"offline", NULL, OPTION_FLAG, &(f).offline, 0, 0, false, \
     "never touch the network, and do not ask"}
/* clang-format on */

/* Sees to it that the model is here, and, where no data folder was named, the tasks' data sets. ERROR_USAGE,
 * naming what to do, if something is missing and may not be fetched. */
int fetch_for_run(const Fetch *fetch, const char *model, Selection *selection, const Verbosity *verbosity,
                  Error *error);

#endif
