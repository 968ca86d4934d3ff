#include "tests/reports/support.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"

void succeed(int result, const Error *error) {
    if (result < 0)
        fail_msg("unexpected failure: %s", error->message);
}

Db *another_database(const Fixture *fixture, const char *name) {
    char path[512];
    Db *db = NULL;
    Error error = {0};
    snprintf(path, sizeof path, "%s/%s", fixture->folder, name);
    succeed(db_open(&db, path, DB_WRITE, &error), &error);
    return db;
}

int fixture_setup(void **state) {
    Fixture *fixture = calloc(1, sizeof *fixture);
    const char *base = getenv("TMPDIR");
    snprintf(fixture->folder, sizeof fixture->folder, "%.200s/zeval-reports-XXXXXX",
             base && *base ? base : "/tmp");
    if (!mkdtemp(fixture->folder))
        return -1;
    fixture->db = another_database(fixture, "results.db");
    *state = fixture;
    return 0;
}

int fixture_teardown(void **state) {
    Fixture *fixture = *state;
    db_close(fixture->db);
    DIR *directory = opendir(fixture->folder);
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        char name[600];
        snprintf(name, sizeof name, "%s/%s", fixture->folder, entry->d_name);
        unlink(name);
    }
    if (directory)
        closedir(directory);
    int result = rmdir(fixture->folder);
    free(fixture);
    return result;
}

int64_t add_run(Db *db, const char *fingerprint, const char *model) {
    Error error = {0};
    int64_t run_id;
    bool complete;
    DbRun run = {.fingerprint = fingerprint,
                 .model_name = model,
                 .model_path = "/home/somebody/models/model",
                 .model_sha256 = "aabb",
                 .family = "llama",
                 .architecture = "LlamaForCausalLM",
                 .n_parameters = 260032,
                 .state_bytes_per_token = 1280,
                 .dtype = "float32",
                 .backend = "cpu",
                 .numerics_version = 1,
                 .compat = "main",
                 .max_length = 512,
                 .add_bos = true,
                 .fewshot_seed = 1234,
                 .limit = 50,
                 .build = "zeval 0.1.0",
                 .settings_json = "{\"tasks\": [\"t\", \"/home/somebody/my_task.yaml\"]}"};
    succeed(db_run_start(db, &run, &run_id, &complete, &error), &error);
    succeed(db_run_file(db, run_id, "dataset", "org/data/test.jsonl", "ccdd", 1234, &error), &error);
    succeed(db_run_file(db, run_id, "model", "model.safetensors", "eeff", 1040128, &error), &error);
    succeed(db_run_file(db, run_id, "task", "/home/somebody/my_task.yaml", "0011", 99, &error), &error);
    return run_id;
}

void add_task(Db *db, int64_t run_id, const char *name, const char *version, int64_t shots) {
    Error error = {0};
    DbTask task = {.name = name,
                   .alias = name,
                   .version = version,
                   .output_type = "multiple_choice",
                   .dataset_path = "org/data",
                   .dataset_name = "",
                   .split = "test",
                   .num_fewshot = shots,
                   .n_documents = 2,
                   .n_documents_total = 100};
    succeed(db_run_task(db, run_id, &task, &error), &error);
}

void add_result(Db *db, int64_t run_id, const char *name, const char *metric, double value,
                double stderr_value) {
    Error error = {0};
    DbResult result = {.name = name,
                       .metric = metric,
                       .filter = "none",
                       .value = value,
                       .stderr_value = stderr_value,
                       .n = 2,
                       .higher_is_better = strcmp(metric, "perplexity") != 0};
    succeed(db_result(db, run_id, &result, &error), &error);
}

void add_group(Db *db, int64_t run_id, const char *name, const char *const *children, size_t n_children,
               double value, double stderr_value) {
    Error error = {0};
    const DbGroup group = {name, name, "2", true, children, n_children, NULL};
    succeed(db_run_group(db, run_id, &group, &error), &error);
    DbResult result = {.name = name,
                       .metric = "acc",
                       .filter = "none",
                       .value = value,
                       .stderr_value = stderr_value,
                       .n = 4,
                       .higher_is_better = true,
                       .is_group = true};
    succeed(db_result(db, run_id, &result, &error), &error);
}

void add_document(Db *db, int64_t run_id, const char *task, int64_t doc_id, const char *context,
                  const char *const choices[4], int chosen) {
    Error error = {0};
    DbDocument document = {.task = task, .doc_id = doc_id, .json = "{}", .target = "x", .gold = 1};
    succeed(db_document(db, run_id, &document, &error), &error);
    for (int idx = 0; idx < 4; idx++) {
        char key[SHA256_HEX], source[256], continuation[256];
        int n = snprintf(source, sizeof source, "%.100s %lld %d", task, (long long)doc_id, idx);
        sha256_text(source, (size_t)n, key);
        snprintf(continuation, sizeof continuation, " %s", choices[idx]);
        DbRequest request = {.task = task,
                             .doc_id = doc_id,
                             .idx = idx,
                             .request_type = "loglikelihood",
                             .context = context,
                             .continuation = continuation,
                             .choice = choices[idx],
                             .response_key = key,
                             .n_context_tokens = 9,
                             .n_continuation_tokens = 2,
                             .n_truncated = idx == 3 ? 5 : 0};
        succeed(db_request(db, run_id, &request, &error), &error);
        DbResponse response = {.loglikelihood = idx == chosen ? -1.25 : -7.5, .is_greedy = false};
        succeed(db_response_put(db, key, &response, &error), &error);
    }
    succeed(db_document_metric(db, run_id, task, doc_id, "acc", "none", chosen == 1, &error), &error);
}

void finish_run(Db *db, int64_t run_id) {
    Error error = {0};
    succeed(db_run_finish(db, run_id, &error), &error);
}

char *make_report(ReportFunction *report, Db *db, int64_t run_id) {
    Error error = {0};
    Buffer out = {0};
    ReportOptions options = {.run_id = run_id};
    succeed(report(db, &options, &out, &error), &error);
    return buffer_take(&out);
}

void assert_contains(const char *text, const char *expected) {
    if (!strstr(text, expected))
        fail_msg("expected to find\n%s\nin\n%s", expected, text);
}

void assert_lacks(const char *text, const char *unexpected) {
    if (strstr(text, unexpected))
        fail_msg("expected not to find\n%s\nin\n%s", unexpected, text);
}
