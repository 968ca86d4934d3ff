/* Whole runs of random mixes of tasks: whatever else is in a run, and however it is walked, the database gets
 * the responses that one run of everything, sharing all it can, has put into another. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "db/db.h"
#include "eval/eval.h"
#include "tests/eval/tests.h"

enum { N_TASKS = 3, MOST_DOCUMENTS = 12, MOST_LENGTH = 48 };

static const char *const task_names[N_TASKS] = {"demo", "mix_texts", "mix_goes_on"};

static char folder[64];

static void put(const char *name, const char *text) {
    char *path = path_join(folder, name), *parent = path_folder(path);
    assert_int_equal(file_make_directories(parent, NULL), 0);
    assert_int_equal(file_write_atomic(path, text, strlen(text), NULL), 0);
    free(parent);
    free(path);
}

static void put_texts(void) {
    static const char *const who[] = {"Anna", "Tom"}, *const what[] = {"ball", "cup", "kite"};
    Buffer lines = {0};
    Random random;
    random_seed(&random, 7);
    for (int i = 0; i < MOST_DOCUMENTS; i++) {
        buffer_append_text(&lines, "{\"text\": \"");
        for (size_t n = random_below(&random, 8) + 1; n > 0; n--)
            buffer_printf(&lines, "%s put the %s in the box. ", who[random_below(&random, 2)],
                          what[random_below(&random, 3)]);
        buffer_append_text(&lines, "\"}\n");
    }
    put("data/a/texts/default/test.jsonl", lines.data);
    buffer_free(&lines);
}

static int make_folder(void **state) {
    (void)state;
    strcpy(folder, "/tmp/zeval-test-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    put("tasks/texts.yaml",
        "task: mix_texts\ndataset_path: a/texts\ntest_split: test\noutput_type: loglikelihood_rolling\n"
        "doc_to_text: \"\"\ndoc_to_target: text\nmetric_list:\n  - metric: word_perplexity\n");
    put("tasks/goes_on.yaml",
        "task: mix_goes_on\ndataset_path: a/texts\ntest_split: test\noutput_type: generate_until\n"
        "doc_to_text: \"{{text}}Anna\"\ndoc_to_target: text\n"
        "generation_kwargs:\n  until: [\"Tom\", \"\\n\"]\n  max_gen_toks: 10\n"
        "metric_list:\n  - metric: exact_match\n");
    put_texts();
    return setenv("ZEVAL_CACHE", folder, 1);
}

static int remove_folder(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

/* How a run is made. */
typedef struct Way {
    const char *names[N_TASKS];
    size_t n_names, batch_tokens, memory_bytes;
    double limit;
    int n_threads;
} Way;

static EvalSummary run_way(const Way *way, const char *db) {
    char *tasks = path_join(folder, "tasks"), *data = path_join(folder, "data"),
         *path = path_join(folder, db);
    EvalOptions options = {.model = "demo",
                           .tasks = {.names = way->names,
                                     .n_names = way->n_names,
                                     .include_path = tasks,
                                     .data_root = data,
                                     .num_fewshot = -1,
                                     .limit = way->limit,
                                     .fewshot_seed = 1234},
                           .db_path = path,
                           .max_length = MOST_LENGTH,
                           .batch_tokens = way->batch_tokens,
                           .memory_bytes = way->memory_bytes,
                           .n_threads = way->n_threads,
                           .build = "test"};
    EvalSummary summary;
    Error error = {0};
    if (eval_run(&options, &summary, &error))
        fail_msg("%s", error.message);
    free(tasks);
    free(data);
    free(path);
    return summary;
}

static int64_t query(const char *db, const char *sql) {
    char *path = path_join(folder, db), *whole = path_join(folder, "whole.db"), attach[160];
    sqlite3 *handle;
    sqlite3_stmt *statement;
    snprintf(attach, sizeof attach, "ATTACH '%s' AS whole", whole);
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle, attach, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(handle, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(handle);
    free(path);
    free(whole);
    return value;
}

/* quote() writes a number so that it reads back as the same bits. */
static void check_responses(const char *db, const EvalSummary *summary) {
    assert_true(query(db, "SELECT count(*) FROM main.responses") > 0);
    assert_true(summary->n_scored > 0);
    int64_t others = query(db, "SELECT count(*) FROM (SELECT hex(key), quote(loglikelihood), is_greedy, text "
                               "FROM main.responses EXCEPT SELECT hex(key), quote(loglikelihood), is_greedy, "
                               "text FROM whole.responses)");
    if (others)
        fail_msg("%s: %lld responses are not those of the whole run", db, (long long)others);
}

static Way random_way(Random *random) {
    static const size_t memory[] = {0, 1, (size_t)64 << 20};
    size_t order[N_TASKS] = {0, 1, 2};
    Way way = {.n_names = 1 + random_below(random, N_TASKS),
               .batch_tokens = 1 + random_below(random, random_below(random, 2) ? 40 : 2000),
               .memory_bytes = memory[random_below(random, 3)],
               .limit = (double)(1 + random_below(random, MOST_DOCUMENTS)),
               .n_threads = 1 + (int)random_below(random, 3)};
    random_shuffle(random, order, N_TASKS);
    for (size_t i = 0; i < way.n_names; i++)
        way.names[i] = task_names[order[i]];
    return way;
}

static Way whole_way(void) {
    return (Way){
        .names = {task_names[0], task_names[1], task_names[2]}, .n_names = N_TASKS, .limit = MOST_DOCUMENTS};
}

static void test_a_response_does_not_depend_on_the_mix_of_tasks(void **state) {
    (void)state;
    enum { N_MIXES = 12 };
    Random random;
    random_seed(&random, 11);
    for (int i = 0; i < N_MIXES; i++) {
        char db[32];
        Way way = random_way(&random);
        snprintf(db, sizeof db, "mix%d.db", i);
        EvalSummary summary = run_way(&way, db);
        check_responses(db, &summary);
    }
}

/* Without room for any state each request is fed on its own, and that is all the difference. */
static void test_sharing_off_gives_the_same_responses(void **state) {
    (void)state;
    Way way = whole_way();
    way.memory_bytes = 1;
    EvalSummary alone = run_way(&way, "alone.db");
    assert_true(alone.plan.tokens_again > 0);
    assert_int_equal(alone.plan.budget_bytes, 0);
    check_responses("alone.db", &alone);
    assert_int_equal(query("alone.db", "SELECT (SELECT count(*) FROM main.responses) = "
                                       "(SELECT count(*) FROM whole.responses)"),
                     1);
}

static int run_whole(void **state) {
    int result = make_folder(state);
    Way way = whole_way();
    EvalSummary whole = run_way(&way, "whole.db");
    return result || whole.plan.tokens_again > 0 ? -1 : 0;
}

int run_mix_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_response_does_not_depend_on_the_mix_of_tasks),
        cmocka_unit_test(test_sharing_off_gives_the_same_responses),
    };
    return cmocka_run_group_tests_name("mix", tests, run_whole, remove_folder);
}
