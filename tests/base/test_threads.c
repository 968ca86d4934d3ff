#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "base/ceiling.h"
#include "tests/base/tests.h"

typedef struct Counts {
    atomic_int visits[5000];
    atomic_int by_thread[64];
} Counts;

static void visit(void *context, size_t i, int thread) {
    Counts *counts = context;
    atomic_fetch_add(&counts->visits[i], 1);
    atomic_fetch_add(&counts->by_thread[thread], 1);
}

static void test_every_index_is_visited_once(void **state) {
    (void)state;
    static const int sizes[] = {1, 2, 3, 7, 64};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        int n_threads = sizes[k];
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
            for (int t = 0; t < 64; t++)
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

typedef struct Sums {
    uint64_t of_thread[64][8]; /* a cache line each */
} Sums;

static void sum_index(void *context, size_t i, int thread) {
    Sums *sums = context;
    sums->of_thread[thread][0] += i + 1;
}

/* Many more threads than processors, thousands of tiny loops, and pauses long enough for the threads to fall
 * asleep in between: every index once, no loop waits for ever. */
static void test_oversubscribed_pool_finishes_every_loop(void **state) {
    (void)state;
    for (int n_threads = 2; n_threads <= 64; n_threads *= 32) {
        ThreadPool *pool;
        Random random;
        uint64_t expected = 0, found = 0;
        Sums sums = {0};
        random_seed(&random, 7);
        assert_int_equal(thread_pool_create(&pool, n_threads, NULL), 0);
        for (int loop = 0; loop < 3000; loop++) {
            size_t n = (size_t)random_below(&random, 3 * 64);
            thread_pool_run(pool, n, sum_index, &sums);
            expected += (uint64_t)n * (n + 1) / 2;
            if (loop % 300 == 0)
                usleep(2000);
        }
        thread_pool_destroy(pool);
        for (int t = 0; t < 64; t++)
            found += sums.of_thread[t][0];
        assert_int_equal(found, expected);
    }
}

typedef struct Held {
    atomic_int n_others;
    int n;
} Held;

/* Index 0 lasts until all the others are done, which therefore somebody else must do. */
static void hold_first(void *context, size_t i, int thread) {
    (void)thread;
    Held *held = context;
    if (i > 0)
        atomic_fetch_add(&held->n_others, 1);
    while (i == 0 && atomic_load(&held->n_others) < held->n - 1)
        sched_yield();
}

static void test_a_thread_that_is_held_up_is_helped(void **state) {
    (void)state;
    for (int n_threads = 2; n_threads <= 16; n_threads *= 2) {
        ThreadPool *pool;
        Held held = {.n = 100};
        assert_int_equal(thread_pool_create(&pool, n_threads, NULL), 0);
        thread_pool_run(pool, 100, hold_first, &held);
        assert_int_equal(held.n_others, 99);
        thread_pool_destroy(pool);
    }
}

typedef struct Places {
    int n_allowed[8]; /* processors that the thread may use, after it has run */
    atomic_int arrived;
    int n;
} Places;

/* Every thread takes one index, since it goes on only when all have one. */
static void look_where(void *context, size_t i, int thread) {
    (void)i;
    Places *places = context;
    places->n_allowed[thread] = thread_processors();
    atomic_fetch_add(&places->arrived, 1);
    while (atomic_load(&places->arrived) < places->n)
        sched_yield();
}

static void test_pinned_threads_have_one_processor_and_the_caller_all(void **state) {
    (void)state;
    int all = thread_processors();
    ThreadPool *pool;
    Places places = {.n = 5};
    assert_int_equal(thread_pool_create(&pool, 5, NULL), 0);
    assert_int_equal(thread_pool_pin(pool, NULL), 0);
    thread_pool_run(pool, 5, look_where, &places);
    for (int t = 0; t < 5; t++)
        assert_int_equal(places.n_allowed[t], t ? 1 : all);
    assert_int_equal(thread_processors(), all);
    thread_pool_destroy(pool);
}

static void test_measured_times_add_up(void **state) {
    (void)state;
    Sums sums = {0};
    ThreadPool *pool;
    assert_int_equal(thread_pool_create(&pool, 3, NULL), 0);
    thread_pool_run(pool, 1000, sum_index, &sums);
    assert_true(thread_pool_times(pool).wall_s == 0 && thread_pool_times(pool).busy_s == 0);
    thread_pool_measure(pool, true);
    thread_pool_run(pool, 100000, sum_index, &sums);
    thread_pool_run(pool, 1, sum_index, &sums);
    ThreadTimes times = thread_pool_times(pool);
    assert_true(times.wall_s > 0);
    assert_true(times.busy_s > 0 && times.busy_s <= 3 * times.wall_s);
    thread_pool_destroy(pool);
}

static void test_ceilings_are_rates(void **state) {
    (void)state;
    ThreadPool *pool;
    CeilingMemory *memory;
    assert_int_equal(thread_pool_create(&pool, 2, NULL), 0);
    double f32 = ceiling_f32(pool, 0.005), bf16 = ceiling_bf16(pool, 0.005), int8 = ceiling_int8(pool, 0.005);
    assert_true(f32 >= 0 && bf16 >= 0 && int8 >= 0);
#ifdef __x86_64__
    assert_int_equal(f32 > 0, __builtin_cpu_supports("avx512f") || __builtin_cpu_supports("avx2"));
#endif
    assert_int_equal(ceiling_memory_open(&memory, pool, 1 << 22, NULL), 0);
    assert_true(ceiling_read(memory, 2) > 0);
    ceiling_memory_close(memory);
    thread_pool_destroy(pool);
}

int run_threads_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_index_is_visited_once),
        cmocka_unit_test(test_oversubscribed_pool_finishes_every_loop),
        cmocka_unit_test(test_a_thread_that_is_held_up_is_helped),
        cmocka_unit_test(test_pinned_threads_have_one_processor_and_the_caller_all),
        cmocka_unit_test(test_measured_times_add_up),
        cmocka_unit_test(test_ceilings_are_rates),
        cmocka_unit_test(test_absurd_thread_counts_are_refused),
    };
    return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
