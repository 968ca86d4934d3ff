/* filter_list: what becomes of a response before it is scored. */
#include <string.h>

#include "tasks/config_scoring.h"

/* The options that a step may have. */
enum {
    OPTION_PATTERN = 1, /* regex_pattern, group_select, fallback */
    OPTION_K = 2,
    OPTION_MAP = 4,   /* mapping_dict, default_value */
    OPTION_IGNORE = 8 /* ignore_case, ignore_punctuation, regexes_to_ignore */
};

static const struct {
    const char *name;
    int options;
} functions[] = {[FILTER_TAKE_FIRST] = {"take_first", 0},
                 [FILTER_TAKE_FIRST_K] = {"take_first_k", OPTION_K},
                 [FILTER_MAJORITY_VOTE] = {"majority_vote", 0},
                 [FILTER_REGEX] = {"regex", OPTION_PATTERN},
                 [FILTER_MULTI_CHOICE_REGEX] = {"multi_choice_regex", OPTION_PATTERN | OPTION_IGNORE},
                 [FILTER_REMOVE_WHITESPACE] = {"remove_whitespace", 0},
                 [FILTER_LOWERCASE] = {"lowercase", 0},
                 [FILTER_UPPERCASE] = {"uppercase", 0},
                 [FILTER_MAP] = {"map", OPTION_MAP}};
enum { N_FUNCTIONS = sizeof functions / sizeof *functions };

const char *filter_function_name(FilterFunction function) {
    return functions[function].name;
}

static int read_function(const Reader *reader, const Key *key, const Value *item, TaskFilterStep *out) {
    const Value *name = value_get(item, "function");
    if (!name || (name->kind != VALUE_STRING && name->kind != VALUE_FUNCTION))
        return config_fail(reader, key, "each step must be a mapping with the key 'function' and a name");
    for (int i = 0; i < N_FUNCTIONS && name->kind == VALUE_STRING; i++)
        if (strcmp(functions[i].name, name->as.text) == 0) {
            out->function = (FilterFunction)i;
            return 0;
        }
    return config_fail(reader, key,
                       "the filter '%.50s' has no twin in this program (Python is never run); add one to "
                       "eval/filters.c and its name to tasks/config_filters.c",
                       name->as.text);
}

static int read_text(const Reader *reader, const Key *key, const ValuePair *pair, const char **out) {
    if (pair->value.kind != VALUE_STRING)
        return config_fail(reader, key, "%s: a string was expected", pair->key);
    *out = pair->value.as.text;
    return 0;
}

static int read_integer(const Reader *reader, const Key *key, const ValuePair *pair, int64_t min,
                        int64_t *out) {
    if (pair->value.kind != VALUE_INT || pair->value.as.integer < min || pair->value.as.integer > 1000)
        return config_fail(reader, key, "%s: an integer from %d to 1000 was expected", pair->key, (int)min);
    *out = pair->value.as.integer;
    return 0;
}

static int read_mapping(const Reader *reader, const Key *key, const ValuePair *pair, TaskFilterStep *out) {
    const Value *map = &pair->value;
    if (map->kind != VALUE_DICT)
        return config_fail(reader, key, "%s: a mapping was expected", pair->key);
    const char **from = arena_alloc(reader->arena, (map->n + 1) * sizeof *from);
    const char **to = arena_alloc(reader->arena, (map->n + 1) * sizeof *to);
    for (size_t i = 0; i < map->n; i++) {
        from[i] = map->as.pairs[i].key;
        to[i] = value_to_string(reader->arena, &map->as.pairs[i].value).as.text;
    }
    out->from = from;
    out->to = to;
    out->n_pairs = map->n;
    return 0;
}

