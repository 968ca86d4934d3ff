/* Requests against lm-evaluation-harness: contexts, continuations, generation_kwargs, and right answers
 * (through the accuracies of given responses). Both profiles, every task that ships, every mode. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tasks/value.h"

#define TOY_TEMPLATE                                                                                         \
    "<B>{% for m in messages %}<{{ m.role }}>{{ m.content }}</>{% endfor %}"                                 \
    "{% if add_generation_prompt %}<GEN>{% endif %}"

/* Writes one "ORG/NAME|CONFIG" entry's splits as JSON Lines. */
static void write_rows(const char *folder, const cJSON *dataset) {
    char path[256];
    const char *bar = strchr(dataset->string, '|'), *config = bar + 1;
    if (strcmp(config, "None") == 0)
        config = "default";
    const cJSON *split, *row;
    cJSON_ArrayForEach(split, dataset) {
        Buffer lines = {0};
        cJSON_ArrayForEach(row, split) {
            char *line = cJSON_PrintUnformatted(row);
            buffer_printf(&lines, "%s\n", line);
            cJSON_free(line);
        }
        snprintf(path, sizeof path, "%.*s/%s/%s.jsonl", (int)(bar - dataset->string), dataset->string, config,
                 split->string);
        folder_write(folder, path, lines.data);
        buffer_free(&lines);
    }
}

static void check_context(const char *task, size_t i, const cJSON *hashes, const TaskRequest *request) {
    char hex[SHA256_HEX];
    int n = cJSON_GetArraySize(hashes);
    const char *expected = cJSON_GetArrayItem(hashes, n == 1 ? 0 : request->idx)->valuestring;
    sha256_text(request->context, strlen(request->context), hex);
    if (strncmp(hex, expected, 32) != 0)
        fail_msg("%s document %zu request %d: sha256 %.32s, expected %s; the context is:\n%s", task, i,
                 request->idx, hex, expected, request->context);
}

static void check_document(const char *task, size_t i, const cJSON *expected, const TaskDocument *document) {
    const cJSON *hashes = cJSON_GetObjectItem(expected, "arg0_sha256"),
                *texts = cJSON_GetObjectItem(expected, "arg1");
    if (cJSON_IsArray(texts))
        assert_int_equal(document->n_requests, cJSON_GetArraySize(texts));
    for (size_t r = 0; r < document->n_requests; r++) {
        assert_int_equal(document->requests[r].idx, (int)r);
        check_context(task, i, hashes, &document->requests[r]);
        const cJSON *text = cJSON_GetArrayItem(texts, (int)r);
        if (cJSON_IsString(text))
            assert_string_equal(document->requests[r].continuation, text->valuestring);
        assert_int_equal(document->requests[r].continuation != NULL,
                         document->requests[r].type == OUTPUT_LOGLIKELIHOOD);
    }
}

/* The generation_kwargs as values: equal whatever the order of the keys. */
static void check_generation(const cJSON *task, const TaskDocument *document) {
    const cJSON *expected = cJSON_GetObjectItem(task, "generation_kwargs");
    Error error = {0};
    for (size_t r = 0; r < document->n_requests; r++) {
        const char *found = document->requests[r].generation;
        cJSON *parsed = NULL;
        if (!expected || !found) {
            assert_true(!found && !expected);
            continue;
        }
        assert_int_equal(json_parse(&parsed, found, strlen(found), "generation", &error), 0);
        if (!cJSON_Compare(parsed, expected, true))
            fail_msg("%s: generation_kwargs %s", task->string, found);
        cJSON_Delete(parsed);
    }
}

/* First index of the largest ll / length. */
static int64_t best(const cJSON *responses, const TaskDocument *document, bool normalized) {
    int64_t found = 0;
    double most = 0;
    for (size_t k = 0; k < document->n_choices; k++) {
        double value = cJSON_GetArrayItem(cJSON_GetArrayItem(responses, (int)k), 0)->valuedouble;
        if (normalized)
            value /= (double)utf8_length(document->choices[k], strlen(document->choices[k]));
        if (k == 0 || value > most) {
            most = value;
            found = (int64_t)k;
        }
    }
    return found;
}

