#include <math.h>
#include <stdlib.h>

#include "tests/reports/support.h"

static void test_csv_holds_every_number_exactly(void **state) {
    Fixture *fixture = *state;
    int64_t run = add_run(fixture->db, "one", "org/a,b");
    add_task(fixture->db, run, "t", "1.0", 5);
    add_result(fixture->db, run, "t", "acc", 0.1 + 0.2, 0.01);
    add_result(fixture->db, run, "t", "perplexity", NAN, NAN);
    finish_run(fixture->db, run);
    char *text = make_report(report_csv, fixture->db, 0);
    assert_string_equal(
        text, "run_id,model,dtype,backend,compat,limit,name,is_group,version,num_fewshot,metric,filter,"
              "value,stderr,n,higher_is_better\n"
              "1,\"org/a,b\",float32,cpu,main,50,t,no,1.0,5,acc,none,0.30000000000000004,0.01,2,yes\n"
              "1,\"org/a,b\",float32,cpu,main,50,t,no,1.0,5,perplexity,none,,,2,no\n");
    free(text);
}

static void test_latex_has_a_table_per_run_and_one_over_all(void **state) {
    Fixture *fixture = *state;
    static const char *const children[] = {"t"};
    for (int which = 0; which < 2; which++) {
        int64_t run = add_run(fixture->db, which ? "two" : "one", which ? "org/b" : "org/a_1&%");
        add_task(fixture->db, run, "t", "1.0", 0);
        add_result(fixture->db, run, "t", "acc_norm", 0.25, 0.0433);
        add_group(fixture->db, run, "g", children, 1, 0.25, 0.0433);
        finish_run(fixture->db, run);
    }
    char *text = make_report(report_latex, fixture->db, 0);
    assert_contains(text, "\\caption{Side by side}");
    assert_contains(text, "Task & Metric & org/a\\_1\\&\\%, float32, 0-shot & org/b, float32, 0-shot \\\\\n");
    assert_contains(text, "\\caption{org/b, float32, 0-shot, limit 50}");
    assert_contains(text, "    - t & 0 & acc\\_norm & 0.2500 & 0.0433 \\\\\n");
    free(text);
    text = make_report(report_latex, fixture->db, 1);
    assert_lacks(text, "Side by side");
    free(text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
const struct CMUnitTest results_sheets_tests[] = {TEST(test_csv_holds_every_number_exactly),
                                                  TEST(test_latex_has_a_table_per_run_and_one_over_all)};
const size_t n_results_sheets_tests = sizeof results_sheets_tests / sizeof *results_sheets_tests;
