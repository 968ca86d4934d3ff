/* Runs on recorded answers: every answer, metric and aggregate of lm_eval_golden.json, files of lm-eval's,
 * and records that are wrong. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "db/db.h"
#include "eval/eval.h"
#include "eval/scores.h"
#include "tests/eval/tests.h"

static char folder[64];

static int make_folder(void **state) {
    (void)state;
    strcpy(folder, "/tmp/zeval-test-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    return setenv("ZEVAL_CACHE", folder, 1);
}

static int remove_folder(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static void write_text(const char *name, const char *text, size_t bytes) {
    char *path = path_join(folder, name), *parent = path_folder(path);
    Error error = {0};
    if (file_make_directories(parent, &error) || file_write_atomic(path, text, bytes, &error))
        fail_msg("%s", error.message);
    free(path);
    free(parent);
}

static void append_line(Buffer *out, const cJSON *item) {
    char *line = cJSON_PrintUnformatted(item);
    buffer_printf(out, "%s\n", line);
    free(line);
}

/* ---- the goldens */

static cJSON *load_goldens(void) {
    const char *root = getenv("ZEVAL_SHARED");
    char *path = path_join(root && *root ? root : "../shared", "golden/lm_eval_golden.json");
    cJSON *goldens = NULL;
    Error error = {0};
    if (!file_exists(path))
        printf("skipped: %s is not there\n", path);
    else if (json_parse_file(&goldens, path, 1 << 24, &error))
        fail_msg("%s", error.message);
    free(path);
    return goldens;
}

/* Rows under "ORG/NAME|CONFIG" become data/ORG/NAME/CONFIG/SPLIT.jsonl. */
static void write_rows(const cJSON *goldens) {
    const cJSON *dataset, *split, *row;
    cJSON_ArrayForEach(dataset, cJSON_GetObjectItem(goldens, "rows")) cJSON_ArrayForEach(split, dataset) {
        char name[256];
        Buffer text = {0};
        const char *bar = strchr(dataset->string, '|');
        snprintf(name, sizeof name, "data/%.*s/%s/%s.jsonl", (int)(bar - dataset->string), dataset->string,
                 strcmp(bar + 1, "None") == 0 ? "default" : bar + 1, split->string);
        cJSON_ArrayForEach(row, split) append_line(&text, row);
        write_text(name, text.data, text.size);
        buffer_free(&text);
    }
}

/* All recorded answers as {task, doc_id, idx, response}. */
static void write_answers(const cJSON *goldens) {
    const cJSON *task, *document, *response;
    Buffer text = {0};
    cJSON_ArrayForEach(task, cJSON_GetObjectItem(goldens, "expected")) {
        int doc_id = 0;
        cJSON_ArrayForEach(document, cJSON_GetObjectItem(cJSON_GetObjectItem(task, "scoring"), "docs")) {
            int idx = 0;
            cJSON_ArrayForEach(response, cJSON_GetObjectItem(document, "resps")) {
                char *value = cJSON_PrintUnformatted(response);
                buffer_printf(&text, "{\"task\": \"%s\", \"doc_id\": %d, \"idx\": %d, \"response\": %s}\n",
                              task->string, doc_id, idx++, value);
                free(value);
            }
            doc_id++;
        }
    }
    write_text("answers.jsonl", text.data, text.size);
    buffer_free(&text);
}

static int run(const char *model, const char *const *names, size_t n, const char *data, const char *db,
               EvalSummary *summary, Error *error) {
    Buffer name = {0};
    char *db_file = path_join(folder, db), *data_root = path_join(folder, data);
    buffer_printf(&name, "replay:%s/%s", folder, model);
    const EvalOptions options = {.model = name.data,
                                 .tasks = {.names = names,
                                           .n_names = n,
                                           .data_root = data_root,
                                           .num_fewshot = -1,
                                           .fewshot_seed = 1234},
                                 .db_path = db_file,
                                 .build = "test"};
    int result = eval_run(&options, summary, error);
    buffer_free(&name);
    free(db_file);
    free(data_root);
    return result;
}

static Db *open_db(const char *name) {
    Db *db;
    Error error = {0};
    char *path = path_join(folder, name);
    if (db_open(&db, path, DB_READ, &error))
        fail_msg("%s", error.message);
    free(path);
    return db;
}

