/* See options.h. */
#include "cli/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

enum { HELP_INDENT = 28, LONGEST_NAME = 64, MOST_OPTIONS = 64 };

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

static size_t edit_distance(const char *a, const char *b) {
    size_t n = strlen(a), m = strlen(b), row[LONGEST_NAME + 1];
    if (n > LONGEST_NAME || m > LONGEST_NAME)
        return LONGEST_NAME;
    for (size_t j = 0; j <= m; j++)
        row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t above = row[j];
            row[j] = least(least(above, row[j - 1]) + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[m];
}

const char *nearest_name(const char *name, const char *const *names) {
    const char *best = NULL;
    size_t best_distance = strlen(name) / 3 + 2;
    for (; *names; names++) {
        size_t distance = edit_distance(name, *names);
        if (distance < best_distance) {
            best = *names;
            best_distance = distance;
        }
    }
    return best;
}

void option_list_free(OptionList *list) {
    for (size_t i = 0; i < list->n_storage; i++)
        free(list->storage[i]);
    free(list->items);
    *list = (OptionList){0};
}

/* Keeps a copy of the value and cuts it at commas, if it is to be cut. */
static int add_to_list(OptionList *list, const Option *option, const char *value, Error *error) {
    if (list->n_storage == sizeof list->storage / sizeof *list->storage)
        return error_set_kind(error, ERROR_USAGE, "--%s is given too often", option->name);
    char *copy = list->storage[list->n_storage++] = mem_strdup(value);
    for (char *item = copy, *comma; item; item = comma ? comma + 1 : NULL) {
        comma = option->kind == OPTION_LIST ? strchr(item, ',') : NULL;
        if (comma)
            *comma = '\0';
        if (!*item && option->kind == OPTION_TEXTS)
            return error_set_kind(error, ERROR_USAGE, "--%s: found an empty text", option->name);
        if (!*item)
            return error_set_kind(error, ERROR_USAGE, "--%s %s: found an empty name in the list",
                                  option->name, value);
        list->items = mem_realloc(list->items, (list->n + 1) * sizeof *list->items);
        list->items[list->n++] = item;
    }
    return 0;
}

static int set_int(const Option *option, const char *value, Error *error) {
    if (!text_to_int(value, option->target) || (double)*(int64_t *)option->target < option->min ||
        (double)*(int64_t *)option->target > option->max)
        return error_set_kind(error, ERROR_USAGE,
                              "--%s: found \"%s\", expected a whole number from %.0f to %.0f", option->name,
                              value, option->min, option->max);
    return 0;
}

static int set_number(const Option *option, const char *value, Error *error) {
    double *target = option->target;
    if (!text_to_double(value, target) || *target < option->min || *target > option->max)
        return error_set_kind(error, ERROR_USAGE, "--%s: found \"%s\", expected a number from %g to %g",
                              option->name, value, option->min, option->max);
    return 0;
}

static int set_value(const Option *option, const char *value, Error *error) {
    switch (option->kind) {
    case OPTION_FLAG:
        *(bool *)option->target = true;
        return 0;
    case OPTION_TEXT:
    case OPTION_MAYBE:
        *(const char **)option->target = value;
        return 0;
    case OPTION_INT:
        return set_int(option, value, error);
    case OPTION_NUMBER:
        return set_number(option, value, error);
    case OPTION_LIST:
    case OPTION_TEXTS:
        return add_to_list(option->target, option, value, error);
    }
    return 0;
}

static const Option *find_option(const Usage *usage, const char *name, size_t length) {
    for (const Option *option = usage->options; option->name; option++)
        if (strlen(option->name) == length && memcmp(option->name, name, length) == 0)
            return option;
    return NULL;
}

static int unknown_option(const Usage *usage, const char *argument, Error *error) {
    const char *names[MOST_OPTIONS + 1] = {0};
    size_t n = 0;
    for (const Option *option = usage->options; option->name && n < MOST_OPTIONS; option++)
        names[n++] = option->name;
    const char *near = nearest_name(argument + strspn(argument, "-"), names);
    if (near)
        return error_set_kind(error, ERROR_USAGE, "%s: there is no option %s; did you mean --%s?",
                              usage->command, argument, near);
    return error_set_kind(error, ERROR_USAGE, "%s: there is no option %s; `zeval %s --help` lists them",
                          usage->command, argument, usage->command);
}

/* Takes one option at argv[*at], and its value. */
static int take_option(const Usage *usage, int argc, char **argv, int *at, bool *seen, Error *error) {
    const char *argument = argv[*at];
    if (strncmp(argument, "--", 2) != 0)
        return error_set_kind(error, ERROR_USAGE,
                              "%s: found \"%s\", expected an option; `zeval %s --help` lists them",
                              usage->command, argument, usage->command);
    const char *name = argument + 2, *equals = strchr(name, '=');
    const Option *option = find_option(usage, name, equals ? (size_t)(equals - name) : strlen(name));
    if (!option)
        return unknown_option(usage, argument, error);
    seen[option - usage->options] = true;
    if (option->kind == OPTION_FLAG && equals)
        return error_set_kind(error, ERROR_USAGE, "--%s takes no value", option->name);
    if (option->kind == OPTION_FLAG)
        return set_value(option, NULL, error);
    if (equals)
        return set_value(option, equals + 1, error);
    bool last = *at + 1 >= argc || strncmp(argv[*at + 1], "--", 2) == 0;
    if (option->kind == OPTION_MAYBE && last)
        return set_value(option, "", error);
    if (*at + 1 >= argc)
        return error_set_kind(error, ERROR_USAGE, "--%s needs a value: --%s %s", option->name, option->name,
                              option->metavar);
    return set_value(option, argv[++*at], error);
}

int options_parse(const Usage *usage, int argc, char **argv, Error *error) {
    bool seen[MOST_OPTIONS] = {false};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            options_print_help(usage);
            return 1;
        }
        if (take_option(usage, argc, argv, &i, seen, error))
            return -1;
    }
    for (const Option *option = usage->options; option->name; option++)
        if (option->required && !seen[option - usage->options])
            return error_set_kind(error, ERROR_USAGE, "%s needs --%s %s; `zeval %s --help` explains",
                                  usage->command, option->name, option->metavar, usage->command);
    return 0;
}

/* Prints a help text with its later lines indented under the first. */
static void print_indented(const char *text) {
    for (const char *at = text; *at; at++) {
        putchar(*at);
        if (*at == '\n')
            printf("%*s", HELP_INDENT, "");
    }
    putchar('\n');
}

void options_print_help(const Usage *usage) {
    printf("Usage: zeval %s%s%s\n\n%s\n", usage->command, *usage->synopsis ? " " : "", usage->synopsis,
           usage->about);
    if (usage->options->name)
        printf("\nOptions:\n");
    for (const Option *option = usage->options; option->name; option++) {
        int width = printf("  --%s%s%s", option->name, option->metavar ? " " : "",
                           option->metavar ? option->metavar : "");
        printf("%*s", width < HELP_INDENT ? HELP_INDENT - width : 2, "");
        print_indented(option->help);
    }
    printf("  --help%*sthis text\n", HELP_INDENT - 8, "");
    if (usage->examples)
        printf("\nExamples:\n%s\n", usage->examples);
}
