/* See parts.h. */
#include "eval/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eval/replay.h"
#include "eval/replay_run.h"
#include "eval/special_tokens.h"

/* Configuration files that a family may be read from: each that is there is part of what the model is. */
static const char *const config_files[] = {"config.json", "hybrid_config.json", "MLA_config.json",
                                           "mla_layer_config.json", "mamba_config.json"};

static int identify_model(RunParts *parts, const char *name, const char *folder, Error *error) {
    const ModelInfo *info = engine_info(parts->engine);
    enum { N_CONFIG = sizeof config_files / sizeof *config_files };
    const char **paths = mem_alloc_zero(info->n_weight_files + N_CONFIG, sizeof *paths);
    char *owned[N_CONFIG];
    size_t n = 0, n_owned = 0;
    for (size_t i = 0; i < N_CONFIG; i++) {
        char *path = path_join(folder, config_files[i]);
        owned[n_owned++] = path;
        if (file_exists(path))
            paths[n++] = path;
    }
    for (size_t i = 0; i < info->n_weight_files; i++)
        paths[n++] = info->weight_files[i];
    int result = zoo_identify(&parts->model, name, folder, paths, n, error);
    while (n_owned > 0)
        free(owned[--n_owned]);
    free(paths);
    return result;
}

static int identify_tokenizer(RunParts *parts, const char *folder, Error *error) {
    size_t n = tokenizer_file_count(parts->tokenizer);
    const char **paths = mem_alloc_zero(n, sizeof *paths);
    for (size_t i = 0; i < n; i++)
        paths[i] = tokenizer_file(parts->tokenizer, i);
    int result = zoo_identify(&parts->tokenizer_files, "tokenizer", folder, paths, n, error);
    free(paths);
    return result;
}

/* Results are told apart by what a model is called, not by where this machine keeps it: of a path, the last
 * part. */
static char *display_name(const char *model) {
    char *absolute = strchr(model, '/') ? realpath(model, NULL) : NULL;
    char *name = mem_strdup(absolute ? path_name(absolute) : model);
    free(absolute);
    return name;
}

static int open_model(RunParts *parts, const char *folder, Error *error) {
    const EvalOptions *options = parts->options;
    EngineOptions engine = {.model_folder = folder,
                            .dtype = options->dtype,
                            .backend = options->backend,
                            .n_threads = options->n_threads,
                            .instruction_set = options->instruction_set,
                            .pin_threads = options->pin_threads,
                            .copy_weights = options->copy_weights};
    if (tokenizer_open(&parts->tokenizer, folder, error) || engine_open(&parts->engine, &engine, error))
        return -1;
    snprintf(parts->backend, sizeof parts->backend, "%s/%s", engine_backend(parts->engine),
             engine_instruction_set(parts->engine));
    if (encoder_init(&parts->encoder, parts->tokenizer, engine_info(parts->engine), options->tasks.compat,
                     options->bos, options->max_length, error) ||
        generation_rules_init(&parts->generation, parts->tokenizer, folder, options->tasks.compat, error) ||
        special_tokens_json(folder, parts->tokenizer, &parts->special_tokens, error))
        return -1;
    char *name = display_name(options->model);
    double start = clock_seconds();
    int result = identify_model(parts, name, folder, error) || identify_tokenizer(parts, folder, error);
    parts->hashing_s = clock_seconds() - start;
    free(name);
    return result ? -1 : 0;
}

static int open_replay(RunParts *parts, Error *error) {
    return task_set_open(&parts->tasks, &parts->options->tasks, error) || replay_parts_open(parts, error) ? -1
                                                                                                          : 0;
}

int parts_open(RunParts *parts, const EvalOptions *options, Error *error) {
    char *folder;
    *parts = (RunParts){.options = options};
    if (replay_path(options->model))
        return open_replay(parts, error);
    if (zoo_resolve(options->model, &folder, error))
        return -1;
    int result = task_set_open(&parts->tasks, &options->tasks, error);
    if (result == 0)
        result = open_model(parts, folder, error);
    free(folder);
    return result;
}

void parts_close(RunParts *parts) {
    generation_rules_free(&parts->generation);
    free(parts->special_tokens);
    zoo_model_free(&parts->model);
    zoo_model_free(&parts->tokenizer_files);
    replay_close(parts->replay);
    engine_close(parts->engine);
    tokenizer_close(parts->tokenizer);
    task_set_close(parts->tasks);
}

static int describe_files(const RunParts *parts, Db *db, int64_t id, Error *error) {
    const struct {
        const char *role;
        const ZooModel *files;
    } sets[] = {{"model", &parts->model}, {"tokenizer", &parts->tokenizer_files}};
    for (size_t s = 0; s < 2; s++)
        for (size_t i = 0; i < sets[s].files->n_files; i++) {
            const ZooFile *file = &sets[s].files->files[i];
            if (db_run_file(db, id, sets[s].role, file->name, file->sha256, file->bytes, error))
                return -1;
        }
    return 0;
}

/* Where files came from, if that is known: "amd/Zebra@COMMIT". */
static int describe_origin(const char *folder, Db *db, int64_t id, Error *error) {
    char *origin = folder ? zoo_provenance(folder) : NULL;
    int result = origin ? db_run_file(db, id, "repository", origin, "", 0, error) : 0;
    free(origin);
    return result;
}

static int describe_data(const TaskInfo *task, const char *data_root, Db *db, int64_t id, Error *error) {
    char *folder = data_root && task->dataset_path ? path_join(data_root, task->dataset_path) : NULL;
    int result = folder ? describe_origin(folder, db, id, error) : 0;
    free(folder);
    return result;
}

