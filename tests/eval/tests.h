/* The groups of the eval test program. Each returns the number of failed tests. */
#ifndef ZEVAL_TESTS_EVAL_TESTS_H
#define ZEVAL_TESTS_EVAL_TESTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

int run_scoring_tests(void);
int run_plan_tests(void);
int run_encode_tests(void);
int run_run_tests(void);
int run_memory_tests(void);
int run_replay_tests(void);
int run_repeats_tests(void);
int run_rolling_tests(void);
int run_generate_tests(void);
int run_truncation_tests(void);
int run_mix_tests(void);
int run_eta_tests(void);
int run_special_tokens_tests(void);

#endif
