/* The groups of the base test program. Each returns the number of failed tests. */
#ifndef ZEVAL_TESTS_BASE_TESTS_H
#define ZEVAL_TESTS_BASE_TESTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

int run_error_tests(void);
int run_memory_tests(void);
int run_text_tests(void);
int run_file_tests(void);
int run_json_tests(void);
int run_random_tests(void);
int run_threads_tests(void);
int run_progress_tests(void);

#endif
