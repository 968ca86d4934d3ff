/* The parts of layers against worked examples, and each instruction set's kernels against plain sums in
 * double. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "runner/cpu/cpu.h"
#include "runner/floats.h"
#include "runner/layers/rope.h"
#include "tests/runner/runner_tests.h"
#include "tests/runner/test_engine_support.h"

static void expect_close(double found, double expected, double tolerance, const char *what, size_t i) {
    if (!(fabs(found - expected) <= tolerance))
        fail_msg("%s %zu is %.10g, expected %.10g", what, i, found, expected);
}

static void expect_frequency(const Rope *rope, size_t i, double expected) {
    expect_close(rope->frequencies[i], expected, expected * 1e-6, "frequency", i);
}

/* ---- rotary embedding; the expected numbers were computed in double by an independent implementation */

static const RopeConfig yarn = {.width = 32,
                                .theta = 500000,
                                .scaling = ROPE_YARN,
                                .factor = 32,
                                .original_positions = 8192,
                                .beta_fast = 32,
                                .beta_slow = 1,
                                .mscale = 1};

static void test_yarn_frequencies(void **unused) {
    (void)unused;
    static const double expected[] = {1,
                                      4.403666027e-1,
                                      1.939227447e-1,
                                      8.539710029e-2,
                                      3.760603093e-2,
                                      1.335185482e-2,
                                      4.466757152e-3,
                                      1.344793010e-3,
                                      3.181980515e-4,
                                      1.946163818e-5,
                                      8.570255490e-6,
                                      3.774054294e-6,
                                      1.661967468e-6,
                                      7.318749675e-7,
                                      3.222932930e-7,
                                      1.419272025e-7};
    Rope rope;
    rope_init(&rope, &yarn);
    expect_close(rope.scale, 1.3465735903, 1e-6, "the factor on cosines", 0);
    for (size_t i = 0; i < 16; i++)
        expect_frequency(&rope, i, expected[i]);
    rope_free(&rope);
    RopeConfig wide = yarn;
    wide.width = 64;
    wide.factor = 8;
    rope_init(&rope, &wide);
    expect_close(rope.scale, 1.2079441542, 1e-6, "the factor on cosines", 1);
    expect_frequency(&rope, 10, 1.495039730e-2);
    expect_frequency(&rope, 18, 7.784655274e-5);
    expect_frequency(&rope, 31, 3.767322690e-7);
    rope_free(&rope);
    assert_true(rope_yarn_score_factor(&yarn) == 1.0);
    wide.mscale_all_dim = 1;
    expect_close(rope_yarn_score_factor(&wide), 1.2079441542 * 1.2079441542, 1e-9, "the factor on scores", 0);
}

static void test_llama3_frequencies(void **unused) {
    (void)unused;
    static const struct {
        int64_t width;
        double factor;
        size_t index;
        double expected;
    } cases[] = {{64, 32, 1, 6.636012377e-1},   {64, 32, 15, 1.290547928e-3},  {64, 32, 16, 4.295567966e-4},
                 {64, 32, 17, 9.708287803e-5},  {64, 32, 31, 9.418306725e-8},  {128, 8, 29, 2.166570764e-3},
                 {128, 8, 32, 5.248461610e-4},  {128, 8, 34, 1.785078128e-4},  {128, 8, 63, 3.068925989e-7},
                 {128, 32, 29, 2.118406997e-3}, {128, 32, 63, 7.672314972e-8}, {128, 32, 34, 9.708287803e-5}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Rope rope;
        rope_init(&rope, &(RopeConfig){.width = cases[i].width,
                                       .theta = 500000,
                                       .scaling = ROPE_LLAMA3,
                                       .factor = cases[i].factor,
                                       .original_positions = 8192,
                                       .low_freq_factor = 1,
                                       .high_freq_factor = 4});
        expect_frequency(&rope, cases[i].index, cases[i].expected);
        rope_free(&rope);
    }
}

