/* Task and group files into typed configurations. Every key that lm-eval knows is known here: it is read, or
 * has no effect on scores, or the task is refused for it with a sentence. */
#include "tasks/config.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "tasks/config_scoring.h"
#include "tasks/functions.h"

typedef enum KeyUse {
    KEY_READ,
    KEY_IGNORED,  /* has no effect on prompts or scores */
    KEY_REFUSED,  /* would change them in a way that is not supported */
    KEY_GENERATE, /* of tasks that generate text */
    KEY_GROUP,    /* a group's */
    KEY_EITHER    /* a group's or a task's */
} KeyUse;

static const struct {
    const char *name;
    KeyUse use;
} known_keys[] = {{"aggregate_metric_list", KEY_GROUP},
                  {"class", KEY_REFUSED},
                  {"custom_dataset", KEY_REFUSED},
                  {"dataset_kwargs", KEY_READ},
                  {"dataset_name", KEY_READ},
                  {"dataset_path", KEY_READ},
                  {"description", KEY_READ},
                  {"doc_to_audio", KEY_REFUSED},
                  {"doc_to_choice", KEY_READ},
                  {"doc_to_decontamination_query", KEY_IGNORED},
                  {"doc_to_image", KEY_REFUSED},
                  {"doc_to_target", KEY_READ},
                  {"doc_to_text", KEY_READ},
                  {"fewshot_config", KEY_READ},
                  {"fewshot_delimiter", KEY_READ},
                  {"fewshot_split", KEY_READ},
                  {"filter_list", KEY_READ},
                  {"gen_prefix", KEY_READ},
                  {"generation_kwargs", KEY_GENERATE},
                  {"group", KEY_EITHER}, /* of a task: a tag */
                  {"group_alias", KEY_EITHER},
                  {"metadata", KEY_EITHER},
                  {"metric_list", KEY_READ},
                  {"num_fewshot", KEY_READ},
                  {"output_type", KEY_READ},
                  {"process_docs", KEY_READ},
                  {"process_results", KEY_READ},
                  {"repeats", KEY_READ},
                  {"should_decontaminate", KEY_IGNORED},
                  {"tag", KEY_EITHER},
                  {"target_delimiter", KEY_READ},
                  {"task", KEY_EITHER},
                  {"task_alias", KEY_READ},
                  {"test_split", KEY_READ},
                  {"training_split", KEY_READ},
                  {"unsafe_code", KEY_REFUSED},
                  {"use_prompt", KEY_REFUSED},
                  {"validation_split", KEY_READ}};
enum { N_KNOWN_KEYS = sizeof known_keys / sizeof *known_keys };

int config_fail(const Reader *reader, const Key *key, const char *format, ...) {
    Buffer what = {0};
    va_list arguments;
    va_start(arguments, format);
    buffer_vprintf(&what, format, arguments);
    va_end(arguments);
    error_set(reader->error, "%s:%u: %s: %s", key->file, key->value->line, key->name, what.data);
    buffer_free(&what);
    return -1;
}

Key config_key(const Reader *reader, const char *name) {
    const Value *keys = &reader->entry->keys;
    for (size_t i = 0; i < keys->n; i++) {
        const Value *value = &keys->as.pairs[i].value;
        if (strcmp(keys->as.pairs[i].key, name) == 0)
            return (Key){name, reader->entry->key_files[i], value->kind == VALUE_NULL ? NULL : value};
    }
    return (Key){name, reader->entry->file, NULL};
}

static const char *nearest_key(const char *name) {
    const char *best = known_keys[0].name;
    for (size_t i = 1; i < N_KNOWN_KEYS; i++)
        if (text_distance(name, known_keys[i].name) < text_distance(name, best))
            best = known_keys[i].name;
    return best;
}

static int check_keys(const Reader *reader) {
    if (reader->entry->rival)
        return error_set(reader->error, "%s: the name '%.100s' is already that of %s", reader->entry->rival,
                         reader->entry->name, reader->entry->file);
    const Value *keys = &reader->entry->keys;
    for (size_t i = 0; i < keys->n; i++) {
        const ValuePair *pair = &keys->as.pairs[i];
        size_t k = 0;
        while (k < N_KNOWN_KEYS && strcmp(known_keys[k].name, pair->key) != 0)
            k++;
        if (k == N_KNOWN_KEYS)
            return error_set(reader->error, "%s:%u: unknown key '%.100s'; the nearest known key is '%s'",
                             reader->entry->key_files[i], pair->line, pair->key, nearest_key(pair->key));
        if (known_keys[k].use == KEY_REFUSED && value_truth(&pair->value))
            return error_set(reader->error, "%s:%u: the key '%s' is not supported",
                             reader->entry->key_files[i], pair->line, pair->key);
        if (known_keys[k].use == KEY_GROUP && !reader->entry->is_group)
            return error_set(reader->error, "%s:%u: the key '%s' does not belong into a task's file",
                             reader->entry->key_files[i], pair->line, pair->key);
    }
    return 0;
}

