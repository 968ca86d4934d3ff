/* How fast linear layers are alone, beside what the processor's multiply-adds or dot products allow.
 *
 *     build/bench/gemm [--json] [--threads N] [--dtype NAME] [--isa NAME] [--rows N]
 *                      [--inputs N] [--outputs N] [--warm]
 *
 * Shapes are those of Llama-3.2-1B and SmolLM2-135M; weights are stored in bfloat16. The ceiling of the dtype
 * is measured between the runs of each shape; ratios are medians over the rounds. Packing the inputs and
 * rounding the outputs count as the linear layer's time; for more rows than a few, a second line leaves out
 * the packing, measured alone in the same round, and a third one has the product alone, whose results stay in
 * tiles, as gated MLPs and the output head take them. One row is judged by the rate at which weights are
 * read. Each call takes other weights, as a model's layers do; with --warm all take the same.
 *
 * Built with ONEDNN=1, oneDNN's product takes turns with ours, with weights in an order of its own (packed
 * beforehand, which is not in its time) and with weights as they are in files. Its inputs are bfloat16
 * already. */
#include <time.h>

#include "bench/ceiling.h"
#include "bench/onednn.h"
#include "runner/cpu/cpu.h"

enum { ROUNDS = 7, READ_BYTES = 1 << 28 };

typedef struct Bench {
    Cpu cpu;
    CeilingMemory *memory;
    uint8_t *weights;
    size_t weight_bytes;
    bool json, warm;
} Bench;

static const struct {
    size_t outputs, inputs;
} shapes[] = {{2048, 2048}, {8192, 2048}, {2048, 8192}, {128256, 2048},
              {576, 576},   {1536, 576},  {576, 1536},  {49152, 576}};
static const size_t row_counts[] = {1, 8, 16, 64, 128, 512};

/* One shape with so many rows, computed by us or by somebody else. */
typedef struct Product {
    Bench *bench;
    const char *name; /* NULL: ours */
    size_t outputs, inputs, rows, n_places;
    float *x, *y;
#ifdef BENCH_ONEDNN
    OneDnn onednn;
#endif
} Product;

static void run_once(Product *p, size_t place) {
#ifdef BENCH_ONEDNN
    if (p->name) {
        onednn_run(&p->onednn, p->bench->weights, place);
        return;
    }
#endif
    Weight weight = {p->bench->weights + place * p->outputs * p->inputs * 2,
                     DTYPE_BFLOAT16,
                     p->outputs,
                     p->inputs,
                     p->inputs,
                     1};
    Linear job = {.weight = &weight, .x = p->x, .y = p->y, .x_stride = p->inputs, .y_stride = p->outputs};
    cpu_linear(&p->bench->cpu, &job, 1, p->rows);
}

static double packing_seconds(Product *p, int times) {
    Weight weight = {NULL, DTYPE_BFLOAT16, p->outputs, p->inputs, p->inputs, 1};
    Linear job = {.weight = &weight, .x = p->x, .x_stride = p->inputs};
    Packed packed;
    double start = clock_seconds();
    for (int i = 0; i < times; i++)
        cpu_pack(&p->bench->cpu, &packed, &job, 1, p->rows);
    return (clock_seconds() - start) / times;
}

static double run_seconds(Product *p, int times) {
    double start = clock_seconds();
    for (int i = 0; i < times; i++)
        run_once(p, p->bench->warm ? 0 : (size_t)i % p->n_places);
    return (clock_seconds() - start) / times;
}

/* A product whose inputs are packed. As in linear layers, groups of chunks of rows follow each other, one for
 * each thread if they share evenly, and a group's chunks take turns at the same columns. */
typedef struct Tiles {
    const Cpu *cpu;
    const Weight *weight;
    const Packed *packed;
    size_t n_columns, group; /* tiles in a row; chunks of a group */
} Tiles;

enum { TILE_COLUMNS = 96 };

static void multiply_tile(void *context, size_t i, int thread) {
    const Tiles *tiles = context;
    size_t in_group = i % (tiles->n_columns * tiles->group), chunk = i / tiles->n_columns / tiles->group;
    size_t first = in_group / tiles->group * TILE_COLUMNS, left = tiles->weight->rows - first;
    cpu_linear_tile(tiles->cpu, tiles->weight, first, left < TILE_COLUMNS ? left : TILE_COLUMNS,
                    tiles->packed, (chunk * tiles->group + i % tiles->group) * CPU_LINEAR_ROWS,
                    tiles->cpu->scratch[thread]);
}

static double product_seconds(Product *p, int times) {
    Bench *bench = p->bench;
    Weight weight = {bench->weights, DTYPE_BFLOAT16, p->outputs, p->inputs, p->inputs, 1};
    Linear job = {.weight = &weight, .x = p->x, .x_stride = p->inputs};
    Packed packed;
    size_t chunks = (p->rows + CPU_LINEAR_ROWS - 1) / CPU_LINEAR_ROWS,
           n_threads = (size_t)bench->cpu.n_threads;
    Tiles tiles = {&bench->cpu, &weight, &packed, (p->outputs + TILE_COLUMNS - 1) / TILE_COLUMNS,
                   chunks % n_threads == 0 ? chunks / n_threads : chunks};
    cpu_reserve(&bench->cpu, cpu_linear_scratch(&bench->cpu));
    cpu_pack(&bench->cpu, &packed, &job, 1, p->rows);
    double start = clock_seconds();
    for (int i = 0; i < times; i++) {
        weight.data =
            bench->weights + (bench->warm ? 0 : (size_t)i % p->n_places) * p->outputs * p->inputs * 2;
        cpu_parallel(&bench->cpu, tiles.n_columns * chunks, p->rows * p->outputs * p->inputs, multiply_tile,
                     &tiles);
    }
    return (clock_seconds() - start) / times;
}

