/* Chooses the kernels and runs loops on the threads. */
#include "runner/cpu/cpu.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* Below this many multiply-adds a loop is over before the other threads are awake. */
enum { WORK_WORTH_THREADS = 200 * 1000 };

/* What a table needs of the processor, besides being in this build. */
static bool runs_portable(void) {
    return true;
}

#if defined(__x86_64__)
static bool runs_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static bool runs_avx512(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("fma");
}

static bool runs_avx512_bf16(void) {
    return runs_avx512() && __builtin_cpu_supports("avx512bf16");
}
#else
static bool runs_nothing(void) {
    return false;
}
#define runs_avx2 runs_nothing
#define runs_avx512 runs_nothing
#define runs_avx512_bf16 runs_nothing
#endif

typedef struct InstructionSet {
    const char *name;
    bool (*runs)(void);
    const Kernels *(*kernels)(void);
    const GemmKernels *(*gemm)(void);
    bool bfloat16_only; /* in float32 the next one is as good */
} InstructionSet;

static const InstructionSet instruction_sets[] = {
    {"avx512_bf16", runs_avx512_bf16, kernels_avx512, gemm_avx512_bf16, true},
    {"avx512", runs_avx512, kernels_avx512, gemm_avx512, false},
    {"avx2", runs_avx2, kernels_avx2, gemm_avx2, false},
    {"portable", runs_portable, kernels_portable, gemm_portable, false}};
enum { N_SETS = sizeof instruction_sets / sizeof *instruction_sets };
const char *const cpu_instruction_sets[] = {"avx512_bf16", "avx512", "avx2", "portable", NULL};

static bool is_runnable(const InstructionSet *set) {
    return set->runs() && set->kernels() && set->gemm();
}

bool cpu_runs(const char *instruction_set) {
    for (size_t i = 0; i < N_SETS; i++)
        if (strcmp(instruction_set, instruction_sets[i].name) == 0)
            return is_runnable(&instruction_sets[i]);
    return false;
}

static int choose(Cpu *cpu, const char *name, Error *error) {
    size_t i = 0;
    while (i < N_SETS &&
           (name ? strcmp(name, instruction_sets[i].name) != 0 : !is_runnable(&instruction_sets[i])))
        i++;
    if (i == N_SETS)
        return error_set_kind(
            error, ERROR_USAGE,
            "the instruction set is \"%.40s\", expected portable, avx2, avx512 or avx512_bf16",
            name ? name : "");
    if (!is_runnable(&instruction_sets[i]))
        return error_set_kind(error, ERROR_USAGE,
                              "the instruction set is \"%s\", which this processor cannot run", name);
    if (instruction_sets[i].bfloat16_only && cpu->dtype != DTYPE_BFLOAT16)
        i++;
    cpu->name = instruction_sets[i].name;
    cpu->kernels = instruction_sets[i].kernels();
    cpu->gemm = instruction_sets[i].gemm();
    return 0;
}

int cpu_open(Cpu *out, const char *instruction_set, Dtype dtype, int n_threads, Error *error) {
    memset(out, 0, sizeof *out);
    out->dtype = dtype;
    if (choose(out, instruction_set, error) || thread_pool_create(&out->pool, n_threads, error))
        return -1;
    out->n_threads = thread_pool_size(out->pool);
    out->scratch = mem_alloc_zero((size_t)out->n_threads, sizeof *out->scratch);
    return 0;
}

void cpu_close(Cpu *cpu) {
    for (int i = 0; i < cpu->n_threads; i++)
        free(cpu->scratch[i]);
    free(cpu->scratch);
    free(cpu->packed);
    thread_pool_destroy(cpu->pool);
    memset(cpu, 0, sizeof *cpu);
}

void cpu_reserve(Cpu *cpu, size_t floats) {
    if (floats <= cpu->scratch_floats)
        return;
    cpu->scratch_floats = floats + floats / 4;
    for (int i = 0; i < cpu->n_threads; i++) {
        free(cpu->scratch[i]);
        cpu->scratch[i] = floats_alloc(cpu->scratch_floats);
    }
}

void cpu_reserve_packed(Cpu *cpu, size_t floats) {
    if (floats <= cpu->packed_floats)
        return;
    free(cpu->packed);
    cpu->packed_floats = floats + floats / 4;
    cpu->packed = floats_alloc(cpu->packed_floats);
}

void cpu_parallel(Cpu *cpu, size_t n, size_t work, ThreadBody *body, void *context) {
    if (n > 1 && work >= WORK_WORTH_THREADS) {
        thread_pool_run(cpu->pool, n, body, context);
        return;
    }
    for (size_t i = 0; i < n; i++)
        body(context, i, 0);
}
