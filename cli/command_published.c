/* zeval published */
#include <stdio.h>

#include "base/base.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "reports/reports.h"

int command_published(int argc, char **argv, Error *error) {
    PublishedQuery query = {0};
    const char *format = "markdown";
    bool json = false;
    const Option options[] = {
        {"paper", "NAME", OPTION_TEXT, &query.paper, 0, 0, false, "only this paper"},
        {"table", "NAME", OPTION_TEXT, &query.table, 0, 0, false, "only this table, by its number or title"},
        {"model", "TEXT", OPTION_TEXT, &query.model, 0, 0, false,
         "only models with this in their name or repository (or a pattern with * and ?)"},
        {"task", "TEXT", OPTION_TEXT, &query.task, 0, 0, false,
         "only tasks with this in their name (or a pattern)"},
        {"format", "NAME", OPTION_TEXT, &format, 0, 0, false, "markdown (default), html, latex, csv, json"},
        {"json", NULL, OPTION_FLAG, &json, 0, 0, false,
         "the same as --format json: with source, version and notes"},
        {0}};
    const Usage usage = {
        .command = "published",
        .synopsis = "[--paper P] [--table T] [--model M] [--task T]",
        .about = "Lists numbers that papers printed, as they printed them. Without filters: the papers and\n"
                 "tables there are. Known slips of the sources are footnotes.",
        .examples = "  zeval published\n"
                    "  zeval published --paper zebra-llama --table 1 --model 8MLA-24M2\n"
                    "  zeval published --model Llama-3.2-1B-Instruct --task arc_easy",
        .options = options};
    int parsed = options_parse(&usage, argc, argv, error);
    if (parsed)
        return parsed < 0 ? -1 : 0;
    Buffer text = {0};
    int result = report_published(&query, json ? "json" : format, &text, error);
    if (result == 0)
        fwrite(text.data, 1, text.size, stdout);
    buffer_free(&text);
    return result;
}
