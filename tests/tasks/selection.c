/* Which documents and how many examples: profiles, --limit, --samples, shots in names. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tasks/config.h"

#define TASK                                                                                                 \
    "output_type: multiple_choice\ndataset_path: org/set\ntest_split: test\ntraining_split: train\n"         \
    "doc_to_text: \"q{{q}}\\n\"\ndoc_to_target: 0\ndoc_to_choice: ['a', 'b']\n"

typedef struct Opened {
    char *folder, *tasks, *data;
    TaskSet *set;
    Error error;
} Opened;

/* Three tasks over 7 rows "0" to "6": first, second, and fixed, which stays at 0 examples. */
static Opened make_folder(void) {
    Opened opened = {.folder = folder_make()};
    opened.tasks = path_join(opened.folder, "tasks");
    opened.data = path_join(opened.folder, "data");
    folder_write(opened.folder, "tasks/first.yaml", "task: first\ntag: both\n" TASK);
    folder_write(opened.folder, "tasks/second.yaml",
                 "task: second\ngroup: [both]\ndescription: 'd{{1}} '\nmetadata: {version: 7}\n" TASK);
    folder_write(opened.folder, "tasks/fixed.yaml", "task: fixed\nnum_fewshot: 0\n" TASK);
    folder_write(opened.folder, "data/org/set/default/test.jsonl",
                 "{\"q\": 0}\n{\"q\": 1}\n{\"q\": 2}\n{\"q\": 3}\n{\"q\": 4}\n{\"q\": 5}\n{\"q\": 6}\n");
    folder_write(opened.folder, "data/org/set/default/train.jsonl",
                 "{\"q\": 10}\n{\"q\": 11}\n{\"q\": 12}\n{\"q\": 13}\n{\"q\": 14}\n");
    return opened;
}

static void remove_folder(Opened *opened) {
    free(opened->tasks);
    free(opened->data);
    folder_remove(opened->folder);
}

/* Opens names apart by spaces; the options' other fields as given. */
static int open_names(Opened *opened, const char *names, TaskOptions options) {
    char *copy = strdup(names), *rest = copy;
    const char *list[8];
    size_t n = 0;
    for (char *name; (name = strtok_r(rest, " ", &rest));)
        list[n++] = name;
    options.names = list;
    options.n_names = n;
    options.data_root = opened->data;
    options.include_path = opened->tasks;
    options.fewshot_seed = 1234;
    opened->error = (Error){0};
    int status = task_set_open(&opened->set, &options, &opened->error);
    free(copy);
    return status;
}

static const TaskInfo *info(const Opened *opened, size_t i) {
    return task_info(task_set_task(opened->set, i));
}

static void test_a_fraction_is_rounded_up_for_each_task(void **state) {
    (void)state;
    Opened opened = make_folder();
    if (open_names(&opened, "second first", (TaskOptions){.num_fewshot = -1, .limit = 0.3}))
        fail_msg("%s", opened.error.message);
    assert_string_equal(info(&opened, 0)->name, "second");
    assert_string_equal(info(&opened, 0)->version, "7");
    assert_int_equal(info(&opened, 0)->n_documents, 3);
    assert_int_equal(info(&opened, 1)->n_documents, 3);
    task_set_close(opened.set);
    remove_folder(&opened);
}

/* 0.3 of 7 is 2; that 2, no longer a fraction, is the limit of the next task. */
static void test_v0_4_0_rounds_down_once(void **state) {
    (void)state;
    Opened opened = make_folder();
    const TaskOptions options = {.num_fewshot = -1, .limit = 0.3, .compat = COMPAT_V0_4_0};
    if (open_names(&opened, "second first", options))
        fail_msg("%s", opened.error.message);
    assert_string_equal(info(&opened, 0)->name, "first");
    assert_string_equal(info(&opened, 1)->version, "Yaml");
    assert_int_equal(info(&opened, 0)->n_documents, 2);
    assert_int_equal(info(&opened, 1)->n_documents, 2);
    task_set_close(opened.set);
    assert_int_equal(open_names(&opened, "first", (TaskOptions){.limit = 0.1, .compat = COMPAT_V0_4_0}), -1);
    assert_message(&opened.error, "first", "none of its 7 documents", NULL);
    remove_folder(&opened);
}