static double ceiling(Bench *bench, size_t rows) {
    if (rows == 1)
        return ceiling_read(bench->memory, 1);
    return bench->cpu.dtype == DTYPE_BFLOAT16 ? ceiling_bf16(bench->cpu.pool, 0.02)
                                              : ceiling_f32(bench->cpu.pool, 0.02);
}

/* Rounds in turns: the ceiling, then each product for about 50 ms, with a pause in which threads go to sleep.
 */
static void compare(Bench *bench, Product *products, size_t n) {
    enum { MOST = 3 };
    double rates[MOST][ROUNDS], ratios[MOST][ROUNDS], parts[2][2][ROUNDS];
    int times[MOST];
    bool reads = products->rows == 1, packs = products->rows > NARROW_ROWS;
    double work =
        (reads ? 2.0 : 2.0 * (double)products->rows) * (double)products->outputs * (double)products->inputs;
    for (size_t i = 0; i < n; i++) {
        run_seconds(&products[i], 1);
        double once = run_seconds(&products[i], 1);
        times[i] = once > 0.05 ? 1 : (int)(0.05 / once) + 1;
    }
    for (int round = 0; round < ROUNDS; round++) {
        double top = ceiling(bench, products->rows);
        for (size_t i = 0; i < n; i++) {
            if (n > 1)
                nanosleep(&(struct timespec){.tv_nsec = 10 * 1000 * 1000}, NULL);
            double seconds = run_seconds(&products[i], times[i]);
            rates[i][round] = work / seconds;
            ratios[i][round] = rates[i][round] / top;
            if (i == 0 && packs) {
                parts[0][0][round] = work / (seconds - packing_seconds(products, times[0]));
                parts[1][0][round] = work / product_seconds(products, times[0]);
                for (int part = 0; part < 2; part++)
                    parts[part][1][round] = parts[part][0][round] / top;
            }
        }
    }
    for (size_t i = 0; i < n; i++) {
        char what[96];
        const Product *p = &products[i];
        snprintf(what, sizeof what, "%zu x %zu -> %zu, %s", p->rows, p->inputs, p->outputs,
                 p->name ? p->name : dtype_name(bench->cpu.dtype));
        double rate = bench_median(rates[i], ROUNDS), ratio = bench_median(ratios[i], ROUNDS);
        bench_print(bench->json, what, rate, rate / ratio, 1e9, reads ? "GB/s" : "Gop/s");
        static const char *const names[] = {"  without packing the inputs", "  the product alone"};
        for (int part = 0; i == 0 && packs && part < 2; part++) {
            rate = bench_median(parts[part][0], ROUNDS);
            ratio = bench_median(parts[part][1], ROUNDS);
            bench_print(bench->json, names[part], rate, rate / ratio, 1e9, "Gop/s");
        }
    }
}

static void measure(Bench *bench, size_t outputs, size_t inputs, size_t rows) {
    Product products[3] = {{.bench = bench, .outputs = outputs, .inputs = inputs, .rows = rows}};
    size_t n = 1;
    products->x = floats_alloc(rows * inputs);
    products->y = floats_alloc(rows * outputs);
    products->n_places = bench->weight_bytes / (outputs * inputs * 2);
    for (size_t i = 0; i < rows * inputs; i++)
        products->x[i] = (float)(i % 255) / 128.0f - 1.0f;
#ifdef BENCH_ONEDNN
    uint16_t *x = mem_alloc(rows * inputs * sizeof *x);
    for (size_t i = 0; i < rows * inputs; i++)
        x[i] = float_to_bfloat16(products->x[i]);
    for (n = 1; n < 3; n++) {
        products[n] = *products;
        products[n].name = n == 1 ? "oneDNN, packed weights" : "oneDNN, plain weights";
        onednn_open(&products[n].onednn, outputs, inputs, rows, x, bench->weights, products->n_places,
                    products->y, n == 1);
    }
#endif
    compare(bench, products, n);
#ifdef BENCH_ONEDNN
    for (n = 1; n < 3; n++)
        onednn_close(&products[n].onednn);
    free(x);
#endif
    free(products->x);
    free(products->y);
}

int main(int argc, char **argv) {
    Error error = {0};
    Bench bench = {.json = bench_flag(&argc, argv, "--json"),
                   .warm = bench_flag(&argc, argv, "--warm"),
                   .weight_bytes = (size_t)128256 * 2048 * 2};
    const char *threads = bench_value(&argc, argv, "--threads"), *name = bench_value(&argc, argv, "--dtype"),
               *isa = bench_value(&argc, argv, "--isa"), *rows = bench_value(&argc, argv, "--rows"),
               *inputs = bench_value(&argc, argv, "--inputs"),
               *outputs = bench_value(&argc, argv, "--outputs");
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
            if ((!rows || (size_t)atoll(rows) == row_counts[r]) &&
                (!inputs || (size_t)atoll(inputs) == shapes[s].inputs) &&
                (!outputs || (size_t)atoll(outputs) == shapes[s].outputs))
                measure(&bench, shapes[s].outputs, shapes[s].inputs, row_counts[r]);
    free(bench.weights);
    ceiling_memory_close(bench.memory);
    cpu_close(&bench.cpu);
    return 0;
}
