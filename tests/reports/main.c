#include "tests/reports/support.h"

int main(void) {
    int failed = 0;
    failed += _cmocka_run_group_tests("reports: tables", table_tests, n_table_tests, NULL, NULL);
    failed += _cmocka_run_group_tests("reports: Markdown", markdown_tests, n_markdown_tests, NULL, NULL);
    failed += _cmocka_run_group_tests("reports: HTML", html_tests, n_html_tests, NULL, NULL);
    failed += _cmocka_run_group_tests("reports: JSON and runs", json_tests, n_json_tests, NULL, NULL);
    return failed != 0;
}
