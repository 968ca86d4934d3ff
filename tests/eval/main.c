#include "tests/eval/tests.h"

int main(void) {
    return run_scoring_tests() + run_plan_tests() + run_encode_tests() + run_run_tests() + run_memory_tests();
}
