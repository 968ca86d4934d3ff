#include "tests/eval/tests.h"

int main(void) {
    int (*const groups[])(void) = {
        run_scoring_tests, run_plan_tests,   run_encode_tests,        run_run_tests,        run_memory_tests,
        run_rolling_tests, run_replay_tests, run_generate_tests,      run_truncation_tests, run_repeats_tests,
        run_mix_tests,     run_eta_tests,    run_special_tokens_tests};
    int failed = 0;
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        failed += groups[i]();
    return failed;
}
