/* See lm_eval_files.h. The results are written as one line of JSON and then indented as Python indents. */
#include "reports/lm_eval_files.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "reports/lm_eval_samples.h"

enum { BOOTSTRAP_ITERATIONS = 100000 };

/* ---- pieces of JSON */

static void append_key(Buffer *out, const char *key) {
    char last = out->size ? out->data[out->size - 1] : '{';
    if (last != '{' && last != '[')
        buffer_append_text(out, ", ");
    lm_append_string(out, key);
    buffer_append_text(out, ": ");
}

static void append_text(Buffer *out, const char *key, const char *text) {
    append_key(out, key);
    lm_append_string(out, text);
}

static void append_raw(Buffer *out, const char *key, const char *json) {
    append_key(out, key);
    buffer_append_text(out, json);
}

static void append_int(Buffer *out, const char *key, int64_t value) {
    append_key(out, key);
    buffer_printf(out, "%lld", (long long)value);
}

/* As json.dumps writes what json does not have. */
static void append_double(Buffer *out, const char *key, double value) {
    append_key(out, key);
    if (isinf(value))
        buffer_append_text(out, value > 0 ? "Infinity" : "-Infinity");
    else if (isnan(value))
        buffer_append_text(out, "NaN");
    else
        text_append_double(out, value);
}

static void append_sha256(Buffer *out, const char *key, const char *text) {
    char hex[SHA256_HEX];
    if (text && *text)
        sha256_text(text, strlen(text), hex);
    append_text(out, key, text && *text ? hex : NULL);
}

/* ---- results and groups */

static void append_metrics(Buffer *out, const LmEntry *entry) {
    for (size_t i = 0; i < entry->n_metrics; i++) {
        const LmMetric *metric = &entry->metrics[i];
        Buffer key = {0};
        buffer_printf(&key, "%s,%s", metric->name, metric->filter);
        append_double(out, key.data, metric->value);
        buffer_clear(&key);
        buffer_printf(&key, "%s_stderr,%s", metric->name, metric->filter);
        if (isnan(metric->error))
            append_text(out, key.data, "N/A");
        else
            append_double(out, key.data, metric->error);
        buffer_free(&key);
    }
}

static void append_counts(Buffer *out, const LmEntry *group) {
    append_key(out, "sample_count");
    buffer_append_char(out, '{');
    for (size_t i = 0; i < group->n_metrics; i++) {
        Buffer key = {0};
        buffer_printf(&key, "%s,%s", group->metrics[i].name, group->metrics[i].filter);
        append_int(out, key.data, group->metrics[i].n);
        buffer_free(&key);
    }
    buffer_append_char(out, '}');
}

static void append_entry(Buffer *out, const LmEntry *entry) {
    append_key(out, entry->name);
    buffer_append_char(out, '{');
    if (entry->is_group)
        append_text(out, "alias", entry->alias);
    append_text(out, "name", entry->name);
    if (!entry->is_group)
        append_text(out, "alias", entry->alias);
    if (!entry->is_group || entry->adds_up)
        append_int(out, "sample_len", entry->n_documents);
    append_metrics(out, entry);
    if (entry->is_group && entry->n_metrics > 0)
        append_counts(out, entry);
    buffer_append_char(out, '}');
}

/* ---- groups */

/* In the order in which they were asked for, each before those in it, or behind them. */
static LmOrder groups_of(LmRun *run, bool children_first) {
    size_t n_roots, n = 0;
    LmEntry **roots = lm_run_roots(run, &n_roots);
    LmOrder order = lm_order_new(run);
    for (size_t i = 0; i < n_roots; i++)
        lm_order_add(&order, run, roots[i], children_first);
    for (size_t i = 0; i < order.n; i++)
        if (order.entries[i]->is_group)
            order.entries[n++] = order.entries[i];
    order.n = n;
    return order;
}

/* All of them, or those that add up. */
static void append_groups(LmRun *run, bool all, Buffer *out) {
    const LmOrder groups = groups_of(run, true);
    for (size_t i = 0; i < groups.n; i++)
        if (all || groups.entries[i]->adds_up)
            append_entry(out, groups.entries[i]);
}