int config_string(const Reader *reader, const char *name, const char **out) {
    Key key = config_key(reader, name);
    if (!key.value)
        return 0;
    if (key.value->kind != VALUE_STRING)
        return config_fail(reader, &key, "found %s; a string was expected", value_kind_name(key.value->kind));
    *out = key.value->as.text;
    return 0;
}

const char *config_folder(Arena *arena, const char *file) {
    char *folder = path_folder(file);
    const char *name = arena_strdup(arena, path_name(folder));
    free(folder);
    return name;
}

static int find_function(const Reader *reader, const Key *key, DocumentFunction **out) {
    const char *folder = config_folder(reader->arena, key->file);
    *out = function_find(folder, key->value->as.text, reader->entry->compat);
    if (*out)
        return 0;
    return config_fail(
        reader, key,
        "the function '%.100s' of folder '%s' has no twin in this program (Python is never run); add one "
        "to tasks/functions.c",
        key->value->as.text, folder);
}

static int compile(const Reader *reader, const Key *key, const char *text, const Template **out) {
    const char *where = arena_printf(reader->arena, "%s:%u: %s", key->file, key->value->line, key->name);
    TemplateStyle style = reader->entry->compat == COMPAT_V0_4_0 ? TEMPLATE_TASK_V0_4_0 : TEMPLATE_TASK;
    return template_compile(out, reader->arena, text, style, where, reader->error);
}

static int read_source(const Reader *reader, const Key *key, Source *out) {
    if (!key->value)
        return 0;
    switch (key->value->kind) {
    case VALUE_STRING:
        out->kind = SOURCE_TEMPLATE;
        out->text = key->value->as.text;
        return compile(reader, key, out->text, &out->template);
    case VALUE_FUNCTION:
        out->kind = SOURCE_FUNCTION;
        return find_function(reader, key, &out->function);
    case VALUE_INT:
    case VALUE_LIST:
        out->kind = SOURCE_VALUE;
        out->value = *key->value;
        return 0;
    case VALUE_DICT: /* its values, in order */
        out->kind = SOURCE_VALUE;
        out->value = value_list(reader->arena, key->value->n);
        for (size_t i = 0; i < key->value->n; i++)
            out->value.as.items[i] = key->value->as.pairs[i].value;
        return 0;
    default:
        return config_fail(reader, key, "found %s; a template, a column's name or a list was expected",
                           value_kind_name(key->value->kind));
    }
}

static int read_prompt(const Reader *reader, Prompt *out) {
    const Key text = config_key(reader, "doc_to_text"), target = config_key(reader, "doc_to_target"),
              choice = config_key(reader, "doc_to_choice"), prefix = config_key(reader, "gen_prefix");
    out->target_delimiter = " ";
    out->fewshot_delimiter = "\n\n";
    return read_source(reader, &text, &out->text) || read_source(reader, &target, &out->target) ||
                   read_source(reader, &choice, &out->choice) || read_source(reader, &prefix, &out->prefix) ||
                   config_string(reader, "target_delimiter", &out->target_delimiter) ||
                   config_string(reader, "fewshot_delimiter", &out->fewshot_delimiter)
               ? -1
               : 0;
}

static int read_function(const Reader *reader, const Key *key, DocumentFunction **out) {
    if (key->value->kind != VALUE_FUNCTION)
        return config_fail(reader, key, "a !function was expected");
    return find_function(reader, key, out);
}

static int read_process_docs(const Reader *reader, TaskConfig *out) {
    Key key = config_key(reader, "process_docs");
    return key.value ? read_function(reader, &key, &out->process_docs) : 0;
}

/* A template, or in v0.4.0 text that is taken as it is. */
static int read_description(const Reader *reader, TaskConfig *out) {
    Key key = config_key(reader, "description");
    if (!key.value)
        return 0;
    if (key.value->kind == VALUE_STRING && reader->entry->compat == COMPAT_V0_4_0) {
        out->description = (Source){.kind = SOURCE_VALUE, .value = *key.value};
        return 0;
    }
    return read_source(reader, &key, &out->description);
}

