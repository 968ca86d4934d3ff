/* How fast tokens follow each other, one sequence at a time, beside the rate at which this machine reads
 * memory in the same seconds.
 *
 *     build/bench/decode [MODEL_FOLDER] [--tokens N] [--after N] [--dtype NAME] [--isa NAME] [--threads N]
 *                        [--copy-weights] [--json]
 *
 * Each token reads every weight and its sequence's state; the model's head should be its embedding. Medians
 * of RUNS runs of N tokens (default 16) behind a prompt of --after tokens (default 64). */
#include "bench/ceiling.h"
#include "runner/runner.h"
#include "zoo/zoo.h"

enum { RUNS = 7, READ_BYTES = 1 << 29 };

static void feed(Engine *engine, State **state, const int32_t *tokens, size_t n) {
    Error error = {0};
    TargetResult result;
    Segment segment = {.parent = *state,
                       .tokens = tokens,
                       .n_tokens = n,
                       .targets = &(Target){(int32_t)n - 1, 0},
                       .n_targets = 1,
                       .results = &result,
                       .move_parent = true,
                       .want_state = true};
    bench_check(engine_score(engine, &segment, 1, &error), &error);
    *state = segment.state;
}

static double weight_bytes(const Engine *engine) {
    const ModelInfo *info = engine_info(engine);
    bool wide = info->weights_dtype == DTYPE_FLOAT32 && engine_dtype(engine) == DTYPE_FLOAT32;
    return (double)info->n_parameters * (wide ? 4 : 2);
}

static void measure(Engine *engine, size_t n, size_t after, int threads, bool json) {
    Error error = {0};
    ThreadPool *pool;
    CeilingMemory *memory;
    const ModelInfo *info = engine_info(engine);
    int32_t *prompt = mem_alloc(after * sizeof *prompt);
    double seconds[RUNS], ratios[RUNS];
    bench_check(thread_pool_create(&pool, threads, &error), &error);
    bench_check(ceiling_memory_open(&memory, pool, READ_BYTES, &error), &error);
    for (size_t i = 0; i < after; i++)
        prompt[i] = (int32_t)(i * 7919 % (size_t)info->vocab_size);
    for (int run = 0; run < RUNS; run++) {
        State *state = NULL;
        feed(engine, &state, prompt, after);
        double top = ceiling_read(memory, 1), start = clock_seconds();
        for (size_t i = 0; i < n; i++)
            feed(engine, &state, &(int32_t){(int32_t)((i * 104729 + 1) % (size_t)info->vocab_size)}, 1);
        seconds[run] = (clock_seconds() - start) / (double)n;
        double bytes = weight_bytes(engine) + (double)info->state_bytes_fixed +
                       (double)(info->state_bytes_per_token * (after + n / 2));
        ratios[run] = bytes / seconds[run] / ((top + ceiling_read(memory, 1)) / 2);
        state_release(state);
    }
    char what[128];
    double second = bench_median(seconds, RUNS), ratio = bench_median(ratios, RUNS);
    double rate = weight_bytes(engine) / second;
    snprintf(what, sizeof what, "decode after %zu, %s on %s, %d threads", after,
             dtype_name(engine_dtype(engine)), engine_instruction_set(engine), threads);
    bench_print(json, what, rate, rate / ratio, 1e9, "GB/s");
    bench_print(json, "  tokens", 1 / second, 0, 1, "tokens/s");
    free(prompt);
    ceiling_memory_close(memory);
    thread_pool_destroy(pool);
}

int main(int argc, char **argv) {
    Error error = {0};
    bool json = bench_flag(&argc, argv, "--json"), copy = bench_flag(&argc, argv, "--copy-weights");
    const char *tokens = bench_value(&argc, argv, "--tokens"), *after = bench_value(&argc, argv, "--after"),
               *dtype = bench_value(&argc, argv, "--dtype"), *isa = bench_value(&argc, argv, "--isa"),
               *threads = bench_value(&argc, argv, "--threads");
    size_t n = tokens ? (size_t)atoll(tokens) : 16, n_after = after ? (size_t)atoll(after) : 64;
    EngineOptions options = {.n_threads = threads ? atoi(threads) : thread_processors(),
                             .instruction_set = isa,
                             .copy_weights = copy};
    char *folder;
    Engine *engine;
    if (argc > 2 || n == 0 || n_after == 0) {
        fprintf(stderr, "usage: decode [MODEL_FOLDER] [--tokens N] [--after N] [--dtype NAME] [--isa NAME] "
                        "[--threads N] [--copy-weights] [--json]\n");
        return 2;
    }
    bench_check(dtype && dtype_parse(dtype, &options.dtype, &error), &error);
    bench_check(zoo_resolve(argc > 1 ? argv[1] : "demo", &folder, &error), &error);
    options.model_folder = folder;
    bench_check(engine_open(&engine, &options, &error), &error);
    measure(engine, n, n_after, options.n_threads, json);
    engine_close(engine);
    free(folder);
    return 0;
}
