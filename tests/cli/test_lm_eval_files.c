/* lm-eval's output files: a run on answers that lm-eval recorded must write the files that lm-eval wrote
 * (tests/oracle/make_lm_eval_files.py), the samples byte by byte. */
#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "tests/cli/tests.h"

#define FIXTURE "tests/fixtures/lm_eval_files"
#define REPEATS "tests/fixtures/lm_eval_repeats"
#define ODD "tests/fixtures/lm_eval_odd"
#define OLD "tests/fixtures/lm_eval_v0_4_0"

static void replay(Output *output, const char *more) {
    test_run_expecting(0, output,
                       "run --model replay:" FIXTURE "/out --tasks endings,world,pages --data " FIXTURE
                       "/data --include-path " FIXTURE "/tasks --db %s/lm.db --output-path %s/lm %s",
                       test_folder, test_folder, more);
}

/* The file in the output folder whose name begins so, read whole. */
static void read_output(const char *folder, const char *prefix, Buffer *out) {
    DIR *entries = opendir(folder);
    const struct dirent *entry;
    assert_non_null(entries);
    while ((entry = readdir(entries)))
        if (text_starts_with(entry->d_name, prefix)) {
            char *path = path_join(folder, entry->d_name);
            assert_int_equal(file_read(out, path, 1 << 24, NULL), 0);
            free(path);
        }
    closedir(entries);
    if (out->size == 0)
        fail_msg("%s has no %s*", folder, prefix);
}

static char *output_folder(void) {
    Buffer path = {0};
    buffer_printf(&path, "%s/lm/replay__out", test_folder);
    return buffer_take(&path);
}

/* The tables that lm-eval printed, in what was printed here. */
static void check_tables(const Output *output, const char *path) {
    Buffer expected = {0};
    assert_int_equal(file_read(&expected, path, 1 << 20, NULL), 0);
    if (!strstr(output->out.data, expected.data))
        fail_msg("found\n%s\nexpected\n%s", output->out.data, expected.data);
    buffer_free(&expected);
}

static void test_samples_are_the_bytes_that_lm_eval_wrote(void **state) {
    (void)state;
    static const char *const tasks[] = {"animals", "numbers", "sums", "endings", "pages"};
    Output output;
    replay(&output, "--log-samples");
    char *folder = output_folder();
    for (size_t i = 0; i < sizeof tasks / sizeof *tasks; i++) {
        Buffer found = {0}, expected = {0}, path = {0}, prefix = {0};
        buffer_printf(&path, FIXTURE "/out/samples_%s_TIME.jsonl", tasks[i]);
        buffer_printf(&prefix, "samples_%s_", tasks[i]);
        assert_int_equal(file_read(&expected, path.data, 1 << 24, NULL), 0);
        read_output(folder, prefix.data, &found);
        if (strcmp(found.data, expected.data) != 0)
            fail_msg("%s: found\n%s\nexpected\n%s", tasks[i], found.data, expected.data);
        buffer_free(&found);
        buffer_free(&expected);
        buffer_free(&path);
        buffer_free(&prefix);
    }
    free(folder);
    test_output_free(&output);
}

/* A document's repeats are one request's responses; the filters vote among them. */
static void test_repeats_are_read_and_written_as_lm_eval_wrote_them(void **state) {
    (void)state;
    Output output;
    Buffer found = {0}, expected = {0};
    test_run_expecting(0, &output,
                       "run --model replay:" REPEATS "/out --tasks votes --data " REPEATS
                       "/data --include-path " REPEATS
                       "/tasks --db %s/votes.db --output-path %s/votes --log-samples",
                       test_folder, test_folder);
    Buffer folder = {0};
    buffer_printf(&folder, "%s/votes/replay__out", test_folder);
    read_output(folder.data, "samples_votes_", &found);
    assert_int_equal(file_read(&expected, REPEATS "/out/samples_votes_TIME.jsonl", 1 << 24, NULL), 0);
    assert_string_equal(found.data, expected.data);
    buffer_free(&folder);
    buffer_free(&found);
    buffer_free(&expected);
    test_output_free(&output);
}