static void test_rotation_of_half_split_pairs(void **unused) {
    (void)unused;
    static const double expected[] = {-1.6955925, 0.1375517, 2.7886816, 3.9759820,
                                      -4.8088425, 6.3230593, 7.0868367, 8.0119640};
    float x[] = {1, 2, 3, 4, 5, 6, 7, 8};
    Rope rope;
    Error error = {0};
    rope_init(&rope, &(RopeConfig){.width = 8, .theta = 10000});
    assert_int_equal(rope_extend(&rope, 4, &error), 0);
    kernels_portable()->rotate(x, rope.cosines + 3 * 4, rope.sines + 3 * 4, 4);
    for (size_t i = 0; i < 8; i++)
        expect_close(x[i], expected[i], 1e-6, "channel", i);
    rope_free(&rope);
}

/* ---- kernels, for each instruction set that this processor runs */

static size_t runnable(const Kernels **out) {
    static const struct {
        const char *name;
        const Kernels *(*kernels)(void);
    } sets[] = {{"portable", kernels_portable}, {"avx2", kernels_avx2}, {"avx512", kernels_avx512}};
    size_t n = 0;
    for (size_t i = 0; i < 3; i++)
        if (cpu_runs(sets[i].name))
            out[n++] = sets[i].kernels();
    return n;
}

static void test_state_space_steps(void **unused) {
    (void)unused;
    static const float x[3][2] = {{1, 2}, {3, -1}, {0.5f, 0.25f}},
                       b[3][2] = {{0.5f, -1}, {1, 0.25f}, {-0.5f, 2}},
                       c[3][2] = {{1, 1}, {0.5f, -2}, {2, 0.5f}}, dt[3] = {0.1f, 0.5f, 0.2f},
                       skip[2] = {0.7f, 0.7f};
    static const double expected[3][2] = {
        {0.65, 1.3}, {2.206282470, -0.487435050}, {2.728854970, -0.577125580}};
    static const double last[2][2] = {{1.078724218, 0.442813058}, {-0.360415335, -0.062589827}};
    const Kernels *sets[3];
    size_t n_sets = runnable(sets);
    for (size_t k = 0; k < n_sets; k++) {
        float state[2 * LANES] = {0}, decay[3], y[3][2];
        for (size_t t = 0; t < 3; t++)
            decay[t] = expf(dt[t] * -1.5f);
        sets[k]->scan_head(&(HeadScan){.state = state,
                                       .x = x[0],
                                       .b = b[0],
                                       .c = c[0],
                                       .dt = dt,
                                       .decay = decay,
                                       .skip = skip,
                                       .y = y[0],
                                       .conv_stride = 2,
                                       .dt_stride = 1,
                                       .decay_stride = 1,
                                       .y_stride = 2,
                                       .width = 2,
                                       .state_width = 2,
                                       .n_rows = 3});
        for (size_t t = 0; t < 3; t++)
            for (size_t p = 0; p < 2; p++)
                expect_close(y[t][p], expected[t][p], 1e-6, sets[k]->name, t);
        for (size_t p = 0; p < 2; p++)
            for (size_t n = 0; n < 2; n++)
                expect_close(state[n * LANES + p], last[p][n], 1e-6, "final state", 2 * p + n);
    }
}

/* Heads as wide as kernels take channels together, and wider and narrower ones, in double and by the kernels;
 * one run over all tokens and two of them must leave the same bits. */