static int read_option(const Reader *reader, const Key *key, const ValuePair *pair, TaskFilterStep *out) {
    int options = functions[out->function].options;
    const char *name = pair->key;
    if (strcmp(name, "function") == 0)
        return 0;
    if (strcmp(name, "regex_pattern") == 0 && (options & OPTION_PATTERN))
        return read_text(reader, key, pair, &out->pattern);
    if (strcmp(name, "fallback") == 0 && (options & OPTION_PATTERN))
        return read_text(reader, key, pair, &out->fallback);
    if (strcmp(name, "group_select") == 0 && (options & OPTION_PATTERN))
        return read_integer(reader, key, pair, -1000, &out->group_select);
    if (strcmp(name, "k") == 0 && (options & OPTION_K))
        return read_integer(reader, key, pair, 1, &out->k);
    if (strcmp(name, "mapping_dict") == 0 && (options & OPTION_MAP))
        return read_mapping(reader, key, pair, out);
    if (strcmp(name, "default_value") == 0 && (options & OPTION_MAP)) {
        if (pair->value.kind != VALUE_NULL)
            out->fallback = value_to_string(reader->arena, &pair->value).as.text;
        return 0;
    }
    if (strcmp(name, "ignore_case") == 0 && (options & OPTION_IGNORE))
        return config_flag(reader, key, pair, &out->ignore_case);
    if (strcmp(name, "ignore_punctuation") == 0 && (options & OPTION_IGNORE))
        return config_flag(reader, key, pair, &out->ignore_punctuation);
    if (strcmp(name, "regexes_to_ignore") == 0 && (options & OPTION_IGNORE))
        return pair->value.kind == VALUE_NULL
                   ? 0
                   : config_strings(reader, key, name, &pair->value, &out->ignored_regexes,
                                    &out->n_ignored_regexes);
    return config_fail(reader, key, "the filter '%s' has no option '%.50s'", functions[out->function].name,
                       name);
}

static int read_step(const Reader *reader, const Key *list, const Value *item, const TaskConfig *config,
                     TaskFilterStep *out) {
    const Key key = {list->name, list->file, item};
    *out = (TaskFilterStep){0};
    if (read_function(reader, &key, item, out))
        return -1;
    if (functions[out->function].options & OPTION_PATTERN) {
        out->pattern = "#### (\\-?[0-9\\.\\,]+)";
        out->fallback = "[invalid]";
    }
    for (size_t i = 0; i < item->n; i++)
        if (read_option(reader, &key, &item->as.pairs[i], out))
            return -1;
    if (out->function == FILTER_TAKE_FIRST_K && out->k == 0)
        return config_fail(reader, &key, "the filter 'take_first_k' needs the option 'k'");
    if (out->k > config->repeats)
        return config_fail(reader, &key,
                           "the filter 'take_first_k' is to take %lld responses, but repeats is %d",
                           (long long)out->k, config->repeats);
    if (out->function != FILTER_TAKE_FIRST && config->output_type != OUTPUT_GENERATE_UNTIL)
        return config_fail(reader, &key, "filters are for generated text, not for this output type");
    return 0;
}

static int read_filter(const Reader *reader, const Key *list, const Value *item, const TaskConfig *config,
                       TaskFilter *out) {
    const Key key = {list->name, list->file, item};
    const Value *name = value_get(item, "name"), *steps = value_get(item, "filter");
    if (!name || name->kind != VALUE_STRING || !steps || steps->kind != VALUE_LIST || steps->n == 0)
        return config_fail(reader, &key,
                           "each item must be a mapping with a 'name' and a list of steps called 'filter'");
    if (strchr(name->as.text, ','))
        return config_fail(reader, &key, "the filter's name '%.50s' has a comma, which results cannot show",
                           name->as.text);
    TaskFilterStep *own = arena_alloc(reader->arena, steps->n * sizeof *own);
    for (size_t i = 0; i < steps->n; i++)
        if (read_step(reader, list, &steps->as.items[i], config, &own[i]))
            return -1;
    *out = (TaskFilter){.name = name->as.text, .steps = own, .n_steps = steps->n};
    return 0;
}

static int check_names(const Reader *reader, const Key *list, const TaskFilter *filters, size_t n) {
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(filters[i].name, filters[k].name) == 0)
                return config_fail(reader, list, "two filters are called '%.50s'", filters[i].name);
    return 0;
}

int config_filters(const Reader *reader, TaskConfig *out) {
    static const TaskFilterStep first = {.function = FILTER_TAKE_FIRST};
    static const TaskFilter none = {.name = "none", .steps = &first, .n_steps = 1};
    Key list = config_key(reader, "filter_list");
    out->filters = &none;
    out->n_filters = 1;
    if (!list.value)
        return 0;
    if (list.value->kind != VALUE_LIST || list.value->n == 0)
        return config_fail(reader, &list, "a list of filters was expected");
    TaskFilter *filters = arena_alloc(reader->arena, list.value->n * sizeof *filters);
    for (size_t i = 0; i < list.value->n; i++)
        if (read_filter(reader, &list, &list.value->as.items[i], out, &filters[i]))
            return -1;
    out->filters = filters;
    out->n_filters = list.value->n;
    return check_names(reader, &list, filters, list.value->n);
}
