/* See identity.h. */
#include "eval/identity.h"

#include <string.h>

static void add_text(Sha256 *hash, const char *text) {
    sha256_update_field(hash, text, strlen(text));
}

static void add_int(Sha256 *hash, int64_t value) {
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)value);
    add_text(hash, text);
}

static void add_task(Sha256 *hash, const TaskInfo *task) {
    add_text(hash, task->name);
    add_text(hash, task->version);
    add_int(hash, task->num_fewshot);
    add_int(hash, (int64_t)task->n_documents);
    for (size_t i = 0; i < task->n_files; i++) {
        add_text(hash, task->files[i].role);
        add_text(hash, task->files[i].sha256);
    }
}

/* How documents become prompts, beyond what the tasks' files say. */
static void add_prompting(Sha256 *hash, const EvalOptions *options) {
    const TaskOptions *tasks = &options->tasks;
    char samples[SHA256_HEX] = "";
    add_int(hash, (int64_t)tasks->fewshot_seed);
    add_text(hash, compat_name(tasks->compat));
    add_text(hash, truncation_name(options->on_truncation));
    add_text(hash, tasks->system_instruction ? tasks->system_instruction : "");
    if (tasks->chat) {
        add_text(hash, tasks->chat->source);
        add_text(hash, tasks->chat->variables ? tasks->chat->variables : "");
        add_text(hash, tasks->chat->date ? tasks->chat->date : "");
        add_int(hash, tasks->chat->fewshot_multiturn);
    }
    if (tasks->samples && sha256_file(tasks->samples, samples, NULL) == 0)
        add_text(hash, samples);
}

void identity_fingerprint(const RunParts *parts, char hex[SHA256_HEX]) {
    Sha256 *hash = sha256_begin();
    add_text(hash, "zeval run 2");
    add_text(hash, parts->model.name);
    add_text(hash, parts->model.sha256);
    add_text(hash, parts->tokenizer_files.sha256);
    add_text(hash, dtype_name(parts->options->dtype));
    add_text(hash, parts->backend);
    add_int(hash, ENGINE_NUMERICS_VERSION);
    add_int(hash, parts->encoder.add_bos);
    add_int(hash, parts->encoder.prefix_token);
    add_int(hash, parts->encoder.max_length);
    add_prompting(hash, parts->options);
    for (size_t i = 0; i < task_set_count(parts->tasks); i++)
        add_task(hash, task_info(task_set_task(parts->tasks, i)));
    for (size_t i = 0; i < task_set_group_count(parts->tasks); i++)
        add_text(hash, task_set_group(parts->tasks, i)->name);
    sha256_end(hash, hex);
}

void identity_response_key(const RunParts *parts, const EncodedRequest *request, char hex[SHA256_HEX]) {
    Sha256 *hash = sha256_begin();
    add_text(hash, "zeval response 1");
    add_text(hash, parts->model.sha256);
    add_text(hash, dtype_name(parts->options->dtype));
    add_text(hash, parts->backend);
    add_int(hash, ENGINE_NUMERICS_VERSION);
    add_int(hash, (int64_t)request->n_context);
    sha256_update_field(hash, request->tokens.ids, request->tokens.n * sizeof *request->tokens.ids);
    sha256_end(hash, hex);
}

static void add_double(Sha256 *hash, double value) {
    char text[32];
    snprintf(text, sizeof text, "%.17g", value);
    add_text(hash, text);
}

void identity_generation_key(const RunParts *parts, const EncodedRequest *prompt, const Generation *settings,
                             size_t repeat, char hex[SHA256_HEX]) {
    const GenerationRules *rules = &parts->generation;
    Sha256 *hash = sha256_begin();
    add_text(hash, "zeval generation 1");
    add_text(hash, parts->model.sha256);
    add_text(hash, parts->tokenizer_files.sha256);
    add_text(hash, dtype_name(parts->options->dtype));
    add_text(hash, parts->backend);
    add_int(hash, ENGINE_NUMERICS_VERSION);
    add_int(hash, rules->keep_special);
    add_int(hash, rules->clean_up);
    sha256_update_field(hash, rules->stop_ids.ids, rules->stop_ids.n * sizeof *rules->stop_ids.ids);
    add_int(hash, (int64_t)settings->max_new_tokens);
    add_double(hash, settings->temperature);
    add_int(hash, settings->temperature > 0 ? settings->top_k : 0);
    add_double(hash, settings->temperature > 0 ? settings->top_p : 1);
    add_int(hash, settings->has_empty);
    if (settings->repetition_penalty != 1)
        add_double(hash, settings->repetition_penalty);
    add_int(hash, (int64_t)settings->n_stops);
    for (size_t i = 0; i < settings->n_stops; i++)
        add_text(hash, settings->stops[i]);
    sha256_update_field(hash, prompt->tokens.ids, prompt->tokens.n * sizeof *prompt->tokens.ids);
    if (settings->temperature > 0 && repeat > 0)
        add_int(hash, (int64_t)repeat);
    sha256_end(hash, hex);
}

uint64_t identity_seed(const char hex[SHA256_HEX]) {
    uint64_t seed = 0;
    for (int i = 0; i < 16; i++)
        seed = seed << 4 | (uint64_t)(hex[i] <= '9' ? hex[i] - '0' : hex[i] - 'a' + 10);
    return seed;
}

void identity_rolling_key(const char (*windows)[SHA256_HEX], size_t n, char hex[SHA256_HEX]) {
    Sha256 *hash = sha256_begin();
    add_text(hash, "zeval rolling 1");
    for (size_t i = 0; i < n; i++)
        add_text(hash, windows[i]);
    sha256_end(hash, hex);
}

/* , "key": "text", if there is one. */
static void append_text(Buffer *json, const char *key, const char *text) {
    if (!text)
        return;
    buffer_printf(json, ", \"%s\": ", key);
    text_append_json(json, text, strlen(text));
}

char *identity_settings_json(const RunParts *parts) {
    const TaskOptions *tasks = &parts->options->tasks;
    Buffer json = {0};
    buffer_append_text(&json, "{\"tasks\": [");
    for (size_t i = 0; i < tasks->n_names; i++) {
        buffer_append_text(&json, i ? ", " : "");
        text_append_json(&json, tasks->names[i], strlen(tasks->names[i]));
    }
    buffer_append_text(&json, "], \"num_fewshot\": ");
    if (tasks->num_fewshot < 0)
        buffer_append_text(&json, "null");
    else
        buffer_printf(&json, "%d", tasks->num_fewshot);
    buffer_append_text(&json, ", \"limit\": ");
    if (tasks->limit > 0)
        buffer_printf(&json, "%.17g", tasks->limit);
    else
        buffer_append_text(&json, "null");
    buffer_printf(&json, ", \"fewshot_seed\": %llu, \"dtype\": \"%s\", \"backend\": \"%s\"",
                  (unsigned long long)tasks->fewshot_seed, dtype_name(parts->options->dtype), parts->backend);
    buffer_printf(&json, ", \"add_bos\": %s, \"max_length\": %lld", parts->encoder.add_bos ? "true" : "false",
                  (long long)parts->encoder.max_length);
    buffer_printf(&json, ", \"compat\": \"%s\", \"on_truncation\": \"%s\"", compat_name(tasks->compat),
                  truncation_name(parts->options->on_truncation));
    append_text(&json, "samples", tasks->samples);
    append_text(&json, "system_instruction", tasks->system_instruction);
    append_text(&json, "chat_template", tasks->chat ? tasks->chat->name : NULL);
    buffer_append_char(&json, '}');
    return buffer_take(&json);
}
