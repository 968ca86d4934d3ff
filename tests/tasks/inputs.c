/* Bad input: each case is one sentence that names the file, the place, what was found and what was expected.
 */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GOOD                                                                                                 \
    "dataset_path: org/set\ntest_split: test\noutput_type: multiple_choice\n"                                \
    "doc_to_choice: ['no', 'yes']\ndoc_to_target: label\n"

/* A folder with tasks/t.yaml (task t) and data/org/set/default/test.jsonl. */
static char *make_case(const char *yaml, const char *rows) {
    char *folder = folder_make();
    folder_write(folder, "tasks/t.yaml", yaml);
    if (rows)
        folder_write(folder, "data/org/set/default/test.jsonl", rows);
    else
        folder_write(folder, "data/keep", "");
    return folder;
}

/* Opens task t and builds its documents; returns -1 with the error of whichever failed. */
static int run_case(const char *folder, int num_fewshot, Error *error) {
    char *tasks = path_join(folder, "tasks"), *data = path_join(folder, "data");
    TaskSet *set = NULL;
    Arena arena = {0};
    int status = open_task(&set, "t", data, tasks, num_fewshot, error);
    for (size_t i = 0; !status && i < task_info(task_set_task(set, 0))->n_documents; i++) {
        TaskDocument document;
        status = task_document(task_set_task(set, 0), i, &arena, &document, error);
    }
    if (set)
        task_set_close(set);
    arena_free(&arena);
    free(tasks);
    free(data);
    return status;
}

static void assert_refused(const char *yaml, const char *rows, const char *first, const char *second) {
    Error error = {0};
    char *folder = make_case(yaml, rows);
    if (!run_case(folder, 0, &error))
        fail_msg("no error, but expected: %s", first);
    assert_message(&error, first, second, NULL);
    folder_remove(folder);
}

#define ROW "{\"q\": \"Is it?\", \"label\": 1}\n"

static void test_a_good_task_opens(void **state) {
    (void)state;
    Error error = {0};
    char *folder =
        make_case("task: t\n" GOOD "doc_to_text: q\nmetric_list: [{metric: acc, weight_by_size: true}]\n",
                  ROW "\n  \n" ROW);
    if (run_case(folder, 0, &error))
        fail_msg("%s", error.message);
    folder_remove(folder);
}

static void test_bad_task_files_are_refused(void **state) {
    (void)state;
    assert_refused("task: [t\n", ROW, "tasks/t.yaml:2", "not valid YAML");
    assert_refused("task: t\n" GOOD "doc_to_text: q\ndoc_to_txt: q\n", ROW, "t.yaml:8",
                   "unknown key 'doc_to_txt'; the nearest known key is 'doc_to_text'");
    assert_refused("task: t\n" GOOD "doc_to_text: 1.5\n", ROW, "t.yaml:7: doc_to_text", "found a float");
    assert_refused("task: t\n" GOOD, ROW, "t.yaml", "'doc_to_text' is missing");
    assert_refused("task: t\ndataset_path: org/set\n", ROW, "t.yaml",
                   "neither 'test_split' nor 'validation_split'");
    assert_refused("task: t\n" GOOD "doc_to_text: q\nmetric_list: acc\n", ROW, "t.yaml:8",
                   "a list of metrics");
    assert_refused("task: t\n" GOOD "doc_to_text: q\nmetric_list: [{metric: accc}]\n", ROW, "t.yaml:8",
                   "'accc' is not known here");
    assert_refused("task: t\n" GOOD "doc_to_text: !function utils.f\n", ROW, "t.yaml:7",
                   "'utils.f' of folder 'tasks' has no twin");
    assert_refused("task: t\n" GOOD "doc_to_text: q\nprocess_results: !function utils.f\n", ROW, "t.yaml:8",
                   "process_results: the function 'tasks/utils.f' has no twin");
    assert_refused("task: t\n" GOOD
                   "doc_to_text: q\nmetric_list: [{metric: acc, aggregation: !function utils.f1}]\n",
                   ROW, "t.yaml:8", "aggregation: the function 'utils.f1' has no twin");
    assert_refused("task: t\n" GOOD "doc_to_text: q\nmetric_list: [{metric: !function utils.f1}]\n", ROW,
                   "t.yaml:8", "metric: the function 'utils.f1' has no twin");
    assert_refused("task: t\n" GOOD
                   "doc_to_text: q\nfilter_list: [{name: n, filter: [{function: !function utils.Best}]}]\n",
                   ROW, "t.yaml:8", "the filter 'utils.Best' has no twin");
    assert_refused("task: t\n" GOOD "doc_to_text: q\nfilter_list: [{name: n, filter: [take_first]}]\n", ROW,
                   "t.yaml:8", "each step must be a mapping");
    assert_refused("task: t\n" GOOD "doc_to_text: q\naggregate_metric_list: []\n", ROW, "t.yaml:8",
                   "does not belong into a task's file");
    assert_refused("task: t\n" GOOD "doc_to_text: q\nfewshot_config: {sampler: best}\n", ROW, "t.yaml:8",
                   "no sampler 'best'");
    assert_refused("task: t\n" GOOD "doc_to_text: q\nnum_fewshot: -1\n", ROW, "t.yaml:8",
                   "an integer from 0");
    assert_refused(
        "task: t\ndataset_path: ../set\ntest_split: test\noutput_type: loglikelihood\ndoc_to_text: "
        "q\ndoc_to_target: q\n",
        ROW, "'../set'", "would leave the data folder");
    assert_refused("group: t\ntask: [t]\n", ROW, "t.yaml", "contains itself");
    assert_refused("group: t\ntask: [nobody]\n", ROW, "t.yaml:2", "no task, group or tag 'nobody'");
    assert_refused("task: [t]\n", ROW, "t.yaml:1", "needs the key 'group'");
}

