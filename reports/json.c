/* The JSON report: the stored numbers, unrounded; what is not available is null. */
#include <string.h>

#include "base/json.h"
#include "reports/results.h"

/* cJSON would round the last digit away. */
static void add_number(cJSON *object, const char *key, double value, Arena *arena) {
    const char *text = report_exact(value, arena);
    if (*text)
        cJSON_AddRawToObject(object, key, text);
    else
        cJSON_AddNullToObject(object, key);
}

static void add_settings(cJSON *object, const ReportRun *run, Arena *arena) {
    ReportSetting settings[REPORT_MAX_SETTINGS];
    size_t n = report_settings(run, arena, settings);
    const char *text = settings[n - 1].value;
    cJSON *json = NULL;
    if (json_parse(&json, text, strlen(text), "settings", NULL) == 0)
        cJSON_AddItemToObject(object, "settings", json);
    else
        cJSON_AddNullToObject(object, "settings");
}

static void add_identity(cJSON *object, const ReportRun *run, Arena *arena) {
    cJSON_AddStringToObject(object, "model", run->model);
    cJSON_AddStringToObject(object, "model_sha256", run->model_sha256);
    cJSON_AddStringToObject(object, "fingerprint", run->fingerprint);
    cJSON_AddStringToObject(object, "family", run->family);
    cJSON_AddStringToObject(object, "architecture", run->architecture);
    cJSON_AddNumberToObject(object, "n_parameters", (double)run->n_parameters);
    cJSON_AddNumberToObject(object, "state_bytes_per_token", (double)run->state_bytes_per_token);
    cJSON_AddNumberToObject(object, "state_bytes_fixed", (double)run->state_bytes_fixed);
    cJSON_AddStringToObject(object, "dtype", run->dtype);
    cJSON_AddStringToObject(object, "backend", run->backend);
    cJSON_AddNumberToObject(object, "numerics_version", (double)run->numerics_version);
    cJSON_AddStringToObject(object, "compat", run->compat);
    cJSON_AddNumberToObject(object, "max_length", (double)run->max_length);
    cJSON_AddBoolToObject(object, "add_bos", run->add_bos);
    cJSON_AddNumberToObject(object, "fewshot_seed", (double)run->fewshot_seed);
    if (run->limit > 0)
        add_number(object, "limit", run->limit, arena);
    else
        cJSON_AddNullToObject(object, "limit");
    cJSON_AddStringToObject(object, "build", run->build);
    add_settings(object, run, arena);
    cJSON_AddNumberToObject(object, "n_documents", (double)run->n_documents);
    cJSON_AddNumberToObject(object, "n_requests", (double)run->n_requests);
    cJSON_AddNumberToObject(object, "n_truncated", (double)run->n_truncated);
}

static void add_results(cJSON *array, const ReportEntry *entry, Arena *arena) {
    for (size_t m = 0; m < entry->n_metrics; m++) {
        const ReportMetric *metric = &entry->metrics[m];
        cJSON *item = cJSON_CreateObject();
        cJSON_AddStringToObject(item, "name", entry->name);
        cJSON_AddStringToObject(item, "alias", entry->alias);
        cJSON_AddBoolToObject(item, "is_group", entry->is_group);
        cJSON_AddStringToObject(item, "version", entry->version);
        if (entry->num_fewshot >= 0)
            cJSON_AddNumberToObject(item, "num_fewshot", (double)entry->num_fewshot);
        else
            cJSON_AddNullToObject(item, "num_fewshot");
        cJSON_AddStringToObject(item, "metric", metric->metric);
        cJSON_AddStringToObject(item, "filter", metric->filter);
        add_number(item, "value", metric->value, arena);
        add_number(item, "stderr", metric->stderr_value, arena);
        cJSON_AddNumberToObject(item, "n", (double)metric->n);
        cJSON_AddNumberToObject(item, "n_unextracted", (double)metric->n_unextracted);
        cJSON_AddBoolToObject(item, "higher_is_better", metric->higher_is_better);
        cJSON_AddItemToArray(array, item);
    }
}

