/* Tasks that generate several texts for each document, on the built-in model. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "db/db.h"
#include "eval/eval.h"
#include "tests/eval/tests.h"

enum { N_DOCUMENTS = 6 };

static char folder[64];

static int remove_folder(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static void write_text(const char *name, const char *text) {
    char *path = path_join(folder, name), *parent = path_folder(path);
    Error error = {0};
    if (file_make_directories(parent, &error) || file_write_atomic(path, text, strlen(text), &error))
        fail_msg("%s", error.message);
    free(path);
    free(parent);
}

static void write_task(const char *name, int repeats, const char *temperature) {
    char text[512], file[64];
    snprintf(text, sizeof text,
             "task: %s\ndataset_path: me/stories\ntest_split: test\ndoc_to_text: text\ndoc_to_target: text\n"
             "generation_kwargs: {until: ['.'], max_gen_toks: 6, %s}\nrepeats: %d\n",
             name, temperature, repeats);
    snprintf(file, sizeof file, "tasks/%s.yaml", name);
    write_text(file, text);
}

static int make_folder(void **state) {
    (void)state;
    Buffer rows = {0};
    strcpy(folder, "/tmp/zeval-test-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    for (int i = 0; i < N_DOCUMENTS; i++)
        buffer_printf(&rows, "{\"text\": \"Anna put the %s\"}\n", i % 2 ? "ball" : "cup");
    write_text("data/me/stories/default/test.jsonl", rows.data);
    buffer_free(&rows);
    write_task("drawn", 5, "do_sample: true, temperature: 2.5");
    write_task("drawn_less", 3, "do_sample: true, temperature: 2.5");
    write_task("greedy", 5, "do_sample: false");
    return setenv("ZEVAL_CACHE", folder, 1);
}

static EvalSummary run(const char *task, const char *db, int64_t batch_tokens) {
    EvalSummary summary;
    Error error = {0};
    char *path = path_join(folder, db), *data = path_join(folder, "data"),
         *tasks = path_join(folder, "tasks");
    const EvalOptions options = {
        .model = "demo",
        .tasks = {.names = &task, .n_names = 1, .num_fewshot = -1, .data_root = data, .include_path = tasks},
        .db_path = path,
        .batch_tokens = batch_tokens,
        .build = "test"};
    if (eval_run(&options, &summary, &error))
        fail_msg("%s", error.message);
    free(path);
    free(data);
    free(tasks);
    return summary;
}

/* The rows of a query, one line each. */
static char *query(const char *db_name, const char *sql) {
    Db *db;
    sqlite3_stmt *statement;
    Buffer text = {0};
    char *path = path_join(folder, db_name);
    Error error = {0};
    if (db_open(&db, path, DB_READ, &error))
        fail_msg("%s", error.message);
    assert_int_equal(sqlite3_prepare_v2(db_handle(db), sql, -1, &statement, NULL), SQLITE_OK);
    buffer_append_text(&text, "");
    while (sqlite3_step(statement) == SQLITE_ROW)
        buffer_printf(&text, "%s\n", (const char *)sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    db_close(db);
    free(path);
    return buffer_take(&text);
}

static long number(const char *db_name, const char *sql) {
    char *text = query(db_name, sql);
    long value = strtol(text, NULL, 10);
    free(text);
    return value;
}

/* Each repeat is a draw of its own; the same draw whatever the run and its batches. Equal prompts have equal
 * draws: there are two kinds. */
static void test_each_repeat_is_drawn_anew_and_always_the_same(void **state) {
    (void)state;
    static const char all[] =
        "SELECT doc_id || ' ' || idx || ' ' || text FROM v_requests ORDER BY doc_id, idx";
    EvalSummary summary = run("drawn", "one.db", 0);
    assert_int_equal(summary.plan.n_requests, 5 * N_DOCUMENTS);
    run("drawn", "two.db", 8);
    char *one = query("one.db", all), *two = query("two.db", all);
    assert_string_equal(one, two);
    assert_int_equal(number("one.db", "SELECT count(*) FROM responses"), 2 * 5);
    assert_true(number("one.db", "SELECT count(DISTINCT text) FROM v_requests") >= 6);
    free(one);
    free(two);
}

static void test_fewer_repeats_are_the_first_ones(void **state) {
    (void)state;
    run("drawn", "both.db", 0);
    EvalSummary summary = run("drawn_less", "both.db", 0);
    assert_int_equal(summary.plan.n_requests, 3 * N_DOCUMENTS);
    assert_int_equal(summary.plan.n_reused, summary.plan.n_requests);
}

static void test_greedy_repeats_are_generated_once(void **state) {
    (void)state;
    EvalSummary summary = run("greedy", "greedy.db", 0);
    assert_int_equal(summary.plan.n_requests, 5 * N_DOCUMENTS);
    assert_int_equal(number("greedy.db", "SELECT count(*) FROM responses"), 2);
    assert_int_equal(number("greedy.db",
                            "SELECT max(n) FROM (SELECT count(DISTINCT text) AS n FROM v_requests"
                            " GROUP BY doc_id)"),
                     1);
    assert_int_equal(number("greedy.db", "SELECT count(*) FROM v_outputs"), N_DOCUMENTS);
}

int run_repeats_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_repeat_is_drawn_anew_and_always_the_same),
        cmocka_unit_test(test_fewer_repeats_are_the_first_ones),
        cmocka_unit_test(test_greedy_repeats_are_generated_once),
    };
    return cmocka_run_group_tests_name("repeats", tests, make_folder, remove_folder);
}
