/* Names: the built-in library, a folder of the user's, groups, tags, wildcards, limits. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TASK(name, extra)                                                                                    \
    "task: " name "\ndataset_path: org/set\ntest_split: test\noutput_type: multiple_choice\n"                \
    "doc_to_text: q\ndoc_to_choice: ['no', 'yes']\ndoc_to_target: label\n" extra

#define ROW "{\"q\": \"Is it?\", \"label\": 1}\n"

/* Tasks a, b (tag ab), c; groups inner = [ab], outer = [inner, c], loose = [c] without an aggregate. */
static char *make_library(void) {
    char *folder = folder_make();
    folder_write(folder, "tasks/x/b.yaml", TASK("b", "tag: [ab, other]\n"));
    folder_write(folder, "tasks/x/a.yaml", TASK("a", "tag: ab\nmetadata: {version: 2.5}\n"));
    folder_write(folder, "tasks/c.yaml", "include: [x/base_yaml, x/more_yaml]\ntask: c\ntask_alias: see\n");
    folder_write(folder, "tasks/x/base_yaml", TASK("base", "description: from base\n"));
    folder_write(folder, "tasks/x/more_yaml", "description: \"from more {{label}} \"\n");
    folder_write(folder, "tasks/inner.yaml",
                 "group: inner\ntask: [ab]\naggregate_metric_list: [{metric: acc}]\n");
    folder_write(folder, "tasks/outer.yaml",
                 "group: outer\ngroup_alias: Outer\ntask: [inner, c]\naggregate_metric_list:\n- metric: acc\n"
                 "  weight_by_size: false\nmetadata: {version: 3}\n");
    folder_write(folder, "tasks/loose.yaml", "group: loose\ntask: [c]\n");
    folder_write(folder, "data/org/set/default/test.jsonl", ROW ROW ROW);
    return folder;
}

static TaskSet *open_names(const char *folder, const char *const *names, size_t n, double limit) {
    Error error = {0};
    TaskSet *set;
    char *tasks = path_join(folder, "tasks/"), *data = path_join(folder, "data");
    const TaskOptions options = {.names = names,
                                 .n_names = n,
                                 .data_root = data,
                                 .include_path = tasks,
                                 .num_fewshot = -1,
                                 .limit = limit,
                                 .fewshot_seed = 1234};
    if (task_set_open(&set, &options, &error))
        fail_msg("%s", error.message);
    free(tasks);
    free(data);
    return set;
}

static const char *name_of(const TaskSet *set, size_t i) {
    return task_info(task_set_task(set, i))->name;
}

static void test_groups_hold_their_leaves_children_first(void **state) {
    (void)state;
    char *folder = make_library();
    const char *names[] = {"outer", "a", "loose"};
    TaskSet *set = open_names(folder, names, 3, 0);
    assert_int_equal(task_set_count(set), 3);
    assert_string_equal(name_of(set, 0), "a");
    assert_string_equal(name_of(set, 1), "b");
    assert_string_equal(name_of(set, 2), "c");
    assert_int_equal(task_set_group_count(set), 3);
    assert_string_equal(task_set_group(set, 2)->name, "loose");
    assert_int_equal(task_set_group(set, 2)->n_metrics, 0);
    const TaskGroup *inner = task_set_group(set, 0), *outer = task_set_group(set, 1);
    assert_string_equal(inner->name, "inner");
    assert_true(inner->metrics[0].weight_by_size);
    assert_string_equal(inner->version, "N/A");
    assert_int_equal(inner->n_leaves, 2);
    assert_string_equal(outer->alias, "Outer");
    assert_string_equal(outer->version, "3");
    assert_false(outer->metrics[0].weight_by_size);
    assert_int_equal(outer->n_children, 2);
    assert_string_equal(outer->children[0], "inner");
    assert_string_equal(outer->children[1], "c");
    assert_int_equal(outer->n_leaves, 3);
    assert_ptr_equal(outer->leaves[2], task_set_task(set, 2));
    task_set_close(set);
    folder_remove(folder);
}

