/* The groups of tests of the runner room; each returns the number that failed. */
#ifndef ZEVAL_TESTS_RUNNER_RUNNER_TESTS_H
#define ZEVAL_TESTS_RUNNER_RUNNER_TESTS_H

int run_tokenizer_tests(void);
int run_checkpoint_tests(void);
int run_checkpoint_bin_tests(void);
int run_checkpoint_large_tests(void);
int run_copy_tests(void);
int run_state_bytes_tests(void);
int run_stop_text_tests(void);
int run_sample_tests(void);
int run_hostile_field_tests(void);
int run_storage_tests(void);
int run_engine_layer_tests(void);
int run_few_rows_tests(void);
int run_wide_tests(void);
int run_gated_tests(void);
int run_attend_tests(void);
int run_engine_family_tests(void);
int run_engine_tests(void);
int run_profile_tests(void);

#endif
