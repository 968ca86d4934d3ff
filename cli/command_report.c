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
} formats[] = {{"markdown", report_markdown}, {"html", report_html}, {"json", report_json}};

static int find_format(const char *name, ReportFunction **out, Error *error) {
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (strcmp(formats[i].name, name) == 0) {
            *out = formats[i].function;
            return 0;
        }
    return error_set_kind(error, ERROR_USAGE, "--format: found \"%s\", expected markdown, html or json",
                          name);
}

static int write_out(const Buffer *text, const char *path, Error *error) {
    if (!path || strcmp(path, "-") == 0) {
        fwrite(text->data, 1, text->size, stdout);
        return 0;
    }
    return file_write_atomic(path, text->data, text->size, error);
}

static int report(const char *path, const char *format, int64_t run, const char *output, Error *error) {
    ReportFunction *function = NULL;
    Db *db = NULL;
    if (find_format(format, &function, error) || db_open(&db, path, DB_READ, error))
        return -1;
    Buffer text = {0};
    ReportOptions options = {.run_id = run};
    int result = function(db, &options, &text, error);
    if (result == 0)
        result = write_out(&text, output, error);
    buffer_free(&text);
    db_close(db);
    return result;
}

int command_report(int argc, char **argv, Error *error) {
    const char *db = "results.db", *format = "markdown", *output = NULL;
    int64_t run = 0;
    bool json = false;
    const Option options[] = {
        {"db", "FILE", OPTION_TEXT, &db, 0, 0, false, "database to read (default results.db)"},
        {"run", "ID", OPTION_INT, &run, 1, 9e15, false,
         "only this run (default: every complete one; see `zeval runs`)"},
        {"format", "NAME", OPTION_TEXT, &format, 0, 0, false, "markdown (default), html, json"},
        {"json", NULL, OPTION_FLAG, &json, 0, 0, false, "the same as --format json"},
        {"output", "FILE", OPTION_TEXT, &output, 0, 0, false, "file to write (default: standard output)"},
        {0}};
    const Usage usage = {
        .command = "report",
        .synopsis = "[--db FILE] [options]",
        .about = "Shows the results in a database: the tables that lm-evaluation-harness prints, then\n"
                 "what was run, down to the hash of each file. The same results give the same bytes.",
        .examples = "  zeval report --db results.db\n"
                    "  zeval report --db results.db --format html --output results.html",
        .options = options};
    int parsed = options_parse(&usage, argc, argv, error);
    if (parsed)
        return parsed < 0 ? -1 : 0;
    return report(db, json ? "json" : format, run, output, error);
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
