/* zeval pull */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "cli/commands.h"
#include "cli/data_sets.h"
#include "cli/options.h"
#include "cli/selection.h"
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

typedef struct PullArguments {
    const char **names;
    size_t n_names;
    OptionList tasks, include;
    const char *include_path, *profile, *registry, *lock_file;
    bool offline, all, json, quiet, locked, save_lock;
    int64_t parallel;
    double megabytes;
    PullOptions options;
    ZooLock lock;
} PullArguments;

/* Prints what was pulled, and notes it for the lock file. */
static int conclude(PullArguments *a, PullResult *result, Error *error) {
    int failed = 0;
    if (a->save_lock)
        failed = zoo_lock_add(&a->lock, result->repository, result->dataset, result->commit, result->folder,
                              error);
    if (!failed)
        print_result(result, a->json);
    pull_result_free(result);
    return failed;
}

static int pull_names(PullArguments *a, Error *error) {
    PullResult result;
    for (size_t i = 0; i < a->n_names; i++)
        if (zoo_pull(&result, a->names[i], &a->options, error) || conclude(a, &result, error))
            return -1;
    return 0;
}

static int pull_for_tasks(PullArguments *a, Error *error) {
    Arena arena = {0};
    DataSets sets = {0};
    PullResult result;
    TaskOptions tasks = {
        .names = a->tasks.items, .n_names = a->tasks.n, .include_path = a->include_path, .num_fewshot = -1};
    int failed = selection_compat(a->profile, &tasks.compat, error);
    if (!failed && a->tasks.n > 0)
        failed = data_sets_of_tasks(&sets, &tasks, &arena, error);
    for (size_t i = 0; i < sets.n && !failed; i++)
        failed = data_set_pull(&sets.items[i], &a->options, &result, error) || conclude(a, &result, error);
    data_sets_free(&sets);
    arena_free(&arena);
    return failed ? -1 : 0;
}

static bool is_asked_for(const PullArguments *a, const LockEntry *entry) {
    for (size_t i = 0; i < a->n_names; i++) {
        const char *name = a->names[i];
        if (text_starts_with(name, "datasets/") == entry->dataset &&
            strcmp(entry->dataset ? name + strlen("datasets/") : name, entry->repository) == 0)
            return true;
    }
    return a->n_names == 0;
}

/* Exactly what the lock file says, checked byte by byte, also without a network. */
static int pull_locked(PullArguments *a, Error *error) {
    size_t n = 0;
    for (size_t i = 0; i < a->lock.n; i++) {
        const LockEntry *entry = &a->lock.entries[i];
        PullResult result;
        if (!is_asked_for(a, entry))
            continue;
        n++;
        a->options.locked = entry;
        char *name = zoo_lock_name(entry);
        int failed = zoo_pull(&result, name, &a->options, error);
        free(name);
        if (failed)
            return -1;
        failed = zoo_lock_check(entry, result.folder, error);
        if (!failed)
            print_result(&result, a->json);
        pull_result_free(&result);
        if (failed)
            return -1;
    }
    return n > 0
               ? 0
               : error_set_kind(error, ERROR_USAGE, "%s has no entry %s%s", a->lock_file,
                                a->n_names ? "of the repository " : "at all", a->n_names ? a->names[0] : "");
}

static int pull_all(PullArguments *a, Error *error) {
    if (a->locked && (a->save_lock || a->tasks.n > 0))
        return error_set_kind(error, ERROR_USAGE, "--locked takes what the lock file names: without %s",
                              a->save_lock ? "--save-lock" : "--tasks");
    if (a->n_names == 0 && a->tasks.n == 0 && !a->locked)
        return error_set_kind(
            error, ERROR_USAGE,
            "what is to be pulled? Expected: zeval pull NAME[@REVISION], --tasks LIST or --locked");
    if ((a->locked || a->save_lock) && zoo_lock_read(&a->lock, a->lock_file, a->locked, error))
        return -1;
    if (a->locked)
        return pull_locked(a, error);
    if (pull_names(a, error) || pull_for_tasks(a, error))
        return -1;
    return a->save_lock ? zoo_lock_write(&a->lock, a->lock_file, error) : 0;
}