static void test_head_scans(void **unused) {
    (void)unused;
    enum { WIDTH = 100, STATES = 7, ROWS = 5, STRIDE = 112, IN = WIDTH + 2 * STATES };
    static const size_t widths[] = {1, 15, 16, 17, 32, 64, 80, 96, 100};
    static float in[ROWS][IN], skip[WIDTH], dt[ROWS], decay[ROWS];
    const Kernels *sets[3];
    size_t n_sets = runnable(sets);
    Random random;
    random_seed(&random, 11);
    for (size_t i = 0; i < ROWS * IN; i++)
        in[i / IN][i % IN] = (float)random_double(&random) - 0.5f;
    for (size_t i = 0; i < WIDTH; i++)
        skip[i] = (float)random_double(&random) - 0.5f;
    for (size_t t = 0; t < ROWS; t++) {
        dt[t] = (float)random_double(&random);
        decay[t] = (float)random_double(&random);
    }
    for (size_t w = 0; w < sizeof widths / sizeof *widths; w++)
        for (size_t k = 0; k < n_sets; k++) {
            static float state[STATES * STRIDE], again[STATES * STRIDE], y[ROWS][WIDTH], z[ROWS][WIDTH];
            memset(state, 0, sizeof state);
            memset(again, 0, sizeof again);
            HeadScan scan = {state,
                             in[0],
                             in[0] + WIDTH,
                             in[0] + WIDTH + STATES,
                             dt,
                             decay,
                             skip,
                             y[0],
                             IN,
                             1,
                             1,
                             WIDTH,
                             widths[w],
                             STATES,
                             ROWS};
            sets[k]->scan_head(&scan);
            scan.state = again;
            scan.y = z[0];
            scan.n_rows = 2;
            sets[k]->scan_head(&scan);
            scan = (HeadScan){again,
                              in[2],
                              in[2] + WIDTH,
                              in[2] + WIDTH + STATES,
                              dt + 2,
                              decay + 2,
                              skip,
                              z[2],
                              IN,
                              1,
                              1,
                              WIDTH,
                              widths[w],
                              STATES,
                              ROWS - 2};
            sets[k]->scan_head(&scan);
            assert_memory_equal(state, again, sizeof state);
            for (size_t p = 0; p < widths[w]; p++) {
                double cell[STATES] = {0};
                for (size_t t = 0; t < ROWS; t++) {
                    double sum = (double)skip[p] * in[t][p];
                    for (size_t n = 0; n < STATES; n++) {
                        cell[n] = decay[t] * cell[n] + (double)dt[t] * in[t][p] * in[t][WIDTH + n];
                        sum += cell[n] * in[t][WIDTH + STATES + n];
                    }
                    expect_close(y[t][p], sum, 1e-6, sets[k]->name, widths[w]);
                    assert_true(y[t][p] == z[t][p]);
                }
            }
        }
}

static void test_softplus_is_accurate_everywhere(void **unused) {
    (void)unused;
    const Kernels *sets[3];
    size_t n_sets = runnable(sets);
    for (size_t k = 0; k < n_sets; k++) {
        for (float x = -86; x < 40; x += 0.00717f) {
            float got = x - 1, bias = 1, plus;
            plus = got + bias;
            sets[k]->softplus(&got, &bias, 1);
            double expected = plus > 20 ? (double)plus : log1p(exp((double)plus));
            if (!(fabs((double)got - expected) <= 3e-7 * expected))
                fail_msg("%s: softplus(%.9g) is %.9g, expected %.9g", sets[k]->name, (double)plus,
                         (double)got, expected);
        }
        float special[] = {NAN, INFINITY, -INFINITY}, zero[3] = {0};
        sets[k]->softplus(special, zero, 3);
        assert_true(isnan(special[0]) && isinf(special[1]) && special[2] >= 0 && special[2] < 1e-37f);
    }
}

static void test_convolutions(void **unused) {
    (void)unused;
    enum { CHANNELS = 37 };
    float in[CONV_TAPS][CHANNELS], taps[CONV_TAPS * CHANNELS], bias[CHANNELS], out[CHANNELS];
    const float *rows[CONV_TAPS] = {in[0], in[1], in[2], in[3]};
    const Kernels *sets[3];
    size_t n_sets = runnable(sets);
    Random random;
    random_seed(&random, 12);
    for (size_t i = 0; i < CONV_TAPS * CHANNELS; i++) {
        in[i / CHANNELS][i % CHANNELS] = (float)random_double(&random) - 0.5f;
        taps[i] = (float)random_double(&random) - 0.5f;
    }
    for (size_t i = 0; i < CHANNELS; i++)
        bias[i] = (float)random_double(&random) - 0.5f;
    for (size_t k = 0; k < n_sets; k++)
        for (int variant = 0; variant < 4; variant++) {
            bool silu = variant & 1, rounds = variant & 2;
            sets[k]->convolve(out, rows, taps, bias, CHANNELS, silu, rounds);
            for (size_t c = 0; c < CHANNELS; c++) {
                double sum = bias[c];
                for (size_t j = 0; j < CONV_TAPS; j++)
                    sum += (double)taps[j * CHANNELS + c] * in[j][c];
                expect_close(out[c], silu ? sum / (1 + exp(-sum)) : sum, rounds ? 4e-3 : 1e-6, sets[k]->name,
                             c);
                uint32_t bits;
                memcpy(&bits, &out[c], sizeof bits);
                assert_true(!rounds || (bits & 0xffff) == 0);
            }
        }
}

