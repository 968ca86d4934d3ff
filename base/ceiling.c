/* The loops behind ceiling.h. The sums of a loop do not depend on each other, and there are enough of them to
 * hide the latency of an instruction (6 cycles for a dot product of bfloat16 pairs on Zen 5, two a cycle: 12
 * sums are just too few for it, 14 are enough), while all of them with both operands fit the vector registers
 * (32 with AVX-512, 16 with AVX2), so that nothing but the instruction itself is timed. */
#include "base/ceiling.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/memory.h"
#include "base/progress.h"

enum { CHAINS_512 = 16, CHAINS_256 = 12, RUNS = 5, LINE = 64 };

/* Runs a loop of n rounds; the result is there to be used, so that no compiler drops the loop. */
typedef double Loop(long n);

#ifdef __x86_64__
#include <immintrin.h>

#define DEFINE_LOOP(NAME, TARGET, CHAINS, VECTOR, START, A, B, STEP, FIRST)                                  \
    __attribute__((target(TARGET))) static double NAME(long n) {                                             \
        VECTOR chains[CHAINS];                                                                               \
        for (int c = 0; c < CHAINS; c++)                                                                     \
            chains[c] = START;                                                                               \
        for (long i = 0; i < n; i++) {                                                                       \
            _Pragma("GCC unroll 16") for (int c = 0; c < CHAINS; c++) chains[c] = STEP(chains[c], A, B);     \
        }                                                                                                    \
        double sum = 0;                                                                                      \
        for (int c = 0; c < CHAINS; c++)                                                                     \
            sum += (double)FIRST(chains[c]);                                                                 \
        return sum;                                                                                          \
    }

/* a * 0.999 + 0.001 stays a normal number for ever */
#define FMA_512(SUM, A, B) _mm512_fmadd_ps(SUM, A, B)
#define FMA_256(SUM, A, B) _mm256_fmadd_ps(SUM, A, B)
DEFINE_LOOP(loop_f32_512, "avx512f", CHAINS_512, __m512, _mm512_set1_ps(0.5f), _mm512_set1_ps(0.999f),
            _mm512_set1_ps(0.001f), FMA_512, _mm512_cvtss_f32)
DEFINE_LOOP(loop_f32_256, "avx2,fma", CHAINS_256, __m256, _mm256_set1_ps(0.5f), _mm256_set1_ps(0.999f),
            _mm256_set1_ps(0.001f), FMA_256, _mm256_cvtss_f32)
#define ONES_BF16 ((__m512bh)_mm512_set1_epi16(0x3f80))
DEFINE_LOOP(loop_bf16, "avx512f,avx512bw,avx512bf16", CHAINS_512, __m512, _mm512_setzero_ps(), ONES_BF16,
            ONES_BF16, _mm512_dpbf16_ps, _mm512_cvtss_f32)
#define FIRST_INT(CHAIN) _mm_cvtsi128_si32(_mm512_castsi512_si128(CHAIN))
DEFINE_LOOP(loop_int8, "avx512f,avx512bw,avx512vnni", CHAINS_512, __m512i, _mm512_setzero_si512(),
            _mm512_set1_epi8(1), _mm512_set1_epi8(1), _mm512_dpbusd_epi32, FIRST_INT)
#endif

typedef struct LoopRun {
    Loop *loop;
    long n;
    double *sums; /* [threads], a cache line apart */
} LoopRun;

static void loop_task(void *context, size_t i, int thread) {
    (void)i;
    const LoopRun *run = context;
    run->sums[(size_t)thread * LINE / sizeof(double)] += run->loop(run->n);
}

static double loop_seconds(LoopRun *run, ThreadPool *pool) {
    double start = clock_seconds();
    thread_pool_run(pool, (size_t)thread_pool_size(pool), loop_task, run);
    return clock_seconds() - start;
}

