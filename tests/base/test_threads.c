#include <stdatomic.h>
#include <string.h>

#include "base/base.h"
#include "tests/base/tests.h"

typedef struct Counts {
    atomic_int visits[5000];
    atomic_int by_thread[8];
} Counts;

static void visit(void *context, size_t i, int thread) {
    Counts *counts = context;
    atomic_fetch_add(&counts->visits[i], 1);
    atomic_fetch_add(&counts->by_thread[thread], 1);
}

static void test_every_index_is_visited_once(void **state) {
    (void)state;
    for (int n_threads = 1; n_threads <= 7; n_threads += 3) {
        ThreadPool *pool;
        assert_int_equal(thread_pool_create(&pool, n_threads, NULL), 0);
        assert_int_equal(thread_pool_size(pool), n_threads);
        for (size_t n = 0; n <= 5000; n = n * 3 + 1) {
            static Counts counts;
            memset(&counts, 0, sizeof counts);
            thread_pool_run(pool, n, visit, &counts);
            int total = 0;
            for (size_t i = 0; i < 5000; i++)
                assert_int_equal(counts.visits[i], i < n);
            for (int t = 0; t < 8; t++)
                total += counts.by_thread[t];
            assert_int_equal(total, n);
        }
        thread_pool_destroy(pool);
    }
}

static void test_absurd_thread_counts_are_refused(void **state) {
    (void)state;
    ThreadPool *pool;
    Error error = {0};
    assert_int_equal(thread_pool_create(&pool, 100000, &error), -1);
    assert_string_equal(error.message, "the number of threads is 100000, expected 1 to 1024");
    assert_int_equal(thread_pool_create(&pool, -1, &error), -1);
    thread_pool_destroy(NULL);
}

int run_threads_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_index_is_visited_once),
        cmocka_unit_test(test_absurd_thread_counts_are_refused),
    };
    return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
