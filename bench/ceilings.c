/* What this machine can do at best: multiply-adds in registers, reading memory; and how long a cache line
 * takes from a thread to another one and back.
 *
 *     build/bench/ceilings [--json] [--threads N]
 *
 * On one thread and on all. Operations are counted two to a multiply-add. The other benchmarks measure the
 * same loops beside their own work. A virtual machine's processors may share a third-level cache at one
 * moment and be far apart at the next: then the line's time has two values, and what threads do together has
 * two paces. */
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#include "bench/ceiling.h"

enum { READ_BYTES = 1 << 30, READ_ROUNDS = 5, LINE = 64, HANDOVERS = 10000, SAMPLES = 201 };

/* Whose turn it is: even numbers are the first thread's. */
typedef struct Handover {
    _Alignas(LINE) _Atomic uint32_t turn;
} Handover;

static void hand_over(void *context, size_t i, int thread) {
    enum { LOOKS = 1 << 16 }; /* after so many the other thread may be waiting for this processor */
    Handover *handover = context;
    (void)thread;
    for (uint32_t turn = (uint32_t)i; turn < 2 * HANDOVERS; turn += 2) {
        for (uint32_t looks = 1; atomic_load_explicit(&handover->turn, memory_order_acquire) != turn; looks++)
            if (looks % LOOKS == 0)
                sched_yield();
        atomic_store_explicit(&handover->turn, turn + 1, memory_order_release);
    }
}

/* The calling thread to the first of its processors, the others to those that follow. */
static void bind_all(ThreadPool *pool) {
    Error error = {0};
    cpu_set_t allowed, first;
    int processor = 0;
    bench_check(thread_pool_pin(pool, &error), &error);
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return;
    while (processor < CPU_SETSIZE - 1 && !CPU_ISSET(processor, &allowed))
        processor++;
    CPU_ZERO(&first);
    CPU_SET(processor, &first);
    sched_setaffinity(0, sizeof first, &first);
}

/* Samples over some seconds: median and deciles. */
static void measure_handover(int n_threads, bool json) {
    Error error = {0};
    ThreadPool *pool;
    double seconds[SAMPLES];
    bench_check(thread_pool_create(&pool, n_threads, &error), &error);
    bind_all(pool);
    for (size_t i = 0; i < SAMPLES; i++) {
        Handover handover = {0};
        double start = clock_seconds();
        thread_pool_run(pool, 2, hand_over, &handover);
        seconds[i] = (clock_seconds() - start) / HANDOVERS;
        nanosleep(&(struct timespec){.tv_nsec = 10 * 1000 * 1000}, NULL);
    }
    double median = bench_median(seconds, SAMPLES), low = seconds[SAMPLES / 10],
           high = seconds[SAMPLES - 1 - SAMPLES / 10];
    const char *what = "line to another thread and back";
    if (json)
        printf("{\"what\":\"%s\",\"ns\":%.4g,\"lowest_tenth\":%.4g,\"highest_tenth\":%.4g}\n", what,
               median * 1e9, low * 1e9, high * 1e9);
    else
        printf("%-46s %10.0f ns (deciles %.0f and %.0f)\n", what, median * 1e9, low * 1e9, high * 1e9);
    thread_pool_destroy(pool);
}

static void measure(int n_threads, bool json) {
    static const struct {
        const char *name;
        double (*rate)(ThreadPool *, double);
    } loops[] = {{"float32 multiply-add", ceiling_f32},
                 {"bfloat16 pair dot product", ceiling_bf16},
                 {"int8 dot product of fours", ceiling_int8}};
    Error error = {0};
    ThreadPool *pool;
    CeilingMemory *memory;
    char what[64];
    bench_check(thread_pool_create(&pool, n_threads, &error), &error);
    bench_check(ceiling_memory_open(&memory, pool, READ_BYTES, &error), &error);
    for (size_t i = 0; i < sizeof loops / sizeof *loops; i++) {
        snprintf(what, sizeof what, "%s, threads: %d", loops[i].name, n_threads);
        double rate = loops[i].rate(pool, 0.6);
        if (rate > 0)
            bench_print(json, what, rate, 0, 1e9, "Gop/s");
    }
    snprintf(what, sizeof what, "read 1 GiB, threads: %d", n_threads);
    bench_print(json, what, ceiling_read(memory, READ_ROUNDS), 0, 1e9, "GB/s");
    ceiling_memory_close(memory);
    thread_pool_destroy(pool);
}

int main(int argc, char **argv) {
    bool json = bench_flag(&argc, argv, "--json");
    const char *threads = bench_value(&argc, argv, "--threads");
    int all = threads ? atoi(threads) : thread_processors();
    if (argc > 1) {
        fprintf(stderr, "usage: ceilings [--json] [--threads N]\n");
        return 2;
    }
    measure(1, json);
    if (all > 1) {
        measure(all, json);
        if (thread_processors() > 1)
            measure_handover(all, json);
    }
    return 0;
}