/* The description is no template in v0.4.0, and a template's last newline goes. */
static void test_v0_4_0_templates(void **state) {
    (void)state;
    static const char *const expected[] = {"d1 q3\n", "d{{1}} q3"};
    Opened opened = make_folder();
    for (int compat = COMPAT_MAIN; compat <= COMPAT_V0_4_0; compat++) {
        Arena arena = {0};
        TaskDocument document;
        if (open_names(&opened, "second", (TaskOptions){.compat = (Compat)compat}) ||
            task_document(task_set_task(opened.set, 0), 3, &arena, &document, &opened.error))
            fail_msg("%s", opened.error.message);
        assert_string_equal(document.requests[0].context, expected[compat]);
        arena_free(&arena);
        task_set_close(opened.set);
    }
    remove_folder(&opened);
}

static void test_tasks_that_came_later(void **state) {
    (void)state;
    Opened opened = make_folder();
    assert_int_equal(open_names(&opened, "commonsense_qa", (TaskOptions){.compat = COMPAT_V0_4_0}), -1);
    assert_message(&opened.error, "'commonsense_qa' came after v0.4.0", "--compat main", NULL);
    assert_int_equal(opened.error.kind, ERROR_USAGE);
    remove_folder(&opened);
}

static void test_shots_in_names(void **state) {
    (void)state;
    Opened opened = make_folder();
    if (open_names(&opened, "first:3 second fixed:4", (TaskOptions){.num_fewshot = 1}))
        fail_msg("%s", opened.error.message);
    assert_int_equal(info(&opened, 0)->num_fewshot, 3);
    assert_int_equal(info(&opened, 1)->num_fewshot, 1);
    assert_int_equal(info(&opened, 2)->num_fewshot, 0);
    task_set_close(opened.set);
    if (open_names(&opened, "both:2", (TaskOptions){.num_fewshot = -1}))
        fail_msg("%s", opened.error.message);
    assert_int_equal(task_set_count(opened.set), 2);
    assert_int_equal(info(&opened, 1)->num_fewshot, 2);
    task_set_close(opened.set);
    assert_int_equal(open_names(&opened, "first:3 both:2", (TaskOptions){.num_fewshot = -1}), -1);
    assert_message(&opened.error, "'first' was asked for twice", "with 3 examples and with 2", NULL);
    assert_int_equal(open_names(&opened, "first:2000", (TaskOptions){.num_fewshot = -1}), -1);
    assert_message(&opened.error, "first:2000", "0 to 1000", NULL);
    remove_folder(&opened);
}

/* Listed documents keep their numbers and come in the split's order; examples are drawn for them alone. */
#define GROUPS                                                                                               \
    "group: top\nnum_fewshot: 1\ntask:\n- first\n- {task: second, num_fewshot: 4, description: other}\n"     \
    "- fixed\n- group: inner\n  aggregate_metric_list: [{metric: acc}]\n  task: [fixed]\n"                   \
    "- {task: own, dataset_path: org/set, test_split: test, training_split: train,\n"                        \
    "   output_type: multiple_choice, doc_to_text: 'q', doc_to_target: 0, doc_to_choice: [a, b]}\n"

/* Keys of a group are for all that is below it, keys of a member for that member; a member may be defined in
 * place. */