/* The one value of a query with up to three texts and a number to bind; false if there is no row. */
static bool query(Db *db, const char *sql, const char *const texts[3], int64_t number, double *out,
                  char *text, size_t room) {
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(db_handle(db), sql, -1, &statement, NULL), SQLITE_OK);
    for (int i = 0; i < 3 && texts[i]; i++)
        sqlite3_bind_text(statement, i + 1, texts[i], -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 4, number);
    bool found = sqlite3_step(statement) == SQLITE_ROW;
    if (found && out)
        *out = sqlite3_column_type(statement, 0) == SQLITE_NULL ? (double)NAN
                                                                : sqlite3_column_double(statement, 0);
    if (found && text)
        snprintf(text, room, "%s", (const char *)sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    return found;
}

/* How many values were compared, and how many were not equal. */
typedef struct Count {
    size_t n, wrong;
} Count;

static void compare(Count *count, double found, double expected, const char *task, const char *what) {
    count->n++;
    bool same = isnan(expected) ? isnan(found) : fabs(found - expected) <= 1e-12 * fmax(1, fabs(expected));
    if (same)
        return;
    count->wrong++;
    printf("%s: %s: found %.17g, expected %.17g\n", task, what, found, expected);
}

static void compare_metric(Db *db, const char *task, int doc_id, const char *filter, const cJSON *metric,
                           Count *count) {
    const char *const texts[3] = {task, filter, metric->string};
    double found = NAN;
    bool pair = cJSON_IsArray(metric);
    query(db, "SELECT value FROM v_metrics WHERE task = ?1 AND filter = ?2 AND metric = ?3 AND doc_id = ?4",
          texts, doc_id, &found, NULL, 0);
    compare(count, found, (pair ? metric->child : metric)->valuedouble, task, metric->string);
    if (!pair)
        return;
    query(db, "SELECT weight FROM v_metrics WHERE task = ?1 AND filter = ?2 AND metric = ?3 AND doc_id = ?4",
          texts, doc_id, &found, NULL, 0);
    compare(count, found, metric->child->next->valuedouble, task, "weight");
}

static void compare_documents(Db *db, const cJSON *task, Count *count) {
    const cJSON *document, *filter, *metric;
    int doc_id = 0;
    cJSON_ArrayForEach(document, cJSON_GetObjectItem(cJSON_GetObjectItem(task, "scoring"), "docs")) {
        cJSON_ArrayForEach(filter, cJSON_GetObjectItem(document, "filtered")) {
            const char *const texts[3] = {task->string, filter->string};
            char found[256] = "";
            query(db, "SELECT value ->> 0 FROM v_outputs WHERE task = ?1 AND filter = ?2 AND doc_id = ?4",
                  texts, doc_id, NULL, found, sizeof found);
            compare(count, strcmp(found, filter->valuestring), 0, task->string, filter->valuestring);
        }
        cJSON_ArrayForEach(filter, cJSON_GetObjectItem(document, "metrics"))
            cJSON_ArrayForEach(metric, filter)
                compare_metric(db, task->string, doc_id, filter->string, metric, count);
        doc_id++;
    }
}

/* "acc_stderr,none" and the like; upstream's errors that are not there are the text N/A. */
static void compare_aggregates(Db *db, const cJSON *task, Count *count) {
    const cJSON *item;
    cJSON_ArrayForEach(
        item, cJSON_GetObjectItem(cJSON_GetObjectItem(task, "scoring"), "aggregate_bootstrap_iters_2000")) {
        char name[128];
        snprintf(name, sizeof name, "%s", item->string);
        char *filter = strchr(name, ','), *ending = strstr(name, "_stderr,");
        if (!filter)
            continue;
        *filter++ = 0;
        if (ending)
            *ending = 0;
        if (ending && strcmp(name, "perplexity") == 0)
            continue; /* resampled 2000 times here, 100000 times in the run */
        const char *const texts[3] = {task->string, filter, name};
        double found = -1;
        query(db,
              ending ? "SELECT stderr FROM results WHERE name = ?1 AND filter = ?2 AND metric = ?3"
                     : "SELECT value FROM results WHERE name = ?1 AND filter = ?2 AND metric = ?3",
              texts, 0, &found, NULL, 0);
        compare(count, found, cJSON_IsNumber(item) ? item->valuedouble : (double)NAN, task->string,
                item->string);
    }
}