static void check_gold(const cJSON *scoring, size_t i, const TaskDocument *document) {
    const cJSON *scored = cJSON_GetArrayItem(cJSON_GetObjectItem(scoring, "docs"), (int)i);
    const cJSON *responses = cJSON_GetObjectItem(scored, "resps");
    const cJSON *metrics = cJSON_GetObjectItem(cJSON_GetObjectItem(scored, "metrics"), "none");
    const cJSON *acc = cJSON_GetObjectItem(metrics, "acc"), *norm = cJSON_GetObjectItem(metrics, "acc_norm");
    if (document->n_choices == 0 || !acc)
        return;
    assert_int_equal(best(responses, document, false) == document->gold, acc->valuedouble == 1);
    if (norm)
        assert_int_equal(best(responses, document, true) == document->gold, norm->valuedouble == 1);
}

/* Opens a task whether or not it can be scored. */
static int open_requests(TaskSet **set, const char *name, const char *data, int shots, Error *error) {
    const TaskOptions options = {
        .names = &name, .n_names = 1, .data_root = data, .num_fewshot = shots, .fewshot_seed = 1234};
    return task_set_open(set, &options, error);
}

/* Returns the number of requests compared; 0 if there is no such list. */
static size_t check_task(const cJSON *task, int shots, const char *data) {
    char key[32];
    Error error = {0};
    TaskSet *set;
    snprintf(key, sizeof key, "text_%dshot", shots);
    const cJSON *documents = cJSON_GetObjectItem(task, key);
    if (!documents)
        return 0;
    if (open_requests(&set, task->string, data, shots, &error))
        fail_msg("%s", error.message);
    const Task *opened = task_set_task(set, 0);
    size_t n_requests = 0;
    assert_int_equal(task_info(opened)->n_documents, cJSON_GetArraySize(documents));
    for (size_t i = 0; i < task_info(opened)->n_documents; i++) {
        Arena arena = {0};
        TaskDocument document;
        if (task_document(opened, i, &arena, &document, &error))
            fail_msg("%s", error.message);
        check_document(task->string, i, cJSON_GetArrayItem(documents, (int)i), &document);
        check_generation(task, &document);
        if (shots == 0 && strcmp(task->string, "truthfulqa_mc2") != 0) /* its acc is a probability */
            check_gold(cJSON_GetObjectItem(task, "scoring"), i, &document);
        n_requests += document.n_requests;
        arena_free(&arena);
    }
    task_set_close(set);
    return n_requests;
}

/* The first document in chat mode with one example and a system instruction. The golden's toy template knows
 * no begun answers: it marks one with what follows it. Returns 1 if there is such a golden. */
static int check_chat(const cJSON *task, bool multiturn, const char *data) {
    const char *key =
        multiturn ? "chat_multiturn_1shot_SYS_doc0_arg0" : "chat_singleturn_1shot_SYS_doc0_arg0";
    const cJSON *expected = cJSON_GetObjectItem(task, key),
                *texts = cJSON_GetObjectItem(task, "chat_doc0_arg1");
    const TaskChat chat = {.source = TOY_TEMPLATE, .fewshot_multiturn = multiturn};
    const char *name = task->string;
    const TaskOptions options = {.names = &name,
                                 .n_names = 1,
                                 .data_root = data,
                                 .num_fewshot = 1,
                                 .fewshot_seed = 1234,
                                 .chat = &chat,
                                 .system_instruction = "SYS"};
    Error error = {0};
    TaskSet *set;
    Arena arena = {0};
    TaskDocument document;
    if (!expected)
        return 0;
    if (task_set_open(&set, &options, &error) ||
        task_document(task_set_task(set, 0), 0, &arena, &document, &error))
        fail_msg("%s", error.message);
    char *wanted = strdup(expected->valuestring), *begun = strstr(wanted, "</><CONT>");
    if (begun)
        *begun = '\0';
    assert_string_equal(document.requests[0].context, wanted);
    for (size_t r = 0; cJSON_IsArray(texts) && r < document.n_requests; r++)
        assert_string_equal(document.requests[r].continuation,
                            cJSON_GetArrayItem(texts, (int)r)->valuestring);
    free(wanted);
    arena_free(&arena);
    task_set_close(set);
    return 1;
}

static void write_all_rows(const char *folder, const cJSON *rows) {
    const cJSON *item;
    cJSON_ArrayForEach(item, rows) write_rows(folder, item);
}