static void test_bad_templates_are_refused(void **state) {
    (void)state;
    assert_refused("task: t\n" GOOD "doc_to_text: \"{{q\"\n", ROW, "t.yaml:7: doc_to_text: line 1, column 1",
                   "{{ without its }}");
    assert_refused("task: t\n" GOOD "doc_to_text: \"x{{missing}}\"\n", ROW,
                   "t: document 0: ", "doc_to_text: line 1, column 4: 'missing' is undefined");
    assert_refused("task: t\n" GOOD "doc_to_text: \"{{label.strip()}}\"\n", ROW, "document 0",
                   "an integer has no method 'strip'");
}

static void test_bad_rows_are_refused(void **state) {
    (void)state;
    const char *yaml = "task: t\n" GOOD "doc_to_text: q\n";
    assert_refused(yaml, NULL, "data/org/set/default/test.jsonl", "is missing: looked for");
    assert_refused(yaml, "", "org/set/default/test.jsonl", "is empty");
    assert_refused(yaml, ROW "{\"q\": \"a\"", "test.jsonl:2:", "not valid JSON");
    assert_refused(yaml, ROW ROW "[1]\n", "test.jsonl:3", "found a list; a JSON object");
    assert_refused(yaml, "{\"label\": 1}\n", "t.yaml: doc_to_text", "has no column 'q'");
    assert_refused("task: t\n" GOOD "doc_to_text: qq\n", ROW, "t.yaml: doc_to_text", "no column 'qq'");
    assert_refused("task: t\n" GOOD "doc_to_text: \"{{q}}\"\n", "{\"label\": 1}\n", "t: document 0",
                   "'q' is undefined");
    assert_refused(yaml, "{\"q\": [1], \"label\": 1}\n", "t: document 0", "doc_to_text gave a list");
    assert_refused("task: t\n" GOOD "doc_to_text: \"{{q}}\"\n", ROW "{\"q\": \"7\", \"label\": 0}\n",
                   "t: document 1", "doc_to_text gave the number 7; a string was expected, as in document 0");
    assert_refused("task: t\ndataset_path: org/set\ntest_split: test\noutput_type: "
                   "multiple_choice\ndoc_to_text: q\ndoc_to_target: label\ndoc_to_choice: q\n",
                   ROW, "t: document 0", "doc_to_choice: not a Python literal");
}

static void test_bad_includes_are_refused(void **state) {
    (void)state;
    Error error = {0};
    assert_refused("task: t\ninclude: ../../etc/passwd\n", ROW, "t.yaml:2", "lies outside");
    assert_refused("task: t\ninclude: /etc/passwd\n", ROW, "t.yaml:2", "lies outside");
    assert_refused("task: t\ninclude: nowhere_yaml\n", ROW, "t.yaml:2: include", "nowhere_yaml");
    assert_refused("task: t\ninclude: t.yaml\n", ROW, "t.yaml:2", "includes itself in a circle");
    assert_refused("task: t\ninclude: 5\n", ROW, "t.yaml:2", "a file name was expected");
    char *folder = make_case("task: t\ninclude: a_yaml\n", ROW);
    folder_write(folder, "tasks/a_yaml", "include: sub/b_yaml\n");
    folder_write(folder, "tasks/sub/b_yaml", "include: ../a_yaml\n");
    assert_int_equal(run_case(folder, 0, &error), -1);
    assert_message(&error, "b_yaml:1", "in a circle", NULL);
    folder_remove(folder);
}

