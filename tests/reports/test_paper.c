#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "reports/paper.h"
#include "tests/reports/support.h"

/* Without padding: runs of blanks become one. */
static void squeeze(char *text) {
    char *out = text;
    for (const char *c = text; *c; c++)
        if (*c != ' ' || c[1] != ' ')
            *out++ = *c;
    *out = '\0';
}

static char *paper(Db *db, const char *name, const char *table, const char *format) {
    Error error = {0};
    Buffer out = {0};
    succeed(report_paper(db, name, table, format, &out, &error), &error);
    char *text = buffer_take(&out);
    squeeze(text);
    return text;
}

/* The first table as printed, cell by cell, from the paper's text. */
static void test_published_only_equals_the_print(void **state) {
    (void)state;
    char *text = paper(NULL, "zebra-llama", "1", "markdown");
    assert_contains(text, "Means recomputed from the printed values: 21 of 22 agree.");
    assert_contains(text, "KV-cache sizes computed by formula: 20 of 21 agree.");
    assert_contains(
        text, "| metric, shots | | | | | | acc_norm | acc_norm | acc_norm | acc | acc_norm | acc \\[1\\] |"
              " acc | acc | mean of 8 | |\n");
    assert_contains(text,
                    "| Zebra-Llama-1B, 8MLA-8M2 | 7.81% | 7.8125% | 8B | 7B | 1.27B | 42.49 | 67.38 | 60.54 |"
                    " 38.94 | 41.6 | 72.91 | 38.37 | 61.25 | 52.94 | 52.94 |\n");
    assert_contains(text, "78.4 \\[");
    assert_contains(
        text, "Slip: printed 78.4; the repository's README has 78.6, which gives the printed mean 64.12");
    assert_contains(text, "the mean of the 8 printed values is 64.093; 64.12 is printed");
    assert_contains(text, "this value is acc, not the column's acc_norm");
    free(text);
}

static void test_other_tables(void **state) {
    (void)state;
    static const char *const tables[][3] = {
        {"zebra-llama", "2", "10 of 10 agree"},    {"zebra-llama", "12", "6 of 6 agree"},
        {"zebra-llama", "13", "6 of 6 agree"},     {"x-ecomla", "1", "28 of 28 agree"},
        {"x-ecomla", "2", "19 of 19 agree"},       {"x-ecomla", "3", "4 of 4 agree"},
        {"mambainllama", "3", "20 of 20 agree"},   {"mambainllama", "4", "RecurrentGemma-9B"},
        {"minitron", "2", "Nemotron-4-15B"},       {"minitron-practice", "1", "MN-Minitron-8B"},
        {"llamba", "1", "mean of 8 incl. LAMBADA"}};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        char *text = paper(NULL, tables[i][0], tables[i][1], "markdown");
        assert_contains(text, tables[i][2]);
        free(text);
    }
}

static void test_verdicts(void **state) {
    (void)state;
    assert_int_equal(paper_verdict(50.00, 2, 50.004, 0), VERDICT_REPRODUCED);
    assert_int_equal(paper_verdict(50.00, 2, 50.005, NAN), VERDICT_REPRODUCED);
    assert_int_equal(paper_verdict(50.00, 2, 50.006, 0), VERDICT_CLOSE);
    assert_int_equal(paper_verdict(50.0, 1, 51.0, 0.5), VERDICT_REPRODUCED);
    assert_int_equal(paper_verdict(50.0, 1, 51.1, 0.5), VERDICT_CLOSE);
    assert_int_equal(paper_verdict(50.0, 1, 52.1, 0.5), VERDICT_DIFFERS);
    assert_int_equal(paper_verdict(50.0, 1, NAN, 0.5), VERDICT_DIFFERS);
}

/* A run of Llama-3.2-1B-Instruct with all tasks of the first table, ours `shift` above what is printed. */
static void add_row(Db *db, const char *fingerprint, const char *model, double shift, double stderr_value) {
    static const struct {
        const char *task, *metric;
        double value;
    } cells[] = {{"arc_challenge", "acc_norm", 37.97},
                 {"arc_easy", "acc_norm", 63.30},
                 {"hellaswag", "acc_norm", 60.65},
                 {"openbookqa", "acc_norm", 34.80},
                 {"piqa", "acc", 74.32},
                 {"race", "acc", 38.18},
                 {"winogrande", "acc", 59.67}};
    static const char *const children[] = {"mmlu_a"};
    int64_t run = add_run(db, fingerprint, model);
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++) {
        add_task(db, run, cells[i].task, "1.0", 0);
        add_result(db, run, cells[i].task, cells[i].metric, (cells[i].value + shift) / 100, stderr_value);
    }
    add_task(db, run, "mmlu_a", "1.0", 0);
    add_group(db, run, "mmlu", children, 1, (46.05 + shift) / 100, stderr_value);
    finish_run(db, run);
}

