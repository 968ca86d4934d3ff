/* A task's configuration as lm-eval writes it into its results files: the keys of its TaskConfig in their
 * order, with defaults, without what is not given. */
#include <string.h>

#include "base/text.h"
#include "tasks/config_scoring.h"

/* Where a key's text comes from if the file does not say: JSON, or NULL for nothing. */
static const struct {
    const char *name, *fallback;
} dumped_keys[] = {{"task", NULL},
                   {"task_alias", NULL},
                   {"tag", NULL},
                   {"dataset_path", NULL},
                   {"dataset_name", NULL},
                   {"dataset_kwargs", NULL},
                   {"training_split", NULL},
                   {"validation_split", NULL},
                   {"test_split", NULL},
                   {"fewshot_split", NULL},
                   {"process_docs", NULL},
                   {"doc_to_text", NULL},
                   {"doc_to_target", NULL},
                   {"unsafe_code", "false"},
                   {"doc_to_choice", NULL},
                   {"process_results", NULL},
                   {"description", "\"\""},
                   {"target_delimiter", "\" \""},
                   {"fewshot_delimiter", "\"\\n\\n\""},
                   {"fewshot_config", NULL},
                   {"num_fewshot", NULL},
                   {"metric_list", NULL},
                   {"output_type", "\"generate_until\""},
                   {"generation_kwargs", NULL},
                   {"repeats", "1"},
                   {"filter_list", NULL},
                   {"should_decontaminate", "false"},
                   {"doc_to_decontamination_query", NULL},
                   {"gen_prefix", NULL},
                   {"metadata", NULL}};

static void append_value(Buffer *out, const Value *value) {
    if (value->kind == VALUE_FUNCTION) {
        Buffer name = {0};
        buffer_printf(&name, "!function %s", value->as.text);
        text_append_json(out, name.data, name.size);
        buffer_free(&name);
    } else {
        value_append_json(out, value);
    }
}

/* What an example is made of: as upstream's main holds it, with what it has from the task itself. */
static void append_fewshot(Buffer *out, const Reader *reader) {
    static const struct {
        const char *name, *inherited, *fallback;
    } fields[] = {{"sampler", NULL, "\"default\""},
                  {"split", "fewshot_split", "null"},
                  {"process_docs", "process_docs", "null"},
                  {"fewshot_indices", NULL, "null"},
                  {"samples", NULL, "null"},
                  {"doc_to_text", "doc_to_text", "null"},
                  {"doc_to_choice", "doc_to_choice", "null"},
                  {"doc_to_target", "doc_to_target", "null"},
                  {"gen_prefix", "gen_prefix", "null"},
                  {"fewshot_delimiter", "fewshot_delimiter", "\"\\n\\n\""},
                  {"target_delimiter", "target_delimiter", "\" \""}};
    const Key own = config_key(reader, "fewshot_config");
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const Value *value = own.value ? value_get(own.value, fields[i].name) : NULL;
        if (!value && fields[i].inherited)
            value = config_key(reader, fields[i].inherited).value;
        buffer_printf(out, "%s\"%s\": ", i ? ", " : "{", fields[i].name);
        if (value)
            append_value(out, value);
        else
            buffer_append_text(out, fields[i].fallback);
    }
    buffer_append_char(out, '}');
}

/* The file's own, and which file that is. */
static void append_metadata(Buffer *out, const Reader *reader) {
    const Key key = config_key(reader, "metadata");
    bool is_dict = key.value && key.value->kind == VALUE_DICT;
    buffer_append_char(out, '{');
    for (size_t i = 0; is_dict && i < key.value->n; i++) {
        const ValuePair *pair = &key.value->as.pairs[i];
        text_append_json(out, pair->key, strlen(pair->key));
        buffer_append_text(out, ": ");
        append_value(out, &pair->value);
        buffer_append_text(out, ", ");
    }
    if (key.value && !is_dict) {
        buffer_append_text(out, "\"_metadata\": ");
        append_value(out, key.value);
        buffer_append_text(out, ", ");
    }
    buffer_append_text(out, "\"config_source\": ");
    text_append_json(out, reader->entry->file, strlen(reader->entry->file));
    buffer_append_char(out, '}');
}

/* The text of one key; nothing if it has none. */
static void append_key(Buffer *out, const Reader *reader, const TaskConfig *config, int num_fewshot,
                       const char *name, const char *fallback) {
    Key key = config_key(reader, name);
    bool main = reader->entry->compat == COMPAT_MAIN;
    if (strcmp(name, "tag") == 0 && main)
        return;                    /* taken away before a task is made */
    if (strcmp(name, "task") == 0) /* of one defined in a group with the group's name before it */
        text_append_json(out, config->name, strlen(config->name));
    else if (strcmp(name, "num_fewshot") == 0)
        buffer_printf(out, "%d", num_fewshot);
    else if (strcmp(name, "generation_kwargs") == 0 && config->generation)
        buffer_append_text(out, config->generation);
    else if (strcmp(name, "fewshot_config") == 0 && main)
        append_fewshot(out, reader);
    else if (strcmp(name, "metadata") == 0 && main)
        append_metadata(out, reader);
    else if (key.value)
        append_value(out, key.value);
    else if (fallback)
        buffer_append_text(out, fallback);
}

const char *config_dump(const LibraryEntry *entry, const TaskConfig *config, int num_fewshot, Arena *arena) {
    const Reader reader = {entry, arena, NULL};
    Buffer json = {0}, value = {0};
    buffer_append_char(&json, '{');
    for (size_t i = 0; i < sizeof dumped_keys / sizeof *dumped_keys; i++) {
        buffer_clear(&value);
        append_key(&value, &reader, config, num_fewshot, dumped_keys[i].name, dumped_keys[i].fallback);
        if (value.size > 0)
            buffer_printf(&json, "%s\"%s\": %s", json.size > 1 ? ", " : "", dumped_keys[i].name, value.data);
    }
    buffer_append_char(&json, '}');
    const char *text = arena_strndup(arena, json.data, json.size);
    buffer_free(&json);
    buffer_free(&value);
    return text;
}