static void add_task(cJSON *array, const ReportEntry *task) {
    cJSON *item = cJSON_CreateObject();
    cJSON_AddStringToObject(item, "name", task->name);
    cJSON_AddStringToObject(item, "output_type", task->output_type);
    cJSON_AddStringToObject(item, "dataset_path", task->dataset_path);
    cJSON_AddStringToObject(item, "dataset_name", task->dataset_name);
    cJSON_AddStringToObject(item, "split", task->split);
    cJSON_AddNumberToObject(item, "num_fewshot", (double)task->num_fewshot);
    cJSON_AddNumberToObject(item, "n_documents", (double)task->n_documents);
    cJSON_AddNumberToObject(item, "n_documents_total", (double)task->n_documents_total);
    cJSON_AddNumberToObject(item, "n_requests", (double)task->n_requests);
    cJSON_AddNumberToObject(item, "n_truncated", (double)task->n_truncated);
    cJSON_AddNumberToObject(item, "n_documents_with_fewer_shots", (double)task->n_dropped);
    cJSON_AddItemToArray(array, item);
}

static void add_group(cJSON *array, const ReportEntry *group) {
    cJSON *item = cJSON_CreateObject();
    cJSON_AddStringToObject(item, "name", group->name);
    cJSON_AddBoolToObject(item, "weight_by_size", group->weight_by_size);
    cJSON *members = cJSON_AddArrayToObject(item, "members");
    for (size_t i = 0; i < group->n_children; i++)
        cJSON_AddItemToArray(members, cJSON_CreateString(group->children[i]));
    cJSON_AddItemToArray(array, item);
}

static void add_files(cJSON *object, const ReportRun *run) {
    cJSON *files = cJSON_AddArrayToObject(object, "files");
    for (size_t i = 0; i < run->n_files; i++) {
        cJSON *item = cJSON_CreateObject();
        cJSON_AddStringToObject(item, "role", run->files[i].role);
        cJSON_AddStringToObject(item, "name", run->files[i].name);
        cJSON_AddNumberToObject(item, "bytes", (double)run->files[i].bytes);
        cJSON_AddStringToObject(item, "sha256", run->files[i].sha256);
        cJSON_AddItemToArray(files, item);
    }
}

static cJSON *run_object(const ReportRun *run, Arena *arena) {
    cJSON *object = cJSON_CreateObject();
    add_identity(object, run, arena);
    cJSON *results = cJSON_AddArrayToObject(object, "results");
    cJSON *tasks = cJSON_AddArrayToObject(object, "tasks");
    cJSON *groups = cJSON_AddArrayToObject(object, "groups");
    for (size_t i = 0; i < run->n_rows; i++) {
        const ReportEntry *entry = run->rows[i].entry;
        add_results(results, entry, arena);
        if (entry->is_group)
            add_group(groups, entry);
        else
            add_task(tasks, entry);
    }
    add_files(object, run);
    return object;
}

static int write_runs(Db *db, const ReportSet *set, void *context, Arena *arena, Buffer *out, Error *error) {
    (void)context;
    (void)db;
    (void)error;
    cJSON *root = cJSON_CreateObject();
    cJSON *runs = cJSON_AddArrayToObject(root, "runs");
    for (size_t i = 0; i < set->n_runs; i++)
        cJSON_AddItemToArray(runs, run_object(&set->runs[i], arena));
    char *text = cJSON_Print(root);
    buffer_append_text(out, text);
    buffer_append_char(out, '\n');
    cJSON_free(text);
    cJSON_Delete(root);
    return 0;
}

int report_json(Db *db, const ReportOptions *options, Buffer *out, Error *error) {
    return report_make(db, options, write_runs, NULL, out, error);
}