static void test_every_golden_of_the_scoring(void **state) {
    (void)state;
    enum { MOST_TASKS = 64 };
    const char *names[MOST_TASKS];
    size_t n = 0;
    cJSON *goldens = load_goldens();
    const cJSON *task;
    EvalSummary summary;
    Error error = {0};
    Count count = {0};
    if (!goldens)
        skip();
    write_rows(goldens);
    write_answers(goldens);
    cJSON_ArrayForEach(task, cJSON_GetObjectItem(goldens, "expected")) names[n++] = task->string;
    if (run("answers.jsonl", names, n, "data", "golden.db", &summary, &error))
        fail_msg("%s", error.message);
    Db *db = open_db("golden.db");
    cJSON_ArrayForEach(task, cJSON_GetObjectItem(goldens, "expected")) {
        compare_documents(db, task, &count);
        compare_aggregates(db, task, &count);
    }
    double unextracted = 0;
    query(db, "SELECT n_unextracted FROM results WHERE name = ?1 AND filter = ?2",
          (const char *const[3]){"gsm8k", "strict-match"}, 0, &unextracted, NULL, 0);
    assert_true(unextracted == 4);
    printf("%zu of %zu scoring goldens\n", count.n - count.wrong, count.n);
    assert_int_equal(count.wrong, 0);
    assert_true(count.n > 250);
    db_close(db);
    cJSON_Delete(goldens);
}

static void test_resampled_error_of_the_goldens(void **state) {
    (void)state;
    cJSON *goldens = load_goldens();
    const cJSON *document, *scoring;
    MetricItem items[16];
    size_t n = 0;
    double found;
    const Aggregation *perplexity;
    Error error = {0};
    if (!goldens)
        skip();
    scoring = cJSON_GetObjectItem(
        cJSON_GetObjectItem(cJSON_GetObjectItem(goldens, "expected"), "lambada_openai"), "scoring");
    cJSON_ArrayForEach(document, cJSON_GetObjectItem(scoring, "docs")) items[n++] =
        (MetricItem){.value = cJSON_GetObjectItem(document, "resps")->child->child->valuedouble};
    assert_int_equal(aggregation_find(&perplexity, "perplexity", METRIC_NUMBER, false, &error), 0);
    assert_int_equal(aggregation_stderr(perplexity, items, n, 2000, 2, &found, &error), 0);
    double expected = cJSON_GetObjectItem(cJSON_GetObjectItem(scoring, "aggregate_bootstrap_iters_2000"),
                                          "perplexity_stderr,none")
                          ->valuedouble;
    if (fabs(found - expected) > 1e-12 * expected)
        fail_msg("found %.17g, expected %.17g", found, expected);
    cJSON_Delete(goldens);
}

/* ---- records of other kinds, and wrong ones */

static const char *const maths[] = {"gsm8k"};

/* Two documents of a task that generates text, and what a model said. */
static void write_maths(void) {
    static const char rows[] = "{\"question\": \"One and one?\", \"answer\": \"It is 2.\\n#### 2\"}\n"
                               "{\"question\": \"Two and two?\", \"answer\": \"It is 4.\\n#### 4\"}\n";
    static const char shots[] =
        "{\"question\": \"a\", \"answer\": \"#### 1\"}\n{\"question\": \"b\", \"answer\": \"#### 1\"}\n"
        "{\"question\": \"c\", \"answer\": \"#### 1\"}\n{\"question\": \"d\", \"answer\": \"#### 1\"}\n"
        "{\"question\": \"e\", \"answer\": \"#### 1\"}\n";
    write_text("maths/openai/gsm8k/main/test.jsonl", rows, strlen(rows));
    write_text("maths/openai/gsm8k/main/train.jsonl", shots, strlen(shots));
}

static int run_maths(const char *records, const char *file, const char *db, Error *error) {
    EvalSummary summary;
    write_maths();
    write_text(file, records, strlen(records));
    return run(file, maths, 1, "maths", db, &summary, error);
}

static double result_of(const char *db_name, const char *filter) {
    double value = -1;
    Db *db = open_db(db_name);
    query(db, "SELECT value FROM results WHERE name = ?1 AND filter = ?2",
          (const char *const[3]){"gsm8k", filter}, 0, &value, NULL, 0);
    db_close(db);
    return value;
}

static void test_lm_evals_own_samples_are_records(void **state) {
    (void)state;
    static const char samples[] =
        "{\"doc_id\": 0, \"doc\": {}, \"arguments\": {\"gen_args_0\": {\"arg_0\": \"x\", \"arg_1\": "
        "{\"until\": []}}}, "
        "\"resps\": [[\"so #### 2\"]], \"filtered_resps\": [\"2\"], \"filter\": \"strict-match\"}\n\n"
        "{\"doc_id\": 1, \"doc\": {}, \"arguments\": {\"gen_args_0\": {\"arg_0\": \"x\", \"arg_1\": "
        "{\"until\": []}}}, "
        "\"resps\": [[\"I say 4\"]], \"filtered_resps\": [\"[invalid]\"], \"filter\": \"strict-match\"}\n"
        "{\"doc_id\": 0, \"doc\": {}, \"arguments\": {\"gen_args_0\": {\"arg_0\": \"x\", \"arg_1\": "
        "{\"until\": []}}}, "
        "\"resps\": [[\"so #### 2\"]], \"filtered_resps\": [\"2\"], \"filter\": \"flexible-extract\"}\n";
    Error error = {0};
    EvalSummary summary;
    if (run_maths(samples, "run/samples_gsm8k_2025-01-31T12-00-00.000001.jsonl", "samples.db", &error))
        fail_msg("%s", error.message);
    assert_true(result_of("samples.db", "strict-match") == 0.5);
    assert_true(result_of("samples.db", "flexible-extract") == 1);
    /* Their folder is the same model. */
    if (run("run", maths, 1, "maths", "folder.db", &summary, &error))
        fail_msg("%s", error.message);
    assert_true(result_of("folder.db", "strict-match") == 0.5);
}

