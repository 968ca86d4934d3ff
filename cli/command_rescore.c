/* zeval rescore */
#include <stdlib.h>

#include "cli/commands.h"
#include "cli/scoring.h"
#include "cli/selection.h"

typedef struct RescoreArguments {
    Verbosity verbosity;
    const char *db, *data, *include_path;
    int64_t run, threads;
    ScoringFiles files;
    bool json;
} RescoreArguments;

static int rescore(const RescoreArguments *arguments, Error *error) {
    Log log = verbosity_log(&arguments->verbosity);
    const char *data = arguments->data ? arguments->data : getenv("ZEVAL_DATA");
    const RescoreOptions options = {.db_path = arguments->db,
                                    .run_id = arguments->run,
                                    .data_root = data && *data ? data : NULL,
                                    .include_path = arguments->include_path,
                                    .n_threads = (int)arguments->threads,
                                    .stop = interrupts_catch(),
                                    .log = &log};
    const EvalOptions shown = {.db_path = arguments->db, .log = &log};
    int64_t run_id;
    if (arguments->files.samples && !arguments->files.lm_eval)
        return error_set_kind(error, ERROR_USAGE, "--log-samples needs --output-path, where to write them");
    if (eval_rescore(&options, &run_id, error))
        return -1;
    log_info(&log, "run %lld: scored anew from its stored answers", (long long)run_id);
    return scoring_show(&shown, run_id, arguments->json ? SCORING_JSON : SCORING_TABLE, &arguments->files,
                        error);
}

int command_rescore(int argc, char **argv, Error *error) {
    RescoreArguments a = {.db = "results.db"};
    const Option options[] = {
        {"db", "FILE", OPTION_TEXT, &a.db, 0, 0, false, "database that has the run (default results.db)"},
        {"run", "N", OPTION_INT, &a.run, 1, 1e15, false,
         "its number in `zeval runs` (default: the newest complete one)"},
        {"data", "DIR", OPTION_TEXT, &a.data, 0, 0, false,
         "folder with the data sets of the run (default: $ZEVAL_DATA, else only\nthe built-in demo data)"},
        {"include-path", "DIR", OPTION_TEXT, &a.include_path, 0, 0, false,
         "folder with more task files, searched before the built-in ones"},
        {"threads", "N", OPTION_INT, &a.threads, 1, 1024, false, "threads (default: one per processor)"},
        LM_EVAL_OPTIONS(a.files),
        {"json", NULL, OPTION_FLAG, &a.json, 0, 0, false, "print the results as JSON instead of a table"},
        VERBOSITY_OPTIONS(a.verbosity),
        {0}};
    const Usage usage = {
        .command = "rescore",
        .synopsis = "[--db FILE] [--run N] [options]",
        .about =
            "Computes a complete run's metrics anew from the answers in the database, with no model: after "
            "a\n"
            "change of metrics or filters in a task's file, or with a newer zeval. The documents and "
            "prompts\n"
            "must be those that were answered; if any differs, nothing is changed and the exit code is 3.",
        .examples =
            "  zeval rescore --db results.db --run 3 --data ./datasets\n"
            "  zeval rescore --include-path ./my-tasks --data ./datasets --output-path ./out --log-samples",
        .options = options};
    int parsed = options_parse(&usage, argc, argv, error);
    if (parsed)
        return parsed < 0 ? -1 : 0;
    return rescore(&a, error);
}