static bool any_adds_up(const LmRun *run) {
    bool any = false;
    for (size_t i = run->n_tasks; i < run->n_entries; i++)
        any |= run->entries[i].adds_up;
    return any;
}

static void append_subtasks(LmRun *run, Buffer *out) {
    const LmOrder groups = groups_of(run, false);
    append_key(out, "group_subtasks");
    buffer_append_char(out, '{');
    for (size_t g = 0; g < groups.n; g++) {
        const LmEntry *group = groups.entries[g];
        append_key(out, group->name);
        buffer_append_char(out, '[');
        for (size_t i = 0; i < group->n_children; i++) {
            buffer_append_text(out, i ? ", " : "");
            lm_append_string(out, group->children[i]->name);
        }
        buffer_append_char(out, ']');
    }
    buffer_append_char(out, '}');
}

static int compare_names(const void *a, const void *b) {
    return strcmp((*(LmEntry *const *)a)->name, (*(LmEntry *const *)b)->name);
}

/* ---- dictionaries by name */

static LmEntry **sorted_entries(LmRun *run, bool groups_too, size_t *n) {
    *n = groups_too ? run->n_entries : run->n_tasks;
    LmEntry **sorted = arena_alloc(&run->arena, (*n + 1) * sizeof *sorted);
    for (size_t i = 0; i < *n; i++)
        sorted[i] = &run->entries[i];
    qsort(sorted, *n, sizeof *sorted, compare_names);
    return sorted;
}

/* The stored configuration, and in its metadata what upstream adds from the command line: before the place of
 * the file, which ends it, or where there is no metadata. */
static void append_config(const LmRun *run, Buffer *out, const LmEntry *task) {
    static const char source[] = "\"config_source\": ";
    Buffer added = {0};
    append_text(&added, "pretrained", run->model);
    append_text(&added, "dtype", run->dtype);
    const char *place = NULL, *text = task->config;
    for (const char *at = text; (at = strstr(at, source)); at++)
        place = at;
    append_key(out, task->name);
    bool in_group = strstr(task->name, "::"); /* one that a group defines has no file of its own */
    if (place)
        buffer_printf(out, "%.*s%s%s%s", (int)(place - text), text, added.data, in_group ? "" : ", ",
                      in_group ? "}}" : place);
    else
        buffer_printf(out, "%.*s%s\"metadata\": {%s}}", (int)(strlen(text) - 1), text,
                      strcmp(text, "{}") == 0 ? "" : ", ", added.data);
    buffer_free(&added);
}

static void append_configs(LmRun *run, Buffer *out) {
    size_t n;
    LmEntry **tasks = sorted_entries(run, false, &n);
    append_key(out, "configs");
    buffer_append_char(out, '{');
    for (size_t i = 0; i < n; i++)
        append_config(run, out, tasks[i]);
    buffer_append_char(out, '}');
}

static void append_versions(LmRun *run, Buffer *out) {
    size_t n;
    LmEntry **entries = sorted_entries(run, true, &n);
    append_key(out, "versions");
    buffer_append_char(out, '{');
    for (size_t i = 0; i < n; i++) {
        double number;
        const char *version = entries[i]->version;
        cJSON *config = NULL;
        json_parse(&config, entries[i]->config, strlen(entries[i]->config), "config", NULL);
        const cJSON *own =
            cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(config, "metadata"), "version");
        if (!entries[i]->is_group && !cJSON_IsString(own) && text_to_double(version, &number))
            append_raw(out, entries[i]->name, version);
        else
            append_text(out, entries[i]->name, version);
        cJSON_Delete(config);
    }
    buffer_append_char(out, '}');
}

/* A group has the number that all its members have; upstream looks at groups before those in them, so of
 * these it knows none yet. */
static bool shots_of(const LmEntry *entry, int64_t *shots) {
    bool known = !entry->is_group;
    *shots = entry->num_fewshot;
    for (size_t i = 0; entry->is_group && i < entry->n_children; i++) {
        const LmEntry *child = entry->children[i];
        if (child->is_group)
            continue;
        if (known && child->num_fewshot != *shots)
            return false;
        *shots = child->num_fewshot;
        known = true;
    }
    return known;
}

