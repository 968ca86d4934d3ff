#include "tests/db/support.h"

int main(void) {
    int failed = 0;
    failed += _cmocka_run_group_tests("db: storing", storing_tests, n_storing_tests, NULL, NULL);
    failed += _cmocka_run_group_tests("db: opening", opening_tests, n_opening_tests, NULL, NULL);
    failed += _cmocka_run_group_tests("db: crashes and full disks", crash_tests, n_crash_tests, NULL, NULL);
    failed += _cmocka_run_group_tests("db: keeping files well", keeping_tests, n_keeping_tests, NULL, NULL);
    failed += _cmocka_run_group_tests("db: several processes", worker_tests, n_worker_tests, NULL, NULL);
    return failed != 0;
}