static void test_tags_wildcards_and_paths_name_tasks(void **state) {
    (void)state;
    char *folder = make_library(), *path = path_join(folder, "tasks/c.yaml");
    const char *tag[] = {"other"}, *wild[] = {"[ab]"}, *file[] = {path};
    TaskSet *set = open_names(folder, tag, 1, 0);
    assert_int_equal(task_set_count(set), 1);
    assert_string_equal(name_of(set, 0), "b");
    task_set_close(set);
    set = open_names(folder, wild, 1, 0);
    assert_int_equal(task_set_count(set), 2);
    task_set_close(set);
    set = open_names(folder, file, 1, 0);
    assert_string_equal(name_of(set, 0), "c");
    task_set_close(set);
    free(path);
    folder_remove(folder);
}

static void test_later_includes_and_own_keys_win(void **state) {
    (void)state;
    char *folder = make_library();
    const char *names[] = {"c"};
    TaskSet *set = open_names(folder, names, 1, 0);
    const TaskInfo *info = task_info(task_set_task(set, 0));
    Arena arena = {0};
    Error error = {0};
    TaskDocument document;
    assert_string_equal(info->name, "c");
    assert_string_equal(info->alias, "see");
    assert_int_equal(info->n_files, 4); /* three task files and the data */
    assert_string_equal(info->files[3].role, "dataset");
    assert_string_equal(info->files[3].name, "org/set/default/test.jsonl");
    assert_int_equal(info->files[3].bytes, 3 * strlen(ROW));
    assert_int_equal(info->n_metrics, 2);
    if (task_document(task_set_task(set, 0), 1, &arena, &document, &error))
        fail_msg("%s", error.message);
    assert_string_equal(document.requests[1].context, "from more 1 Is it?");
    assert_string_equal(document.requests[1].continuation, " yes");
    assert_int_equal(document.gold, 1);
    assert_int_equal(document.doc_id, 1);
    assert_string_equal(document.json, "{\"q\": \"Is it?\", \"label\": 1}");
    assert_string_equal(document.target, "1");
    arena_free(&arena);
    task_set_close(set);
    folder_remove(folder);
}

static void test_limits_count_as_in_lm_eval(void **state) {
    (void)state;
    const struct {
        double limit;
        size_t n;
    } cases[] = {{0, 3}, {0.1, 1}, {0.34, 2}, {1, 1}, {2.9, 2}, {50, 3}};
    char *folder = make_library();
    const char *names[] = {"a"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        TaskSet *set = open_names(folder, names, 1, cases[i].limit);
        assert_int_equal(task_info(task_set_task(set, 0))->n_documents, cases[i].n);
        assert_int_equal(task_info(task_set_task(set, 0))->n_documents_total, 3);
        task_set_close(set);
    }
    folder_remove(folder);
}

static void test_the_users_files_hide_built_in_ones(void **state) {
    (void)state;
    char *folder = make_library(), *tasks = path_join(folder, "tasks");
    const char *names[] = {"piqa"};
    folder_write(folder, "tasks/mine.yaml", TASK("piqa", ""));
    TaskSet *set = open_names(folder, names, 1, 0);
    assert_string_equal(task_info(task_set_task(set, 0))->dataset_path, "org/set");
    task_set_close(set);
    folder_write(folder, "tasks/mine_too.yaml", TASK("piqa", ""));
    Error error = {0};
    assert_int_equal(open_task(&set, "piqa", NULL, tasks, 0, &error), -1);
    assert_message(&error, "mine_too.yaml", "'piqa' is already that of", "mine.yaml", NULL);
    /* the others are not hurt by it */
    if (open_task(&set, "c", NULL, tasks, 0, &error) == 0)
        fail_msg("there are no rows without a data folder");
    assert_message(&error, "org/set", "no data folder was given", NULL);
    free(tasks);
    folder_remove(folder);
}