static void append_shots(LmRun *run, Buffer *out) {
    size_t n;
    int64_t shots;
    LmEntry **entries = sorted_entries(run, true, &n);
    append_key(out, "n-shot");
    buffer_append_char(out, '{');
    for (size_t i = 0; i < n; i++)
        if (shots_of(entries[i], &shots))
            append_int(out, entries[i]->name, shots);
    buffer_append_char(out, '}');
}

/* ---- which way is better */

typedef struct Direction {
    const char *metric;
    bool higher, mixed;
} Direction;

enum { MOST_DIRECTIONS = 64 };

static void add_direction(Direction *directions, size_t *n, const char *metric, bool higher) {
    for (size_t i = 0; i < *n; i++)
        if (strcmp(directions[i].metric, metric) == 0) {
            directions[i].mixed |= directions[i].higher != higher;
            return;
        }
    if (*n < MOST_DIRECTIONS)
        directions[(*n)++] = (Direction){metric, higher, false};
}

static const LmMetric *metric_named(const LmEntry *entry, const char *name) {
    for (size_t i = 0; i < entry->n_metrics; i++)
        if (strcmp(entry->metrics[i].name, name) == 0)
            return &entry->metrics[i];
    return NULL;
}

/* A task's own, in the order of its metric_list, then any others. */
static void add_task_directions(LmRun *run, const LmEntry *task, Direction *directions, size_t *n) {
    cJSON *config = NULL;
    const cJSON *item;
    json_parse(&config, task->config, strlen(task->config), "config", NULL);
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(config, "metric_list")) {
        const cJSON *name = cJSON_GetObjectItemCaseSensitive(item, "metric");
        const LmMetric *metric = cJSON_IsString(name) ? metric_named(task, name->valuestring) : NULL;
        if (metric)
            add_direction(directions, n, arena_strdup(&run->arena, metric->name), metric->higher_is_better);
    }
    for (size_t i = 0; i < task->n_metrics; i++)
        add_direction(directions, n, task->metrics[i].name, task->metrics[i].higher_is_better);
    cJSON_Delete(config);
}

static void append_directions(Buffer *out, const char *name, const Direction *directions, size_t n) {
    append_key(out, name);
    buffer_append_char(out, '{');
    for (size_t i = 0; i < n; i++)
        append_raw(out, directions[i].metric,
                   directions[i].mixed    ? "null"
                   : directions[i].higher ? "true"
                                          : "false");
    buffer_append_char(out, '}');
}

/* A group's are those of the tasks that it names itself: null where they differ. */
static void append_higher(LmRun *run, Buffer *out) {
    Direction directions[MOST_DIRECTIONS];
    size_t n;
    LmEntry **entries = sorted_entries(run, true, &n);
    append_key(out, "higher_is_better");
    buffer_append_char(out, '{');
    for (size_t i = 0; i < n; i++) {
        const LmEntry *entry = entries[i];
        size_t n_known = 0;
        for (size_t k = 0; k < entry->n_children; k++)
            if (!entry->children[k]->is_group)
                add_task_directions(run, entry->children[k], directions, &n_known);
        if (!entry->is_group)
            add_task_directions(run, entry, directions, &n_known);
        if (!entry->is_group || n_known > 0)
            append_directions(out, entry->name, directions, n_known);
    }
    buffer_append_char(out, '}');
}

static void append_samples(const LmRun *run, Buffer *out) {
    append_key(out, "n-samples");
    buffer_append_char(out, '{');
    for (size_t i = 0; i < run->n_tasks; i++) {
        const LmEntry *task = &run->entries[i];
        append_key(out, task->name);
        buffer_printf(out, "{\"original\": %lld, \"effective\": %lld}", (long long)task->n_documents_total,
                      (long long)task->n_documents);
    }
    buffer_append_char(out, '}');
}

/* ---- what was run, and when */

/* Seconds since 1970; 0 for a text that is no time. */
static double unix_time(const char *text) {
    struct tm parts = {0};
    return strptime(text, "%Y-%m-%dT%H:%M:%SZ", &parts) ? (double)timegm(&parts) : 0;
}

