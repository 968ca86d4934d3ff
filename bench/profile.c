/* Where the time of a prompt goes.
 *
 *     build/bench/profile MODEL_FOLDER [TOKENS [SEGMENTS]] [--dtype NAME] [--threads N] [--runs N]
 *         [--all-targets]
 *
 * Scores SEGMENTS prompts of TOKENS tokens each (default 1 of 512) in one batch, once to warm up and three
 * (N) times measured, and prints the engine's account of the latter. A target at the last token of each, or
 * at every token with --all-targets. */
#include "bench/ceiling.h"
#include "runner/runner.h"

static void make_segments(Engine *engine, Segment *segments, size_t n_segments, size_t n, bool all_targets,
                          Arena *arena) {
    size_t vocab = (size_t)engine_info(engine)->vocab_size;
    for (size_t s = 0; s < n_segments; s++) {
        int32_t *tokens = arena_alloc(arena, n * sizeof *tokens);
        Target *targets = arena_alloc(arena, n * sizeof *targets);
        for (size_t i = 0; i < n; i++) {
            tokens[i] = (int32_t)((i * 7919 + s * 104729) % vocab);
            targets[i] = (Target){(int32_t)i, tokens[i]};
        }
        segments[s] = (Segment){.tokens = tokens,
                                .n_tokens = n,
                                .targets = all_targets ? targets : targets + n - 1,
                                .n_targets = all_targets ? n : 1,
                                .results = arena_alloc(arena, n * sizeof(TargetResult))};
    }
}

int main(int argc, char **argv) {
    Error error = {0};
    const char *dtype = bench_value(&argc, argv, "--dtype"), *threads = bench_value(&argc, argv, "--threads"),
               *wanted_runs = bench_value(&argc, argv, "--runs");
    bool all_targets = bench_flag(&argc, argv, "--all-targets");
    EngineOptions options = {.model_folder = argc > 1 ? argv[1] : NULL,
                             .n_threads = threads ? atoi(threads) : 0};
    size_t n = argc > 2 ? (size_t)atoll(argv[2]) : 512, n_segments = argc > 3 ? (size_t)atoll(argv[3]) : 1;
    int runs = wanted_runs ? atoi(wanted_runs) : 3;
    Engine *engine;
    Arena arena = {0};
    if (argc < 2 || n == 0 || n_segments == 0 || runs < 1) {
        fprintf(stderr, "usage: profile MODEL_FOLDER [TOKENS [SEGMENTS]] [--dtype NAME] [--threads N] "
                        "[--runs N] [--all-targets]\n");
        return 2;
    }
    bench_check(dtype && dtype_parse(dtype, &options.dtype, &error), &error);
    bench_check(engine_open(&engine, &options, &error), &error);
    Segment *segments = arena_alloc(&arena, n_segments * sizeof *segments);
    make_segments(engine, segments, n_segments, n, all_targets, &arena);
    bench_check(engine_score(engine, segments, n_segments, &error), &error);
    engine_profile_start(engine);
    double start = clock_seconds();
    for (int i = 0; i < runs; i++)
        bench_check(engine_score(engine, segments, n_segments, &error), &error);
    double seconds = clock_seconds() - start;
    EngineProfile profile = engine_profile(engine);
    Buffer text = {0};
    engine_profile_text(&profile, &text);
    printf("%s, %s, %zu x %zu tokens, threads: %d: %.1f tokens/s\n%s", argv[1],
           dtype_name(engine_dtype(engine)), n_segments, n, profile.n_threads,
           runs * (double)(n * n_segments) / seconds, text.data);
    buffer_free(&text);
    arena_free(&arena);
    engine_close(engine);
    return 0;
}
