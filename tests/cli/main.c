#include "tests/cli/tests.h"

int main(void) {
    return run_help_tests() + run_demo_tests() + run_crash_tests() + run_planning_tests() +
           run_bad_input_tests() + run_real_tests() + run_logits_tests() + run_show_tests() +
           run_zoo_tests() + run_reproduce_tests() + run_report_tests() + run_profile_tests() +
           run_lm_eval_files_tests() + run_rescore_tests() + run_chat_tests();
}