static int read_sampler(const Reader *reader, const Key *key, TaskConfig *out) {
    if (key->value->kind == VALUE_STRING) {
        out->fewshot_first_n = strcmp(key->value->as.text, "first_n") == 0;
        if (out->fewshot_first_n || strcmp(key->value->as.text, "default") == 0)
            return 0;
    }
    Value shown = value_to_string(reader->arena, key->value);
    return config_fail(reader, key, "there is no sampler '%.50s'; 'default' and 'first_n' are known",
                       shown.as.text);
}

static int read_samples(const Reader *reader, const Key *key, TaskConfig *out) {
    bool right = key->value->kind == VALUE_LIST && key->value->n > 0;
    for (size_t i = 0; right && i < key->value->n; i++)
        right = key->value->as.items[i].kind == VALUE_DICT;
    if (!right)
        return config_fail(reader, key, "a list of documents, each a mapping, was expected");
    out->fewshot_samples = key->value;
    return 0;
}

/* One key of fewshot_config; those that override the prompt have the prompt's own names. */
static int read_fewshot_key(const Reader *reader, const Key *key, TaskConfig *out) {
    const struct {
        const char *name;
        Source *source;
        const char **text;
    } overrides[] = {{"doc_to_text", &out->fewshot.text, NULL},
                     {"doc_to_target", &out->fewshot.target, NULL},
                     {"doc_to_choice", &out->fewshot.choice, NULL},
                     {"gen_prefix", &out->fewshot.prefix, NULL},
                     {"target_delimiter", NULL, &out->fewshot.target_delimiter},
                     {"fewshot_delimiter", NULL, &out->fewshot.fewshot_delimiter},
                     {"split", NULL, &out->fewshot_split}};
    for (size_t i = 0; i < sizeof overrides / sizeof *overrides; i++) {
        if (strcmp(key->name, overrides[i].name) != 0)
            continue;
        if (overrides[i].source) {
            *overrides[i].source = (Source){0};
            return read_source(reader, key, overrides[i].source);
        }
        if (key->value->kind != VALUE_STRING)
            return config_fail(reader, key, "a string was expected");
        *overrides[i].text = key->value->as.text;
        return 0;
    }
    if (strcmp(key->name, "sampler") == 0)
        return read_sampler(reader, key, out);
    if (strcmp(key->name, "samples") == 0)
        return read_samples(reader, key, out);
    if (strcmp(key->name, "process_docs") == 0)
        return read_function(reader, key, &out->process_pool);
    if (strcmp(key->name, "fewshot_indices") == 0)
        return 0; /* upstream has the key and never looks at it */
    return config_fail(reader, key, "an unknown or unsupported key of fewshot_config");
}

/* What process_docs does to examples: it is not for literal samples, and v0.4.0 forgot it where the split is
 * named. */
static void settle_pool(const Reader *reader, TaskConfig *out) {
    bool literal = !out->fewshot_split && out->fewshot_samples;
    if (literal || (out->fewshot_split && reader->entry->compat == COMPAT_V0_4_0))
        out->process_pool = NULL;
    else if (!out->fewshot_split)
        out->process_pool = out->process_docs;
}

static int read_fewshot(const Reader *reader, TaskConfig *out) {
    Key config = config_key(reader, "fewshot_config");
    bool old = reader->entry->compat == COMPAT_V0_4_0;
    out->fewshot = out->prompt;
    out->process_pool = out->process_docs;
    if (!config.value)
        return 0;
    if (config.value->kind != VALUE_DICT)
        return config_fail(reader, &config, "found %s; a mapping was expected",
                           value_kind_name(config.value->kind));
    for (size_t i = 0; i < config.value->n; i++) {
        const ValuePair *pair = &config.value->as.pairs[i];
        const Key key = {pair->key, config.file, &pair->value};
        if (old && strcmp(pair->key, "sampler") != 0)
            continue; /* v0.4.0 looked at nothing else */
        if (strcmp(pair->key, "process_docs") == 0)
            out->process_pool = NULL;
        if (pair->value.kind != VALUE_NULL && read_fewshot_key(reader, &key, out))
            return -1;
    }
    settle_pool(reader, out);
    return 0;
}

int config_count(const Reader *reader, const char *name, int max, int *out) {
    Key key = config_key(reader, name);
    if (!key.value)
        return 0;
    if (key.value->kind != VALUE_INT || key.value->as.integer < 0 || key.value->as.integer > max)
        return config_fail(reader, &key, "an integer from 0 to %d was expected", max);
    *out = (int)key.value->as.integer;
    return 0;
}

