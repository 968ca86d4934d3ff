/* zeval verify, zeval remove */
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "zoo/zoo.h"

/* Takes the name in front of the options; NULL if there is none. */
static const char *take_name(int *argc, char **argv) {
    if (*argc < 2 || argv[1][0] == '-')
        return NULL;
    const char *name = argv[1];
    memmove(&argv[1], &argv[2], (size_t)(*argc - 1) * sizeof *argv);
    --*argc;
    return name;
}

static int not_here(const char *name, Error *error) {
    return error_set_kind(error, ERROR_USAGE, "%s is not on this machine; `zeval list` shows what is", name);
}

static void report(void *context, const ZooSnapshot *snapshot, const char *file, VerifyState state,
                   const char *what) {
    static const char *const words[] = {
        [VERIFY_GOOD] = "good", [VERIFY_BAD] = "BAD", [VERIFY_UNKNOWN] = "unknown"};
    const bool *quiet = context;
    if (*quiet && state == VERIFY_GOOD)
        return;
    printf("%-7s  %s@%.12s  %s%s%s\n", words[state], snapshot->repository, snapshot->commit, file,
           what ? ": " : "", what ? what : "");
    fflush(stdout);
}

static int verify(const char *name, double share, bool quiet, Error *error) {
    Arena arena = {0};
    ZooSnapshot *snapshots;
    size_t n, n_files = 0, n_bad = 0;
    int result = zoo_list(name, &arena, &snapshots, &n, error);
    if (result == 0 && n == 0 && name)
        result = not_here(name, error);
    for (size_t i = 0; i < n && result == 0; i++) {
        size_t bad = 0, checked = 0;
        result = zoo_verify(&snapshots[i], share, report, &quiet, &checked, &bad, error);
        n_bad += bad;
        n_files += checked;
    }
    if (result == 0 && n_bad > 0)
        result =
            error_set_kind(error, ERROR_CHECK,
                           "%zu of %zu files are not what they should be; remove the model and pull it again",
                           n_bad, n_files);
    else if (result == 0)
        fprintf(stderr, "%zu files in %zu snapshots: all good\n", n_files, n);
    arena_free(&arena);
    return result;
}

int command_verify(int argc, char **argv, Error *error) {
    bool quiet = false;
    double percent = 100;
    const Option options[] = {
        {"sample", "PERCENT", OPTION_NUMBER, &percent, 1e-6, 100, false,
         "read only so many of each revision's files: those that were\nverified longest ago"},
        {"quiet", NULL, OPTION_FLAG, &quiet, 0, 0, false, "print bad files only"},
        {0}};
    const Usage usage = {
        .command = "verify",
        .synopsis = "[NAME[@REVISION]] [options]",
        .about = "Reads every file again and holds it against the hash it is named by. Without a name: all\n"
                 "that is on this machine. Exit code 3 if a file is not what it should be.",
        .examples = "  zeval verify\n  zeval verify --sample 10\n  zeval verify zebra-llama-1b-4mla-12m2-dpo",
        .options = options};
    const char *name = take_name(&argc, argv);
    int parsed = options_parse(&usage, argc, argv, error);
    if (parsed)
        return parsed < 0 ? -1 : 0;
    return verify(name, percent / 100, quiet, error);
}

static int remove_snapshot(const char *name, Error *error) {
    Arena arena = {0};
    ZooSnapshot *snapshots;
    size_t n;
    int64_t freed = 0;
    int result = zoo_list(name, &arena, &snapshots, &n, error);
    if (result == 0 && n == 0)
        result = not_here(name, error);
    if (result == 0)
        result = zoo_remove(&snapshots[0], &freed, error);
    if (result == 0)
        printf("removed %s at %.12s: %.3f MB\n", snapshots[0].repository, snapshots[0].commit,
               (double)freed / 1e6);
    arena_free(&arena);
    return result;
}

int command_remove(int argc, char **argv, Error *error) {
    const Option options[] = {{0}};
    const Usage usage = {
        .command = "remove",
        .synopsis = "NAME[@REVISION]",
        .about =
            "Removes one revision (main, unless named) of a pulled model or data set, and the files that no\n"
            "other revision of it uses. The cache of the hub's Python client is left alone.",
        .examples = "  zeval remove zebra-llama-1b-4mla-12m2-dpo",
        .options = options};
    const char *name = take_name(&argc, argv);
    int parsed = options_parse(&usage, argc, argv, error);
    if (parsed)
        return parsed < 0 ? -1 : 0;
    if (!name)
        return error_set_kind(error, ERROR_USAGE,
                              "what is to be removed? Expected: zeval remove NAME[@REVISION]");
    return remove_snapshot(name, error);
}
