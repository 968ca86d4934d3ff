/* zeval report, zeval runs */
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "reports/reports.h"

typedef int ReportFunction(Db *db, const ReportOptions *options, Buffer *out, Error *error);

static const struct {
    const char *name;
    ReportFunction *function;
} formats[] = {{"markdown", report_markdown},
               {"html", report_html},
               {"json", report_json},
               {"latex", report_latex},
               {"csv", report_csv}};

static int find_format(const char *name, ReportFunction **out, Error *error) {
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (strcmp(formats[i].name, name) == 0) {
            *out = formats[i].function;
            return 0;
        }
    return error_set_kind(error, ERROR_USAGE,
                          "--format: found \"%s\", expected markdown, html, latex, csv or json", name);
}

static int write_out(const Buffer *text, const char *path, Error *error) {
    if (!path || strcmp(path, "-") == 0) {
        fwrite(text->data, 1, text->size, stdout);
        return 0;
    }
    return file_write_atomic(path, text->data, text->size, error);
}

enum { MAX_RUNS = 64 };

/* What the user asked for. */
typedef struct Wanted {
    const char *db, *format, *output, *paper, *table;
    OptionList runs;
    bool json, published_only, no_cost;
} Wanted;

static int check(const Wanted *wanted, Error *error) {
    if (!wanted->paper != !wanted->table)
        return error_set_kind(error, ERROR_USAGE,
                              "--paper and --table belong together; `zeval published` lists both");
    if (wanted->published_only && !wanted->paper)
        return error_set_kind(error, ERROR_USAGE, "--published-only needs --paper and --table");
    if (wanted->paper && wanted->runs.n)
        return error_set_kind(error, ERROR_USAGE,
                              "--run does not go with --paper: each row takes the newest run of its model");
    return 0;
}

static int make_report(const Wanted *wanted, Db *db, Buffer *text, Error *error) {
    ReportFunction *function = NULL;
    if (wanted->paper)
        return report_paper(db, wanted->paper, wanted->table, wanted->format, text, error);
    if (find_format(wanted->format, &function, error) != 0)
        return -1;
    int64_t ids[MAX_RUNS];
    if (wanted->runs.n > MAX_RUNS)
        return error_set_kind(error, ERROR_USAGE, "--run: found %zu runs, expected at most %d",
                              wanted->runs.n, MAX_RUNS);
    for (size_t i = 0; i < wanted->runs.n; i++)
        if (!text_to_int(wanted->runs.items[i], &ids[i]) || ids[i] < 1)
            return error_set_kind(
                error, ERROR_USAGE,
                "--run: found \"%s\", expected the number of a run; `zeval runs` lists them",
                wanted->runs.items[i]);
    const ReportOptions options = {.run_id = wanted->runs.n == 1 ? ids[0] : 0,
                                   .run_ids = wanted->runs.n > 1 ? ids : NULL,
                                   .n_run_ids = wanted->runs.n > 1 ? wanted->runs.n : 0,
                                   .without_cost = wanted->no_cost};
    return function(db, &options, text, error);
}

static int report(const Wanted *wanted, Error *error) {
    ReportFunction *function = NULL;
    Db *db = NULL;
    if (check(wanted, error) != 0 || (!wanted->paper && find_format(wanted->format, &function, error) != 0) ||
        (!wanted->published_only && db_open(&db, wanted->db, DB_READ, error) != 0))
        return -1;
    Buffer text = {0};
    int result = make_report(wanted, db, &text, error);
    if (result == 0)
        result = write_out(&text, wanted->output, error);
    buffer_free(&text);
    if (db)
        db_close(db);
    return result;
}

int command_report(int argc, char **argv, Error *error) {
    Wanted wanted = {.db = "results.db", .format = "markdown"};
    const Option options[] = {
        {"db", "FILE", OPTION_TEXT, &wanted.db, 0, 0, false, "database to read (default results.db)"},
        {"run", "ID[,ID]", OPTION_LIST, &wanted.runs, 0, 0, false,
         "only these runs (default: every complete one; see `zeval runs`)"},
        {"format", "NAME", OPTION_TEXT, &wanted.format, 0, 0, false,
         "markdown (default), html, latex, csv, json"},
        {"json", NULL, OPTION_FLAG, &wanted.json, 0, 0, false, "the same as --format json"},
        {"output", "FILE", OPTION_TEXT, &wanted.output, 0, 0, false,
         "file to write (default: standard output)"},
        {"paper", "NAME", OPTION_TEXT, &wanted.paper, 0, 0, false,
         "lay out a table of this paper, ours beside what it printed (see `zeval published`)"},
        {"table", "NAME", OPTION_TEXT, &wanted.table, 0, 0, false, "which table, by its number or title"},
        {"published-only", NULL, OPTION_FLAG, &wanted.published_only, 0, 0, false,
         "the paper's table alone, checked against itself; no database is read"},
        {"no-cost", NULL, OPTION_FLAG, &wanted.no_cost, 0, 0, false,
         "leave out time, threads, memory and tokens fed: equal results then give equal bytes"},
        {0}};
    const Usage usage = {
        .command = "report",
        .synopsis = "[--db FILE] [options]",
        .about = "Shows the results in a database: the tables that lm-evaluation-harness prints, then\n"
                 "what was run, down to the hash of each file, and what that took.\n"
                 "With --paper and --table: a table as printed, with ours, difference and verdict.",
        .examples = "  zeval report --db results.db\n"
                    "  zeval report --db results.db --format html --output results.html\n"
                    "  zeval report --db results.db --paper zebra-llama --table 1",
        .options = options};
    int parsed = options_parse(&usage, argc, argv, error);
    if (wanted.json)
        wanted.format = "json";
    int result = parsed < 0 ? -1 : parsed > 0 ? 0 : report(&wanted, error);
    option_list_free(&wanted.runs);
    return result;
}

int command_runs(int argc, char **argv, Error *error) {
    const char *path = "results.db";
    bool json = false;
    const Option options[] = {
        {"db", "FILE", OPTION_TEXT, &path, 0, 0, false, "database to read (default results.db)"},
        {"json", NULL, OPTION_FLAG, &json, 0, 0, false, "print JSON"},
        {0}};
    const Usage usage = {.command = "runs",
                         .synopsis = "[--db FILE]",
                         .about = "Lists the runs in a database, finished or not, and how far each got.",
                         .options = options};
    int parsed = options_parse(&usage, argc, argv, error);
    if (parsed)
        return parsed < 0 ? -1 : 0;
    Db *db;
    Buffer text = {0};
    if (db_open(&db, path, DB_READ, error))
        return -1;
    int result = report_runs(db, json, &text, error);
    if (result == 0)
        fwrite(text.data, 1, text.size, stdout);
    buffer_free(&text);
    db_close(db);
    return result;
}