static int read_output_type(const Reader *reader, TaskConfig *out) {
    const char *name = "generate_until";
    if (config_string(reader, "output_type", &name))
        return -1;
    for (int type = OUTPUT_MULTIPLE_CHOICE; type <= OUTPUT_GENERATE_UNTIL; type++) {
        out->output_type = (OutputType)type;
        if (strcmp(name, output_type_name(out->output_type)) == 0)
            return 0;
    }
    Key key = config_key(reader, "output_type");
    return config_fail(reader, &key, "there is no output type '%.50s'", name);
}

static int read_version(const Reader *reader, const char *none, const char **out) {
    Key key = config_key(reader, "metadata");
    *out = none;
    if (!key.value || key.value->kind != VALUE_DICT || reader->entry->compat == COMPAT_V0_4_0)
        return 0;
    const Value *version = value_get(key.value, "version");
    if (version && version->kind != VALUE_NULL)
        *out = value_to_string(reader->arena, version).as.text;
    return 0;
}

static int read_splits(const Reader *reader, TaskConfig *out) {
    if (config_string(reader, "training_split", &out->training_split) ||
        config_string(reader, "validation_split", &out->validation_split) ||
        config_string(reader, "test_split", &out->test_split) ||
        config_string(reader, "fewshot_split", &out->fewshot_split) ||
        config_string(reader, "dataset_path", &out->dataset_path) ||
        config_string(reader, "dataset_name", &out->dataset_name))
        return -1;
    if (!out->dataset_path)
        return error_set(reader->error, "%s: the key 'dataset_path' is missing", out->file);
    if (config_data_files(reader, out))
        return -1;
    if (!out->test_split && !out->validation_split)
        return error_set(reader->error, "%s: neither 'test_split' nor 'validation_split' is given",
                         out->file);
    return 0;
}

/* One key of generation_kwargs: `temperature` as a float, all others as they are. */
static int add_generation_key(const Reader *reader, const Key *key, const ValuePair *pair, ValuePair *out) {
    static const char *const known[] = {
        "do_sample",          "max_completion_tokens", "max_gen_toks", "max_new_tokens", "max_tokens",
        "repetition_penalty", "temperature",           "top_k",        "top_p",          "until"};
    const Value *value = &pair->value;
    bool is_known = strcmp(pair->key, "num_beams") == 0 && value->kind == VALUE_INT && value->as.integer == 1;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        is_known |= strcmp(pair->key, known[i]) == 0;
    if (!is_known)
        return config_fail(reader, key, "'%.50s' is not supported; it would change every text", pair->key);
    *out = *pair;
    if (strcmp(pair->key, "temperature") == 0 && value->kind == VALUE_INT)
        out->value = value_double((double)value->as.integer);
    if (strcmp(pair->key, "until") != 0)
        return 0;
    bool right = value->kind == VALUE_LIST || value->kind == VALUE_STRING;
    for (size_t i = 0; right && value->kind == VALUE_LIST && i < value->n; i++)
        right = value->as.items[i].kind == VALUE_STRING;
    return right ? 0 : config_fail(reader, key, "until: a string or a list of strings was expected");
}

/* generation_kwargs with upstream's defaults: greedy, up to what stands between examples. */
static int read_generation(const Reader *reader, TaskConfig *out) {
    Key key = config_key(reader, "generation_kwargs");
    if (out->output_type != OUTPUT_GENERATE_UNTIL)
        return 0;
    if (key.value && key.value->kind != VALUE_DICT)
        return config_fail(reader, &key, "found %s; a mapping was expected",
                           value_kind_name(key.value->kind));
    Value kwargs = {.kind = VALUE_DICT}, stop = value_list(reader->arena, 1);
    size_t n = key.value ? key.value->n : 0;
    kwargs.as.pairs = arena_alloc(reader->arena, (n + 4) * sizeof(ValuePair));
    for (; kwargs.n < n; kwargs.n++)
        if (add_generation_key(reader, &key, &key.value->as.pairs[kwargs.n], &kwargs.as.pairs[kwargs.n]))
            return -1;
    stop.as.items[0] = value_string(out->prompt.fewshot_delimiter);
    bool main = reader->entry->compat == COMPAT_MAIN;
    if (!key.value && main) {
        kwargs.as.pairs[kwargs.n++] = (ValuePair){.key = "temperature", .value = value_double(0)};
        kwargs.as.pairs[kwargs.n++] = (ValuePair){.key = "do_sample", .value = value_bool(false)};
        kwargs.as.pairs[kwargs.n++] = (ValuePair){.key = "max_gen_toks", .value = value_int(256)};
    }
    if (!value_get(&kwargs, "until"))
        kwargs.as.pairs[kwargs.n++] = (ValuePair){.key = "until", .value = stop};
    if (!key.value && !main)
        kwargs.as.pairs[kwargs.n++] = (ValuePair){.key = "do_sample", .value = value_bool(false)};
    Buffer json = {0};
    value_append_json(&json, &kwargs);
    out->generation = arena_strdup(reader->arena, json.data);
    buffer_free(&json);
    return 0;
}

