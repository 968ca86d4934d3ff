/* The program as users meet it: run as a child process, judged by exit code, standard output and error. */
#ifndef ZEVAL_TESTS_CLI_TESTS_H
#define ZEVAL_TESTS_CLI_TESTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"

int run_help_tests(void);
int run_demo_tests(void);
int run_crash_tests(void);
int run_planning_tests(void);
int run_bad_input_tests(void);
int run_real_tests(void);
int run_logits_tests(void);
int run_show_tests(void);
int run_zoo_tests(void);
int run_reproduce_tests(void);
int run_report_tests(void);
int run_profile_tests(void);
int run_lm_eval_files_tests(void);
int run_rescore_tests(void);
int run_chat_tests(void);

typedef struct Output {
    int status; /* exit code; 128 + n when signal n ended it */
    Buffer out, error;
} Output;

/* The folder of the current group, and files in it. */
extern char test_folder[64];
int test_make_folder(void **state);
int test_remove_folder(void **state);

/* Runs $ZEVAL with arguments given as one printf-style shell string; standard input is empty. */
void test_run(Output *output, const char *format, ...) __attribute__((format(printf, 2, 3)));
void test_output_free(Output *output);
/* Fails the test, showing both outputs, unless the program ended with `status`. */
void test_run_expecting(int status, Output *output, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Path of a file in the folder of optional shared data, NULL (after saying so) if it is absent. New string.
 */
char *test_shared(const char *name);
const char *test_program(void);

#endif