/* Says who ran what where; function sources; what a replay does not know of a tokenizer. */
static bool is_environment(const char *key) {
    static const char *const keys[] = {"date",
                                       "pretty_env_info",
                                       "transformers_version",
                                       "lm_eval_version",
                                       "upper_git_hash",
                                       "git_hash",
                                       "total_evaluation_time_seconds",
                                       "model",
                                       "model_args",
                                       "model_num_parameters",
                                       "model_source",
                                       "model_name",
                                       "model_name_sanitized",
                                       "pretrained",
                                       "config_source",
                                       "tokenizer_pad_token",
                                       "tokenizer_eos_token",
                                       "tokenizer_bos_token",
                                       "eot_token_id",
                                       "max_length"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strcmp(keys[i], key) == 0)
            return true;
    return false;
}

/* Keys in the same order, numbers to the last digits, all else the same. */
static void compare(const cJSON *found, const cJSON *expected, const char *where) {
    const cJSON *a = found->child, *b = expected->child;
    for (; a && b; a = a->next, b = b->next) {
        if (b->string && strcmp(a->string, b->string) != 0)
            fail_msg("%s: found the key %s, expected %s", where, a->string, b->string);
        if (b->string && is_environment(b->string))
            continue;
        compare(a, b, b->string ? b->string : where);
    }
    if (a || b)
        fail_msg("%s: %s %s", where, a ? "one too many:" : "missing:", (a ? a : b)->string);
    if (cJSON_IsNumber(expected)) {
        double most = 1e-12 * fmax(1, fabs(expected->valuedouble));
        if (!cJSON_IsNumber(found) || fabs(found->valuedouble - expected->valuedouble) > most)
            fail_msg("%s: found %.17g, expected %.17g", where, found->valuedouble, expected->valuedouble);
    } else if (!cJSON_IsObject(expected) && !cJSON_IsArray(expected) &&
               !cJSON_Compare(found, expected, true)) {
        fail_msg("%s: found %s, expected %s", where, found->valuestring, expected->valuestring);
    }
}

static void test_results_have_the_keys_and_values_that_lm_eval_wrote(void **state) {
    (void)state;
    Output output;
    Buffer text = {0};
    cJSON *found = NULL, *expected = NULL;
    Error error = {0};
    replay(&output, "--log-samples");
    check_tables(&output, FIXTURE "/out/tables.md");
    char *folder = output_folder();
    read_output(folder, "results_", &text);
    if (json_parse(&found, text.data, text.size, "results", &error) ||
        json_parse_file(&expected, FIXTURE "/out/results.json", 1 << 20, &error))
        fail_msg("%s", error.message);
    compare(found, expected, "results");
    assert_non_null(
        strstr(text.data, "{\n  \"results\": {\n    \"endings\": {\n      \"name\": \"endings\",\n"));
    cJSON_Delete(found);
    cJSON_Delete(expected);
    buffer_free(&text);
    free(folder);
    test_output_free(&output);
}

/* Columns of truth values, numbers and nothing, choices without a letter, aggregations and settings that few
 * tasks have. */
static void test_what_few_tasks_have_is_as_lm_eval_has_it(void **state) {
    (void)state;
    static const char *const tasks[] = {"truths", "spoken", "mixed::own", "true_texts",
                                        "sizes",  "whole",  "picked",     "other"};
    Output output;
    Buffer folder = {0}, text = {0};
    cJSON *found = NULL, *expected = NULL;
    Error error = {0};
    test_run_expecting(0, &output,
                       "run --model replay:" ODD "/out --tasks collection,whole,twice --data " ODD
                       "/data --include-path " ODD "/tasks --db %s/odd.db --output-path %s/odd --log-samples",
                       test_folder, test_folder);
    check_tables(&output, ODD "/out/tables.md");
    buffer_printf(&folder, "%s/odd/replay__out", test_folder);
    for (size_t i = 0; i < sizeof tasks / sizeof *tasks; i++) {
        Buffer mine = {0}, theirs = {0}, prefix = {0}, path = {0};
        buffer_printf(&prefix, "samples_%s_", tasks[i]);
        buffer_printf(&path, ODD "/out/%sTIME.jsonl", prefix.data);
        read_output(folder.data, prefix.data, &mine);
        assert_int_equal(file_read(&theirs, path.data, 1 << 24, NULL), 0);
        assert_string_equal(mine.data, theirs.data);
        buffer_free(&mine);
        buffer_free(&theirs);
        buffer_free(&prefix);
        buffer_free(&path);
    }
    read_output(folder.data, "results_", &text);
    if (json_parse(&found, text.data, text.size, "results", &error) ||
        json_parse_file(&expected, ODD "/out/results.json", 1 << 20, &error))
        fail_msg("%s", error.message);
    for (const cJSON *part = expected->child; part; part = part->next)
        compare(cJSON_GetObjectItem(found, part->string), part, part->string);
    cJSON_Delete(found);
    cJSON_Delete(expected);
    buffer_free(&text);
    buffer_free(&folder);
    test_output_free(&output);
}