static void test_missing_few_shot_split_is_named(void **state) {
    (void)state;
    Error error = {0};
    char *folder = make_case("task: t\n" GOOD "doc_to_text: q\ntraining_split: train\n", ROW);
    assert_int_equal(run_case(folder, 1, &error), -1);
    assert_message(&error, "few-shot examples", "org/set/default/train.jsonl", NULL);
    folder_write(folder, "data/org/set/default/train.jsonl", ROW);
    if (run_case(folder, 1, &error))
        fail_msg("%s", error.message);
    assert_int_equal(run_case(folder, 2, &error), -1);
    assert_message(&error, "2 few-shot examples", "only 1", NULL);
    folder_remove(folder);
}

static void check_file(const char *folder, TaskListing *out, Arena *arena, Error *error, int expected) {
    char *tasks = path_join(folder, "tasks"), *path = path_join(tasks, "t.yaml");
    error->message[0] = '\0';
    if (task_file_check(path, tasks, COMPAT_MAIN, arena, out, error) != expected)
        fail_msg("expected %d: %s", expected, error->message);
    free(path);
    free(tasks);
}

static void test_task_files_are_checked_without_data(void **state) {
    (void)state;
    Error error = {0};
    Arena arena = {0};
    TaskListing found;
    char *folder = make_case("task: t\n" GOOD "doc_to_text: q\n", NULL);
    check_file(folder, &found, &arena, &error, 0);
    assert_string_equal(found.name, "t");
    assert_string_equal(found.dataset, "org/set");
    folder_write(folder, "tasks/t.yaml", "task: t\n" GOOD "doc_to_text: \"{{q\"\n");
    check_file(folder, &found, &arena, &error, -1);
    assert_message(&error, "t.yaml:7: doc_to_text", "{{ without its }}", NULL);
    folder_write(folder, "tasks/t.yaml", "group: t\ntask: [arc_easy, ai2_arc, nobody]\n");
    check_file(folder, &found, &arena, &error, -1);
    assert_message(&error, "t.yaml:2: task: there is no task, group or tag 'nobody'", NULL);
    folder_write(folder, "tasks/t.yaml", "group: t\ntask: [arc_easy, ai2_arc]\n");
    check_file(folder, &found, &arena, &error, 0);
    assert_int_equal(found.n_members, 2);
    assert_int_equal(task_file_check("/nowhere/t.yaml", NULL, COMPAT_MAIN, &arena, &found, &error), -1);
    assert_int_equal(error.kind, ERROR_USAGE);
    arena_free(&arena);
    folder_remove(folder);
}

#define GENERATE "task: t\ndataset_path: org/set\ntest_split: test\ndoc_to_text: q\ndoc_to_target: label\n"

/* The first request's generation_kwargs for a task file. */
static void assert_generation(const char *yaml, const char *expected) {
    Error error = {0};
    Arena arena = {0};
    TaskDocument document;
    TaskSet *set;
    const char *name = "t";
    char *folder = make_case(yaml, ROW), *tasks = path_join(folder, "tasks"),
         *data = path_join(folder, "data");
    TaskOptions options = {
        .names = &name, .n_names = 1, .data_root = data, .include_path = tasks, .num_fewshot = -1};
    if (task_set_open(&set, &options, &error) ||
        task_document(task_set_task(set, 0), 0, &arena, &document, &error))
        fail_msg("%s", error.message);
    assert_int_equal(document.n_requests, 1);
    assert_int_equal(document.requests[0].type, OUTPUT_GENERATE_UNTIL);
    assert_string_equal(document.requests[0].generation, expected);
    task_set_close(set);
    arena_free(&arena);
    free(tasks);
    free(data);
    folder_remove(folder);
}

static void test_generation_kwargs_have_upstreams_defaults(void **state) {
    (void)state;
    assert_generation(
        GENERATE,
        "{\"temperature\": 0.0, \"do_sample\": false, \"max_gen_toks\": 256, \"until\": [\"\\n\\n\"]}");
    assert_generation(GENERATE "fewshot_delimiter: ';'\ngeneration_kwargs: {temperature: 0}\n",
                      "{\"temperature\": 0.0, \"until\": [\";\"]}");
    assert_generation(GENERATE "generation_kwargs: {until: '.', max_gen_toks: 5}\n",
                      "{\"until\": \".\", \"max_gen_toks\": 5}");
    assert_refused(GENERATE "generation_kwargs: [1]\n", ROW, "t.yaml:6: generation_kwargs", "found a list");
    assert_refused(GENERATE "generation_kwargs: {until: [1]}\n", ROW, "t.yaml:6: generation_kwargs", "until");
    assert_refused(GENERATE "generation_kwargs: {num_beams: 4}\n", ROW, "t.yaml:6: generation_kwargs",
                   "num_beams");
}