/* The names in front of the options. */
static void take_names(PullArguments *a, int *argc, char **argv) {
    int n = 0;
    while (n + 1 < *argc && argv[n + 1][0] != '-')
        n++;
    a->names = mem_alloc_zero((size_t)n + 1, sizeof *a->names);
    for (int i = 0; i < n; i++)
        a->names[a->n_names++] = argv[i + 1];
    memmove(&argv[1], &argv[n + 1], (size_t)(*argc - n) * sizeof *argv);
    *argc -= n;
}

static int parse_and_pull(PullArguments *a, int argc, char **argv, Error *error) {
    const Option options[] = {
        {"tasks", "LIST", OPTION_LIST, &a->tasks, 0, 0, false,
         "the data sets that these tasks, groups or tags read, and of them\nthe splits that they read"},
        {"include-path", "DIR", OPTION_TEXT, &a->include_path, 0, 0, false,
         "folder with more task files, searched before the built-in ones"},
        COMPAT_OPTION(a->profile),
        {"save-lock", NULL, OPTION_FLAG, &a->save_lock, 0, 0, false,
         "note repository, commit and every file's hash in the lock file"},
        {"locked", NULL, OPTION_FLAG, &a->locked, 0, 0, false,
         "exactly what the lock file names (of NAMEs, or all of it): any\ndifference is exit code 3; with "
         "--offline: "
         "check what is here"},
        {"lock-file", "FILE", OPTION_TEXT, &a->lock_file, 0, 0, false, "default: zeval.lock"},
        {"all", NULL, OPTION_FLAG, &a->all, 0, 0, false, "every file, not only what a runtime reads"},
        {"include", "LIST", OPTION_LIST, &a->include, 0, 0, false, "shell patterns of further files to take"},
        {"offline", NULL, OPTION_FLAG, &a->offline, 0, 0, false,
         "never touch the network: say where it is, or fail"},
        {"parallel", "N", OPTION_INT, &a->parallel, 1, 16, false,
         "connections (default 4): files, and ranges of large ones"},
        {"limit-rate", "MB", OPTION_NUMBER, &a->megabytes, 0, 1e6, false, "megabytes a second at most"},
        {"registry", "FILE", OPTION_TEXT, &a->registry, 0, 0, false,
         "your own registry file; else $ZEVAL_REGISTRY"},
        {"json", NULL, OPTION_FLAG, &a->json, 0, 0, false, "print JSON Lines instead of folders"},
        {"quiet", NULL, OPTION_FLAG, &a->quiet, 0, 0, false, "no progress"},
        {0}};
    const Usage usage = {
        .command = "pull",
        .synopsis = "NAME[@REVISION]... [options]",
        .about =
            "Fetches models and data sets from the hub and prints the folders they lie in. NAME is a name "
            "of\n"
            "`zeval list --available`, ORG/NAME, datasets/ORG/NAME, or https://HOST/PATH, a folder with a\n"
            "config.json. Every file is verified by size and hash before it gets its name; what was\n"
            "interrupted goes on where it was.\n\n"
            "HF_ENDPOINT names another hub, HF_TOKEN (or the Python client's token file) a token,\n"
            "ZEVAL_STORE the folder to write.",
        .examples = "  zeval pull zebra-llama-1b-4mla-12m2-dpo --save-lock\n"
                    "  zeval pull HuggingFaceTB/SmolLM-135M@main --limit-rate 20\n"
                    "  zeval pull --tasks arc_easy,piqa --save-lock\n"
                    "  zeval pull --locked",
        .options = options};
    int parsed = options_parse(&usage, argc, argv, error);
    if (parsed)
        return parsed < 0 ? -1 : 0;
    a->options = (PullOptions){.registry_file = a->registry,
                               .offline = a->offline,
                               .all = a->all,
                               .include = a->include.items,
                               .n_include = a->include.n,
                               .parallel = (int)a->parallel,
                               .bytes_per_second = (int64_t)(a->megabytes * 1e6),
                               .progress = a->quiet || a->offline ? NULL : stderr,
                               .stop = interrupts_catch()};
    return pull_all(a, error);
}

int command_pull(int argc, char **argv, Error *error) {
    PullArguments a = {.parallel = 4, .lock_file = "zeval.lock"};
    take_names(&a, &argc, argv);
    int result = parse_and_pull(&a, argc, argv, error);
    zoo_lock_close(&a.lock);
    option_list_free(&a.tasks);
    option_list_free(&a.include);
    free(a.names);
    return result;
}