static void test_the_same_records_again_cost_nothing(void **state) {
    (void)state;
    static const char records[] =
        "{\"task\": \"gsm8k\", \"doc_id\": 0, \"response\": \"#### 2\"}\n"
        "{\"task\": \"gsm8k\", \"doc_id\": 1, \"idx\": 0, \"response\": \"#### 5\"}\n";
    EvalSummary summary;
    Error error = {0};
    if (run_maths(records, "twice.jsonl", "twice.db", &error) ||
        run("twice.jsonl", maths, 1, "maths", "twice.db", &summary, &error))
        fail_msg("%s", error.message);
    assert_true(summary.was_complete);
    assert_true(result_of("twice.db", "strict-match") == 0.5);
}

static void test_wrong_records_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *records, *message;
    } cases[] = {
        {"", "holds no answers"},
        {"{\"task\": \"gsm8k\", \"doc_id\": 0, \"response\": \"#### 2\"}\n",
         "no answer to task gsm8k, document 1"},
        {"{\"task\": \"gsm8k\", \"doc_id\": 0}\n", "wrong.jsonl:1: neither 'response' nor 'resps'"},
        {"{\"task\": \"gsm8k\", \"doc_id\": -1, \"response\": \"\"}\n", "doc_id"},
        {"{\"doc_id\": 0, \"response\": \"\"}\n", "task"},
        {"[]\n", "line 1"},
        {"\n{\"task\": \n", "line 2"},
        {"{\"task\": \"gsm8k\", \"doc_id\": 0, \"response\": [-1, 7]}\n",
         "a pair [log-likelihood, is greedy]"},
        {"{\"task\": \"gsm8k\", \"doc_id\": 0, \"response\": [\"x\", true]}\n", "is no number"},
        {"{\"task\": \"gsm8k\", \"doc_id\": 0, \"response\": [-1.5, false]}\n",
         "found a log-likelihood, expected a text"},
        {"{\"task\": \"gsm8k\", \"doc_id\": 0, \"response\": \"a\"}\n"
         "{\"task\": \"gsm8k\", \"doc_id\": 0, \"response\": \"b\"}\n",
         "two different answers to task gsm8k, document 0, request 0"},
        {"{\"doc_id\": 0, \"resps\": [[\"a\"]]}\n", "files called samples_TASK_TIME.jsonl"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Error error = {0};
        assert_int_equal(run_maths(cases[i].records, "wrong.jsonl", "wrong.db", &error), -1);
        if (!strstr(error.message, cases[i].message))
            fail_msg("'%s' is not in: %s", cases[i].message, error.message);
    }
}

static void test_answers_to_another_prompt_are_refused(void **state) {
    (void)state;
    static const char samples[] =
        "{\"doc_id\": 0, \"arguments\": {\"gen_args_0\": {\"arg_0\": \"x\", \"arg_1\": {}}}, \"resps\": "
        "[[\"2\"]], "
        "\"prompt_hash\": \"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881\"}\n";
    Error error = {0};
    assert_int_equal(run_maths(samples, "other/samples_gsm8k_2025.jsonl", "other.db", &error), -1);
    assert_int_equal(error.kind, ERROR_CHECK);
    assert_non_null(strstr(error.message, "the answer is to another prompt: it hashes to 2d711642b726b044"));
}

int run_replay_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_golden_of_the_scoring),
        cmocka_unit_test(test_resampled_error_of_the_goldens),
        cmocka_unit_test(test_lm_evals_own_samples_are_records),
        cmocka_unit_test(test_the_same_records_again_cost_nothing),
        cmocka_unit_test(test_wrong_records_are_refused),
        cmocka_unit_test(test_answers_to_another_prompt_are_refused),
    };
    return cmocka_run_group_tests_name("replay", tests, make_folder, remove_folder);
}