static void append_run_config(const LmRun *run, Buffer *out) {
    Buffer arguments = {0}, dtype = {0};
    buffer_printf(&arguments, "pretrained=%s,dtype=%s", run->model, run->dtype);
    buffer_printf(&dtype, "torch.%s", run->dtype);
    append_key(out, "config");
    buffer_append_char(out, '{');
    append_text(out, "model", "zeval");
    append_text(out, "model_args", arguments.data);
    append_int(out, "model_num_parameters", run->n_parameters);
    append_text(out, "model_dtype", dtype.data);
    append_text(out, "model_revision", "main");
    append_text(out, "model_sha", "");
    append_int(out, "batch_size", 1);
    append_raw(out, "batch_sizes", "[]");
    append_text(out, "device", text_starts_with(run->backend, "gpu") ? "cuda" : "cpu");
    append_text(out, "use_cache", NULL);
    if (run->limit > 0)
        append_double(out, "limit", run->limit);
    else
        append_text(out, "limit", NULL);
    append_int(out, "bootstrap_iters", BOOTSTRAP_ITERATIONS);
    append_text(out, "gen_kwargs", NULL);
    append_int(out, "random_seed", 0);
    append_int(out, "numpy_seed", 1234);
    append_int(out, "torch_seed", 1234);
    append_int(out, "fewshot_seed", run->fewshot_seed);
    buffer_append_char(out, '}');
    buffer_free(&arguments);
    buffer_free(&dtype);
}

/* Of recorded answers none is known. */
static void append_special_tokens(const LmRun *run, Buffer *out) {
    static const char *const keys[] = {"tokenizer_pad_token", "tokenizer_eos_token", "tokenizer_bos_token"};
    cJSON *tokens = NULL;
    if (run->special_tokens)
        json_parse(&tokens, run->special_tokens, strlen(run->special_tokens), "special_tokens", NULL);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const cJSON *pair = cJSON_GetObjectItemCaseSensitive(tokens, keys[i]);
        const cJSON *text = cJSON_GetArrayItem(pair, 0), *id = cJSON_GetArrayItem(pair, 1);
        append_key(out, keys[i]);
        buffer_append_char(out, '[');
        lm_append_string(out, cJSON_IsString(text) ? text->valuestring : NULL);
        buffer_append_text(out, ", ");
        lm_append_string(out, cJSON_IsString(id) ? id->valuestring : "None");
        buffer_append_char(out, ']');
    }
    const cJSON *end = cJSON_GetObjectItemCaseSensitive(tokens, "eot_token_id");
    if (cJSON_IsNumber(end))
        append_int(out, "eot_token_id", (int64_t)end->valuedouble);
    else
        append_text(out, "eot_token_id", NULL);
    cJSON_Delete(tokens);
}

static void append_environment(const LmRun *run, Buffer *out) {
    append_text(out, "git_hash", NULL);
    append_double(out, "date", unix_time(run->started));
    append_text(out, "pretty_env_info", run->backend);
    append_text(out, "transformers_version", NULL);
    append_text(out, "lm_eval_version", run->build);
    append_text(out, "upper_git_hash", NULL);
    append_special_tokens(run, out);
    append_int(out, "max_length", run->max_length);
}

static void append_task_hashes(const LmRun *run, Buffer *out) {
    append_key(out, "task_hashes");
    buffer_append_char(out, '{');
    for (size_t i = 0; i < run->n_tasks; i++)
        if (run->entries[i].hash)
            append_text(out, run->entries[i].name, run->entries[i].hash);
    buffer_append_char(out, '}');
}

/* A name that a folder may have: runs of what some file systems do not allow become two underscores. */
static char *sanitized(const char *name) {
    Buffer out = {0};
    buffer_append_text(&out, "");
    while (*name) {
        size_t bad = strspn(name, "\"<>:/\\|?*[]");
        if (bad)
            buffer_append_text(&out, "__");
        else
            buffer_append_char(&out, *name);
        name += bad ? bad : 1;
    }
    return buffer_take(&out);
}