/* Rounds so that one run takes its part of `seconds`, the best rate of RUNS such runs. */
static double best_rate(ThreadPool *pool, Loop *loop, double operations_per_round, double seconds) {
    int n_threads = thread_pool_size(pool);
    LoopRun run = {loop, 20000, mem_alloc_zero((size_t)n_threads, LINE)};
    double best = 0, wanted = seconds / (RUNS + 1);
    loop_seconds(&run, pool);
    double probe = loop_seconds(&run, pool);
    if (probe > 0 && probe < wanted)
        run.n = (long)((double)run.n * wanted / probe);
    for (int i = 0; i < RUNS; i++) {
        double rate = operations_per_round * (double)run.n * n_threads / loop_seconds(&run, pool);
        best = rate > best ? rate : best;
    }
    free(run.sums);
    return best;
}

double ceiling_f32(ThreadPool *pool, double seconds) {
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx512f"))
        return best_rate(pool, loop_f32_512, CHAINS_512 * 2 * 16, seconds);
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return best_rate(pool, loop_f32_256, CHAINS_256 * 2 * 8, seconds);
#endif
    (void)pool, (void)seconds;
    return 0;
}

double ceiling_bf16(ThreadPool *pool, double seconds) {
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx512bf16"))
        return best_rate(pool, loop_bf16, CHAINS_512 * 2 * 32, seconds);
#endif
    (void)pool, (void)seconds;
    return 0;
}

double ceiling_int8(ThreadPool *pool, double seconds) {
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx512vnni"))
        return best_rate(pool, loop_int8, CHAINS_512 * 2 * 64, seconds);
#endif
    (void)pool, (void)seconds;
    return 0;
}

/* ---- memory */

struct CeilingMemory {
    ThreadPool *pool;
    uint8_t *data;
    size_t bytes, part; /* of each thread, a multiple of LINE */
    uint64_t *sums;     /* [parts], a cache line apart */
};

static void write_part(void *context, size_t i, int thread) {
    (void)thread;
    CeilingMemory *memory = context;
    for (size_t at = i * memory->part; at < (i + 1) * memory->part; at += LINE)
        memory->data[at] = 1;
}

int ceiling_memory_open(CeilingMemory **out, ThreadPool *pool, size_t bytes, Error *error) {
    size_t n = (size_t)thread_pool_size(pool);
    *out = NULL;
    void *data = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED)
        return error_set(error, "cannot get %zu bytes to measure the memory's rate", bytes);
    madvise(data, bytes, MADV_HUGEPAGE);
    CeilingMemory *memory = mem_alloc_zero(1, sizeof *memory);
    *memory = (CeilingMemory){pool, data, bytes, bytes / n / LINE * LINE, mem_alloc_zero(n, LINE)};
    thread_pool_run(pool, n, write_part, memory);
    *out = memory;
    return 0;
}

static void read_part(void *context, size_t i, int thread) {
    (void)thread;
    CeilingMemory *memory = context;
    typedef uint64_t Block __attribute__((vector_size(LINE)));
    const Block *blocks = (const Block *)(memory->data + i * memory->part);
    Block a = {0}, b = {0};
    for (size_t k = 0; k + 1 < memory->part / LINE; k += 2) {
        a ^= blocks[k];
        b ^= blocks[k + 1];
    }
    memory->sums[i * LINE / sizeof(uint64_t)] += (a ^ b)[0];
}

double ceiling_read(CeilingMemory *memory, int rounds) {
    size_t n = (size_t)thread_pool_size(memory->pool);
    double best = 0;
    for (int i = 0; i < rounds; i++) {
        double start = clock_seconds();
        thread_pool_run(memory->pool, n, read_part, memory);
        double rate = (double)(memory->part * n) / (clock_seconds() - start);
        best = rate > best ? rate : best;
    }
    return best;
}

void ceiling_memory_close(CeilingMemory *memory) {
    if (!memory)
        return;
    munmap(memory->data, memory->bytes);
    free(memory->sums);
    free(memory);
}
