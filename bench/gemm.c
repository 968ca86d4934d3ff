/* How fast linear layers are alone, beside what the processor's multiply-adds or dot products allow.
 *
 *     build/bench/gemm [--json] [--threads N] [--dtype NAME] [--isa NAME] [--rows N]
 *
 * Shapes are those of Llama-3.2-1B and SmolLM2-135M; weights are stored in bfloat16. The ceiling of the dtype
 * is measured between the runs of each shape; ratios are medians over the rounds. Packing the inputs and
 * rounding the outputs count as the linear layer's time. One row is judged by the rate at which weights are
 * read. */
#include "bench/ceiling.h"
#include "runner/cpu/cpu.h"

enum { ROUNDS = 7, READ_BYTES = 1 << 28 };

typedef struct Bench {
    Cpu cpu;
    CeilingMemory *memory;
    uint8_t *weights;
    size_t weight_bytes;
    bool json;
} Bench;

static const struct {
    size_t outputs, inputs;
} shapes[] = {{2048, 2048}, {8192, 2048}, {2048, 8192}, {128256, 2048}, {576, 576}, {1536, 576}, {576, 1536}};
static const size_t row_counts[] = {1, 8, 16, 64, 128, 512};

static double run_seconds(Bench *bench, const Weight *weight, const float *x, float *y, size_t rows,
                          int times) {
    Linear job = {.weight = weight, .x = x, .y = y, .x_stride = weight->cols, .y_stride = weight->rows};
    double start = clock_seconds();
    for (int i = 0; i < times; i++) {
        /* other weights each time, as a model's layers are */
        Weight moved = *weight;
        size_t bytes = weight->rows * weight->cols * 2, places = bench->weight_bytes / bytes;
        moved.data = bench->weights + (size_t)i % places * bytes;
        job.weight = &moved;
        cpu_linear(&bench->cpu, &job, 1, rows);
    }
    return (clock_seconds() - start) / times;
}

static void measure(Bench *bench, size_t outputs, size_t inputs, size_t rows) {
    Weight weight = {bench->weights, DTYPE_BFLOAT16, outputs, inputs, inputs, 1};
    float *x = floats_alloc(rows * inputs), *y = floats_alloc(rows * outputs);
    double rates[ROUNDS], ratios[ROUNDS], work = 2.0 * (double)(outputs * inputs * rows);
    bool reads = rows == 1;
    for (size_t i = 0; i < rows * inputs; i++)
        x[i] = (float)(i % 255) / 128.0f - 1.0f;
    double once = run_seconds(bench, &weight, x, y, rows, 1);
    int times = once > 0.05 ? 1 : (int)(0.05 / once) + 1;
    for (int i = 0; i < ROUNDS; i++) {
        double before = reads                                ? ceiling_read(bench->memory, 1)
                        : bench->cpu.dtype == DTYPE_BFLOAT16 ? ceiling_bf16(bench->cpu.pool, 0.02)
                                                             : ceiling_f32(bench->cpu.pool, 0.02);
        double seconds = run_seconds(bench, &weight, x, y, rows, times);
        rates[i] = (reads ? (double)(outputs * inputs * 2) : work) / seconds;
        ratios[i] = rates[i] / before;
    }
    char what[96];
    snprintf(what, sizeof what, "%zu x %zu -> %zu, %s", rows, inputs, outputs, dtype_name(bench->cpu.dtype));
    double rate = bench_median(rates, ROUNDS), ratio = bench_median(ratios, ROUNDS);
    bench_print(bench->json, what, rate, rate / ratio, 1e9, reads ? "GB/s" : "Gop/s");
    free(x);
    free(y);
}

int main(int argc, char **argv) {
    Error error = {0};
    Bench bench = {.json = bench_flag(&argc, argv, "--json"), .weight_bytes = (size_t)128256 * 2048 * 2};
    const char *threads = bench_value(&argc, argv, "--threads"), *name = bench_value(&argc, argv, "--dtype"),
               *isa = bench_value(&argc, argv, "--isa"), *rows = bench_value(&argc, argv, "--rows");
    Dtype dtype = DTYPE_BFLOAT16;
    bench_check(name && dtype_parse(name, &dtype, &error), &error);
    bench_check(cpu_open(&bench.cpu, isa, dtype, threads ? atoi(threads) : 0, &error), &error);
    bench_check(ceiling_memory_open(&bench.memory, bench.cpu.pool, READ_BYTES, &error), &error);
    bench.weights = (uint8_t *)floats_alloc(bench.weight_bytes / 4);
    for (size_t i = 0; i < bench.weight_bytes / 2; i++)
        ((uint16_t *)bench.weights)[i] = (uint16_t)(0x3c00 + i % 0x173);
    printf("linear layers, %s, %d threads\n", bench.cpu.name, bench.cpu.n_threads);
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (size_t r = 0; r < sizeof row_counts / sizeof *row_counts; r++)
            if (!rows || (size_t)atoll(rows) == row_counts[r])
                measure(&bench, shapes[s].outputs, shapes[s].inputs, row_counts[r]);
    free(bench.weights);
    ceiling_memory_close(bench.memory);
    cpu_close(&bench.cpu);
    return 0;
}