/* v0.4.0 itself (tests/oracle/make_v0_4_0_tables.py): what it asks, and its tables without arrows and
 * sorting. */
static void test_requests_and_tables_of_v0_4_0(void **state) {
    (void)state;
    static const char options[] = "--compat v0.4.0 --data " OLD "/data --include-path " OLD "/tasks";
    Output output;
    Buffer expected = {0};
    test_run_expecting(0, &output, "requests --tasks ends,several,zeds,picks,whole %s", options);
    assert_int_equal(file_read(&expected, OLD "/out/requests.jsonl", 1 << 20, NULL), 0);
    assert_string_equal(output.out.data, expected.data);
    buffer_free(&expected);
    test_output_free(&output);
    test_run_expecting(0, &output,
                       "run --model replay:" OLD
                       "/out/answers.jsonl --tasks ends,pair,picks,whole %s --db %s/old.db",
                       options, test_folder);
    check_tables(&output, OLD "/out/tables.md");
    test_output_free(&output);
}

static void test_a_name_of_a_file_and_no_samples(void **state) {
    (void)state;
    Output output;
    Buffer text = {0};
    test_run_expecting(0, &output,
                       "run --model replay:" FIXTURE "/out --tasks endings --data " FIXTURE
                       "/data --include-path " FIXTURE "/tasks --db %s/one.db --output-path %s/one/mine.json",
                       test_folder, test_folder);
    char *folder = path_join(test_folder, "one");
    read_output(folder, "mine_2", &text);
    assert_non_null(strstr(text.data, "\"task_hashes\": {},"));
    free(folder);
    buffer_free(&text);
    test_output_free(&output);
    test_run_expecting(2, &output, "run --model demo --tasks demo --log-samples");
    assert_non_null(strstr(output.error.data, "--log-samples needs --output-path"));
    test_output_free(&output);
}

static void test_a_folder_of_task_files_is_validated(void **state) {
    (void)state;
    Output output;
    test_run_expecting(0, &output, "tasks --validate " FIXTURE "/tasks --data " FIXTURE "/data");
    assert_non_null(
        strstr(output.out.data, "/numbers.yaml: the task numbers (multiple_choice on fix/numbers)"));
    assert_non_null(strstr(output.out.data, "/tasks: nothing is wrong in 8 files\n"));
    test_output_free(&output);
    /* the same without the rows of one of them */
    test_run_expecting(1, &output, "tasks --validate " FIXTURE "/tasks --data " REPEATS "/data");
    assert_non_null(strstr(output.out.data, "fault: "));
    assert_non_null(strstr(output.error.data, "8 of 8 files are not in order"));
    test_output_free(&output);
    test_run_expecting(2, &output, "tasks --validate tests/fixtures/lm_eval_repeats/data");
    assert_non_null(strstr(output.error.data, "the folder holds no *.yaml"));
    test_output_free(&output);
}

static void test_recorded_answers_have_no_chat_template(void **state) {
    (void)state;
    Output output;
    test_run_expecting(2, &output,
                       "run --model replay:" FIXTURE "/out --tasks endings --data " FIXTURE
                       "/data --include-path " FIXTURE "/tasks --db %s/chat.db --apply-chat-template",
                       test_folder);
    assert_non_null(
        strstr(output.error.data, "recorded answers (replay:" FIXTURE "/out) have no chat template"));
    test_output_free(&output);
}

int run_lm_eval_files_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples_are_the_bytes_that_lm_eval_wrote),
        cmocka_unit_test(test_repeats_are_read_and_written_as_lm_eval_wrote_them),
        cmocka_unit_test(test_results_have_the_keys_and_values_that_lm_eval_wrote),
        cmocka_unit_test(test_what_few_tasks_have_is_as_lm_eval_has_it),
        cmocka_unit_test(test_requests_and_tables_of_v0_4_0),
        cmocka_unit_test(test_a_name_of_a_file_and_no_samples),
        cmocka_unit_test(test_a_folder_of_task_files_is_validated),
        cmocka_unit_test(test_recorded_answers_have_no_chat_template),
    };
    return cmocka_run_group_tests_name("lm-eval's files", tests, test_make_folder, test_remove_folder);
}