static int read_repeats(const Reader *reader, TaskConfig *out) {
    enum { MOST_REPEATS = 1024 };
    Key key = config_key(reader, "repeats");
    if (config_count(reader, "repeats", MOST_REPEATS, &out->repeats))
        return -1;
    return out->repeats > 0 ? 0 : config_fail(reader, &key, "an integer of 1 or more was expected");
}

/* What an output type cannot do without, and what does not belong to it. */
static int check_prompt(const Reader *reader, const TaskConfig *config) {
    bool needs_text = config->output_type != OUTPUT_LOGLIKELIHOOD_ROLLING;
    if ((needs_text && config->prompt.text.kind == SOURCE_NONE) || config->prompt.target.kind == SOURCE_NONE)
        return error_set(reader->error, "%s: the key '%s' is missing", config->file,
                         needs_text && config->prompt.text.kind == SOURCE_NONE ? "doc_to_text"
                                                                               : "doc_to_target");
    if (config->output_type == OUTPUT_MULTIPLE_CHOICE && config->prompt.choice.kind == SOURCE_NONE)
        return error_set(reader->error, "%s: the key 'doc_to_choice' is missing", config->file);
    return 0;
}

int config_read(TaskConfig *out, const LibraryEntry *entry, Arena *arena, Error *error) {
    const Reader reader = {entry, arena, error};
    *out = (TaskConfig){.compat = entry->compat,
                        .file = entry->file,
                        .name = entry->name,
                        .alias = entry->name,
                        .num_fewshot = -1,
                        .repeats = 1};
    if (check_keys(&reader) || config_string(&reader, "task_alias", &out->alias) ||
        read_version(&reader, "Yaml", &out->version) || read_splits(&reader, out) ||
        read_prompt(&reader, &out->prompt) || read_process_docs(&reader, out) || read_fewshot(&reader, out) ||
        config_count(&reader, "num_fewshot", 1000, &out->num_fewshot) || read_output_type(&reader, out) ||
        read_generation(&reader, out) || read_repeats(&reader, out) || config_scoring(&reader, out) ||
        read_description(&reader, out) || check_prompt(&reader, out))
        return -1;
    return 0;
}

static bool is_word(const char *text) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_",
                      digits[] = "0123456789";
    size_t length = strspn(text, letters);
    while (length > 0 && text[length] && (strchr(letters, text[length]) || strchr(digits, text[length])))
        length++;
    return length > 0 && !text[length];
}

int config_find_columns(Prompt *prompt, const Value *document, const TaskConfig *config, Error *error) {
    const struct {
        const char *key;
        Source *source;
    } sources[] = {{"doc_to_text", &prompt->text},
                   {"doc_to_target", &prompt->target},
                   {"doc_to_choice", &prompt->choice}};
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        Source *source = sources[i].source;
        if (source->kind != SOURCE_TEMPLATE)
            continue;
        if (value_get(document, source->text))
            source->kind = SOURCE_COLUMN;
        else if (is_word(source->text))
            return error_set(error, "%s: %s: the data set %s has no column '%s'", config->file,
                             sources[i].key, config->dataset_path, source->text);
    }
    if (prompt->prefix.kind == SOURCE_TEMPLATE && value_get(document, prompt->prefix.text))
        prompt->prefix.kind = SOURCE_COLUMN;
    return 0;
}

const Value *group_member_name(const Value *member) {
    if (member->kind == VALUE_STRING)
        return member;
    const Value *group = value_get(member, "group");
    return group ? group : value_get(member, "task");
}

int config_read_group(GroupConfig *out, const LibraryEntry *entry, Arena *arena, Error *error) {
    const Reader reader = {entry, arena, error};
    *out = (GroupConfig){.name = entry->name, .alias = entry->name};
    if (check_keys(&reader) || config_string(&reader, "group_alias", &out->alias) ||
        read_version(&reader, "N/A", &out->version) || config_aggregate(&reader, out))
        return -1;
    Key members = config_key(&reader, "task");
    out->members = members.value;
    for (size_t i = 0; i < out->members->n; i++) {
        const Value *member = &out->members->as.items[i], *name = group_member_name(member);
        if (!name || name->kind != VALUE_STRING)
            return config_fail(
                &reader, &members,
                "member %zu is %s; the name of a task, group or tag was expected, or a mapping "
                "with it as 'task' or 'group'",
                i + 1, value_kind_name(member->kind));
    }
    return 0;
}