static void test_prompts_of_all_tasks_equal_the_goldens(void **state) {
    (void)state;
    Error error = {0};
    cJSON *golden;
    const cJSON *item;
    char *path = shared_path("golden/lm_eval_golden.json");
    size_t n_requests = 0, n_lists = 0;
    int n_chats = 0;
    if (!path)
        skip();
    if (json_parse_file(&golden, path, 64 << 20, &error))
        fail_msg("%s", error.message);
    char *data = folder_make();
    write_all_rows(data, cJSON_GetObjectItem(golden, "rows"));
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(golden, "expected")) {
        for (int shots = 0; shots <= 5; shots++) {
            size_t n = check_task(item, shots, data);
            n_requests += n;
            n_lists += n > 0;
        }
        n_chats += check_chat(item, true, data) + check_chat(item, false, data);
    }
    printf("%s: %zu requests in %zu lists and %d chats are equal\n", path, n_requests, n_lists, n_chats);
    assert_int_equal(n_lists, 61);
    assert_int_equal(n_chats, 44);
    cJSON_Delete(golden);
    folder_remove(data);
    free(path);
}

/* ---- digests of what upstream builds in every mode (prompt_goldens.py) */

static int compare_pairs(const void *a, const void *b) {
    return strcmp(((const ValuePair *)a)->key, ((const ValuePair *)b)->key);
}

/* The kwargs as JSON with sorted keys. */
static void append_sorted(Buffer *out, const char *json, Arena *arena) {
    Error error = {0};
    Value kwargs;
    if (value_from_json(&kwargs, arena, json, strlen(json), "kwargs", 1, &error))
        fail_msg("%s", error.message);
    qsort(kwargs.as.pairs, kwargs.n, sizeof *kwargs.as.pairs, compare_pairs);
    value_append_json(out, &kwargs);
}

static void digest(const TaskDocument *document, Arena *arena, char hex[SHA256_HEX]) {
    Buffer text = {0};
    for (size_t r = 0; r < document->n_requests; r++) {
        const TaskRequest *request = &document->requests[r];
        buffer_printf(&text, "%s\x1f", request->context);
        if (request->generation)
            append_sorted(&text, request->generation, arena);
        buffer_printf(&text, "%s\x1e", request->continuation ? request->continuation : "");
    }
    sha256_text(text.data, text.size, hex);
    hex[16] = '\0';
    buffer_free(&text);
}

/* Compares every document of a task in a mode like "text_3shot" or "chat_multiturn_default". */
static void check_mode(const char *task, const char *mode, Compat compat, const char *data,
                       const cJSON *expected) {
    const TaskChat chat = {.source = TOY_TEMPLATE,
                           .bos_token = "",
                           .eos_token = "",
                           .fewshot_multiturn = text_starts_with(mode, "chat_multiturn")};
    const char *shots = strrchr(mode, '_') + 1;
    const bool is_chat = text_starts_with(mode, "chat"), is_text = text_starts_with(mode, "text");
    const TaskOptions options = {.names = &task,
                                 .n_names = 1,
                                 .data_root = data,
                                 .num_fewshot = strcmp(shots, "default") == 0 ? -1 : atoi(shots),
                                 .fewshot_seed = 1234,
                                 .compat = compat,
                                 .chat = is_chat ? &chat : NULL,
                                 .system_instruction = is_text ? NULL : "SYS"};
    Error error = {0};
    TaskSet *set;
    if (task_set_open(&set, &options, &error))
        fail_msg("%s %s: %s", task, mode, error.message);
    const Task *opened = task_set_task(set, 0);
    assert_string_equal(task_info(opened)->compat, compat_name(compat));
    assert_int_equal(task_info(opened)->n_documents, cJSON_GetArraySize(expected));
    for (size_t i = 0; i < task_info(opened)->n_documents; i++) {
        Arena arena = {0};
        TaskDocument document;
        char hex[SHA256_HEX];
        if (task_document(opened, i, &arena, &document, &error))
            fail_msg("%s %s: %s", task, mode, error.message);
        digest(&document, &arena, hex);
        if (strcmp(hex, cJSON_GetArrayItem(expected, (int)i)->valuestring) != 0)
            fail_msg("%s %s document %zu differs; its first context is:\n%s", task, mode, i,
                     document.requests[0].context);
        arena_free(&arena);
    }
    task_set_close(set);
}

static void check_profile(const char *path, Compat compat, int expected_lists) {
    Error error = {0};
    cJSON *fixture, *rows;
    const cJSON *task, *mode;
    char *data = folder_make();
    int n = 0;
    if (json_parse_file(&fixture, path, 1 << 20, &error) ||
        json_parse_file(&rows, "tests/fixtures/lm_eval/rows.json", 1 << 20, &error))
        fail_msg("%s", error.message);
    write_all_rows(data, rows);
    cJSON_ArrayForEach(task, cJSON_GetObjectItem(fixture, "expected")) {
        cJSON_ArrayForEach(mode, task) {
            check_mode(task->string, mode->string, compat, data, mode);
            n++;
        }
    }
    printf("%s: %d lists are equal\n", path, n);
    assert_int_equal(n, expected_lists);
    cJSON_Delete(fixture);
    cJSON_Delete(rows);
    folder_remove(data);
}

