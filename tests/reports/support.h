/* Small databases with known contents, in a folder of their own. */
#ifndef ZEVAL_TESTS_REPORTS_SUPPORT_H
#define ZEVAL_TESTS_REPORTS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "db/db.h"
#include "reports/reports.h"

typedef struct Fixture {
    char folder[256];
    Db *db;
} Fixture;

int fixture_setup(void **state);
int fixture_teardown(void **state);
/* A second, empty database in the same folder. */
Db *another_database(const Fixture *fixture, const char *name);

void succeed(int result, const Error *error);

/* A run "org/model" with settings that the expectations know. */
int64_t add_run(Db *db, const char *fingerprint, const char *model);
void add_task(Db *db, int64_t run_id, const char *name, const char *version, int64_t shots);
void add_result(Db *db, int64_t run_id, const char *name, const char *metric, double value,
                double stderr_value);
void add_group(Db *db, int64_t run_id, const char *name, const char *const *children, size_t n_children,
               double value, double stderr_value);
/* A document of four choices, of which `chosen` is the most likely and 1 is right. */
void add_document(Db *db, int64_t run_id, const char *task, int64_t doc_id, const char *context,
                  const char *const choices[4], int chosen);
void finish_run(Db *db, int64_t run_id);

typedef int ReportFunction(Db *, const ReportOptions *, Buffer *, Error *);
/* The report of every run, or of one; free it. */
char *make_report(ReportFunction *report, Db *db, int64_t run_id);
void assert_contains(const char *text, const char *expected);
void assert_lacks(const char *text, const char *unexpected);

extern const struct CMUnitTest table_tests[], markdown_tests[], html_tests[], json_tests[], published_tests[],
    sheet_tests[], paper_tests[], compare_tests[], results_sheets_tests[], browser_tests[], formats_tests[];
extern const size_t n_table_tests, n_markdown_tests, n_html_tests, n_json_tests, n_published_tests,
    n_sheet_tests, n_paper_tests, n_compare_tests, n_results_sheets_tests, n_browser_tests, n_formats_tests;

#endif
