/* zeval export-run */
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "reports/lm_eval_files.h"
#include "reports/reports.h"

typedef struct Wanted {
    const char *db, *format, *output;
    int64_t run;
    bool samples;
} Wanted;

static int export_card(Db *db, const Wanted *wanted, Error *error) {
    Buffer text = {0};
    int result = report_model_card(db, wanted->run, &text, error);
    if (result == 0 && wanted->output && strcmp(wanted->output, "-") != 0)
        result = file_write_atomic(wanted->output, text.data, text.size, error);
    else if (result == 0)
        fwrite(text.data, 1, text.size, stdout);
    buffer_free(&text);
    return result;
}

static int export_files(Db *db, const Wanted *wanted, Error *error) {
    Buffer path = {0};
    const LmEvalOptions options = {
        .run_id = wanted->run, .output_path = wanted->output, .samples = wanted->samples};
    int result = report_lm_eval_files(db, &options, &path, error);
    if (result == 0)
        printf("%s\n", path.data);
    buffer_free(&path);
    return result;
}

static void complain(void *context, const char *sentence) {
    fprintf(context, "%s\n", sentence);
}

/* A database with this run alone, its answers and its texts. */
static int export_database(Db *db, const Wanted *wanted, Error *error) {
    Db *alone;
    DbMerged done;
    if (file_exists(wanted->output))
        return error_set(error, "'%s' exists already: a run is exported to a file of its own",
                         wanted->output);
    if (db_open(&alone, wanted->output, DB_WRITE, error) != 0)
        return -1;
    int result = db_merge(alone, db_path(db), wanted->run, complain, stderr, &done, error);
    db_close(alone);
    if (result == 0)
        printf("%s: run %lld, %lld answers, %lld texts\n", wanted->output, (long long)wanted->run,
               (long long)done.n_responses, (long long)done.n_texts);
    else
        remove(wanted->output);
    /* Nobody else has had the time to open it: what the writer leaves beside it is not part of the export. */
    Buffer lock = {0};
    buffer_printf(&lock, "%s-lock", wanted->output);
    remove(lock.data);
    buffer_free(&lock);
    return result;
}

static const struct {
    const char *name;
    int (*export)(Db *db, const Wanted *wanted, Error *error);
    bool needs_output;
} formats[] = {
    {"lm-eval", export_files, true}, {"sqlite", export_database, true}, {"model-card", export_card, false}};

static int export_run(const Wanted *wanted, Error *error) {
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (strcmp(formats[i].name, wanted->format) != 0)
            continue;
        if (formats[i].needs_output && !wanted->output)
            return error_set_kind(error, ERROR_USAGE, "--format %s needs --output PATH", wanted->format);
        Db *db;
        if (db_open(&db, wanted->db, DB_READ, error) != 0)
            return -1;
        int result = formats[i].export(db, wanted, error);
        db_close(db);
        return result;
    }
    return error_set_kind(error, ERROR_USAGE,
                          "--format: found \"%s\", expected lm-eval, sqlite or model-card", wanted->format);
}

int command_export_run(int argc, char **argv, Error *error) {
    Wanted w = {.db = "results.db"};
    const Option options[] = {
        {"run", "ID", OPTION_INT, &w.run, 1, 9e15, true, "the run (see `zeval runs`)"},
        {"format", "NAME", OPTION_TEXT, &w.format, 0, 0, true,
         "lm-eval: the files that lm-evaluation-harness writes;\nsqlite: a database with this run alone, for "
         "a "
         "paper's artefact;\nmodel-card: the results part of a model card (model-index, YAML)"},
        {"output", "PATH", OPTION_TEXT, &w.output, 0, 0, false,
         "lm-eval: a folder or FILE.json; sqlite: the file to make;\nmodel-card: a file (default: standard "
         "output)"},
        {"samples", NULL, OPTION_FLAG, &w.samples, 0, 0, false,
         "lm-eval: also one file of documents for each task"},
        {"db", "FILE", OPTION_TEXT, &w.db, 0, 0, false, "database to read (default results.db)"},
        {0}};
    const Usage usage = {.command = "export-run",
                         .synopsis = "--run ID --format NAME [--output PATH]",
                         .about = "Writes one finished run in a form that others read.",
                         .examples =
                             "  zeval export-run --run 3 --format lm-eval --output results --samples\n"
                             "  zeval export-run --run 3 --format sqlite --output artefact.db\n"
                             "  zeval export-run --run 3 --format model-card >>README.md",
                         .options = options};
    int parsed = options_parse(&usage, argc, argv, error);
    if (parsed)
        return parsed < 0 ? -1 : 0;
    return export_run(&w, error);
}
