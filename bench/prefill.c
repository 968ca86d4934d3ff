/* How fast the engine computes a prompt on one thread, beside what this machine's multiply-adds allow in the
 * same run.
 *
 *     build/bench/prefill [MODEL_FOLDER] [TOKENS]      default: the built-in model, 512
 *
 * Prints medians of five runs. The ceiling is a loop of independent fused multiply-adds in registers,
 * compiled for the machine's widest vectors; the model's work is taken as two operations per parameter and
 * token. */
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "runner/runner.h"
#include "zoo/zoo.h"

enum { RUNS = 5, CHAINS = 12 };

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values) {
    qsort(values, RUNS, sizeof *values, compare_doubles);
    return values[RUNS / 2];
}

#ifdef __x86_64__
#include <immintrin.h>

/* The register file holds all chains, so nothing but the multiply-adds is timed. */
#define FMA_LOOP(NAME, TARGET, VECTOR, LANES, SET, FMA, FIRST)                                               \
    __attribute__((target(TARGET))) static double NAME(long n, float *sink) {                                \
        VECTOR chains[CHAINS], x = SET(0.999f), y = SET(0.001f);                                             \
        for (int c = 0; c < CHAINS; c++)                                                                     \
            chains[c] = y;                                                                                   \
        double start = clock_seconds();                                                                      \
        for (long i = 0; i < n; i++)                                                                         \
            for (int c = 0; c < CHAINS; c++)                                                                 \
                chains[c] = FMA(chains[c], x, y);                                                            \
        for (int c = 0; c < CHAINS; c++)                                                                     \
            *sink += FIRST(chains[c]);                                                                       \
        return 2.0 * LANES * CHAINS * (double)n / (clock_seconds() - start);                                 \
    }
FMA_LOOP(fma_512, "avx512f", __m512, 16, _mm512_set1_ps, _mm512_fmadd_ps, _mm512_cvtss_f32)
FMA_LOOP(fma_256, "avx2,fma", __m256, 8, _mm256_set1_ps, _mm256_fmadd_ps, _mm256_cvtss_f32)

static double fma_rate(float *sink) {
    enum { N = 4000000 };
    if (__builtin_cpu_supports("avx512f"))
        return fma_512(N, sink);
    return __builtin_cpu_supports("avx2") ? fma_256(N, sink) : 0;
}
#else
static double fma_rate(float *sink) {
    (void)sink;
    return 0;
}
#endif

static double prefill_seconds(Engine *engine, const int32_t *tokens, size_t n) {
    Target target = {.position = (int32_t)n - 1, .token = 0};
    TargetResult result;
    Segment segment = {
        .tokens = tokens, .n_tokens = n, .targets = &target, .n_targets = 1, .results = &result};
    Error error = {0};
    double start = clock_seconds();
    if (engine_score(engine, &segment, 1, &error)) {
        fprintf(stderr, "prefill: %s\n", error.message);
        exit(1);
    }
    return clock_seconds() - start;
}

static void measure(Engine *engine, size_t n) {
    const ModelInfo *info = engine_info(engine);
    int32_t *tokens = mem_alloc(n * sizeof *tokens);
    double seconds[RUNS], ceilings[RUNS];
    float sink = 0;
    for (size_t i = 0; i < n; i++)
        tokens[i] = (int32_t)(i * 7919 % (size_t)info->vocab_size);
    prefill_seconds(engine, tokens, n); /* warm-up */
    for (int i = 0; i < RUNS; i++) {
        ceilings[i] = fma_rate(&sink);
        seconds[i] = prefill_seconds(engine, tokens, n);
    }
    double rate = (double)n / median(seconds), work = 2.0 * (double)info->n_parameters * rate,
           ceiling = median(ceilings);
    printf("prefill %s, %zu tokens, 1 thread, %s: %.0f tokens/s, %.2f GFLOP/s", info->family, n,
           engine_instruction_set(engine), rate, work * 1e-9);
    if (ceiling > 0)
        printf(", %.3f of the measured ceiling of %.1f GFLOP/s", work / ceiling, ceiling * 1e-9);
    printf("%s\n", sink == 12345 ? " " : "");
    free(tokens);
}

int main(int argc, char **argv) {
    Error error = {0};
    char *folder;
    Engine *engine = NULL;
    size_t n = argc > 2 ? (size_t)atoi(argv[2]) : 512;
    if (zoo_resolve(argc > 1 ? argv[1] : "demo", &folder, &error) == 0) {
        EngineOptions options = {.model_folder = folder, .n_threads = 1};
        if (engine_open(&engine, &options, &error) == 0 && n > 0)
            measure(engine, n);
        free(folder);
    }
    if (!engine) {
        fprintf(stderr, "prefill: %s\n", error.message);
        return 1;
    }
    engine_close(engine);
    return 0;
}
