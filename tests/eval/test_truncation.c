/* Requests that are longer than max_length: cut, refused, or with fewer examples; each of them listed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "db/db.h"
#include "eval/eval.h"
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

/* Two examples before each question: about 130 tokens, of which each example has some 40. */
static int run_demo(const char *db, TruncationPolicy policy, int64_t max_length, int num_fewshot,
                    EvalSummary *summary, Error *error) {
    static const char *const names[] = {"demo_recall"};
    char *path = path_join(folder, db);
    EvalOptions options = {
        .model = "demo",
        .tasks = {.names = names, .n_names = 1, .num_fewshot = num_fewshot, .limit = 4, .fewshot_seed = 1234},
        .db_path = path,
        .on_truncation = policy,
        .max_length = max_length,
        .build = "test"};
    int result = eval_run(&options, summary, error);
    free(path);
    return result;
}

static int64_t query(const char *db, const char *sql) {
    char *path = path_join(folder, db);
    Db *opened;
    sqlite3_stmt *statement;
    assert_int_equal(db_open(&opened, path, DB_READ, NULL), 0);
    assert_int_equal(sqlite3_prepare_v2(db_handle(opened), sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    db_close(opened);
    free(path);
    return value;
}

static void test_cut_requests_are_listed(void **state) {
    (void)state;
    EvalSummary summary;
    Error error = {0};
    if (run_demo("match.db", TRUNCATION_MATCH, 60, 2, &summary, &error))
        fail_msg("%s", error.message);
    assert_int_equal(summary.plan.n_truncated, summary.plan.n_requests);
    assert_int_equal(summary.plan.n_shortened, 0);
    assert_int_equal(summary.plan.n_bos_missing, summary.plan.n_requests); /* cut off first of all */
    assert_int_equal(query("match.db", "SELECT count(*) FROM v_truncated WHERE n_requests = 4"), 4);
    /* A request of n tokens is cut to max_length and its last one, which is never fed. */
    assert_int_equal(query("match.db", "SELECT count(*) FROM v_requests WHERE"
                                       " n_context_tokens + n_continuation_tokens = 61 AND n_truncated > 0"),
                     16);
    assert_int_equal(query("match.db", "SELECT count(*) FROM v_runs WHERE on_truncation = 'match'"), 1);
}

static void test_a_run_with_too_long_requests_is_refused(void **state) {
    (void)state;
    EvalSummary summary;
    Error error = {0};
    char expected[80];
    long long cut =
        (long long)query("match.db", "SELECT n_truncated FROM v_requests WHERE doc_id = 0 AND idx = 0");
    assert_int_equal(run_demo("error.db", TRUNCATION_ERROR, 60, 2, &summary, &error), -1);
    assert_non_null(strstr(error.message, "task demo_recall, document 0, request 0"));
    snprintf(expected, sizeof expected, "has %lld tokens, %lld more", cut + 61, cut);
    if (!strstr(error.message, expected))
        fail_msg("message is '%s'; expected it to contain '%s'", error.message, expected);
    assert_int_equal(query("error.db", "SELECT count(*) FROM responses"), 0);
    if (run_demo("error.db", TRUNCATION_ERROR, 500, 2, &summary, &error))
        fail_msg("%s", error.message);
}

/* Without examples each prompt fits; the answers are then those of a run without examples. */
static void test_examples_are_left_out_until_it_fits(void **state) {
    (void)state;
    EvalSummary summary;
    Error error = {0};
    if (run_demo("drop.db", TRUNCATION_DROP_SHOTS, 60, 2, &summary, &error))
        fail_msg("%s", error.message);
    assert_int_equal(summary.plan.n_truncated, 0);
    assert_int_equal(summary.plan.n_shortened, 4);
    assert_int_equal(query("drop.db", "SELECT count(*) FROM v_truncated WHERE n_dropped_shots = 2"
                                      " AND n_requests = 0"),
                     4);
    assert_int_equal(run_demo("drop.db", TRUNCATION_MATCH, 60, 0, &summary, &error), 0);
    assert_int_equal(summary.plan.n_reused, summary.plan.n_requests);
}

/* Of three examples as many stay as there is room for, and they are the last ones. */
static void test_the_last_examples_stay(void **state) {
    (void)state;
    EvalSummary summary;
    Error error = {0};
    if (run_demo("some.db", TRUNCATION_MATCH, 512, 3, &summary, &error))
        fail_msg("%s", error.message);
    int64_t longest =
        query("some.db", "SELECT max(n_context_tokens + n_continuation_tokens) FROM v_requests");
    if (run_demo("some.db", TRUNCATION_DROP_SHOTS, longest - 2, 3, &summary, &error))
        fail_msg("%s", error.message);
    assert_int_equal(summary.plan.n_truncated, 0);
    assert_in_range(summary.plan.n_shortened, 1, 3);
    assert_int_equal(query("some.db",
                           "SELECT count(*) FROM v_requests a JOIN v_requests b USING (task, doc_id, idx)"
                           " JOIN v_truncated t ON t.task_id = b.task_id AND t.doc_id = b.doc_id"
                           " WHERE a.run_id = 1 AND b.run_id = 2 AND t.n_dropped_shots = 1"
                           " AND length(b.context) < length(a.context)"
                           " AND substr(a.context, -length(b.context)) = b.context"),
                     summary.plan.n_shortened * 4);
}

int run_truncation_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut_requests_are_listed),
        cmocka_unit_test(test_a_run_with_too_long_requests_is_refused),
        cmocka_unit_test(test_examples_are_left_out_until_it_fits),
        cmocka_unit_test(test_the_last_examples_stay),
    };
    return cmocka_run_group_tests_name("truncation", tests, make_folder, remove_folder);
}