static void test_gated_norm(void **unused) {
    (void)unused;
    static const float y[] = {1, -2, 3, 0.5f}, z[] = {0.5f, -1, 2, 0}, w[] = {1, 2, 0.5f, 1};
    static const double pairs[] = {0.70825362, 2.44807944, 0.70710653, 0},
                        whole[] = {0.11697729, 0.40433214, 0.99315653, 0};
    const Kernels *sets[3];
    size_t n_sets = runnable(sets);
    for (size_t k = 0; k < n_sets; k++) {
        float gated[4], out[4];
        memcpy(gated, z, sizeof gated);
        sets[k]->silu_multiply(gated, y, 4);
        sets[k]->rms_norm(out, gated, w, 4, 1e-5f);
        for (size_t i = 0; i < 4; i++)
            expect_close(out[i], whole[i], 1e-6, sets[k]->name, i);
        sets[k]->rms_norm(out, gated, w, 2, 1e-5f);
        sets[k]->rms_norm(out + 2, gated + 2, w + 2, 2, 1e-5f);
        for (size_t i = 0; i < 4; i++)
            expect_close(out[i], pairs[i], 1e-6, sets[k]->name, i);
    }
}

static void test_layer_norm(void **unused) {
    (void)unused;
    enum { N = 37 };
    const Kernels *sets[3];
    size_t n_sets = runnable(sets);
    float x[N], weight[N], bias[N], y[N];
    Random random;
    random_seed(&random, 4);
    for (size_t i = 0; i < N; i++) {
        x[i] = 5 + (float)random_double(&random);
        weight[i] = (float)random_double(&random);
        bias[i] = (float)random_double(&random);
    }
    for (size_t n = 1; n <= N; n += 4) {
        double mean = 0, variance = 0;
        for (size_t i = 0; i < n; i++)
            mean += (double)x[i] / (double)n;
        for (size_t i = 0; i < n; i++)
            variance += ((double)x[i] - mean) * ((double)x[i] - mean) / (double)n;
        for (size_t k = 0; k < n_sets; k++) {
            sets[k]->layer_norm(y, x, weight, bias, n, 1e-5f);
            for (size_t i = 0; i < n; i++)
                expect_close(y[i], ((double)x[i] - mean) / sqrt(variance + 1e-5) * weight[i] + bias[i], 1e-5,
                             sets[k]->name, i);
        }
    }
}

static void test_squared_relu(void **unused) {
    (void)unused;
    const Kernels *sets[3];
    size_t n_sets = runnable(sets);
    for (size_t k = 0; k < n_sets; k++) {
        float x[] = {-2, -0.0f, 0.5f, 3, NAN};
        sets[k]->square_relu(x, 5);
        assert_true(x[0] == 0 && x[1] == 0 && x[2] == 0.25f && x[3] == 9 && isnan(x[4]));
    }
}

/* Three steps of sixteen channels with five states each, in double and by the kernels. */
static void test_channel_scans(void **unused) {
    (void)unused;
    enum { N = 5 };
    const Kernels *sets[3];
    size_t n_sets = runnable(sets);
    for (size_t k = 0; k < n_sets; k++) {
        float state[N * LANES] = {0}, a[N * LANES], x[LANES], dt[LANES], b[N], c[N];
        double expected[N * LANES] = {0};
        Random random;
        random_seed(&random, 6);
        for (size_t i = 0; i < N * LANES; i++)
            a[i] = -16 * (float)random_double(&random);
        for (size_t step = 0; step < 3; step++) {
            float y[LANES] = {0};
            for (size_t i = 0; i < LANES; i++) {
                x[i] = (float)random_double(&random) - 0.5f;
                dt[i] = 3 * (float)random_double(&random);
            }
            for (size_t n = 0; n < N; n++) {
                b[n] = (float)random_double(&random) - 0.5f;
                c[n] = (float)random_double(&random) - 0.5f;
            }
            sets[k]->scan_channels(state, y, x, dt, a, b, c, N);
            for (size_t p = 0; p < LANES; p++) {
                double sum = 0;
                for (size_t n = 0; n < N; n++) {
                    double *cell = &expected[n * LANES + p];
                    *cell = exp((double)dt[p] * a[n * LANES + p]) * *cell + (double)dt[p] * x[p] * b[n];
                    sum += c[n] * *cell;
                }
                expect_close(y[p], sum, 1e-6, sets[k]->name, p);
            }
        }
    }
}

