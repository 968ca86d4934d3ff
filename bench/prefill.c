/* How fast the engine computes prompts, beside what the processor's multiply-adds allow in the same seconds.
 *
 *     build/bench/prefill [MODEL_FOLDER] [--tokens N] [--segments N] [--dtype NAME] [--isa NAME] [--threads
 * N]
 *                         [--json]
 *
 * Scores SEGMENTS prompts (default 1) of N tokens (default 512) in one batch, wanting one target at the end
 * of each; medians of RUNS runs, each with its own measurement of the ceiling. Work is the matrix products
 * that were really computed: linear layers, the head's rows, attention over the keys that count. The second
 * line judges the same work by processor time in place of the clock, which other programs' load does not
 * lengthen. */
#include <time.h>

#include "bench/ceiling.h"
#include "runner/runner.h"
#include "zoo/zoo.h"

enum { RUNS = 7 };

static double processor_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

typedef struct Sample {
    double seconds, processor, operations;
} Sample;

static Sample score(Engine *engine, Segment *segments, size_t n_segments) {
    Error error = {0};
    engine_profile_start(engine);
    double start = clock_seconds(), processor = processor_seconds();
    bench_check(engine_score(engine, segments, n_segments, &error), &error);
    Sample sample = {clock_seconds() - start, processor_seconds() - processor, 0};
    EngineProfile profile = engine_profile(engine);
    for (int i = 0; i < ENGINE_PHASES; i++)
        sample.operations += profile.operations[i];
    return sample;
}

static double ceiling(ThreadPool *pool, Dtype dtype) {
    double rate = dtype == DTYPE_BFLOAT16 ? ceiling_bf16(pool, 0.06) : 0;
    return rate > 0 ? rate : ceiling_f32(pool, 0.06);
}

static void measure(Engine *engine, Segment *segments, size_t n_segments, size_t n, int threads, bool json) {
    Error error = {0};
    ThreadPool *pool;
    double rates[RUNS], ratios[RUNS], processor_rates[RUNS], tokens[RUNS], highest = 0;
    bench_check(thread_pool_create(&pool, threads, &error), &error);
    score(engine, segments, n_segments); /* warm-up */
    for (int i = 0; i < RUNS; i++) {
        double top = ceiling(pool, engine_dtype(engine));
        Sample sample = score(engine, segments, n_segments);
        rates[i] = sample.operations / sample.seconds;
        tokens[i] = (double)(n * n_segments) / sample.seconds;
        ratios[i] = top > 0 ? rates[i] / top : 0;
        processor_rates[i] = sample.operations / (sample.processor / threads);
        highest = top > highest ? top : highest;
    }
    char what[128];
    double rate = bench_median(rates, RUNS), ratio = bench_median(ratios, RUNS);
    snprintf(what, sizeof what, "prefill %zu x %zu, %s on %s, %d threads", n_segments, n,
             dtype_name(engine_dtype(engine)), engine_instruction_set(engine), threads);
    bench_print(json, what, rate, ratio > 0 ? rate / ratio : 0, 1e9, "Gop/s");
    bench_print(json, "  by processor time", bench_median(processor_rates, RUNS), highest, 1e9, "Gop/s");
    bench_print(json, "  tokens", bench_median(tokens, RUNS), 0, 1, "tokens/s");
    thread_pool_destroy(pool);
}

static Segment *make_segments(Engine *engine, size_t n_segments, size_t n, Arena *arena) {
    size_t vocab = (size_t)engine_info(engine)->vocab_size;
    Segment *segments = arena_alloc(arena, n_segments * sizeof *segments);
    for (size_t s = 0; s < n_segments; s++) {
        int32_t *tokens = arena_alloc(arena, n * sizeof *tokens);
        Target *target = arena_alloc(arena, sizeof *target);
        for (size_t i = 0; i < n; i++)
            tokens[i] = (int32_t)((i * 7919 + s * 104729) % vocab);
        *target = (Target){(int32_t)n - 1, 0};
        segments[s] = (Segment){.tokens = tokens,
                                .n_tokens = n,
                                .targets = target,
                                .n_targets = 1,
                                .results = arena_alloc(arena, sizeof(TargetResult))};
    }
    return segments;
}

int main(int argc, char **argv) {
    Error error = {0};
    bool json = bench_flag(&argc, argv, "--json");
    const char *tokens = bench_value(&argc, argv, "--tokens"), *many = bench_value(&argc, argv, "--segments"),
               *dtype = bench_value(&argc, argv, "--dtype"), *isa = bench_value(&argc, argv, "--isa"),
               *threads = bench_value(&argc, argv, "--threads");
    size_t n = tokens ? (size_t)atoll(tokens) : 512, n_segments = many ? (size_t)atoll(many) : 1;
    EngineOptions options = {.n_threads = threads ? atoi(threads) : thread_processors(),
                             .instruction_set = isa};
    char *folder;
    Engine *engine;
    Arena arena = {0};
    if (argc > 2 || n == 0 || n_segments == 0) {
        fprintf(stderr,
                "usage: prefill [MODEL_FOLDER] [--tokens N] [--segments N] [--dtype NAME] [--isa NAME] "
                "[--threads N] [--json]\n");
        return 2;
    }
    bench_check(dtype && dtype_parse(dtype, &options.dtype, &error), &error);
    bench_check(zoo_resolve(argc > 1 ? argv[1] : "demo", &folder, &error), &error);
    options.model_folder = folder;
    bench_check(engine_open(&engine, &options, &error), &error);
    measure(engine, make_segments(engine, n_segments, n, &arena), n_segments, n, options.n_threads, json);
    engine_close(engine);
    arena_free(&arena);
    free(folder);
    return 0;
}
