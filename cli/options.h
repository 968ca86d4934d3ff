/* Command-line options as tables: one place parses, checks and prints help for all subcommands. */
#ifndef ZEVAL_CLI_OPTIONS_H
#define ZEVAL_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef enum OptionKind {
    OPTION_FLAG,  /* bool */
    OPTION_TEXT,  /* const char * */
    OPTION_MAYBE, /* const char *; "" if no value follows: the next argument is an option, or there is none */
    OPTION_INT,   /* int64_t, within [min, max] */
    OPTION_NUMBER, /* double, within [min, max] */
    OPTION_LIST,   /* OptionList: comma-separated, may be given more than once */
    OPTION_TEXTS   /* OptionList: one text each time it is given, taken as it is, not empty */
} OptionKind;

typedef struct OptionList {
    const char **items; /* point into storage of the list; free with option_list_free */
    size_t n;
    char *storage[16];
    size_t n_storage;
} OptionList;
void option_list_free(OptionList *list);

typedef struct Option {
    const char *name;    /* without the dashes; NULL ends a table */
    const char *metavar; /* what the value is called in the help; NULL for flags */
    OptionKind kind;
    void *target;
    double min, max;
    bool required;
    const char *help;
} Option;

typedef struct Usage {
    const char *command;  /* "run" */
    const char *synopsis; /* "--model NAME --tasks LIST [options]" */
    const char *about;    /* paragraphs, as printed */
    const char *examples; /* lines, as printed; may be NULL */
    const Option *options;
} Usage;

/* Fills the targets from argv[1..]. Returns 0; 1 if --help was asked for and printed; -1 with ERROR_USAGE. */
int options_parse(const Usage *usage, int argc, char **argv, Error *error);
void options_print_help(const Usage *usage);

/* The name in a list nearest to `name` by edit distance, NULL if none is near. names ends with NULL. */
const char *nearest_name(const char *name, const char *const *names);

#endif