static void test_silu_is_accurate_everywhere(void **unused) {
    (void)unused;
    const Kernels *sets[3];
    size_t n_sets = runnable(sets);
    for (size_t k = 0; k < n_sets; k++) {
        for (float x = -80; x < 80; x += 0.0137f) {
            float got = x;
            sets[k]->silu(&got, 1);
            double expected = (double)x / (1 + exp(-(double)x));
            if (!(fabs((double)got - expected) <= 4e-7 * fabs(expected)))
                fail_msg("%s: silu(%.9g) is %.9g, expected %.9g", sets[k]->name, (double)x, (double)got,
                         expected);
        }
        float extremes[] = {-1e30f, 1e30f, 0.0f, NAN, -INFINITY};
        sets[k]->silu(extremes, 4);
        assert_true(fabsf(extremes[0]) < 1e-6f && extremes[1] == 1e30f && extremes[2] == 0);
        assert_true(isnan(extremes[3]));
    }
}

enum { TILE_KEYS = 48, TILES = 2, TILE_LANES = 32, TILE_SUMS = 3 };

/* Lane l's keys: those of each tile from first[l] to end[l] - 1, none at all for some; others' scores are
 * NaN. */
typedef struct SoftmaxCase {
    uint32_t first[TILE_LANES], end[TILE_LANES];
    float scores[TILES][TILE_KEYS * TILE_LANES];
    double largest[TILE_LANES], sum[TILE_LANES];
} SoftmaxCase;

static void make_softmax_case(SoftmaxCase *c, uint32_t first_lane, float scale) {
    for (uint32_t lane = 0; lane < TILE_LANES; lane++) {
        c->first[lane] = (lane + first_lane) * 5 % TILE_KEYS;
        c->end[lane] = c->first[lane] + (lane + first_lane) * 7 % (TILE_KEYS + 1 - c->first[lane]);
        c->largest[lane] = (double)ATTEND_NO_MAX;
        c->sum[lane] = 0;
        for (uint32_t i = 0; i < TILES * TILE_KEYS; i++) {
            uint32_t key = i % TILE_KEYS;
            bool counts = key >= c->first[lane] && key < c->end[lane];
            float score = counts ? (float)((i * 37 + lane) % 11) - 50.0f : NAN;
            c->scores[i / TILE_KEYS][key * TILE_LANES + lane] = score;
            if (counts)
                c->largest[lane] = fmax(c->largest[lane], (double)scale * (double)score);
        }
        for (uint32_t i = 0; i < TILES * TILE_KEYS; i++) {
            double score = (double)c->scores[i / TILE_KEYS][i % TILE_KEYS * TILE_LANES + lane];
            if (!isnan(score))
                c->sum[lane] += exp2((double)scale * score - c->largest[lane]);
        }
    }
}

static float weight_of(const GemmKernels *gemm, const float *words, size_t key, size_t lane) {
    if (gemm->inputs_per_word == 1)
        return words[key * TILE_LANES + lane];
    uint16_t half;
    memcpy(&half, (const uint8_t *)(words + key / 2 * TILE_LANES + lane) + key % 2 * 2, sizeof half);
    return bfloat16_to_float(half);
}