static void test_groups_override_their_members(void **state) {
    (void)state;
    Opened opened = make_folder();
    folder_write(opened.folder, "tasks/top.yaml", GROUPS);
    Arena arena = {0};
    TaskDocument document;
    if (open_names(&opened, "top", (TaskOptions){.num_fewshot = -1}) ||
        task_document(task_set_task(opened.set, 1), 0, &arena, &document, &opened.error))
        fail_msg("%s", opened.error.message);
    assert_int_equal(task_set_count(opened.set), 4);
    assert_int_equal(info(&opened, 0)->num_fewshot, 1);
    assert_int_equal(info(&opened, 1)->num_fewshot, 4);
    assert_true(text_starts_with(document.requests[0].context, "other"));
    assert_int_equal(info(&opened, 2)->num_fewshot, 1);
    assert_string_equal(info(&opened, 3)->name, "top::own");
    assert_int_equal(task_set_group_count(opened.set), 2);
    assert_string_equal(task_set_group(opened.set, 0)->name, "top::inner");
    assert_string_equal(task_set_group(opened.set, 1)->name, "top");
    assert_int_equal(task_set_group(opened.set, 1)->n_metrics, 0);
    task_set_close(opened.set);
    assert_int_equal(open_names(&opened, "second top", (TaskOptions){.num_fewshot = -1}), -1);
    assert_message(&opened.error, "'second' was asked for twice", NULL);
    arena_free(&arena);
    remove_folder(&opened);
}

/* Names and shots of the papers' tables, and that every name stands for something. */
static void test_suites_name_tasks_and_shots(void **state) {
    (void)state;
    static const struct {
        const char *suite, *members;
    } suites[] = {
        {"zebra-few-shot", "arc_challenge:25 hellaswag:10 winogrande:5 mmlu:5 truthfulqa_mc2:0 "},
        {"zebra-zero-shot",
         "arc_challenge:0 arc_easy:0 hellaswag:0 mmlu:0 openbookqa:0 piqa:0 race:0 winogrande:0 "},
        {"mambainllama-few-shot", "arc_challenge:25 hellaswag:10 mmlu:5 winogrande:5 truthfulqa_mc2:0 "},
        {"mambainllama-zero-shot",
         "winogrande:0 piqa:0 hellaswag:0 arc_easy:0 arc_challenge:0 mmlu:0 openbookqa:0 truthfulqa_mc1:0 "
         "pubmedqa:0 race:0 "},
        {"minitron", "winogrande:5 arc_challenge:25 mmlu:5 hellaswag:10 truthfulqa_mc2:0 gsm8k:5 "}};
    Error error = {0};
    Library *library;
    assert_int_equal(library_open(&library, NULL, COMPAT_V0_4_0, &error), 0);
    for (size_t s = 0; s < sizeof suites / sizeof *suites; s++) {
        Arena arena = {0};
        Buffer found = {0};
        GroupConfig group;
        const LibraryEntry *entry = library_find(library, suites[s].suite);
        assert_non_null(entry);
        assert_int_equal(config_read_group(&group, entry, &arena, &error), 0);
        for (size_t i = 0; i < group.members->n; i++) {
            const Value *member = &group.members->as.items[i];
            assert_non_null(library_find(library, value_get(member, "task")->as.text));
            buffer_printf(&found, "%s:%lld ", value_get(member, "task")->as.text,
                          (long long)value_get(member, "num_fewshot")->as.integer);
        }
        assert_string_equal(found.data, suites[s].members);
        buffer_free(&found);
        arena_free(&arena);
    }
    library_close(library);
}

static void test_samples_choose_documents(void **state) {
    (void)state;
    Opened opened = make_folder();
    char *file = path_join(opened.folder, "samples.json");
    Arena arena = {0};
    TaskDocument document;
    folder_write(opened.folder, "samples.json", "{\"first\": [5, 1, 5]}");
    if (open_names(&opened, "first second", (TaskOptions){.samples = file}) ||
        task_document(task_set_task(opened.set, 0), 1, &arena, &document, &opened.error))
        fail_msg("%s", opened.error.message);
    assert_int_equal(info(&opened, 0)->n_documents, 2);
    assert_int_equal(info(&opened, 1)->n_documents, 7);
    assert_int_equal(document.doc_id, 5);
    assert_string_equal(document.requests[0].context, "q5\n");
    task_set_close(opened.set);
    folder_write(opened.folder, "samples.json", "{\"first\": [1, 7]}");
    assert_int_equal(open_names(&opened, "first", (TaskOptions){.samples = file}), -1);
    assert_message(&opened.error, "samples.json: first: item 1", "7 documents", NULL);
    folder_write(opened.folder, "samples.json", "{\"other\": [1]}");
    assert_int_equal(open_names(&opened, "first", (TaskOptions){.samples = file}), -1);
    assert_message(&opened.error, "'other' is none of the tasks", NULL);
    folder_write(opened.folder, "samples.json", "[1]");
    assert_int_equal(open_names(&opened, "first", (TaskOptions){.samples = file}), -1);
    assert_message(&opened.error, "a JSON object of lists", NULL);
    arena_free(&arena);
    free(file);
    remove_folder(&opened);
}

