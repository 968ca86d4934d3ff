/* A paper's table run from nothing: a stand-in paper, whose checkpoints come from a stand-in hub. The printed
 * values are those that tests/oracle/make_demo_fixtures.py computed for the built-in model. */
#include "tests/cli/tests.h"

#include <stdlib.h>
#include <string.h>

#include "tests/zoo/hub/server.h"

static HubServer *hub;

static double expected_value(const cJSON *fixture, const char *task, const char *metric) {
    return cJSON_GetObjectItem(cJSON_GetObjectItem(cJSON_GetObjectItem(fixture, "tasks"), task), metric)
        ->valuedouble;
}

/* demo_recall as computed, demo_where 20 points too low, a task that nobody has, and a row without a
 * checkpoint. */
static void write_paper(void) {
    cJSON *fixture;
    Buffer text = {0};
    assert_int_equal(json_parse_file(&fixture, "tests/fixtures/demo_expected.json", 1 << 24, NULL), 0);
    buffer_printf(&text,
                  "paper\tstand-in\tStand-In\nrecipe\tmain\tfloat32\t256\ntable\t1\tTable 1\nversion\tv1\n"
                  "column\tREC\tdemo_recall\tacc\t0\tdemo_recall\tacc\n"
                  "column\tWHR\tdemo_where\tacc_norm\t0\tdemo_where\tacc_norm\n"
                  "column\tNIL\tnobody\tacc\t0\tnobody_has_this\tacc\n"
                  "column\tAvg\taverage\tmean\nmean\t4\t1,2\nsource\tthe fixture\n"
                  "row\tPulled\tme/demo-copy\t\t\t\t415K\t%.2f\t%.2f\t50\t%.2f\n"
                  "row\tUnreleased\t\t\t\t\t1B\t1\t2\t3\t1.5\n",
                  100 * expected_value(fixture, "demo_recall", "acc"),
                  100 * expected_value(fixture, "demo_where", "acc_norm") - 20,
                  50 * expected_value(fixture, "demo_recall", "acc") +
                      50 * expected_value(fixture, "demo_where", "acc_norm") - 10);
    char *path = path_join(test_folder, "paper.tsv");
    assert_int_equal(file_write_atomic(path, text.data, text.size, NULL), 0);
    setenv("ZEVAL_PUBLISHED", path, 1);
    free(path);
    buffer_free(&text);
    cJSON_Delete(fixture);
}

static int open_hub(void **state) {
    if (test_make_folder(state))
        return -1;
    char *python = path_join(test_folder, "huggingface"), *store = path_join(test_folder, "hub");
    hub = hub_server_start(0);
    for (size_t i = 0; i < n_embedded_files; i++) {
        const EmbeddedFile *file = &embedded_files[i];
        if (text_starts_with(file->name, "zoo/demo/model/"))
            hub_server_add(hub, file->name + strlen("zoo/demo/model/"), file->data, file->bytes,
                           text_ends_with(file->name, ".safetensors"));
    }
    setenv("HF_HOME", python, 1);
    setenv("ZEVAL_STORE", store, 1);
    setenv("HF_ENDPOINT", hub_server_endpoint(hub), 1);
    setenv("no_proxy", "127.0.0.1,localhost", 1);
    unsetenv("HF_HUB_CACHE");
    unsetenv("HUGGINGFACE_HUB_CACHE");
    write_paper();
    free(python);
    free(store);
    return 0;
}

static int close_hub(void **state) {
    hub_server_stop(hub);
    unsetenv("HF_HOME");
    unsetenv("ZEVAL_STORE");
    unsetenv("HF_ENDPOINT");
    unsetenv("ZEVAL_PUBLISHED");
    return test_remove_folder(state);
}

static void has(const Buffer *text, const char *words) {
    if (!text->data || !strstr(text->data, words))
        fail_msg("found:\n%s\nexpected: %s", text->data ? text->data : "", words);
}

static void lacks(const Buffer *text, const char *words) {
    if (text->data && strstr(text->data, words))
        fail_msg("found:\n%s\nexpected not: %s", text->data, words);
}

