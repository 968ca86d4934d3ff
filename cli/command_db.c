/* zeval db */
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "db/db.h"

enum { MOST_FILES = 64 };

/* The words in front of the options and between them; "-o" is short for "--output". */
static int take_words(int *argc, char **argv, const char **words, int most, Error *error) {
    int n = 0, kept = 1;
    for (int i = 1; i < *argc; i++) {
        if (strcmp(argv[i], "-o") == 0)
            argv[i] = "--output";
        bool is_option = argv[i][0] == '-' && argv[i][1];
        if (!is_option && n == most)
            return error_set_kind(error, ERROR_USAGE, "db: found more than %d files", most - 1);
        if (!is_option) {
            words[n++] = argv[i];
            continue;
        }
        argv[kept++] = argv[i];
        if (strcmp(argv[i], "--output") == 0 && i + 1 < *argc)
            argv[kept++] = argv[++i];
    }
    *argc = kept;
    return n;
}

static void complain(void *context, const char *sentence) {
    fprintf(context, "%s\n", sentence);
}

static int check(const char *path, Error *error) {
    Db *db;
    int64_t n_problems = 0;
    if (db_open(&db, path, DB_READ, error) != 0)
        return -1;
    int result = db_check(db, complain, stdout, &n_problems, error);
    db_close(db);
    if (result != 0)
        return -1;
    if (n_problems > 0)
        return error_set_kind(error, ERROR_CHECK, "results database '%s' has %lld problems", path,
                              (long long)n_problems);
    printf("%s: all good\n", path);
    return 0;
}

static int vacuum(const char *path, bool responses, Error *error) {
    Db *db;
    DbVacuumed done;
    if (!file_exists(path))
        return error_set(error, "there is no results database '%s'", path);
    if (db_open(&db, path, DB_WRITE, error) != 0)
        return -1;
    int result = db_vacuum(db, responses, &done, error);
    db_close(db);
    if (result == 0)
        printf("%s: %lld unused texts and %lld unused answers removed; %.3f MB, before %.3f MB\n", path,
               (long long)done.n_texts, (long long)done.n_responses, (double)done.bytes_after / 1e6,
               (double)done.bytes_before / 1e6);
    return result;
}

static int merge(const char *into, const char *const *files, int n, Error *error) {
    Db *db = NULL;
    int64_t n_conflicts = 0;
    int result = db_open(&db, into, DB_WRITE, error);
    for (int i = 0; i < n && result == 0; i++) {
        DbMerged done;
        result = db_merge(db, files[i], 0, complain, stderr, &done, error);
        if (result != 0)
            break;
        printf("%s: %lld runs taken in, %lld known already; %lld answers, %lld texts\n", files[i],
               (long long)done.n_runs, (long long)done.n_known, (long long)done.n_responses,
               (long long)done.n_texts);
        n_conflicts += done.n_conflicts;
    }
    db_close(db);
    if (result == 0 && n_conflicts > 0)
        return error_set_kind(error, ERROR_CHECK,
                              "%lld numbers differ between the files: those that were in '%s' first stay",
                              (long long)n_conflicts, into);
    return result;
}

static int run_verb(const char *const *words, int n, bool responses, const char *output, Error *error) {
    const char *verb = n > 0 ? words[0] : "";
    if (strcmp(verb, "check") == 0 && n == 2)
        return check(words[1], error);
    if (strcmp(verb, "vacuum") == 0 && n == 2)
        return vacuum(words[1], responses, error);
    if (strcmp(verb, "merge") == 0 && n >= 3)
        return output ? merge(output, words + 1, n - 1, error) : merge(words[1], words + 2, n - 2, error);
    return error_set_kind(
        error, ERROR_USAGE,
        "expected: zeval db check FILE, zeval db vacuum FILE, or zeval db merge FILE FILE... "
        "[-o OUT]; `zeval db --help` explains");
}

int command_db(int argc, char **argv, Error *error) {
    const char *words[MOST_FILES + 1], *output = NULL;
    bool responses = false;
    const Option options[] = {{"output", "FILE", OPTION_TEXT, &output, 0, 0, false,
                               "merge: the file to make or to merge into (also -o; default: the first FILE)"},
                              {"responses", NULL, OPTION_FLAG, &responses, 0, 0, false,
                               "vacuum: also remove answers that no run asks for any more"},
                              {0}};
    const Usage usage = {
        .command = "db",
        .synopsis = "check FILE | vacuum FILE | merge FILE FILE... [-o OUT]",
        .about =
            "check   reads everything: the file's integrity, rows that refer to nothing, texts that are not\n"
            "        what their hash says, finished runs that lack something; exit code 3 if it finds any.\n"
            "vacuum  removes texts that no row uses and rewrites the file without holes. A file of an older\n"
            "        version is brought up to date.\n"
            "merge   takes the runs and answers of the later files into the first, or all into OUT. What is\n"
            "        known comes in once, however often; where numbers differ, the first stay (exit code 3).",
        .examples = "  zeval db check results.db\n"
                    "  zeval db merge monday.db tuesday.db -o week.db",
        .options = options};
    int n = take_words(&argc, argv, words, MOST_FILES + 1, error);
    if (n < 0)
        return -1;
    int parsed = options_parse(&usage, argc, argv, error);
    if (parsed)
        return parsed < 0 ? -1 : 0;
    return run_verb(words, n, responses, output, error);
}
