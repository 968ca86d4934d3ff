/* Few-shot examples: which rows, in which order, and what becomes of the document itself. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BASE                                                                                                 \
    "task: t\ndataset_path: org/set\noutput_type: multiple_choice\ndoc_to_text: q\ndoc_to_choice: ['no', "   \
    "'yes']\n"                                                                                               \
    "doc_to_target: label\nfewshot_delimiter: \"|\"\n"

/* Rows numbered from 0 to n - 1. */
static void write_rows(const char *folder, const char *split, int n) {
    Buffer rows = {0};
    char name[64];
    for (int i = 0; i < n; i++)
        buffer_printf(&rows, "{\"q\": \"r%d\", \"label\": %d}\n", i, i % 2);
    snprintf(name, sizeof name, "data/org/set/default/%s.jsonl", split);
    folder_write(folder, name, rows.data);
    buffer_free(&rows);
}

/* The context of document i under the task file `yaml`. */
static void assert_context(const char *folder, const char *yaml, int shots, size_t i, const char *expected) {
    Error error = {0};
    TaskSet *set;
    Arena arena = {0};
    TaskDocument document;
    char *data = path_join(folder, "data"), *tasks = path_join(folder, "tasks");
    folder_write(folder, "tasks/t.yaml", yaml);
    if (open_task(&set, "t", data, tasks, shots, &error) ||
        task_document(task_set_task(set, 0), i, &arena, &document, &error))
        fail_msg("%s", error.message);
    assert_string_equal(document.requests[0].context, expected);
    task_set_close(set);
    arena_free(&arena);
    free(data);
    free(tasks);
}

static void test_first_n_takes_the_first_rows_for_all(void **state) {
    (void)state;
    char *folder = folder_make();
    write_rows(folder, "test", 3);
    write_rows(folder, "dev", 5);
    const char *yaml = BASE "test_split: test\nfewshot_split: dev\nfewshot_config: {sampler: first_n}\n";
    assert_context(folder, yaml, 0, 2, "r2");
    assert_context(folder, yaml, 2, 0, "r0 no|r1 yes|r0");
    assert_context(folder, yaml, 2, 2, "r0 no|r1 yes|r2");
    folder_remove(folder);
}

static void test_first_n_of_the_same_split_leaves_the_document_out(void **state) {
    (void)state;
    char *folder = folder_make();
    write_rows(folder, "test", 3);
    const char *yaml = BASE "test_split: test\nfewshot_split: test\nfewshot_config: {sampler: first_n}\n";
    assert_context(folder, yaml, 2, 0, "r1 yes|r2 no|r0");
    assert_context(folder, yaml, 2, 2, "r0 no|r1 yes|r2");
    folder_remove(folder);
}

/* Python: Random(1234).sample(range(4), 3) with neither split named, so that one more is drawn and an equal
 * row falls away: [3, 0, 2] for document 0 and [0, 2, 3] for document 1. */
static void test_one_more_is_drawn_when_neither_split_is_named(void **state) {
    (void)state;
    char *folder = folder_make();
    write_rows(folder, "validation", 2);
    write_rows(folder, "train", 4);
    const char *yaml = BASE "validation_split: validation\ntraining_split: train\n";
    assert_context(folder, yaml, 2, 0, "r3 yes|r2 no|r0");
    assert_context(folder, yaml, 2, 1, "r0 no|r2 no|r1");
    folder_remove(folder);
}

static void test_a_task_that_says_zero_stays_at_zero(void **state) {
    (void)state;
    char *folder = folder_make();
    write_rows(folder, "test", 1);
    assert_context(folder, BASE "test_split: test\nnum_fewshot: 0\n", 5, 0, "r0");
    folder_remove(folder);
}

static void test_literal_samples_with_sources_of_their_own(void **state) {
    (void)state;
    char *folder = folder_make();
    write_rows(folder, "test", 1);
    const char *yaml = BASE
        "test_split: test\nfewshot_config:\n  sampler: first_n\n  doc_to_text: \"Q {{x}}\"\n"
        "  doc_to_target: y\n  target_delimiter: '='\n  samples:\n  - {x: 1, y: one}\n  - {x: 2, y: ''}\n"
        "num_fewshot: 2\n";
    assert_context(folder, yaml, -1, 0, "Q 1=one|Q 2r0");
    folder_remove(folder);
}

const struct CMUnitTest fewshot_tests[] = {
    cmocka_unit_test(test_first_n_takes_the_first_rows_for_all),
    cmocka_unit_test(test_first_n_of_the_same_split_leaves_the_document_out),
    cmocka_unit_test(test_one_more_is_drawn_when_neither_split_is_named),
    cmocka_unit_test(test_a_task_that_says_zero_stays_at_zero),
    cmocka_unit_test(test_literal_samples_with_sources_of_their_own)};
const size_t n_fewshot_tests = sizeof fewshot_tests / sizeof *fewshot_tests;
