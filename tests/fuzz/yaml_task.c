/* Fuzz target: any bytes are a task file; reading it as YAML and as a task's or group's configuration ends
 * without harm, and so does reading it as a row of a data set. */
#include <stdint.h>
#include <stdlib.h>

#include "tasks/config.h"
#include "tasks/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_entry(const Value *keys, Arena *arena) {
    Error error = {0};
    const char **files = arena_alloc(arena, (keys->n + 1) * sizeof *files);
    for (size_t i = 0; i < keys->n; i++)
        files[i] = "hellaswag/t.yaml";
    LibraryEntry entry = {.name = "t", .file = "hellaswag/t.yaml", .keys = *keys, .key_files = files};
    const Value *members = value_get(keys, "task");
    TaskConfig task;
    GroupConfig group;
    if (config_read(&task, &entry, arena, &error) && !error.message[0])
        abort();
    entry.is_group = true;
    if (members && members->kind == VALUE_LIST)
        config_read_group(&group, &entry, arena, &error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Arena arena = {0};
    Error error = {0};
    Value value;
    if (!yaml_parse(&value, &arena, (const char *)data, size, "t.yaml", &error)) {
        Buffer out = {0};
        value_append_json(&out, &value);
        buffer_free(&out);
        read_entry(&value, &arena);
    }
    if (!value_from_json(&value, &arena, (const char *)data, size, "t.jsonl", 1, &error)) {
        Buffer out = {0};
        value_append_repr(&out, &value);
        buffer_free(&out);
    }
    arena_free(&arena);
    return 0;
}