/* The splits that the names read, as "ORG/NAME CONFIG SPLIT;..." */
static char *data_of(const Opened *opened, const char *name) {
    Arena arena = {0};
    Buffer found = {0};
    Error error = {0};
    TaskData *data;
    size_t n;
    const TaskOptions options = {.names = &name, .n_names = 1, .include_path = opened->tasks};
    if (task_data(&options, &arena, &data, &n, &error))
        fail_msg("%s", error.message);
    for (size_t i = 0; i < n; i++)
        buffer_printf(&found, "%s %s %s;", data[i].path, data[i].config, data[i].split);
    arena_free(&arena);
    return buffer_take(&found);
}

/* Members that are mappings count too: with their own keys, as tasks of the group's own, as groups in it. */
static void test_data_of_groups_whose_members_are_mappings(void **state) {
    (void)state;
    Opened opened = make_folder();
    folder_write(opened.folder, "tasks/mapped.yaml",
                 "group: mapped\ntask:\n  - {task: first, num_fewshot: 2}\n"
                 "  - {task: second, dataset_name: other}\n"
                 "  - {task: own, dataset_path: org/own, test_split: t, doc_to_text: a, doc_to_target: b}\n"
                 "  - {group: inner, task: [{task: first, test_split: inner}]}\n");
    char *found = data_of(&opened, "mapped");
    assert_string_equal(found, "org/set default train;org/set default test;org/set other train;"
                               "org/set other test;org/own default t;org/set default inner;");
    free(found);
    found = data_of(&opened, "zebra-few-shot");
    assert_non_null(strstr(found, "allenai/ai2_arc ARC-Challenge test;"));
    assert_non_null(strstr(found, "cais/mmlu anatomy dev;"));
    free(found);
    folder_write(opened.folder, "tasks/broken.yaml", "group: broken\ntask: [{group: inner, task: first}]\n");
    const char *name = "broken";
    const TaskOptions options = {.names = &name, .n_names = 1, .include_path = opened.tasks};
    Arena arena = {0};
    TaskData *data;
    TaskListing line;
    size_t n;
    assert_int_equal(task_data(&options, &arena, &data, &n, &opened.error), -1);
    assert_message(&opened.error, "broken.yaml:2", "the group 'inner' has no list of members", NULL);
    char *file = path_join(opened.tasks, "broken.yaml");
    assert_int_equal(task_file_check(file, opened.tasks, COMPAT_MAIN, &arena, &line, &opened.error), -1);
    assert_message(&opened.error, "broken.yaml:2", "the group 'inner' has no list of members", NULL);
    arena_free(&arena);
    free(file);
    remove_folder(&opened);
}

const struct CMUnitTest selection_tests[] = {
    cmocka_unit_test(test_a_fraction_is_rounded_up_for_each_task),
    cmocka_unit_test(test_v0_4_0_rounds_down_once),
    cmocka_unit_test(test_v0_4_0_templates),
    cmocka_unit_test(test_tasks_that_came_later),
    cmocka_unit_test(test_shots_in_names),
    cmocka_unit_test(test_groups_override_their_members),
    cmocka_unit_test(test_suites_name_tasks_and_shots),
    cmocka_unit_test(test_samples_choose_documents),
    cmocka_unit_test(test_data_of_groups_whose_members_are_mappings)};
const size_t n_selection_tests = sizeof selection_tests / sizeof *selection_tests;
