#include "tests/reports/support.h"

int main(void) {
    int failed = 0;
    failed += _cmocka_run_group_tests("reports: tables", table_tests, n_table_tests, NULL, NULL);
    failed += _cmocka_run_group_tests("reports: Markdown", markdown_tests, n_markdown_tests, NULL, NULL);
    failed += _cmocka_run_group_tests("reports: HTML", html_tests, n_html_tests, NULL, NULL);
    failed += _cmocka_run_group_tests("reports: JSON and runs", json_tests, n_json_tests, NULL, NULL);
    failed +=
        _cmocka_run_group_tests("reports: published numbers", published_tests, n_published_tests, NULL, NULL);
    failed += _cmocka_run_group_tests("reports: sheets", sheet_tests, n_sheet_tests, NULL, NULL);
    failed += _cmocka_run_group_tests("reports: papers", paper_tests, n_paper_tests, NULL, NULL);
    failed += _cmocka_run_group_tests("reports: comparisons", compare_tests, n_compare_tests, NULL, NULL);
    failed += _cmocka_run_group_tests("reports: LaTeX and CSV", results_sheets_tests, n_results_sheets_tests,
                                      NULL, NULL);
    failed +=
        _cmocka_run_group_tests("reports: pages in a browser", browser_tests, n_browser_tests, NULL, NULL);
    failed += _cmocka_run_group_tests("reports: other programs", formats_tests, n_formats_tests, NULL, NULL);
    return failed != 0;
}