static void test_texts_are_asked_for_as_often_as_the_task_says(void **state) {
    (void)state;
    Error error = {0};
    Arena arena = {0};
    TaskDocument document;
    TaskSet *set;
    char *folder =
        make_case(GENERATE "repeats: 3\nfilter_list: [{name: two, filter: [{function: take_first_k, "
                           "k: 3}, {function: take_first}]}]\n",
                  ROW);
    char *tasks = path_join(folder, "tasks"), *data = path_join(folder, "data");
    if (open_task(&set, "t", data, tasks, 0, &error) ||
        task_document(task_set_task(set, 0), 0, &arena, &document, &error))
        fail_msg("%s", error.message);
    assert_int_equal(document.n_requests, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(document.requests[i].idx, i);
        assert_string_equal(document.requests[i].context, document.requests[0].context);
    }
    assert_non_null(strstr(task_info(task_set_task(set, 0))->config_json, "\"repeats\": 3"));
    task_set_close(set);
    arena_free(&arena);
    free(tasks);
    free(data);
    folder_remove(folder);
    assert_refused(GENERATE "repeats: 0\n", ROW, "t.yaml:6: repeats", "1 or more");
    assert_refused(GENERATE "repeats: 5000\n", ROW, "t.yaml:6: repeats", "from 0 to 1024");
    assert_refused(GENERATE
                   "repeats: 3\nfilter_list: [{name: four, filter: [{function: take_first_k, k: 4}]}]\n",
                   ROW, "t.yaml:7: filter_list", "is to take 4 responses, but repeats is 3");
}

/* gen_prefix begins the answer, of the question and of the examples; white space is never doubled. */
static void test_the_answers_beginning_stands_behind_the_question(void **state) {
    (void)state;
    Error error = {0};
    Arena arena = {0};
    TaskDocument document;
    TaskSet *set;
    char *folder = make_case("task: t\n" GOOD "doc_to_text: q\ngen_prefix: 'It is'\n", ROW);
    char *tasks = path_join(folder, "tasks"), *data = path_join(folder, "data");
    folder_write(folder, "data/org/set/default/test.jsonl", ROW "{\"q\": \"And?\\n\", \"label\": 0}\n");
    if (open_task(&set, "t", data, tasks, 1, &error) ||
        task_document(task_set_task(set, 0), 0, &arena, &document, &error))
        fail_msg("%s", error.message);
    assert_string_equal(document.requests[0].context, "And?\nIt is no\n\nIs it? It is");
    assert_string_equal(document.requests[1].continuation, " yes");
    task_set_close(set);
    arena_free(&arena);
    free(tasks);
    free(data);
    folder_remove(folder);
}

static void test_unknown_names_suggest_near_ones(void **state) {
    (void)state;
    Error error = {0};
    TaskSet *set;
    assert_int_equal(open_task(&set, "hellaswagg", NULL, NULL, 0, &error), -1);
    assert_int_equal(error.kind, ERROR_USAGE);
    assert_message(&error, "did you mean hellaswag?", NULL);
    assert_int_equal(open_task(&set, "xyzzy-quux", NULL, NULL, 0, &error), -1);
    assert_message(&error, "there is no task, group or tag 'xyzzy-quux'", NULL);
    assert_int_equal(open_task(&set, "zzz*", NULL, NULL, 0, &error), -1);
    assert_message(&error, "'zzz*'", NULL);
    assert_int_equal(open_task(&set, "/nowhere/t.yaml", NULL, NULL, 0, &error), -1);
    assert_message(&error, "/nowhere/t.yaml", NULL);
    assert_int_equal(open_task(&set, "arc_easy", NULL, NULL, 0, &error), -1);
    assert_message(&error, "allenai/ai2_arc", "no data folder was given", NULL);
    assert_int_equal(open_task(&set, "arc_easy", "/nowhere", NULL, 0, &error), -1);
    assert_message(&error, "/nowhere does not exist", NULL);
    assert_int_equal(open_task(&set, "arc_easy", NULL, "/nowhere", 0, &error), -1);
    assert_message(&error, "/nowhere", "cannot be read", NULL);
}

const struct CMUnitTest input_tests[] = {
    cmocka_unit_test(test_a_good_task_opens),
    cmocka_unit_test(test_bad_task_files_are_refused),
    cmocka_unit_test(test_bad_templates_are_refused),
    cmocka_unit_test(test_bad_rows_are_refused),
    cmocka_unit_test(test_bad_includes_are_refused),
    cmocka_unit_test(test_missing_few_shot_split_is_named),
    cmocka_unit_test(test_task_files_are_checked_without_data),
    cmocka_unit_test(test_generation_kwargs_have_upstreams_defaults),
    cmocka_unit_test(test_texts_are_asked_for_as_often_as_the_task_says),
    cmocka_unit_test(test_the_answers_beginning_stands_behind_the_question),
    cmocka_unit_test(test_unknown_names_suggest_near_ones)};
const size_t n_input_tests = sizeof input_tests / sizeof *input_tests;
