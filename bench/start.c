/* How long a model takes until its first token is scored, the files being in the page cache.
 *
 *     build/bench/start MODEL_FOLDER [--dtype NAME] [--threads N] [--copy-weights] [--json]
 *
 * Medians of five openings in one process: tokenizer, engine, the first token (which touches every weight for
 * the first time) and the second; and the first token's bytes of weights a second beside the rate at which
 * this machine reads memory, measured in the same run. */
#include "bench/ceiling.h"
#include "runner/runner.h"

enum { RUNS = 5, READ_BYTES = 1 << 28 };
enum { TOKENIZER, OPENING, FIRST, SECOND, STEPS };

static double score_token(Engine *engine) {
    static const int32_t token[] = {1};
    TargetResult result;
    Target target = {0, 2};
    Segment segment = {
        .tokens = token, .n_tokens = 1, .targets = &target, .n_targets = 1, .results = &result};
    Error error = {0};
    double start = clock_seconds();
    bench_check(engine_score(engine, &segment, 1, &error), &error);
    return clock_seconds() - start;
}

/* One opening; the bytes of the files that hold weights. */
static double open_once(const EngineOptions *options, double seconds[STEPS]) {
    Error error = {0};
    Tokenizer *tokenizer;
    Engine *engine;
    double start = clock_seconds(), bytes = 0;
    bool has_tokenizer = tokenizer_open(&tokenizer, options->model_folder, &error) == 0;
    double opened = clock_seconds();
    bench_check(engine_open(&engine, options, &error), &error);
    seconds[TOKENIZER] = has_tokenizer ? opened - start : 0;
    seconds[OPENING] = clock_seconds() - opened;
    seconds[FIRST] = score_token(engine);
    seconds[SECOND] = score_token(engine);
    for (size_t i = 0; i < engine_info(engine)->n_weight_files; i++)
        bytes += (double)file_size(engine_info(engine)->weight_files[i]);
    engine_close(engine);
    if (has_tokenizer)
        tokenizer_close(tokenizer);
    return bytes;
}

int main(int argc, char **argv) {
    static const char *const names[STEPS] = {"tokenizer", "engine opened", "first token", "second token"};
    bool json = bench_flag(&argc, argv, "--json"), copy = bench_flag(&argc, argv, "--copy-weights");
    const char *dtype = bench_value(&argc, argv, "--dtype"), *threads = bench_value(&argc, argv, "--threads");
    EngineOptions options = {.model_folder = argc > 1 ? argv[1] : NULL,
                             .n_threads = threads ? atoi(threads) : 0,
                             .copy_weights = copy};
    Error error = {0};
    double seconds[RUNS][STEPS], steps[RUNS], bytes = 0, sum = 0;
    if (argc != 2) {
        fprintf(stderr, "usage: start MODEL_FOLDER [--dtype NAME] [--threads N] [--copy-weights] [--json]\n");
        return 2;
    }
    bench_check(dtype && dtype_parse(dtype, &options.dtype, &error), &error);
    for (int i = 0; i < RUNS; i++)
        bytes = open_once(&options, seconds[i]);
    ThreadPool *pool;
    CeilingMemory *memory;
    bench_check(thread_pool_create(&pool, options.n_threads, &error), &error);
    bench_check(ceiling_memory_open(&memory, pool, READ_BYTES, &error), &error);
    for (int s = 0; s < STEPS; s++) {
        for (int i = 0; i < RUNS; i++)
            steps[i] = seconds[i][s];
        double median = bench_median(steps, RUNS);
        sum += s < SECOND ? median : 0;
        bench_print(json, names[s], median, 0, 1e-3, "ms");
        if (s >= FIRST)
            bench_print(json, "  of weights", bytes / median, ceiling_read(memory, 3), 1e9, "GB/s");
    }
    bench_print(json, "until the first token is scored", sum, 0, 1e-3, "ms");
    ceiling_memory_close(memory);
    thread_pool_destroy(pool);
    return 0;
}
