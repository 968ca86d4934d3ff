/* Texts scored in windows: lm-evaluation-harness's windows, and the sum of their answers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "eval/parts.h"
#include "eval/requests.h"
#include "tests/eval/tests.h"

/* ---- windows */

static void check_window(const EncodedRequest *found, const cJSON *expected) {
    const cJSON *tokens = cJSON_GetArrayItem(expected, 1);
    assert_int_equal(found->n_context, cJSON_GetArrayItem(expected, 0)->valueint);
    assert_int_equal(found->tokens.n, cJSON_GetArraySize(tokens));
    for (int i = 0; i < cJSON_GetArraySize(tokens); i++)
        assert_int_equal(found->tokens.ids[i], cJSON_GetArrayItem(tokens, i)->valueint);
}

static void test_windows_are_upstreams(void **state) {
    (void)state;
    cJSON *entries;
    const cJSON *entry;
    Error error = {0};
    EncodedList list = {0};
    TokenIds tokens = {0};
    if (json_parse_file(&entries, "tests/fixtures/rolling_windows.json", 1 << 20, &error))
        fail_msg("%s", error.message);
    assert_true(cJSON_GetArraySize(entries) > 50);
    cJSON_ArrayForEach(entry, entries) {
        int n = cJSON_GetArrayItem(entry, 1)->valueint;
        const cJSON *windows = cJSON_GetArrayItem(entry, 2);
        tokens.n = list.n = 0; /* what they hold is used again */
        for (int i = 0; i < n; i++)
            token_ids_append(&tokens, 100 + i);
        rolling_windows(&tokens, 7, (size_t)cJSON_GetArrayItem(entry, 0)->valueint, &list);
        assert_int_equal(list.n, cJSON_GetArraySize(windows));
        for (size_t i = 0; i < list.n; i++)
            check_window(&list.items[i], cJSON_GetArrayItem(windows, (int)i));
    }
    token_ids_free(&tokens);
    encoded_list_free(&list);
    cJSON_Delete(entries);
}

/* ---- a task of texts */

static char folder[64];

static void put(const char *name, const char *text) {
    char *path = path_join(folder, name), *parent = path_folder(path);
    assert_int_equal(file_make_directories(parent, NULL), 0);
    assert_int_equal(file_write_atomic(path, text, strlen(text), NULL), 0);
    free(parent);
    free(path);
}

static int make_folder(void **state) {
    (void)state;
    strcpy(folder, "/tmp/zeval-test-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    put("tasks/texts.yaml", "task: texts\ndataset_path: a/texts\ntest_split: test\n"
                            "output_type: loglikelihood_rolling\ndoc_to_text: \"\"\ndoc_to_target: page\n"
                            "metric_list:\n  - metric: word_perplexity\n");
    put("data/a/texts/default/test.jsonl",
        "{\"page\": \"Anna put the ball in the box. Then Tom put the ball in the bag. Where is the ball?\"}\n"
        "{\"page\": \"\"}\n{\"page\": \"Anna\"}\n"
        "{\"page\": \"Anna put the ball in the box. Then Tom put the ball in the bag. Where is the "
        "ball?\"}\n");
    return setenv("ZEVAL_CACHE", folder, 1);
}

static int remove_folder(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static double score_alone(Engine *engine, const EncodedRequest *window) {
    size_t n = window->tokens.n - window->n_context;
    Target *targets = mem_alloc_zero(n, sizeof *targets);
    TargetResult *results = mem_alloc_zero(n, sizeof *results);
    for (size_t i = 0; i < n; i++)
        targets[i] =
            (Target){(int32_t)(window->n_context - 1 + i), window->tokens.ids[window->n_context + i]};
    Segment segment = {.tokens = window->tokens.ids,
                       .n_tokens = window->tokens.n - 1,
                       .targets = targets,
                       .n_targets = n,
                       .results = results};
    assert_int_equal(engine_score(engine, &segment, 1, NULL), 0);
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += results[i].logprob;
    free(targets);
    free(results);
    return sum;
}

static double sum_alone(const RunParts *parts, const char *text) {
    EncodedList windows = {0};
    double sum = 0;
    assert_int_equal(encode_rolling(&parts->encoder, text, &windows, NULL), 0);
    for (size_t i = 0; i < windows.n; i++)
        sum += score_alone(parts->engine, &windows.items[i]);
    encoded_list_free(&windows);
    return sum;
}

static void check_document(const RunParts *parts, const RunRequests *all, size_t i) {
    TaskDocument document;
    Arena arena = {0};
    assert_int_equal(task_document(task_set_task(parts->tasks, 0), i, &arena, &document, NULL), 0);
    Answer answer = requests_rolling_answer(all, &all->requests[i]);
    double expected = sum_alone(parts, document.requests[0].context);
    if (answer.loglikelihood != expected)
        fail_msg("document %zu: found %a, expected %a", i, answer.loglikelihood, expected);
    arena_free(&arena);
}

static void test_an_answer_is_the_sum_of_its_windows(void **state) {
    (void)state;
    static const char *const names[] = {"texts"};
    char *tasks = path_join(folder, "tasks"), *data = path_join(folder, "data");
    EvalOptions options = {
        .model = "demo",
        .tasks = {.names = names, .n_names = 1, .include_path = tasks, .data_root = data, .num_fewshot = -1},
        .max_length = 8,
        .build = "test"};
    RunParts parts;
    RunRequests all = {0};
    Error error = {0};
    if (parts_open(&parts, &options, &error) || requests_collect(&all, &parts, NULL, false, &error))
        fail_msg("%s", error.message);
    assert_int_equal(all.n_requests, 4);
    assert_true(all.requests[0].n_windows > 2);
    assert_string_equal(all.requests[0].key, all.requests[3].key);
    assert_string_not_equal(all.requests[0].key, all.requests[2].key);
    plan_settle(all.plan, engine_info(parts.engine), (size_t)1 << 30);
    int more;
    size_t n;
    while ((more = plan_step(all.plan, parts.engine, 50, NULL)) > 0) {
        const uint32_t *answered = plan_answered(all.plan, &n);
        for (size_t i = 0; i < n; i++)
            all.windows[all.planned[answered[i]].window].answer = plan_answer(all.plan, answered[i]);
    }
    assert_int_equal(more, 0);
    for (size_t i = 0; i < all.n_requests; i++)
        check_document(&parts, &all, i);
    requests_free(&all);
    parts_close(&parts);
    free(tasks);
    free(data);
}

int run_rolling_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_windows_are_upstreams),
        cmocka_unit_test(test_an_answer_is_the_sum_of_its_windows),
    };
    return cmocka_run_group_tests_name("rolling", tests, make_folder, remove_folder);
}