/* A file that cannot be read keeps nobody from running the others, but is told of. */
static void test_an_unreadable_file_hurts_no_other(void **state) {
    (void)state;
    Error error = {0};
    TaskSet *set;
    TaskListing *lines;
    size_t n;
    Arena arena = {0};
    char *folder = make_library(), *tasks = path_join(folder, "tasks"), *said = NULL;
    size_t bytes = 0;
    const char *names[] = {"c"};
    folder_write(folder, "tasks/aaa.yaml", "task: [broken\n");
    folder_write(folder, "tasks/bbb.yaml", "include: nowhere.yaml\ntask: bbb\n");
    Log log = {.stream = open_memstream(&said, &bytes), .level = LOG_WARNING};
    char *data = path_join(folder, "data");
    const TaskOptions options = {.names = names,
                                 .n_names = 1,
                                 .data_root = data,
                                 .include_path = tasks,
                                 .num_fewshot = 0,
                                 .fewshot_seed = 1234,
                                 .log = &log};
    if (task_set_open(&set, &options, &error))
        fail_msg("%s", error.message);
    task_set_close(set);
    fclose(log.stream);
    assert_non_null(strstr(said, "a task file is left out: "));
    assert_non_null(strstr(said, "aaa.yaml:2"));
    assert_non_null(strstr(said, "nowhere.yaml"));
    free(said);
    assert_int_equal(open_task(&set, "bbb", NULL, tasks, 0, &error), -1);
    assert_message(&error, "no task, group or tag 'bbb'", "cannot be read: 2, the first is", "aaa.yaml:2",
                   NULL);
    assert_int_equal(task_list(tasks, COMPAT_MAIN, &arena, &lines, &n, &error), 0);
    assert_string_equal(lines[0].kind, "unreadable");
    assert_non_null(strstr(lines[0].fault, "aaa.yaml:2"));
    assert_null(lines[2].fault);
    arena_free(&arena);
    free(data);
    free(tasks);
    folder_remove(folder);
}

static const TaskListing *line_of(const TaskListing *lines, size_t n, const char *file) {
    for (size_t i = 0; i < n; i++)
        if (text_ends_with(lines[i].file, file))
            return &lines[i];
    fail_msg("%s is not among the files", file);
    return NULL;
}

static void test_a_folder_is_checked_file_by_file(void **state) {
    (void)state;
    Error error = {0};
    Arena arena = {0};
    TaskListing *lines;
    size_t n;
    char *folder = make_library(), *tasks = path_join(folder, "tasks/sub/"),
         *whole = path_join(folder, "tasks");
    folder_write(folder, "tasks/sub/a.yaml", "task: sa\ninclude: part.yaml\ndoc_to_text: q\n");
    folder_write(folder, "tasks/sub/b.yaml", "task: sb\ninclude: part.yaml\ndoc_to_text: '{{'\n");
    folder_write(folder, "tasks/sub/c.yaml", "group: sc\ntask: [sa, c]\n");
    folder_write(folder, "tasks/sub/d.yaml", "task: [\n");
    folder_write(folder, "tasks/sub/e.yaml", "task: sa\ninclude: part.yaml\ndoc_to_text: q\n");
    folder_write(folder, "tasks/sub/no.txt", "task: [\n");
    folder_write(folder, "tasks/sub/part.yaml",
                 "dataset_path: org/set\ntest_split: test\noutput_type: multiple_choice\n"
                 "doc_to_choice: ['no', 'yes']\ndoc_to_target: label\n");
    if (task_folder_check(tasks, whole, COMPAT_MAIN, &arena, &lines, &n, &error))
        fail_msg("%s", error.message);
    assert_int_equal(n, 6);
    assert_null(line_of(lines, n, "sub/c.yaml")->fault);
    assert_null(line_of(lines, n, "sub/part.yaml")->fault);
    assert_string_equal(line_of(lines, n, "sub/part.yaml")->kind, "part");
    assert_non_null(strstr(line_of(lines, n, "sub/b.yaml")->fault, "b.yaml:3: doc_to_text"));
    assert_string_equal(line_of(lines, n, "sub/d.yaml")->kind, "unreadable");
    assert_non_null(strstr(line_of(lines, n, "sub/e.yaml")->fault, "'sa' is already that of"));
    /* without the folder above it the group has no member 'c' */
    assert_int_equal(task_folder_check(tasks, NULL, COMPAT_MAIN, &arena, &lines, &n, &error), 0);
    assert_non_null(strstr(line_of(lines, n, "sub/c.yaml")->fault, "no task, group or tag 'c'"));
    arena_free(&arena);
    free(tasks);
    free(whole);
    folder_remove(folder);
}

static const TaskListing *find_listing(const TaskListing *lines, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(lines[i].name, name) == 0)
            return &lines[i];
    fail_msg("%s is not listed", name);
    return NULL;
}

