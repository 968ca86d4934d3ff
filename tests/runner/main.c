#include "tests/runner/runner_tests.h"

int main(void) {
    return run_tokenizer_tests() + run_checkpoint_tests() + run_checkpoint_bin_tests() +
           run_checkpoint_large_tests() + run_copy_tests() + run_state_bytes_tests() + run_stop_text_tests() +
           run_sample_tests() + run_hostile_field_tests() + run_storage_tests() + run_engine_layer_tests() +
           run_few_rows_tests() + run_wide_tests() + run_gated_tests() + run_attend_tests() +
           run_engine_family_tests() + run_engine_tests() + run_profile_tests();
}
