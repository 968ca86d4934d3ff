#include "tests/base/tests.h"

int main(void) {
    return run_error_tests() + run_memory_tests() + run_text_tests() + run_file_tests() + run_json_tests() +
           run_random_tests() + run_threads_tests() + run_progress_tests();
}