static void test_ours_beside_published(void **state) {
    Fixture *fixture = *state;
    add_row(fixture->db, "one", "/models/Llama-3.2-1B-Instruct", 1, 0.01);
    add_row(fixture->db, "two", "amd/Zebra-Llama-1B-8MLA-8Mamba-DPO", 0, NAN);
    char *text = paper(fixture->db, "zebra-llama", "1", "markdown");
    assert_contains(text, "| published |");
    assert_contains(text, "38.97 ± 1.96 \\[");
    assert_contains(text, "| difference |");
    assert_contains(text, "+1.00 |");
    assert_contains(text, "scored only a part of the documents");
    free(text);
    text = paper(fixture->db, "zebra-llama", "1", "csv");
    assert_contains(
        text, "\nzebra-llama,1,Llama3.2-1B-Inst,meta-llama/Llama-3.2-1B-Instruct,arc_challenge,acc_norm,0,"
              "37.97,,,arc_challenge,acc_norm,38.9700,1.0000,1.0000,reproduced,1,2,float32,yes\n");
    /* The mean of eight tasks, each with one point of error, has 1/sqrt(8) of it. */
    assert_contains(text, "average,mean,0,51.87,51.8675,,,,52.8675,0.3536,0.9975,close,,18,,\n");
    assert_contains(text, ",mmlu,acc,0,46.05,,,mmlu,acc,47.0500,1.0000,1.0000,reproduced,1,4,float32,yes\n");
    assert_contains(
        text, "arc_easy,acc_norm,0,67.38,,,arc_easy,acc_norm,63.3000,,-4.0800,differs,2,2,float32,yes\n");
    assert_contains(
        text, ",Llamba-1B,cartesia-ai/Llamba-1B,arc_challenge,acc_norm,0,37.12,,,arc_challenge,acc_norm,"
              ",,,not run,,,,\n");
    free(text);
}

/* The caches of the fixture's model are 1280 bytes, 320 values per token; eight layers of sixteen with 160
 * values would be 1280. */
static void test_cache_size_of_the_loaded_model(void **state) {
    Fixture *fixture = *state;
    add_row(fixture->db, "one", "amd/Zebra-Llama-1B-8MLA-8Mamba-DPO", 0, 0.01);
    char *text = paper(fixture->db, "zebra-llama", "1", "csv");
    assert_contains(
        text, ",kv_cache,% of the base model's,,7.81,7.8125,,,,1.9531,,-5.8569,differs,1,,float32,yes\n");
    free(text);
}

static void test_the_right_metric_and_shots_are_compared(void **state) {
    Fixture *fixture = *state;
    int64_t run = add_run(fixture->db, "one", "junxiongwang/llama3.2-mamba2-3b-DPO");
    add_task(fixture->db, run, "arc_easy", "1.0", 0);
    add_result(fixture->db, run, "arc_easy", "acc", 0.8026, 0.001);
    add_result(fixture->db, run, "arc_easy", "acc_norm", 0.70, 0.001);
    add_task(fixture->db, run, "hellaswag", "1.0", 10);
    add_result(fixture->db, run, "hellaswag", "acc_norm", 0.7445, 0.001);
    finish_run(fixture->db, run);
    char *text = paper(fixture->db, "zebra-llama", "1", "csv");
    assert_contains(text, "arc_easy,acc,0,80.26,");
    assert_contains(text, ",arc_easy,acc,80.2600,0.1000,0.0000,reproduced,1,2,float32,yes\n");
    assert_contains(text, "hellaswag,acc_norm,0,74.45,,");
    assert_lacks(text, "74.4500");
    free(text);
}

static void test_mixed_runs_are_warned_of(void **state) {
    Fixture *fixture = *state;
    Error error = {0};
    bool complete;
    int64_t run_id;
    add_row(fixture->db, "one", "meta-llama/Llama-3.2-1B-Instruct", 0, 0.01);
    DbRun run = {.fingerprint = "two",
                 .model_name = "cartesia-ai/Llamba-1B",
                 .dtype = "bfloat16",
                 .backend = "cpu",
                 .compat = "main",
                 .settings_json = "{}"};
    succeed(db_run_start(fixture->db, &run, &run_id, &complete, &error), &error);
    add_task(fixture->db, run_id, "race", "1.0", 0);
    add_result(fixture->db, run_id, "race", "acc", NAN, NAN);
    finish_run(fixture->db, run_id);
    char *text = paper(fixture->db, "zebra-llama", "1", "markdown");
    assert_contains(text, "Warning: ours are of runs that differ in data type.");
    assert_contains(text, "NaN");
    free(text);
}

static void test_bad_questions(void **state) {
    Fixture *fixture = *state;
    Error error = {0};
    Buffer out = {0};
    assert_int_equal(report_paper(NULL, "zebra-llama", "999", "csv", &out, &error), -1);
    assert_contains(error.message, "no table \"999\" of zebra-llama");
    assert_int_equal(report_paper(fixture->db, "zebra-llama", "1", "csv", &out, &error), -1);
    assert_contains(error.message, "has no finished run");
    assert_int_equal(report_paper(NULL, "zebra-llama", "1", "pdf", &out, &error), -1);
    assert_contains(error.message, "--format: found \"pdf\"");
    assert_int_equal(out.size, 0);
    buffer_free(&out);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
const struct CMUnitTest paper_tests[] = {cmocka_unit_test(test_published_only_equals_the_print),
                                         cmocka_unit_test(test_other_tables),
                                         cmocka_unit_test(test_verdicts),
                                         TEST(test_ours_beside_published),
                                         TEST(test_cache_size_of_the_loaded_model),
                                         TEST(test_the_right_metric_and_shots_are_compared),
                                         TEST(test_mixed_runs_are_warned_of),
                                         TEST(test_bad_questions)};
const size_t n_paper_tests = sizeof paper_tests / sizeof *paper_tests;