static void test_dry_run_says_what_it_takes_and_does_nothing(void **state) {
    (void)state;
    Output output;
    test_run_expecting(3, &output, "reproduce stand-in --table 1 --dry-run --format csv --db '%s/dry.db'",
                       test_folder);
    has(&output.out, "row,model,here,pull_gb,requests,answered,tokens,hours,problem\n");
    has(&output.out, "\nPulled,me/demo-copy,no,0.00083,");
    has(&output.out, "\nUnreleased,,no,,,,,,no released checkpoint is known\n");
    has(&output.error, "column NIL is left out: ");
    has(&output.error, "2 rows or columns of Stand-In, Table 1 could not be run here");
    assert_int_equal(hub_server_counts(hub).requests[PART_API], 0);
    char *path = path_join(test_folder, "dry.db");
    assert_false(file_exists(path));
    free(path);
    test_output_free(&output);
}

static void test_table_is_pulled_run_and_laid_out(void **state) {
    (void)state;
    Output output;
    test_run_expecting(3, &output, "reproduce stand-in --table 1 --format csv --db '%s/results.db'",
                       test_folder);
    has(&output.error, "Pulled: pulled me/demo-copy at ");
    has(&output.error, "Pulled: run 1, 2 tasks, is complete");
    has(&output.error, "row Unreleased is left out: no released checkpoint of it is known");
    has(&output.out, ",0,100.00,,,demo_recall,acc,100.0000,0.0000,0.0000,reproduced,1,150,float32,no\n");
    has(&output.out, ",demo_where,acc_norm,98.6667,0.9396,19.9967,differs,1,");
    has(&output.out, "stand-in,1,Unreleased,,demo_recall,acc,0,1,,,demo_recall,acc,,,,not run,,,,\n");
    test_output_free(&output);
    /* Again: nothing is pulled, nothing is scored. */
    HubCounts before = hub_server_counts(hub);
    test_run_expecting(3, &output, "reproduce stand-in --table 1 --db '%s/results.db'", test_folder);
    has(&output.error, "Pulled: run 1, 2 tasks, was complete already");
    lacks(&output.error, "pulled me/demo-copy");
    has(&output.out, "Cells: 1 reproduced");
    assert_int_equal(hub_server_counts(hub).content_bytes, before.content_bytes);
    test_output_free(&output);
    /* One row that has all it needs, and no other: everything asked for is done but the column. */
    test_run_expecting(3, &output,
                       "reproduce stand-in --table 1 --rows demo-copy --quiet --db '%s/results.db'",
                       test_folder);
    has(&output.error, "1 rows or columns");
    test_output_free(&output);
}

static void refused(int status, const char *arguments, const char *words) {
    Output output;
    test_run_expecting(status, &output, "%s", arguments);
    has(&output.error, words);
    test_output_free(&output);
}

static void test_bad_questions_get_one_sentence(void **state) {
    (void)state;
    refused(2, "reproduce --table 1", "which paper?");
    refused(2, "reproduce stand-in", "needs --table");
    refused(2, "reproduce nobody --table 1", "no paper \"nobody\" is known");
    refused(2, "reproduce stand-in --table 1 --rows Zebra",
            "--rows: no row of Stand-In, Table 1 has \"Zebra\"");
    refused(1, "reproduce zebra-llama --table 10", "has no column that stands for a task");
    setenv("HF_ENDPOINT", "http://127.0.0.1:1", 1);
    refused(1, "reproduce stand-in --table 1 --rows Unreleased --db nowhere.db",
            "no row of Stand-In, Table 1 could be run");
    setenv("HF_ENDPOINT", hub_server_endpoint(hub), 1);
    setenv("ZEVAL_PUBLISHED", "/nowhere.tsv", 1);
    refused(1, "published", "/nowhere.tsv");
    write_paper();
}

int run_reproduce_tests(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_dry_run_says_what_it_takes_and_does_nothing),
                                       cmocka_unit_test(test_table_is_pulled_run_and_laid_out),
                                       cmocka_unit_test(test_bad_questions_get_one_sentence)};
    return cmocka_run_group_tests_name("zeval reproduce", tests, open_hub, close_hub);
}
