#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/reports/support.h"

static void test_table_of_lm_eval(void **state) {
    Fixture *fixture = *state;
    int64_t run = add_run(fixture->db, "run", "org/model");
    add_task(fixture->db, run, "hellaswag", "1.0", 0);
    add_result(fixture->db, run, "hellaswag", "acc_norm", 0.81104, 0.00391);
    add_result(fixture->db, run, "hellaswag", "acc", 0.61282, 0.00486);
    finish_run(fixture->db, run);
    char *report = make_report(report_markdown, fixture->db, 0);
    assert_contains(report, "## org/model, 0-shot, float32, limit 50\n\n"
                            "|  Tasks  |Version|Filter|n-shot| Metric |   |Value |   |Stderr|\n"
                            "|---------|------:|------|-----:|--------|---|-----:|---|-----:|\n"
                            "|hellaswag|      1|none  |     0|acc     |↑  |0.6128|±  |0.0049|\n"
                            "|         |       |none  |     0|acc_norm|↑  |0.8110|±  |0.0039|\n"
                            "\n");
    assert_lacks(report, "Groups");
    free(report);
}

static void add_groups(Db *db, int64_t run) {
    static const char *const leaves_a[] = {"mmlu_b", "mmlu_a"}, *const leaves_b[] = {"mmlu_c"};
    static const char *const top[] = {"mmlu_stem", "mmlu_arts"};
    add_task(db, run, "mmlu_a", "1.0", 5);
    add_task(db, run, "mmlu_b", "1.0", 5);
    add_task(db, run, "mmlu_c", "1.0", 5);
    add_task(db, run, "arc", "Yaml", 25);
    add_result(db, run, "mmlu_a", "acc", 0.25, 0.05);
    add_result(db, run, "mmlu_b", "acc", 0.3, 0.0455);
    add_result(db, run, "mmlu_c", "acc", 1, NAN);
    add_result(db, run, "arc", "perplexity", 12.34567, NAN);
    add_group(db, run, "mmlu_stem", leaves_a, 2, 0.275, 0.03);
    add_group(db, run, "mmlu_arts", leaves_b, 1, 1, NAN);
    add_group(db, run, "mmlu", top, 2, 0.5167, 0.02);
}

static void test_rows_follow_the_hierarchy(void **state) {
    Fixture *fixture = *state;
    int64_t run = add_run(fixture->db, "run", "org/model");
    add_groups(fixture->db, run);
    finish_run(fixture->db, run);
    char *report = make_report(report_markdown, fixture->db, run);
    /* With as many N/A as numbers above them, numbers of the Stderr column keep all their decimals. */
    assert_contains(report, "## org/model, mixed shots, float32, limit 50\n\n"
                            "|   Tasks    |Version|Filter|n-shot|  Metric  |   | Value |   |Stderr|\n"
                            "|------------|-------|------|-----:|----------|---|------:|---|------|\n"
                            "|mmlu        |      2|none  |      |acc       |   | 0.5167|±  |  0.02|\n"
                            "| - mmlu_arts|      2|none  |     5|acc       |↑  | 1.0000|±  |   N/A|\n"
                            "|  - mmlu_c  |      1|none  |     5|acc       |↑  | 1.0000|±  |   N/A|\n"
                            "| - mmlu_stem|      2|none  |     5|acc       |↑  | 0.2750|±  |0.0300|\n"
                            "|  - mmlu_a  |      1|none  |     5|acc       |↑  | 0.2500|±  |0.0500|\n"
                            "|  - mmlu_b  |      1|none  |     5|acc       |↑  | 0.3000|±  |0.0455|\n"
                            "|arc         |Yaml   |none  |    25|perplexity|↓  |12.3457|±  |   N/A|\n"
                            "\n"
                            "|   Groups   |Version|Filter|n-shot|Metric|   |Value |   |Stderr|\n"
                            "|------------|------:|------|-----:|------|---|-----:|---|------|\n"
                            "|mmlu        |      2|none  |      |acc   |   |0.5167|±  |  0.02|\n"
                            "| - mmlu_arts|      2|none  |     5|acc   |↑  |1.0000|±  |   N/A|\n"
                            "| - mmlu_stem|      2|none  |     5|acc   |↑  |0.2750|±  |  0.03|\n"
                            "\n");
    free(report);
}

