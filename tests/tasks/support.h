/* What the tests of the tasks room share: a temporary folder, files in it, and opening tasks in one line. */
#ifndef ZEVAL_TESTS_TASKS_SUPPORT_H
#define ZEVAL_TESTS_TASKS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"
#include "tasks/tasks.h"

/* A new folder; remove it with folder_remove, which also frees the name. */
char *folder_make(void);
void folder_remove(char *folder);
/* Writes FOLDER/name, making folders on the way. */
void folder_write(const char *folder, const char *name, const char *text);

/* Opens one task with data below `data_root` and task files below `include_path` (each may be NULL). */
int open_task(TaskSet **set, const char *name, const char *data_root, const char *include_path,
              int num_fewshot, Error *error);

/* A path below the shared data folder ($ZEVAL_SHARED or ../shared); NULL, with a line on stdout, if it is not
 * there. Free it. */
char *shared_path(const char *name);

/* Fails unless the error's message contains each of the texts (closed by NULL). */
void assert_message(const Error *error, ...);

extern const struct CMUnitTest golden_tests[], template_tests[], value_tests[], yaml_tests[], library_tests[],
    input_tests[], fewshot_tests[], parquet_tests[], rows_tests[], selection_tests[], chat_template_tests[];
extern const size_t n_golden_tests, n_template_tests, n_value_tests, n_yaml_tests, n_library_tests,
    n_input_tests, n_fewshot_tests, n_parquet_tests, n_rows_tests, n_selection_tests, n_chat_template_tests;

#endif