static void append_tracker(const LmRun *run, Buffer *out) {
    char *name = sanitized(run->model);
    Buffer seconds = {0};
    text_append_double(&seconds, unix_time(run->finished) - unix_time(run->started));
    append_text(out, "model_source", "zeval");
    append_text(out, "model_name", run->model);
    append_text(out, "model_name_sanitized", name);
    append_text(out, "system_instruction", run->system_instruction);
    append_sha256(out, "system_instruction_sha", run->system_instruction);
    append_raw(out, "fewshot_as_multiturn", run->fewshot_as_multiturn ? "true" : "false");
    append_text(out, "chat_template", run->chat_template);
    append_sha256(out, "chat_template_sha", run->chat_template);
    append_text(out, "total_evaluation_time_seconds", seconds.data);
    buffer_free(&seconds);
    free(name);
}

static void append_results(LmRun *run, Buffer *out) {
    buffer_append_char(out, '{');
    append_key(out, "results");
    buffer_append_char(out, '{');
    for (size_t i = 0; i < run->n_tasks; i++)
        append_entry(out, &run->entries[i]);
    append_groups(run, true, out);
    buffer_append_char(out, '}');
    if (any_adds_up(run)) {
        append_key(out, "groups");
        buffer_append_char(out, '{');
        append_groups(run, false, out);
        buffer_append_char(out, '}');
    }
    append_subtasks(run, out);
    append_configs(run, out);
    append_versions(run, out);
    append_shots(run, out);
    append_higher(run, out);
    append_samples(run, out);
    append_run_config(run, out);
    append_environment(run, out);
    append_task_hashes(run, out);
    append_tracker(run, out);
    buffer_append_char(out, '}');
}

/* ---- files */

/* "2025-01-31T12-00-00.000000" */
static void date_of(const LmRun *run, char date[32]) {
    size_t n = 0;
    for (const char *at = run->started; *at && *at != 'Z' && n < 24; at++)
        date[n++] = *at == ':' || *at == '/' ? '-' : *at;
    snprintf(date + n, 32 - n, ".000000");
}

/* The folder that the files go into, and the results file's path. */
static char *choose_paths(const LmRun *run, const char *output_path, const char *date, Buffer *results) {
    char *folder;
    if (text_ends_with(output_path, ".json")) {
        folder = path_folder(output_path);
        const char *name = path_name(output_path);
        buffer_printf(results, "%s/%.*s_%s.json", folder, (int)(strlen(name) - strlen(".json")), name, date);
    } else {
        char *model = sanitized(run->model);
        folder = path_join(output_path, model);
        buffer_printf(results, "%s/results_%s.json", folder, date);
        free(model);
    }
    return folder;
}

static int write_samples(Db *db, LmRun *run, const char *folder, const char *date, Error *error) {
    int result = 0;
    for (size_t i = 0; i < run->n_tasks && result == 0; i++) {
        const char *task = run->entries[i].name; /* upstream has it as it is: group::task, too */
        char *name = strchr(task, '/') ? sanitized(task) : mem_strdup(task);
        Buffer path = {0};
        buffer_printf(&path, "%s/samples_%s_%s.jsonl", folder, name, date);
        result = lm_samples_write(db, run, &run->entries[i], path.data, error);
        buffer_free(&path);
        free(name);
    }
    return result;
}

int report_lm_eval_files(Db *db, const LmEvalOptions *options, Buffer *path, Error *error) {
    LmRun run;
    Buffer json = {0}, indented = {0};
    char date[32], *folder = NULL;
    int result = lm_run_read(db, options->run_id, &run, error);
    if (result == 0) {
        date_of(&run, date);
        folder = choose_paths(&run, options->output_path, date, path);
        result = file_make_directories(folder, error);
    }
    if (result == 0 && options->samples)
        result = write_samples(db, &run, folder, date, error);
    if (result == 0) {
        append_results(&run, &json);
        lm_indent(json.data, &indented);
        result = file_write_atomic(path->data, indented.data, indented.size, error);
    }
    buffer_free(&json);
    buffer_free(&indented);
    free(folder);
    lm_run_free(&run);
    return result;
}