/* Tiles of scores of which some keys count, against sums in double. `sums` count the first tile's weights. */
static void check_softmax(const Cpu *cpu, const SoftmaxCase *c, float scale) {
    float max[TILE_LANES], sum[TILE_LANES] = {0}, words[TILE_KEYS * TILE_LANES],
                           sums[TILE_SUMS * TILE_LANES] = {0};
    for (size_t lane = 0; lane < TILE_LANES; lane++)
        max[lane] = ATTEND_NO_MAX;
    for (size_t t = 0; t < TILES; t++) {
        AttendTile tile = {c->scores[t],
                           words,
                           max,
                           sum,
                           sums,
                           c->first,
                           c->end,
                           TILE_LANES,
                           TILE_KEYS,
                           TILE_SUMS,
                           scale,
                           false,
                           cpu->dtype == DTYPE_BFLOAT16};
        cpu->gemm->attend_weigh(&tile);
        for (size_t i = 0; t == 0 && i < TILE_SUMS * TILE_LANES; i++)
            sums[i] = sum[i % TILE_LANES];
    }
    cpu->gemm->attend_share(
        &(AttendTile){.sum = sum, .sums = sums, .width = TILE_LANES, .n_sums = TILE_SUMS});
    for (size_t lane = 0; lane < TILE_LANES; lane++) {
        if (c->sum[lane] == 0)
            continue;
        double last = 0, rounding = cpu->dtype == DTYPE_BFLOAT16 ? 0x1p-8 : 4e-6;
        for (size_t key = 0; key < TILE_KEYS; key++) {
            double score = (double)c->scores[TILES - 1][key * TILE_LANES + lane],
                   weight = isnan(score) ? 0 : exp2((double)scale * score - c->largest[lane]);
            expect_close(weight_of(cpu->gemm, words, key, lane), weight, rounding * weight, cpu->name, key);
            last += weight;
        }
        expect_close(max[lane], c->largest[lane], 1e-6 * fabs(c->largest[lane]), cpu->name, lane);
        expect_close(sum[lane], c->sum[lane], 4e-6 * c->sum[lane], cpu->name, lane);
        expect_close(sums[lane], 1 - last / c->sum[lane], 4e-6, cpu->name, lane);
    }
}

static void test_softmax_ignores_keys_that_do_not_count(void **unused) {
    (void)unused;
    SoftmaxCase *c = mem_alloc(sizeof *c);
    for (const char *const *set = cpu_instruction_sets; *set; set++)
        for (Dtype dtype = DTYPE_FLOAT32; dtype <= DTYPE_BFLOAT16 && cpu_runs(*set); dtype++) {
            Cpu cpu;
            Error error = {0};
            assert_int_equal(cpu_open(&cpu, *set, dtype, 1, &error), 0);
            for (uint32_t first_lane = 0; first_lane < 400; first_lane += TILE_LANES) {
                make_softmax_case(c, first_lane, 0.72f);
                check_softmax(&cpu, c, 0.72f);
            }
            cpu_close(&cpu);
        }
    free(c);
}

/* ---- log-softmax */

static void expect_summary(TileSummary found, TileSummary expected, const char *name, size_t n) {
    expect_close(found.max, (double)expected.max, 0, name, n);
    assert_int_equal(found.argmax, expected.argmax);
    expect_close((float)found.sum, expected.sum, 4e-7 * expected.sum, name, n);
}

/* A column's logits next to each other, some equal; rows one by one give the same bits. */
static void check_summaries(const Cpu *cpu, Random *random, size_t n) {
    enum { ROWS = 37, STRIDE = 48 };
    bool round = cpu->dtype == DTYPE_BFLOAT16;
    float *tile = mem_alloc(n * STRIDE * sizeof *tile), *row = mem_alloc(n * sizeof *row);
    TileSummary found[2 * ROWS];
    for (size_t i = 0; i < n * STRIDE; i++)
        tile[i] = (float)random_below(random, 50) * 0.37f - 11;
    cpu->gemm->summarise(found, 2, tile, STRIDE, ROWS, n, round);
    for (size_t r = 0; r < ROWS; r++) {
        TileSummary expected = {tile[r], 0, 0};
        for (size_t c = 0; c < n; c++) {
            row[c] = tile[c * STRIDE + r];
            assert_true(!round || bfloat16_to_float(float_to_bfloat16(row[c])) == row[c]);
            if (row[c] > expected.max)
                expected = (TileSummary){row[c], (int32_t)c, 0};
        }
        for (size_t c = 0; c < n; c++)
            expected.sum += exp((double)row[c] - (double)expected.max);
        expect_summary(found[2 * r], expected, cpu->name, n);
        TileSummary alone = cpu->kernels->summarise(row, n);
        assert_true(alone.max == found[2 * r].max && alone.argmax == found[2 * r].argmax &&
                    alone.sum == found[2 * r].sum);
    }
    free(tile);
    free(row);
}

