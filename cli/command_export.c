/* zeval export, zeval import */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "zoo/zoo.h"

/* Takes the words in front of the options, at most n; returns how many there were. */
static int take_words(int *argc, char **argv, const char **words, int n) {
    int taken = 0;
    while (taken<n && * argc> 1 && argv[1][0] != '-') {
        words[taken++] = argv[1];
        memmove(&argv[1], &argv[2], (size_t)(*argc - 1) * sizeof *argv);
        --*argc;
    }
    return taken;
}

static int copy(const ZooSnapshot *snapshot, const char *store, const char *verb, Error *error) {
    int64_t copied = 0;
    if (zoo_copy(snapshot, store, &copied, error))
        return -1;
    printf("%s %s at %.12s: %zu files, %.3f MB copied\n", verb, snapshot->repository, snapshot->commit,
           snapshot->n_files, (double)copied / 1e6);
    return 0;
}

static int export_tar(const ZooSnapshot *snapshot, const char *path, Error *error) {
    int64_t bytes = 0;
    if (zoo_export_tar(snapshot, path, &bytes, error))
        return -1;
    printf("exported %s at %.12s: %zu files, %.3f MB in %s\n", snapshot->repository, snapshot->commit,
           snapshot->n_files, (double)bytes / 1e6, path);
    return 0;
}

static int import_tar(const char *path, Error *error) {
    int64_t bytes = 0;
    size_t n_files = 0;
    if (zoo_import_tar(path, &n_files, &bytes, error))
        return -1;
    printf("imported %s: %zu files, %.3f MB copied\n", path, n_files, (double)bytes / 1e6);
    return 0;
}

int command_export(int argc, char **argv, Error *error) {
    const Option options[] = {{0}};
    const Usage usage = {
        .command = "export",
        .synopsis = "NAME[@REVISION] FILE.tar|FOLDER",
        .about = "Copies a pulled model or data set into an archive or a folder, to be carried to a machine\n"
                 "without a network and taken in there by `zeval import`. Every file is hashed on the way.\n"
                 "FOLDER may hold many, and with ZEVAL_STORE=FOLDER it can be used as it is; so can what\n"
                 "`tar xf FILE.tar` makes.",
        .examples = "  zeval export llamba-1b llamba-1b.tar\n  zeval export llamba-1b /media/stick/models",
        .options = options};
    const char *words[2];
    int n_words = take_words(&argc, argv, words, 2), parsed = options_parse(&usage, argc, argv, error);
    if (parsed)
        return parsed < 0 ? -1 : 0;
    if (n_words < 2)
        return error_set_kind(error, ERROR_USAGE,
                              "export what, and where to? Expected: zeval export NAME FILE.tar, or a folder");
    Arena arena = {0};
    ZooSnapshot *snapshots;
    size_t n;
    int result = zoo_list(words[0], &arena, &snapshots, &n, error);
    if (result == 0 && n == 0)
        result = error_set_kind(error, ERROR_USAGE, "%s is not on this machine; `zeval list` shows what is",
                                words[0]);
    if (result == 0)
        result = text_ends_with(words[1], ".tar") ? export_tar(&snapshots[0], words[1], error)
                                                  : copy(&snapshots[0], words[1], "exported", error);
    arena_free(&arena);
    return result;
}

int command_import(int argc, char **argv, Error *error) {
    const Option options[] = {{0}};
    const Usage usage = {
        .command = "import",
        .synopsis = "FILE.tar|FOLDER",
        .about =
            "Takes in every model and data set of an archive or a folder that `zeval export` wrote, or of a\n"
            "cache of the hub's Python client. Every file is hashed on the way: exit code 3 if one is not\n"
            "what it should be. An archive with names or links that no export writes is refused.",
        .examples = "  zeval import llamba-1b.tar\n  zeval import /media/stick/models",
        .options = options};
    const char *folder = NULL;
    int n_words = take_words(&argc, argv, &folder, 1), parsed = options_parse(&usage, argc, argv, error);
    if (parsed)
        return parsed < 0 ? -1 : 0;
    if (n_words < 1)
        return error_set_kind(error, ERROR_USAGE,
                              "import from where? Expected: zeval import FILE.tar, or a folder");
    if (file_exists(folder) && !file_is_directory(folder))
        return import_tar(folder, error);
    Arena arena = {0};
    ZooSnapshot *snapshots;
    size_t n;
    char *store = zoo_store_folder();
    int result = zoo_list_folder(folder, &arena, &snapshots, &n, error);
    if (result == 0 && n == 0)
        result = error_set_kind(error, ERROR_USAGE, "%s holds no exported model or data set", folder);
    for (size_t i = 0; i < n && result == 0; i++)
        result = copy(&snapshots[i], store, "imported", error);
    free(store);
    arena_free(&arena);
    return result;
}
