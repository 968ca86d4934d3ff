/* zeval reproduce */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "cli/commands.h"
#include "cli/reproduction.h"
#include "cli/selection.h"

typedef struct Wanted {
    const char *paper, *table, *db, *data, *include_path, *device, *dtype, *registry, *format, *output;
    OptionList rows;
    double limit, memory_gib;
    int64_t threads;
    bool dry_run, offline;
    Verbosity verbosity;
} Wanted;

static int print(const Buffer *text, const char *path, Error *error) {
    if (path && strcmp(path, "-") != 0)
        return file_write_atomic(path, text->data, text->size, error);
    fwrite(text->data, 1, text->size, stdout);
    return 0;
}

static int say_costs(ReproductionJob *job, const Wanted *wanted, Error *error) {
    const Reproduction *table = job->table;
    ReproductionCost *costs = arena_alloc(job->arena, table->n_rows * sizeof *costs);
    Buffer text = {0};
    for (size_t r = 0; r < table->n_rows; r++)
        costs[r] = reproduction_cost(job, &table->rows[r]);
    int result =
        report_reproduction_costs(table, costs, table->n_rows, wanted->format, job->arena, &text, error);
    if (result == 0)
        result = print(&text, wanted->output, error);
    buffer_free(&text);
    return result;
}

static int report(const Wanted *wanted, Error *error) {
    Db *db;
    Buffer text = {0};
    if (db_open(&db, wanted->db, DB_READ, error) != 0)
        return -1;
    int result = report_paper(db, wanted->paper, wanted->table, wanted->format, &text, error);
    if (result == 0)
        result = print(&text, wanted->output, error);
    buffer_free(&text);
    db_close(db);
    return result;
}

static int run_rows(ReproductionJob *job, const Wanted *wanted, Error *error) {
    for (size_t r = 0; r < job->table->n_rows; r++)
        if (reproduction_run_row(job, &job->table->rows[r], error) != 0)
            return -1;
    if (!file_exists(wanted->db))
        return error_set(error, "no row of %s, %s could be run", job->table->paper, job->table->title);
    return report(wanted, error);
}

/* The paper's own way, as far as it is known, unless the user wants another. */
static int fill_options(ReproductionJob *job, const Wanted *wanted, Log *log, Error *error) {
    const Reproduction *table = job->table;
    const char *data = wanted->data ? wanted->data : getenv("ZEVAL_DATA");
    job->data_is_ours = !data || !*data;
    if (job->data_is_ours && zoo_data_folder(&job->data_folder, error) != 0)
        return -1;
    const char *dtype = wanted->dtype ? wanted->dtype : *table->dtype ? table->dtype : "bfloat16";
    job->eval = (EvalOptions){.tasks = {.data_root = job->data_is_ours ? job->data_folder : data,
                                        .include_path = wanted->include_path,
                                        .num_fewshot = -1,
                                        .limit = wanted->limit,
                                        .fewshot_seed = 1234,
                                        .log = log},
                              .db_path = wanted->db,
                              .backend = wanted->device,
                              .n_threads = (int)wanted->threads,
                              .max_length = table->max_length,
                              .memory_bytes = (size_t)(wanted->memory_gib * (double)(1 << 30)),
                              .build = version_text(),
                              .stop = interrupts_catch(),
                              .progress = verbosity_progress(&wanted->verbosity),
                              .log = log};
    job->pull = (PullOptions){.registry_file = wanted->registry,
                              .offline = wanted->offline,
                              .progress = verbosity_progress(&wanted->verbosity),
                              .stop = interrupts_catch()};
    if (*table->compat && !compat_parse(table->compat, &job->eval.tasks.compat))
        return error_set(error, "%s, %s: there is no profile \"%s\"", table->paper, table->title,
                         table->compat);
    return dtype_parse(dtype, &job->eval.dtype, error);
}

static int reproduce(const Wanted *wanted, Error *error) {
    Arena arena = {0};
    Reproduction table;
    Log log = verbosity_log(&wanted->verbosity);
    ReproductionJob job = {.table = &table, .arena = &arena};
    int result = report_reproduction(wanted->paper, wanted->table, wanted->rows.items, wanted->rows.n, &arena,
                                     &table, error);
    if (result == 0)
        result = fill_options(&job, wanted, &log, error);
    if (result == 0)
        result = reproduction_check_tasks(&job, wanted->dry_run, error);
    if (result == 0)
        result = wanted->dry_run ? say_costs(&job, wanted, error) : run_rows(&job, wanted, error);
    if (result == 0 && job.n_problems > 0)
        result = error_set_kind(error, ERROR_CHECK, "%zu rows or columns of %s, %s could not be run here",
                                job.n_problems, table.paper, table.title);
    free(job.data_folder);
    arena_free(&arena);
    return result;
}