static void test_summaries_of_logits(void **unused) {
    (void)unused;
    static const size_t sizes[] = {1, 3, 15, 16, 17, 100, VOCAB_TILE - 1, VOCAB_TILE};
    Random random;
    random_seed(&random, 2);
    for (const char *const *set = cpu_instruction_sets; *set; set++)
        for (Dtype dtype = DTYPE_FLOAT32; dtype <= DTYPE_BFLOAT16 && cpu_runs(*set); dtype++) {
            Cpu cpu;
            Error error = {0};
            assert_int_equal(cpu_open(&cpu, *set, dtype, 1, &error), 0);
            for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
                check_summaries(&cpu, &random, sizes[i]);
            cpu_close(&cpu);
        }
}

/* ---- linear layers */

static uint16_t to_bfloat16(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (uint16_t)(bits >> 16);
}

/* Random weights as stored, and what they are worth. */
static uint8_t *make_weights(Random *random, Dtype dtype, size_t n, float *values) {
    uint8_t *data = mem_alloc(4 * n);
    for (size_t i = 0; i < n; i++) {
        float x = (float)(random_double(random) * 2 - 1);
        uint16_t half = dtype == DTYPE_BFLOAT16 ? to_bfloat16(x) : (uint16_t)(random_below(random, 0x7800));
        if (dtype == DTYPE_FLOAT32)
            memcpy(data + 4 * i, &x, 4);
        else
            memcpy(data + 2 * i, &half, 2);
        values[i] = weight_element(data, dtype, i);
    }
    return data;
}

/* Outputs of random rows against sums in double; in bfloat16 the inputs are such numbers, and the outputs are
 * compared before their rounding by going through the parts of cpu_linear. */
static void check_linear(Cpu *cpu, Random *random, Dtype dtype, bool transposed, size_t rows, size_t out,
                         size_t in) {
    float *values = mem_alloc(out * in * sizeof(float)), *x = mem_alloc(rows * in * sizeof(float)),
          *y = mem_alloc(rows * (out + 3) * sizeof(float)), *bias = mem_alloc(out * sizeof(float));
    uint8_t *data = make_weights(random, dtype, out * in, values);
    Weight weight = {data, dtype, out, in, transposed ? 1 : in, transposed ? out : 1};
    for (size_t i = 0; i < rows * in; i++)
        x[i] = (float)(random_double(random) * 2 - 1);
    cpu_round(cpu, x, rows * in);
    for (size_t i = 0; i < out; i++)
        bias[i] = (float)i;
    for (size_t i = 0; i < rows * (out + 3); i++)
        y[i] = -77;
    cpu_linear(cpu, &(Linear){&weight, bias, x, y, in, out + 3}, 1, rows);
    double rounding = cpu->dtype == DTYPE_BFLOAT16 ? 0x1p-8 : 0;
    for (size_t m = 0; m < rows; m++)
        for (size_t j = 0; j < out + 3; j++) {
            double sum = j < out ? (double)bias[j] : -77, size = 1;
            for (size_t k = 0; k < in && j < out; k++) {
                double term = (double)x[m * in + k] * (double)values[transposed ? k * out + j : j * in + k];
                sum += term;
                size += fabs(term);
            }
            expect_close(y[m * (out + 3) + j], sum, 2e-6 * (size + fabs(sum)) + rounding * fabs(sum),
                         cpu->name, j);
        }
    free(values);
    free(x);
    free(y);
    free(bias);
    free(data);
}

