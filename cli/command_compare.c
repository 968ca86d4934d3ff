/* zeval compare */
#include <stdio.h>

#include "base/base.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "reports/reports.h"

static int compare(const char *path, const OptionList *runs, int64_t flips, const char *format,
                   Error *error) {
    Db *db;
    Buffer text = {0};
    const CompareOptions options = {.runs = runs->items, .n_runs = runs->n, .flips = flips};
    if (db_open(&db, path, DB_READ, error))
        return -1;
    int result = report_comparison(db, &options, format, &text, error);
    if (result == 0)
        fwrite(text.data, 1, text.size, stdout);
    buffer_free(&text);
    db_close(db);
    return result;
}

int command_compare(int argc, char **argv, Error *error) {
    const char *db = "results.db", *format = "markdown";
    OptionList runs = {0};
    int64_t flips = 10;
    bool json = false;
    const Option options[] = {
        {"db", "FILE", OPTION_TEXT, &db, 0, 0, false, "database to read (default results.db)"},
        {"runs", "A,B[,C]", OPTION_LIST, &runs, 0, 0, true,
         "runs by number (see `zeval runs`) or by model name"},
        {"flips", "N", OPTION_INT, &flips, 0, 1e9, false,
         "list at most N flipped documents per task and side (default 10)"},
        {"format", "NAME", OPTION_TEXT, &format, 0, 0, false, "markdown (default), html, latex, csv, json"},
        {"json", NULL, OPTION_FLAG, &json, 0, 0, false, "the same as --format json"},
        {0}};
    const Usage usage = {
        .command = "compare",
        .synopsis = "--runs A,B[,C] [--db FILE] [options]",
        .about =
            "Compares runs on the documents that both scored: McNemar's exact test for metrics of 0 and 1,\n"
            "a paired bootstrap for others, Holm's correction over tasks, and which documents flipped.\n"
            "Warns where prompts, profiles, data types or data sets differ.",
        .examples = "  zeval compare --db results.db --runs 1,2\n"
                    "  zeval compare --runs Llama-3.2-1B-Instruct,Llamba-1B --format csv",
        .options = options};
    int parsed = options_parse(&usage, argc, argv, error);
    int result = parsed < 0 ? -1 : parsed > 0 ? 0 : compare(db, &runs, flips, json ? "json" : format, error);
    option_list_free(&runs);
    return result;
}