static void test_prompts_equal_mains_in_every_mode(void **state) {
    (void)state;
    check_profile("tests/fixtures/lm_eval/prompts_main.json", COMPAT_MAIN, 24 * 14);
}

static void test_prompts_equal_those_of_v0_4_0_in_every_mode(void **state) {
    (void)state;
    check_profile("tests/fixtures/lm_eval/prompts_v0_4_0.json", COMPAT_V0_4_0, 21 * 6);
}

static void check_prompt_hashes(const char *task, int shots, const char *const expected[3]) {
    Error error = {0};
    TaskSet *set;
    char hex[SHA256_HEX], *data = shared_path("data/datasets");
    if (!data)
        skip();
    if (open_requests(&set, task, data, shots, &error))
        fail_msg("%s", error.message);
    for (size_t i = 0; i < 3; i++) {
        Arena arena = {0};
        TaskDocument document;
        if (task_document(task_set_task(set, 0), i, &arena, &document, &error))
            fail_msg("%s", error.message);
        sha256_text(document.requests[0].context, strlen(document.requests[0].context), hex);
        hex[16] = '\0';
        assert_string_equal(hex, expected[i]);
        arena_free(&arena);
    }
    task_set_close(set);
    free(data);
}

static void test_real_gsm8k_prompts(void **state) {
    (void)state;
    check_prompt_hashes("gsm8k", 5,
                        (const char *const[]){"32680f263ba83280", "e6b9a0195411932e", "97eb2662b11bbd7b"});
    check_prompt_hashes("gsm8k_cot", 8,
                        (const char *const[]){"901fead9abd2535b", "d8ef3245c80f6408", "dc37b83aca6e54ce"});
}

/* Prompt hashes that upstream publishes with its samples, on the published data. */
static void test_real_openbookqa_prompts(void **state) {
    (void)state;
    check_prompt_hashes("openbookqa", 0,
                        (const char *const[]){"6cb709a6a1558e21", "3be7e0b59f57f7f1", "d0144f20063dd5f2"});
    check_prompt_hashes("openbookqa", 5,
                        (const char *const[]){"4c8c47f1b0c2b06a", "344d8825337885a1", "7f518bb71d2c29d8"});
}

static void test_real_piqa_prompts(void **state) {
    (void)state;
    check_prompt_hashes("piqa", 0,
                        (const char *const[]){"14e2e90bdc64add5", "83ed1685df44e1de", "31c59e4fa20c69ae"});
}

static void test_all_of_mmlu_is_built_quickly(void **state) {
    (void)state;
    char *data = shared_path("data/datasets");
    if (!data)
        skip();
    Error error = {0};
    TaskSet *set;
    size_t n = 0;
    double start = clock_seconds();
    if (open_task(&set, "mmlu", data, NULL, 5, &error))
        fail_msg("%s", error.message);
    Arena arena = {0};
    for (size_t t = 0; t < task_set_count(set); t++) {
        const Task *task = task_set_task(set, t);
        for (size_t i = 0; i < task_info(task)->n_documents; i++, n++) {
            TaskDocument document;
            if (task_document(task, i, &arena, &document, &error))
                fail_msg("%s", error.message);
            assert_int_equal(document.n_requests, 4);
            assert_in_range(document.gold, 0, 3);
            arena_reset(&arena);
        }
    }
    printf("mmlu, 5-shot: %zu documents in %.3f s\n", n, clock_seconds() - start);
    assert_int_equal(n, 14042);
    arena_free(&arena);
    task_set_close(set);
    free(data);
}

const struct CMUnitTest golden_tests[] = {cmocka_unit_test(test_prompts_of_all_tasks_equal_the_goldens),
                                          cmocka_unit_test(test_prompts_equal_mains_in_every_mode),
                                          cmocka_unit_test(test_prompts_equal_those_of_v0_4_0_in_every_mode),
                                          cmocka_unit_test(test_real_openbookqa_prompts),
                                          cmocka_unit_test(test_real_gsm8k_prompts),
                                          cmocka_unit_test(test_real_piqa_prompts),
                                          cmocka_unit_test(test_all_of_mmlu_is_built_quickly)};
const size_t n_golden_tests = sizeof golden_tests / sizeof *golden_tests;
