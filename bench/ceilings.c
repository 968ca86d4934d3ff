/* What this machine can do at best: multiply-adds in registers, reading memory.
 *
 *     build/bench/ceilings [--json] [--threads N]
 *
 * On one thread and on all. Operations are counted two to a multiply-add. The other benchmarks measure the
 * same loops beside their own work. */
#include "bench/ceiling.h"

enum { READ_BYTES = 1 << 30, READ_ROUNDS = 5 };

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
    if (all > 1)
        measure(all, json);
    return 0;
}