static void test_linear_layers_of_odd_sizes(void **unused) {
    (void)unused;
    static const size_t shapes[][3] = {{1, 1, 1},    {1, 49, 7},    {3, 16, 256},  {5, 47, 257}, {8, 48, 300},
                                       {13, 97, 33}, {7, 100, 64},  {520, 33, 5},  {9, 7, 2049}, {2, 5, 2050},
                                       {70, 7, 514}, {40, 200, 16}, {3, 21, 9511}, {1, 18, 4100}};
    Random random;
    random_seed(&random, 1);
    for (const char *const *set = cpu_instruction_sets; *set; set++)
        for (Dtype arithmetic = DTYPE_FLOAT32; arithmetic <= DTYPE_BFLOAT16; arithmetic++) {
            Cpu cpu;
            Error error = {0};
            if (!cpu_runs(*set))
                continue;
            assert_int_equal(cpu_open(&cpu, *set, arithmetic, 2, &error), 0);
            for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
                for (Dtype dtype = DTYPE_FLOAT32; dtype <= DTYPE_FLOAT16; dtype++)
                    for (int transposed = 0; transposed <= 1; transposed++)
                        if (arithmetic == DTYPE_FLOAT32 || dtype == DTYPE_BFLOAT16)
                            check_linear(&cpu, &random, dtype, transposed, shapes[s][0], shapes[s][1],
                                         shapes[s][2]);
            cpu_close(&cpu);
        }
}

static float *logits_with(const char *instruction_set, const char *folder, const int32_t *ids, size_t n,
                          size_t *vocab) {
    setenv("ZEVAL_ISA", instruction_set, 1);
    Engine *engine = open_engine(folder, 2);
    assert_string_equal(engine_instruction_set(engine), instruction_set);
    float *logits = score_logits(engine, ids, n, NULL);
    *vocab = (size_t)engine_info(engine)->vocab_size;
    engine_close(engine);
    unsetenv("ZEVAL_ISA");
    return logits;
}

static void test_avx2_and_avx512_agree_in_every_bit(void **unused) {
    (void)unused;
    static const char *const folders[] = {
        "tests/fixtures/models/llama_tiny",          "tests/fixtures/models/mistral_tiny",
        "tests/fixtures/models/nemotron_tiny",       "tests/fixtures/models/zebra_tiny",
        "tests/fixtures/models/mamba_in_llama_tiny", "tests/fixtures/models/llamba_tiny"};
    const Kernels *sets[3];
    int32_t ids[50];
    if (runnable(sets) < 3) {
        printf("skipped: this processor does not run both instruction sets\n");
        skip();
    }
    for (int32_t i = 0; i < 50; i++)
        ids[i] = i * 37 % 67;
    for (size_t m = 0; m < sizeof folders / sizeof *folders; m++) {
        size_t vocab;
        float *a = logits_with("avx2", folders[m], ids, 50, &vocab),
              *b = logits_with("avx512", folders[m], ids, 50, &vocab);
        assert_same_bits(a, b, 50 * vocab, folders[m]);
        free(a);
        free(b);
    }
}

int run_engine_layer_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_yarn_frequencies),
        cmocka_unit_test(test_llama3_frequencies),
        cmocka_unit_test(test_rotation_of_half_split_pairs),
        cmocka_unit_test(test_state_space_steps),
        cmocka_unit_test(test_head_scans),
        cmocka_unit_test(test_softplus_is_accurate_everywhere),
        cmocka_unit_test(test_convolutions),
        cmocka_unit_test(test_gated_norm),
        cmocka_unit_test(test_layer_norm),
        cmocka_unit_test(test_squared_relu),
        cmocka_unit_test(test_channel_scans),
        cmocka_unit_test(test_silu_is_accurate_everywhere),
        cmocka_unit_test(test_softmax_ignores_keys_that_do_not_count),
        cmocka_unit_test(test_summaries_of_logits),
        cmocka_unit_test(test_linear_layers_of_odd_sizes),
        cmocka_unit_test(test_avx2_and_avx512_agree_in_every_bit),
    };
    return cmocka_run_group_tests_name("engine layers", tests, NULL, NULL);
}
