/* Chooses the kernels and runs loops on the threads. */
#include "runner/cpu/cpu.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* Below this many multiply-adds a loop is over before the other threads are awake. */
enum { WORK_WORTH_THREADS = 200 * 1000 };

static const Kernels *runnable_avx512(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("fma"))
        return kernels_avx512();
#endif
    return NULL;
}

static const Kernels *runnable_avx2(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return kernels_avx2();
#endif
    return NULL;
}

/* Best first. */
static const struct {
    const char *name;
    const Kernels *(*runnable)(void);
} instruction_sets[] = {{"avx512", runnable_avx512}, {"avx2", runnable_avx2}, {"portable", kernels_portable}};

int cpu_choose_kernels(const char *name, const Kernels **out, Error *error) {
    for (size_t i = 0; i < sizeof instruction_sets / sizeof *instruction_sets; i++) {
        if (name && strcmp(name, instruction_sets[i].name) != 0)
            continue;
        *out = instruction_sets[i].runnable();
        if (*out)
            return 0;
        if (name)
            return error_set_kind(error, ERROR_USAGE, "ZEVAL_ISA is \"%s\", which this processor cannot run",
                                  name);
    }
    return error_set_kind(error, ERROR_USAGE, "ZEVAL_ISA is \"%.40s\", expected portable, avx2 or avx512",
                          name);
}

int cpu_open(Cpu *out, Dtype dtype, int n_threads, Error *error) {
    memset(out, 0, sizeof *out);
    out->dtype = dtype;
    if (cpu_choose_kernels(getenv("ZEVAL_ISA"), &out->kernels, error) ||
        thread_pool_create(&out->pool, n_threads, error))
        return -1;
    out->n_threads = thread_pool_size(out->pool);
    out->scratch = mem_alloc_zero((size_t)out->n_threads, sizeof *out->scratch);
    return 0;
}

void cpu_close(Cpu *cpu) {
    for (int i = 0; i < cpu->n_threads; i++)
        free(cpu->scratch[i]);
    free(cpu->scratch);
    thread_pool_destroy(cpu->pool);
    memset(cpu, 0, sizeof *cpu);
}

void cpu_reserve(Cpu *cpu, size_t floats) {
    if (floats <= cpu->scratch_floats)
        return;
    cpu->scratch_floats = floats + floats / 4;
    for (int i = 0; i < cpu->n_threads; i++) {
        free(cpu->scratch[i]);
        cpu->scratch[i] = mem_alloc(cpu->scratch_floats * sizeof(float));
    }
}

void cpu_parallel(Cpu *cpu, size_t n, size_t work, ThreadBody *body, void *context) {
    if (n > 1 && work >= WORK_WORTH_THREADS) {
        thread_pool_run(cpu->pool, n, body, context);
        return;
    }
    for (size_t i = 0; i < n; i++)
        body(context, i, 0);
}