/* Takes the paper in front of the options; NULL if there is none. */
static const char *take_paper(int *argc, char **argv) {
    if (*argc < 2 || argv[1][0] == '-')
        return NULL;
    const char *paper = argv[1];
    memmove(&argv[1], &argv[2], (size_t)(*argc - 1) * sizeof *argv);
    --*argc;
    return paper;
}

int command_reproduce(int argc, char **argv, Error *error) {
    Wanted w = {.paper = take_paper(&argc, argv), .db = "results.db", .device = "cpu", .format = "markdown"};
    const Option options[] = {
        {"table", "NAME", OPTION_TEXT, &w.table, 0, 0, true, "which table, by its number or title"},
        {"rows", "LIST", OPTION_LIST, &w.rows, 0, 0, false,
         "only rows with one of these in their name or repository\n(or patterns with * and ?)"},
        {"dry-run", NULL, OPTION_FLAG, &w.dry_run, 0, 0, false,
         "say gigabytes, tokens and hours; pull nothing, score nothing"},
        {"db", "FILE", OPTION_TEXT, &w.db, 0, 0, false,
         "database that keeps the results (default results.db)"},
        {"data", "DIR", OPTION_TEXT, &w.data, 0, 0, false,
         "folder with data sets as ORG/NAME/CONFIG/SPLIT.*\n(default: $ZEVAL_DATA, else they are pulled)"},
        {"include-path", "DIR", OPTION_TEXT, &w.include_path, 0, 0, false,
         "folder with more task files, searched before the built-in ones"},
        {"device", "NAME", OPTION_TEXT, &w.device, 0, 0, false, "cpu (default)"},
        {"dtype", "NAME", OPTION_TEXT, &w.dtype, 0, 0, false,
         "type of the arithmetic (default: the paper's, else bfloat16)"},
        {"threads", "N", OPTION_INT, &w.threads, 1, 1024, false, "threads (default: one per processor)"},
        {"memory", "GIB", OPTION_NUMBER, &w.memory_gib, 0.001, 1e6, false,
         "memory that the program may take, weights included"},
        {"limit", "N", OPTION_NUMBER, &w.limit, 1e-9, 1e12, false,
         "only the first N documents of each task; below 1, that fraction"},
        {"registry", "FILE", OPTION_TEXT, &w.registry, 0, 0, false,
         "your own registry file; else $ZEVAL_REGISTRY"},
        {"offline", NULL, OPTION_FLAG, &w.offline, 0, 0, false, "run what is on this machine, pull nothing"},
        {"format", "NAME", OPTION_TEXT, &w.format, 0, 0, false, "markdown (default), html, latex, csv, json"},
        {"output", "FILE", OPTION_TEXT, &w.output, 0, 0, false, "file to write (default: standard output)"},
        VERBOSITY_OPTIONS(w.verbosity),
        {0}};
    const Usage usage = {
        .command = "reproduce",
        .synopsis = "PAPER --table N [--rows LIST] [options]",
        .about =
            "Runs a paper's table: pulls the data sets and each row's checkpoint, scores it on the tasks "
            "with the\n"
            "paper's shots, profile and data type, and lays ours beside what was printed. A run that was\n"
            "stopped goes on where it was when the same command is given again. A model or data set that\n"
            "cannot be had is told of in one sentence, and the rest is run (exit code 3 then).\n\n"
            "$ZEVAL_PUBLISHED names a file with tables of your own (docs/REPORTS.md describes it).",
        .examples = "  zeval reproduce zebra-llama --table 1 --dry-run\n"
                    "  zeval reproduce zebra-llama --table 1 --rows Zebra-Llama-1B --data ./datasets",
        .options = options};
    int parsed = options_parse(&usage, argc, argv, error), result = parsed < 0 ? -1 : 0;
    if (parsed == 0)
        result = w.paper ? reproduce(&w, error)
                         : error_set_kind(error, ERROR_USAGE,
                                          "which paper? Expected: zeval reproduce PAPER --table N; `zeval "
                                          "published` lists both");
    option_list_free(&w.rows);
    return result;
}