static void test_groups_that_contain_each_other_end(void **state) {
    Fixture *fixture = *state;
    static const char *const a[] = {"b", "t", "a"}, *const b[] = {"a", "missing"};
    int64_t run = add_run(fixture->db, "run", "org/model");
    add_task(fixture->db, run, "t", "1.0", 0);
    add_result(fixture->db, run, "t", "acc", 0.5, 0.1);
    add_group(fixture->db, run, "a", a, 3, 0.5, 0.1);
    add_group(fixture->db, run, "b", b, 2, 0.5, 0.1);
    finish_run(fixture->db, run);
    char *report = make_report(report_markdown, fixture->db, 0);
    assert_contains(report, "|a    |      2|");
    assert_contains(report, "| - b |      2|");
    assert_contains(report, "| - t |      1|");
    free(report);
}

static void test_hostile_names_stay_text(void **state) {
    Fixture *fixture = *state;
    int64_t run = add_run(fixture->db, "run", "org/<img src=x>|`m`");
    add_task(fixture->db, run, "t|`x`<b>\n## heading", "1.0", 0);
    add_result(fixture->db, run, "t|`x`<b>\n## heading", "acc", 0.5, 0.1);
    finish_run(fixture->db, run);
    char *report = make_report(report_markdown, fixture->db, 0);
    assert_contains(report, "## org/\\<img src=x\\>\\|\\`m\\`, 0-shot");
    assert_contains(report, "|t\\|\\`x\\`\\<b\\> ## heading|");
    assert_lacks(report, "\n## heading");
    free(report);
}

static void test_provenance_names_no_place(void **state) {
    Fixture *fixture = *state;
    int64_t run = add_run(fixture->db, "run", "/home/somebody/models/model/");
    add_task(fixture->db, run, "t", "1.0", 0);
    static const char *const choices[] = {"A", "B", "C", "D"};
    add_document(fixture->db, run, "t", 0, "Q", choices, 1);
    finish_run(fixture->db, run);
    char *report = make_report(report_markdown, fixture->db, 0);
    assert_lacks(report, "/home");
    assert_contains(report, "## model, 0-shot, float32, limit 50\n");
    assert_contains(report, "- Parameters: 260,032\n");
    assert_contains(report, "- Sequence state: 1.28 kB per token, 0 B fixed\n");
    assert_contains(report, "- Truncated: 1 of 4 requests cut on the left\n");
    assert_contains(report, "- Settings: `{\"tasks\":[\"t\",\"my_task.yaml\"]}`\n");
    assert_contains(report, "|Task|Data set|Split|Documents|Of |Requests|Truncated|\n"
                            "|----|--------|-----|--------:|--:|-------:|--------:|\n"
                            "|t   |org/data|test |        2|100|       4|        1|\n");
    assert_contains(report, "| Role  |       File        | Bytes |SHA-256|\n"
                            "|-------|-------------------|------:|-------|\n"
                            "|model  |model.safetensors  |1040128|eeff   |\n"
                            "|task   |my_task.yaml       |     99|0011   |\n"
                            "|dataset|org/data/test.jsonl|   1234|ccdd   |\n");
    free(report);
}

/* MMLU has 57 subjects: they must not bury the rest. */
static void test_many_tasks_and_files_share_lines(void **state) {
    Fixture *fixture = *state;
    Error error = {0};
    static char names[20][16];
    static const char *const choices[] = {"A", "B", "C", "D"};
    const char *members[20];
    int64_t run = add_run(fixture->db, "run", "org/model");
    for (int i = 0; i < 20; i++) {
        snprintf(names[i], sizeof names[i], "m%c", 'a' + i);
        members[i] = names[i];
        add_task(fixture->db, run, names[i], "1.0", 5);
        succeed(db_run_file(fixture->db, run, "dataset", names[i], "ff", 100, &error), &error);
    }
    add_document(fixture->db, run, "mc", 0, "Q", choices, 1);
    add_group(fixture->db, run, "all", members, 20, 0.5, 0.02);
    finish_run(fixture->db, run);
    char *report = make_report(report_markdown, fixture->db, 0);
    assert_contains(report, "|    Task     |Data set|Split|Documents| Of |Requests|Truncated|\n"
                            "|-------------|--------|-----|--------:|---:|-------:|--------:|\n"
                            "|all: 19 tasks|org/data|test |       38|1900|       0|        0|\n"
                            "|mc           |org/data|test |        2| 100|       4|        1|\n"
                            "\n");
    assert_contains(report, "|dataset|21 files, hashed together|   3234|");
    free(report);
}