int parts_describe_task(const TaskInfo *task, const char *data_root, Db *db, int64_t id, Error *error) {
    DbTask row = {.name = task->name,
                  .alias = task->alias,
                  .version = task->version,
                  .output_type = output_type_name(task->output_type),
                  .dataset_path = task->dataset_path,
                  .dataset_name = task->dataset_name,
                  .split = task->split,
                  .num_fewshot = task->num_fewshot,
                  .n_documents = (int64_t)task->n_documents,
                  .n_documents_total = (int64_t)task->n_documents_total,
                  .config_json = task->config_json};
    if (db_run_task(db, id, &row, error))
        return -1;
    for (size_t i = 0; i < task->n_files; i++) {
        const TaskFile *file = &task->files[i];
        if (db_run_file(db, id, file->role, file->name, file->sha256, file->bytes, error))
            return -1;
    }
    return describe_data(task, data_root, db, id, error);
}

/* What the group adds up, in its order, as lm-eval has it; {} if nothing. New string. */
static char *group_config(const TaskGroup *group) {
    Buffer json = {0};
    buffer_append_text(&json, group->n_metrics > 0 ? "{\"aggregate_metric_list\": [" : "{");
    for (size_t i = 0; i < group->n_metrics; i++) {
        const GroupMetric *metric = &group->metrics[i];
        buffer_append_text(&json, i ? ", {\"metric\": " : "{\"metric\": ");
        text_append_json(&json, metric->metric, strlen(metric->metric));
        buffer_append_text(&json, ", \"filter_list\": [");
        for (size_t f = 0; f < metric->n_filters; f++) {
            buffer_append_text(&json, f ? ", " : "");
            text_append_json(&json, metric->filters[f], strlen(metric->filters[f]));
        }
        buffer_append_text(&json, "]}");
    }
    buffer_append_text(&json, group->n_metrics > 0 ? "]}" : "}");
    return buffer_take(&json);
}

static int describe_group(const TaskGroup *group, Db *db, int64_t id, Error *error) {
    char *config = group_config(group);
    const DbGroup row = {.name = group->name,
                         .alias = group->alias,
                         .version = group->version,
                         .weight_by_size = group->n_metrics > 0 && group->metrics[0].weight_by_size,
                         .children = group->children,
                         .n_children = group->n_children,
                         .config_json = config};
    int result = db_run_group(db, id, &row, error);
    free(config);
    return result;
}

static int describe_everything(const RunParts *parts, Db *db, int64_t id, Error *error) {
    if (describe_files(parts, db, id, error) || describe_origin(parts->model.folder, db, id, error))
        return -1;
    for (size_t i = 0; i < task_set_count(parts->tasks); i++)
        if (parts_describe_task(task_info(task_set_task(parts->tasks, i)), parts->options->tasks.data_root,
                                db, id, error))
            return -1;
    for (size_t i = 0; i < task_set_group_count(parts->tasks); i++)
        if (describe_group(task_set_group(parts->tasks, i), db, id, error))
            return -1;
    return 0;
}

int parts_describe(const RunParts *parts, Db *db, int64_t *run_id, bool *complete, Error *error) {
    const EvalOptions *options = parts->options;
    const ModelInfo none = {0}, *info = parts->engine ? engine_info(parts->engine) : &none;
    char fingerprint[SHA256_HEX];
    identity_fingerprint(parts, fingerprint);
    char *settings = identity_settings_json(parts);
    DbRun run = {.fingerprint = fingerprint,
                 .model_name = parts->model.name,
                 .model_path = parts->model.folder,
                 .model_sha256 = parts->model.sha256,
                 .family = info->family,
                 .architecture = info->architecture,
                 .n_parameters = info->n_parameters,
                 .state_bytes_per_token = (int64_t)info->state_bytes_per_token,
                 .state_bytes_fixed = (int64_t)info->state_bytes_fixed,
                 .dtype = dtype_name(options->dtype),
                 .backend = parts->backend,
                 .numerics_version = ENGINE_NUMERICS_VERSION,
                 .compat = compat_name(options->tasks.compat),
                 .max_length = parts->encoder.max_length,
                 .add_bos = parts->encoder.add_bos,
                 .fewshot_seed = (int64_t)options->tasks.fewshot_seed,
                 .limit = options->tasks.limit,
                 .build = options->build,
                 .settings_json = settings,
                 .threads = options->n_threads ? options->n_threads : thread_processors(),
                 .system_instruction = options->tasks.system_instruction,
                 .on_truncation = truncation_name(options->on_truncation),
                 .special_tokens_json = parts->special_tokens};
    char chat_sha256[SHA256_HEX];
    if (options->tasks.chat) {
        const TaskChat *chat = options->tasks.chat;
        sha256_text(chat->source, strlen(chat->source), chat_sha256);
        run.chat_template = chat->source;
        run.chat_template_name = chat->name;
        run.chat_template_sha256 = chat_sha256;
        run.fewshot_as_multiturn = chat->fewshot_multiturn;
    }
    int result = db_begin(db, error);
    if (result == 0) {
        result = db_run_start(db, &run, run_id, complete, error);
        if (result == 0 && !*complete)
            result = describe_everything(parts, db, *run_id, error);
        if (result == 0)
            result = db_commit(db, error);
        else
            db_rollback(db);
    }
    free(settings);
    return result;
}

int parts_stopped(const RunParts *parts, Error *error) {
    const EvalOptions *options = parts->options;
    if (!options->stop || !*options->stop)
        return 0;
    return error_set_kind(error, ERROR_STOPPED,
                          "stopped: what was scored so far is in %s, and the same command goes on from there",
                          options->db_path);
}
