/* See fetch.h. */
#include "cli/fetch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/data_sets.h"
#include "zoo/zoo.h"

/* A person is asked; without one the answer is no. */
static bool is_allowed(const Fetch *fetch, const char *what) {
    char answer[16] = "";
    if (fetch->pull || fetch->offline || !isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
        return fetch->pull;
    fprintf(stderr, "%s is not on this machine. Fetch it from %s? [y/N] ", what,
            strstr(what, "://") ? "there" : zoo_hub_address());
    return fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

static int fetch_model(const Fetch *fetch, const char *model, FILE *progress, Error *error) {
    char *folder;
    PullResult result;
    const PullOptions options = {.progress = progress, .stop = interrupts_catch()};
    if (text_starts_with(model, "replay:")) /* recorded answers, not a checkpoint */
        return 0;
    if (zoo_resolve(model, &folder, error) == 0) {
        free(folder);
        return 0;
    }
    if (error->kind != ERROR_USAGE || !zoo_can_pull(model) || !is_allowed(fetch, model))
        return -1;
    if (zoo_pull(&result, model, &options, error))
        return -1;
    pull_result_free(&result);
    return 0;
}

static int fetch_data_sets(const Fetch *fetch, Selection *selection, FILE *progress, Error *error) {
    Arena arena = {0};
    DataSets missing;
    TaskOptions options = selection_task_options(selection, NULL);
    const PullOptions pull = {.progress = progress, .stop = interrupts_catch()};
    int result = data_sets_of_tasks(&missing, &options, &arena, error);
    if (result == 0)
        data_sets_drop_present(&missing, options.data_root);
    for (size_t i = 0; i < missing.n && result == 0; i++)
        if (is_allowed(fetch, missing.items[i].path))
            result = data_set_pull(&missing.items[i], &pull, NULL, error);
        else
            result =
                error_set_kind(error, ERROR_USAGE,
                               "the data set %s is not on this machine; `zeval pull datasets/%s` fetches "
                               "it, or --pull here, or name a folder that has it: --data DIR",
                               missing.items[i].path, missing.items[i].path);
    if (result == 0 && missing.n > 0) {
        free(selection->pulled);
        result = zoo_data_folder(&selection->pulled, error);
    }
    data_sets_free(&missing);
    arena_free(&arena);
    return result;
}

int fetch_for_run(const Fetch *fetch, const char *model, Selection *selection, const Verbosity *verbosity,
                  Error *error) {
    FILE *progress = verbosity_progress(verbosity);
    if (fetch->pull && fetch->offline)
        return error_set_kind(error, ERROR_USAGE, "--pull and --offline exclude each other");
    if (fetch_model(fetch, model, progress, error))
        return -1;
    return selection->data_is_ours ? fetch_data_sets(fetch, selection, progress, error) : 0;
}