static void test_several_runs_side_by_side(void **state) {
    Fixture *fixture = *state;
    int64_t first = add_run(fixture->db, "one", "org/a"), second = add_run(fixture->db, "two", "org/b");
    add_task(fixture->db, first, "t", "1.0", 0);
    add_task(fixture->db, second, "t", "1.0", 0);
    add_task(fixture->db, second, "u", "1.0", 0);
    add_result(fixture->db, first, "t", "acc", 0.5125, 0.1);
    add_result(fixture->db, second, "t", "acc", 0.625, 0.1);
    add_result(fixture->db, second, "u", "acc", 0.75, 0.1);
    finish_run(fixture->db, first);
    finish_run(fixture->db, second);
    char *report = make_report(report_markdown, fixture->db, 0);
    assert_contains(report, "## Side by side\n\n"
                            "|Tasks|Metric|org/a, float32, 0-shot|org/b, float32, 0-shot|\n"
                            "|-----|------|---------------------:|---------------------:|\n"
                            "|t    |acc   |                0.5125|                 0.625|\n"
                            "|u    |acc   |                      |                 0.750|\n"
                            "\n## org/a, 0-shot");
    free(report);
    report = make_report(report_markdown, fixture->db, second);
    assert_lacks(report, "Side by side");
    assert_lacks(report, "org/a");
    free(report);
}

static void assert_refused(Db *db, int64_t run_id, ErrorKind kind, const char *expected) {
    Error error = {0};
    Buffer out = {0};
    ReportOptions options = {.run_id = run_id};
    assert_int_equal(report_markdown(db, &options, &out, &error), -1);
    assert_int_equal(error.kind, kind);
    if (!strstr(error.message, expected))
        fail_msg("message is '%s'; expected '%s'", error.message, expected);
    assert_int_equal(out.size, 0);
    buffer_free(&out);
}

static void test_no_finished_run(void **state) {
    Fixture *fixture = *state;
    assert_refused(fixture->db, 0, ERROR_FAILED, "has no finished run: `zeval run --db");
    int64_t run = add_run(fixture->db, "run", "org/model");
    assert_refused(fixture->db, 0, ERROR_FAILED, "has no finished run");
    assert_refused(fixture->db, run, ERROR_FAILED, "is not finished");
    assert_refused(fixture->db, 77, ERROR_USAGE, "has no run 77");
}

/* The same results, stored in another order, in several sittings, beside an unfinished run. */
static void test_report_depends_on_results_alone(void **state) {
    Fixture *fixture = *state;
    static const char *const choices[] = {"A", "B", "C", "D"};
    static const char *const texts[] = {"first", "second"};
    Db *other = another_database(fixture, "other.db");
    add_run(other, "unfinished", "org/model");
    Db *dbs[] = {fixture->db, other};
    char *reports[3][2];
    for (int d = 0; d < 2; d++) {
        int64_t run = add_run(dbs[d], "run", "org/model");
        add_task(dbs[d], run, d ? "u" : "t", "1.0", 0);
        add_task(dbs[d], run, d ? "t" : "u", "1.0", 0);
        for (int i = 0; i < 2; i++)
            add_document(dbs[d], run, "t", d ? 1 - i : i, texts[d ? 1 - i : i], choices, d ? 1 - i : i);
        for (int again = 0; again <= d; again++) {
            add_result(dbs[d], run, d ? "u" : "t", "acc", 0.5, 0.1);
            add_result(dbs[d], run, d ? "t" : "u", "acc", 0.5, 0.1);
        }
        finish_run(dbs[d], run);
        reports[0][d] = make_report(report_markdown, dbs[d], 0);
        reports[1][d] = make_report(report_html, dbs[d], 0);
        reports[2][d] = make_report(report_json, dbs[d], 0);
    }
    for (int r = 0; r < 3; r++) {
        assert_string_equal(reports[r][0], reports[r][1]);
        free(reports[r][0]);
        free(reports[r][1]);
    }
    db_close(other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
const struct CMUnitTest markdown_tests[] = {TEST(test_table_of_lm_eval),
                                            TEST(test_rows_follow_the_hierarchy),
                                            TEST(test_groups_that_contain_each_other_end),
                                            TEST(test_hostile_names_stay_text),
                                            TEST(test_provenance_names_no_place),
                                            TEST(test_many_tasks_and_files_share_lines),
                                            TEST(test_several_runs_side_by_side),
                                            TEST(test_no_finished_run),
                                            TEST(test_report_depends_on_results_alone)};
const size_t n_markdown_tests = sizeof markdown_tests / sizeof *markdown_tests;
