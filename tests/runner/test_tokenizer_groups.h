/* The groups of tests that run_tokenizer_tests runs besides its own. */
#ifndef ZEVAL_TESTS_RUNNER_TEST_TOKENIZER_GROUPS_H
#define ZEVAL_TESTS_RUNNER_TEST_TOKENIZER_GROUPS_H

int run_tokenizer_file_tests(void);
int run_tokenizer_golden_tests(void);
int run_tokenizer_model_tests(void);
int run_tokenizer_bulk_tests(void);

#endif