static void test_the_list_names_everything_sorted(void **state) {
    (void)state;
    Arena arena = {0};
    Error error = {0};
    TaskListing *lines;
    size_t n;
    double start = clock_seconds();
    if (task_list(NULL, COMPAT_MAIN, &arena, &lines, &n, &error))
        fail_msg("%s", error.message);
    printf("listing %zu names took %.1f ms\n", n, (clock_seconds() - start) * 1e3);
    for (size_t i = 1; i < n; i++)
        assert_true(strcmp(lines[i - 1].name, lines[i].name) <= 0);
    const TaskListing *arc = find_listing(lines, n, "arc_challenge"), *mmlu = find_listing(lines, n, "mmlu"),
                      *tag = find_listing(lines, n, "mmlu_stem_tasks");
    assert_string_equal(arc->kind, "task");
    assert_string_equal(arc->output_type, "multiple_choice");
    assert_string_equal(arc->dataset, "allenai/ai2_arc ARC-Challenge");
    assert_string_equal(arc->file, "tasks/library/arc/arc_challenge.yaml");
    assert_string_equal(mmlu->kind, "group");
    assert_int_equal(mmlu->n_members, 4);
    assert_string_equal(tag->kind, "tag");
    assert_int_equal(tag->n_members, 19);
    arena_free(&arena);
}

static void test_embedded_data_hides_nothing_on_disk(void **state) {
    (void)state;
    Error error = {0};
    TaskSet *set;
    char *folder = folder_make();
    if (open_task(&set, "demo_order", NULL, NULL, 0, &error))
        fail_msg("%s", error.message);
    assert_true(task_info(task_set_task(set, 0))->n_documents > 1);
    assert_string_equal(task_info(task_set_task(set, 0))->files[1].name,
                        "zeval/demo_order/default/test.jsonl");
    task_set_close(set);
    folder_write(folder, "zeval/demo_order/default/test.jsonl",
                 "{\"story\": \"s\", \"question\": \"q\", \"lead\": \"l\", \"choices\": [\"a\", \"b\"], "
                 "\"label\": 0}\n");
    if (open_task(&set, "demo_order", folder, NULL, 0, &error))
        fail_msg("%s", error.message);
    assert_int_equal(task_info(task_set_task(set, 0))->n_documents, 1);
    task_set_close(set);
    folder_remove(folder);
}

/* What the threads of one test share: each document's first context, hashed. */
typedef struct Shared {
    const Task *task;
    char (*hashes)[SHA256_HEX];
} Shared;

static void hash_document(void *context, size_t i, int thread) {
    (void)thread;
    Shared *shared = context;
    Arena arena = {0};
    Error error = {0};
    TaskDocument document;
    if (!task_document(shared->task, i, &arena, &document, &error))
        sha256_text(document.requests[0].context, strlen(document.requests[0].context), shared->hashes[i]);
    arena_free(&arena);
}

static void test_documents_are_the_same_from_many_threads(void **state) {
    (void)state;
    Error error = {0};
    TaskSet *set;
    ThreadPool *pool;
    if (open_task(&set, "demo_order", NULL, NULL, 3, &error) || thread_pool_create(&pool, 4, &error))
        fail_msg("%s", error.message);
    const Task *task = task_set_task(set, 0);
    size_t n = task_info(task)->n_documents;
    Shared one = {task, mem_alloc_zero(n, SHA256_HEX)}, many = {task, mem_alloc_zero(n, SHA256_HEX)};
    for (size_t i = n; i-- > 0;)
        hash_document(&one, i, 0);
    thread_pool_run(pool, n, hash_document, &many);
    assert_int_equal(strlen(one.hashes[0]), 64);
    assert_memory_equal(one.hashes, many.hashes, n * SHA256_HEX);
    free(one.hashes);
    free(many.hashes);
    thread_pool_destroy(pool);
    task_set_close(set);
}

const struct CMUnitTest library_tests[] = {cmocka_unit_test(test_groups_hold_their_leaves_children_first),
                                           cmocka_unit_test(test_tags_wildcards_and_paths_name_tasks),
                                           cmocka_unit_test(test_later_includes_and_own_keys_win),
                                           cmocka_unit_test(test_limits_count_as_in_lm_eval),
                                           cmocka_unit_test(test_the_users_files_hide_built_in_ones),
                                           cmocka_unit_test(test_an_unreadable_file_hurts_no_other),
                                           cmocka_unit_test(test_a_folder_is_checked_file_by_file),
                                           cmocka_unit_test(test_the_list_names_everything_sorted),
                                           cmocka_unit_test(test_embedded_data_hides_nothing_on_disk),
                                           cmocka_unit_test(test_documents_are_the_same_from_many_threads)};
const size_t n_library_tests = sizeof library_tests / sizeof *library_tests;
