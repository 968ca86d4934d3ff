/* zeval pull */
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "zoo/zoo.h"

static void print_result(const PullResult *result, bool json) {
    if (!json) {
        printf("%s\n", result->folder);
        fprintf(stderr, "%s at %.12s: %zu files, %.3f GB; fetched %zu files, %.3f GB\n", result->repository,
                result->commit, result->n_files, (double)result->bytes / 1e9, result->n_fetched,
                (double)result->bytes_fetched / 1e9);
        return;
    }
    Buffer line = {0};
    buffer_append_text(&line, "{\"folder\": ");
    text_append_json(&line, result->folder, strlen(result->folder));
    buffer_printf(&line,
                  ", \"repository\": \"%s\", \"commit\": \"%s\", \"n_files\": %zu, \"bytes\": %lld, "
                  "\"n_fetched\": %zu, \"bytes_fetched\": %lld}",
                  result->repository, result->commit, result->n_files, (long long)result->bytes,
                  result->n_fetched, (long long)result->bytes_fetched);
    puts(line.data);
    buffer_free(&line);
}

/* Takes the name in front of the options; NULL if there is none. */
static const char *take_name(int *argc, char **argv) {
    if (*argc < 2 || argv[1][0] == '-')
        return NULL;
    const char *name = argv[1];
    memmove(&argv[1], &argv[2], (size_t)(*argc - 1) * sizeof *argv);
    --*argc;
    return name;
}

int command_pull(int argc, char **argv, Error *error) {
    const char *name = take_name(&argc, argv), *registry = NULL;
    bool offline = false, all = false, json = false, quiet = false;
    int64_t parallel = 4;
    double megabytes = 0;
    OptionList include = {0};
    const Option options[] = {
        {"registry", "FILE", OPTION_TEXT, &registry, 0, 0, false,
         "your own registry file; else $ZEVAL_REGISTRY"},
        {"offline", NULL, OPTION_FLAG, &offline, 0, 0, false,
         "never touch the network: say where it is, or fail"},
        {"all", NULL, OPTION_FLAG, &all, 0, 0, false, "every file, not only what a runtime reads"},
        {"include", "LIST", OPTION_LIST, &include, 0, 0, false, "shell patterns of further files to take"},
        {"parallel", "N", OPTION_INT, &parallel, 1, 16, false, "files at once (default 4)"},
        {"limit-rate", "MB", OPTION_NUMBER, &megabytes, 0, 1e6, false, "megabytes a second at most"},
        {"json", NULL, OPTION_FLAG, &json, 0, 0, false, "print a JSON object instead of the folder"},
        {"quiet", NULL, OPTION_FLAG, &quiet, 0, 0, false, "no progress"},
        {0}};
    const Usage usage = {
        .command = "pull",
        .synopsis = "NAME[@REVISION] [options]",
        .about =
            "Fetches a model or a data set from the hub and prints the folder it lies in. NAME is a name of\n"
            "`zeval list --available`, ORG/NAME, or datasets/ORG/NAME. Every file is verified by size and\n"
            "hash before it gets its name; what was interrupted goes on where it was.\n\n"
            "HF_ENDPOINT names another hub, HF_TOKEN (or the Python client's token file) a token, "
            "ZEVAL_STORE\n"
            "the folder to write.",
        .examples = "  zeval pull zebra-llama-1b-4mla-12m2-dpo\n"
                    "  zeval pull HuggingFaceTB/SmolLM-135M@main --limit-rate 20",
        .options = options};
    int parsed = options_parse(&usage, argc, argv, error);
    if (parsed)
        return parsed < 0 ? -1 : 0;
    if (!name)
        return error_set_kind(error, ERROR_USAGE,
                              "what is to be pulled? Expected: zeval pull NAME[@REVISION]");
    PullOptions pull = {.registry_file = registry,
                        .offline = offline,
                        .all = all,
                        .include = include.items,
                        .n_include = include.n,
                        .parallel = (int)parallel,
                        .bytes_per_second = (int64_t)(megabytes * 1e6),
                        .progress = quiet || offline ? NULL : stderr,
                        .stop = interrupts_catch()};
    PullResult result;
    int failed = zoo_pull(&result, name, &pull, error);
    if (!failed) {
        print_result(&result, json);
        pull_result_free(&result);
    }
    option_list_free(&include);
    return failed;
}
