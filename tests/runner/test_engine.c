/* The engine against other implementations' logits, and against itself: no cut, company, fork or number of
 * threads may change a bit. */
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
#include "runner/engine.h"
#include "tests/runner/runner_tests.h"
#include "tests/runner/test_engine_support.h"

enum { N_MODELS = N_FIXTURE_MODELS };

static Engine *open_fixture_as(const char *name, Dtype dtype, int n_threads) {
    char *folder = path_join("tests/fixtures/models", name);
    Engine *engine = open_engine_as(folder, dtype, n_threads);
    free(folder);
    return engine;
}

static Engine *open_fixture(const char *name, int n_threads) {
    return open_fixture_as(name, DTYPE_FLOAT32, n_threads);
}

/* The properties are tested on every model in both kinds of arithmetic. */
enum { N_VARIANTS = 2 * N_MODELS };

static Engine *open_variant(size_t variant, int n_threads) {
    return open_fixture_as(fixture_models[variant / 2], variant % 2 ? DTYPE_BFLOAT16 : DTYPE_FLOAT32,
                           n_threads);
}

/* ---- against other implementations */

static void test_logits_match_other_implementations(void **state) {
    (void)state;
    for (size_t i = 0; i < N_MODELS; i++)
        expect_fixture_logits(fixture_models[i], NULL);
    expect_fixture_logits("demo", NULL);
}

/* The squares of got - want over a case's rows, in units of the case's largest logit, summed. */
static double squared_difference(const FixtureCase *rows, const float *got, const float *want) {
    size_t vocab = rows->logits.cols;
    double largest = 0, sum = 0;
    for (size_t i = 0; i < rows->logits.rows * vocab; i++)
        largest = fmax(largest, fabs((double)rows->logits.data[i]));
    for (size_t i = 0; i < rows->logits.rows * vocab; i++) {
        double difference = ((double)got[i] - (double)want[i]) / largest;
        sum += difference * difference;
    }
    return sum;
}

/* Moves the rows that `wanted` has to the front of those at the given positions, all of them ascending. */
static void keep_rows(const FixtureCase *wanted, float *rows, const size_t *positions) {
    size_t at = 0, cols = wanted->logits.cols;
    for (size_t i = 0; i < wanted->logits.rows; i++, at++) {
        while (positions ? positions[at] != wanted->positions[i] : at != wanted->positions[i])
            at++;
        memmove(rows + i * cols, rows + at * cols, cols * sizeof *rows);
    }
}

/* Rounding to bfloat16 moves logits by about 1e-3 to 1e-2 of the largest, whoever computes. Required, as root
 * mean squares over a fixture's cases: our distance from the exact logits is at most 1.5 times that of
 * another implementation in bfloat16, and so is our distance from that implementation. */
static void check_bfloat16(const char *name) {
    Fixture exact = read_fixture(name), other = read_fixture_file(name, "bfloat16.json");
    double ours_exact = 0, other_exact = 0, ours_other = 0;
    assert_int_equal(exact.n_cases, other.n_cases);
    for (size_t i = 0; i < exact.n_cases; i++) {
        const FixtureCase *want = &other.cases[i];
        float *truth = exact.cases[i].logits.data;
        Engine *engine = open_engine_as(exact.model_folder, DTYPE_BFLOAT16, 2);
        engine->rope.origin = want->first_position;
        float *logits = score_logits(engine, want->ids, want->n_ids, NULL);
        keep_rows(want, logits, NULL);
        keep_rows(want, truth, exact.cases[i].positions);
        ours_exact += squared_difference(want, logits, truth);
        ours_other += squared_difference(want, logits, want->logits.data);
        other_exact += squared_difference(want, want->logits.data, truth);
        free(logits);
        engine_close(engine);
    }
    double ours = sqrt(ours_exact / other_exact), apart = sqrt(ours_other / other_exact);
    printf("%s: bfloat16 logits are %.2f times as far from the exact ones as another implementation's, and "
           "%.2f times that from its own\n",
           name, ours, apart);
    if (!(ours <= 1.5 && apart <= 1.5))
        fail_msg("%s: %.2f and %.2f times, allowed 1.5", name, ours, apart);
    free_fixture(&exact);
    free_fixture(&other);
}

static void test_bfloat16_is_as_exact_as_other_implementations(void **unused) {
    (void)unused;
    for (size_t i = 0; i < N_MODELS; i++)
        check_bfloat16(fixture_models[i]);
}

static void test_stories260k_decodes_the_published_text(void **unused) {
    (void)unused;
    char *folder = shared_path("models/stories260K-hf"),
         *golden = shared_path("models/stories260K/greedy.json");
    cJSON *root = NULL;
    Error error = {0};
    if (!folder || !golden) {
        free(folder);
        free(golden);
        skip();
    }
    assert_int_equal(json_parse_file(&root, golden, 1 << 20, &error), 0);
    const cJSON *ids = cJSON_GetObjectItem(root, "ids");
    Engine *engine = open_engine(folder, 1);
    State *sequence = NULL;
    for (const cJSON *id = ids->child; id->next; id = id->next) {
        int32_t token = (int32_t)id->valuedouble, next = (int32_t)id->next->valuedouble;
        TargetResult result;
        Segment segment = {.parent = sequence,
                           .tokens = &token,
                           .n_tokens = 1,
                           .targets = &(Target){0, next},
                           .n_targets = 1,
                           .results = &result,
                           .move_parent = true,
                           .want_state = true};
        assert_int_equal(engine_score(engine, &segment, 1, &error), 0);
        assert_int_equal(result.argmax, next);
        sequence = segment.state;
    }
    assert_int_equal(state_position(sequence), cJSON_GetArraySize(ids) - 1);
    state_release(sequence);
    engine_close(engine);
    cJSON_Delete(root);
    free(folder);
    free(golden);
}

/* ---- against itself */

enum { LONG = 75 }; /* several cache blocks, the last one partly filled */

/* The same ids in pieces of the given sizes (the last one repeats), each moving its parent. */
static void check_cut(Engine *engine, const int32_t *ids, const float *whole, const size_t *sizes,
                      size_t n_sizes) {
    size_t vocab = (size_t)engine_info(engine)->vocab_size, done = 0;
    State *sequence = NULL;
    for (size_t i = 0; done < LONG; i++) {
        size_t n = sizes[i < n_sizes ? i : n_sizes - 1];
        n = n < LONG - done ? n : LONG - done;
        float *logits = score_logits(engine, ids + done, n, &sequence);
        assert_same_bits(logits, whole + done * vocab, n * vocab, "a cut sequence");
        free(logits);
        done += n;
    }
    assert_int_equal(state_position(sequence), LONG);
    state_release(sequence);
}

static void test_cuts_do_not_change_bits(void **unused) {
    (void)unused;
    for (size_t m = 0; m < N_VARIANTS; m++) {
        Engine *engine = open_variant(m, 2);
        int32_t ids[LONG];
        random_ids(engine, m, ids, LONG);
        float *whole = score_logits(engine, ids, LONG, NULL);
        check_cut(engine, ids, whole, (size_t[]){1}, 1);
        check_cut(engine, ids, whole, (size_t[]){16}, 1);
        check_cut(engine, ids, whole, (size_t[]){2, 1, 40, 3, 29}, 5);
        check_cut(engine, ids, whole, (size_t[]){64, 11}, 2);
        free(whole);
        engine_close(engine);
    }
}

/* The same promises on each instruction set that this processor runs, and logits close to the portable ones:
 * by rounding in float32; in bfloat16, where a number that falls on the other side of a rounding moves all
 * that follow, by what bfloat16 moves them anyway. */
static void test_every_instruction_set_keeps_the_promises(void **unused) {
    (void)unused;
    static const char *const some[] = {"llama_tiny", "mistral_tiny", "zebra_tiny", "mamba_in_llama_tiny",
                                       "llamba_tiny"};
    for (size_t m = 0; m < 2 * sizeof some / sizeof *some; m++) {
        char *folder = path_join("tests/fixtures/models", some[m / 2]);
        EngineOptions options = {
            .model_folder = folder, .dtype = m % 2 ? DTYPE_BFLOAT16 : DTYPE_FLOAT32, .n_threads = 2};
        float *portable = NULL;
        int32_t ids[LONG];
        for (size_t i = 4; i-- > 0;) { /* portable is the last one */
            Engine *engine = NULL;
            Error error = {0};
            options.instruction_set = cpu_instruction_sets[i];
            if (!cpu_runs(options.instruction_set))
                continue;
            if (engine_open(&engine, &options, &error))
                fail_msg("%s", error.message);
            size_t n = LONG * (size_t)engine_info(engine)->vocab_size;
            random_ids(engine, m, ids, LONG);
            float *whole = score_logits(engine, ids, LONG, NULL);
            check_cut(engine, ids, whole, (size_t[]){1}, 1);
            check_cut(engine, ids, whole, (size_t[]){30, 9, 36}, 3);
            portable = portable ? portable : whole;
            double largest = 0, worst = 0;
            for (size_t v = 0; v < n; v++) {
                largest = fmax(largest, fabs((double)portable[v]));
                worst = fmax(worst, fabs((double)portable[v] - (double)whole[v]));
            }
            if (!(worst <= (m % 2 ? 0.15 : 2e-5) * largest))
                fail_msg("%s, %s: %g of the largest logit from the portable ones", some[m / 2],
                         options.instruction_set, worst / largest);
            if (whole != portable)
                free(whole);
            engine_close(engine);
        }
        free(portable);
        free(folder);
    }
}

/* More rows than are computed at once, so that sequences are cut where the batch happens to be full. */
static void test_long_batches_do_not_change_bits(void **unused) {
    (void)unused;
    enum { N = 3, LENGTH = 900, FROM = LENGTH - 2 };
    for (size_t m = 0; m < N_VARIANTS; m++) {
        Engine *engine = open_variant(m, 2);
        size_t vocab = (size_t)engine_info(engine)->vocab_size;
        int32_t(*ids)[LENGTH] = mem_alloc(N * sizeof *ids);
        Segment segments[N];
        Error error = {0};
        for (size_t i = 0; i < N; i++) {
            random_ids(engine, 50 + i, ids[i], LENGTH);
            segments[i] = (Segment){.tokens = ids[i],
                                    .n_tokens = LENGTH,
                                    .logits = mem_alloc((LENGTH - FROM) * vocab * sizeof(float)),
                                    .logits_from = FROM};
        }
        assert_int_equal(engine_score(engine, segments, N, &error), 0);
        for (size_t i = 0; i < N; i++) {
            State *sequence = NULL;
            free(score_logits(engine, ids[i], 100, &sequence));
            float *alone = score_logits(engine, ids[i] + 100, LENGTH - 100, &sequence);
            assert_same_bits(segments[i].logits, alone + (FROM - 100) * vocab, (LENGTH - FROM) * vocab,
                             "a long batch");
            state_release(sequence);
            free(alone);
            free(segments[i].logits);
        }
        free(ids);
        engine_close(engine);
    }
}

static void test_threads_do_not_change_bits(void **unused) {
    (void)unused;
    enum { N = 300 };
    for (size_t m = 0; m < N_VARIANTS; m++) {
        int32_t ids[N];
        float *first = NULL;
        for (int threads = 1; threads <= 3; threads++) {
            Engine *engine = open_variant(m, threads);
            random_ids(engine, 7, ids, N);
            float *logits = score_logits(engine, ids, N, NULL);
            if (first)
                assert_same_bits(logits, first, N * (size_t)engine_info(engine)->vocab_size,
                                 "another thread count");
            else
                first = logits;
            if (logits != first)
                free(logits);
            engine_close(engine);
        }
        free(first);
    }
}

/* Segments of many lengths in one batch, some with parents, each against a run of its own. */
static void test_company_does_not_change_bits(void **unused) {
    (void)unused;
    enum { N = 12, MOST = 60 };
    for (size_t m = 0; m < N_VARIANTS; m++) {
        Engine *engine = open_variant(m, 2);
        size_t vocab = (size_t)engine_info(engine)->vocab_size;
        int32_t ids[N][MOST];
        float *alone[N], *together[N];
        Segment segments[N] = {0};
        Error error = {0};
        for (size_t i = 0; i < N; i++) {
            size_t n = 1 + i * 5, before = i % 3 ? n / 2 : 0;
            random_ids(engine, 100 + i, ids[i], n);
            alone[i] = score_logits(engine, ids[i], n, NULL);
            together[i] = mem_alloc(n * vocab * sizeof(float));
            State *parent = NULL;
            if (before) {
                float *logits = score_logits(engine, ids[i], before, &parent);
                memcpy(together[i], logits, before * vocab * sizeof(float));
                free(logits);
            }
            segments[i] = (Segment){.parent = parent,
                                    .tokens = ids[i] + before,
                                    .n_tokens = n - before,
                                    .logits = together[i] + before * vocab,
                                    .move_parent = i % 2 == 0};
        }
        State *borrowed[N];
        for (size_t i = 0; i < N; i++)
            borrowed[i] = segments[i].move_parent ? NULL : segments[i].parent;
        assert_int_equal(engine_score(engine, segments, N, &error), 0);
        for (size_t i = 0; i < N; i++) {
            assert_same_bits(together[i], alone[i], (1 + i * 5) * vocab, "a segment in company");
            assert_null(segments[i].state);
            state_release(borrowed[i]);
            free(alone[i]);
            free(together[i]);
        }
        engine_close(engine);
    }
}

/* Forks of one parent, in one batch with the one that takes the parent over, equal fresh runs; a borrowed
 * parent can be forked again afterwards. */
static void test_forks_equal_fresh_runs(void **unused) {
    (void)unused;
    enum { PREFIX = 21, TAIL = 14, FORKS = 3 };
    for (size_t m = 0; m < N_VARIANTS; m++) {
        Engine *engine = open_variant(m, 2);
        size_t vocab = (size_t)engine_info(engine)->vocab_size;
        int32_t ids[FORKS][PREFIX + TAIL];
        float *fresh[FORKS], *forked[FORKS];
        Error error = {0};
        State *parent;
        for (size_t f = 0; f < FORKS; f++) {
            random_ids(engine, f, ids[f], PREFIX + TAIL);
            memcpy(ids[f], ids[0], PREFIX * sizeof(int32_t));
            fresh[f] = score_logits(engine, ids[f], PREFIX + TAIL, NULL);
            forked[f] = mem_alloc(TAIL * vocab * sizeof(float));
        }
        Segment prefix = {.tokens = ids[0], .n_tokens = PREFIX, .want_state = true};
        assert_int_equal(engine_score(engine, &prefix, 1, &error), 0);
        parent = prefix.state;
        for (int round = 0; round < 2; round++) {
            Segment segments[FORKS] = {0};
            for (size_t f = 0; f < FORKS; f++)
                segments[f] = (Segment){.parent = parent,
                                        .tokens = ids[f] + PREFIX,
                                        .n_tokens = TAIL,
                                        .logits = forked[f],
                                        .want_state = true,
                                        .move_parent = round == 1 && f == 0};
            assert_int_equal(engine_score(engine, segments, FORKS, &error), 0);
            for (size_t f = 0; f < FORKS; f++) {
                assert_same_bits(forked[f], fresh[f] + PREFIX * vocab, TAIL * vocab, "a fork");
                assert_int_equal(state_position(segments[f].state), PREFIX + TAIL);
                state_release(segments[f].state);
            }
            if (round == 0)
                assert_int_equal(state_position(parent), PREFIX);
        }
        for (size_t f = 0; f < FORKS; f++) {
            free(fresh[f]);
            free(forked[f]);
        }
        engine_close(engine);
    }
}

static void check_targets(Engine *engine) {
    enum { N = 40 };
    size_t vocab = (size_t)engine_info(engine)->vocab_size;
    int32_t ids[N];
    Target targets[2 * N];
    TargetResult results[2 * N];
    float *logits = mem_alloc(N * vocab * sizeof *logits);
    Error error = {0};
    random_ids(engine, 3, ids, N);
    for (int32_t i = 0; i < 2 * N; i++)
        targets[i] = (Target){i / 2, (int32_t)((size_t)(i * 31) % vocab)};
    Segment segment = {.tokens = ids,
                       .n_tokens = N,
                       .targets = targets,
                       .n_targets = 2 * N,
                       .results = results,
                       .logits = logits};
    assert_int_equal(engine_score(engine, &segment, 1, &error), 0);
    for (size_t i = 0; i < 2 * N; i++) {
        const float *row = logits + (size_t)targets[i].position * vocab;
        double sum = 0;
        size_t best = 0;
        for (size_t v = 0; v < vocab; v++) {
            sum += exp((double)row[v] - (double)row[0]);
            best = row[v] > row[best] ? v : best;
        }
        double expected = (double)row[targets[i].token] - (double)row[0] - log(sum);
        if (fabs(expected - results[i].logprob) > 1e-6)
            fail_msg("target %zu: log-probability %.9g, expected %.9g", i, results[i].logprob, expected);
        assert_int_equal(results[i].argmax, best);
    }
    free(logits);
}

static void test_targets_are_the_log_softmax_of_the_logits(void **unused) {
    (void)unused;
    Engine *engine = open_fixture("llama_tiny", 2);
    check_targets(engine);
    engine_close(engine);
}

/* Sums over several blocks of the depth and several tiles of the vocabulary keep the same promises. */
static void test_wide_models_keep_the_promises(void **unused) {
    (void)unused;
    char *folder = make_random_llama(false);
    Engine *engine = open_engine(folder, 2);
    int32_t ids[LONG];
    random_ids(engine, 9, ids, LONG);
    check_targets(engine);
    float *whole = score_logits(engine, ids, LONG, NULL);
    check_cut(engine, ids, whole, (size_t[]){1}, 1);
    check_cut(engine, ids, whole, (size_t[]){33, 42}, 2);
    free(whole);
    engine_close(engine);
    remove_random_llama(folder);
}

/* A checkpoint with NaN weights gives NaN scores and an arg-max inside the vocabulary, not a crash. */
static void test_nan_weights_do_no_harm(void **unused) {
    (void)unused;
    char *folder = make_random_llama(true);
    Engine *engine = open_engine(folder, 2);
    Error error = {0};
    TargetResult results[3];
    Segment segment = {.tokens = (int32_t[]){1, 0, 499},
                       .n_tokens = 3,
                       .targets = (Target[]){{0, 1}, {1, 2}, {2, 3}},
                       .n_targets = 3,
                       .results = results};
    assert_int_equal(engine_score(engine, &segment, 1, &error), 0);
    for (size_t i = 0; i < 3; i++) {
        assert_true(isnan(results[i].logprob));
        assert_in_range(results[i].argmax, 0, 499);
    }
    engine_close(engine);
    remove_random_llama(folder);
}

/* Feeds n tokens behind a borrowed parent and returns the state; `logits`, if not NULL, are the last one's.
 */
static State *fork_of(Engine *engine, State *parent, const int32_t *ids, size_t n, float *logits) {
    Segment segment = {.parent = parent,
                       .tokens = ids,
                       .n_tokens = n,
                       .want_state = true,
                       .logits = logits,
                       .logits_from = n - 1};
    assert_int_equal(engine_score(engine, &segment, 1, NULL), 0);
    return segment.state;
}

/* Three blocks of 16 tokens, the last one with one token: the first fork writes behind it, the second one
 * copies it; neither sees the other's tokens. */
static void test_blocks_are_shared_between_forks(void **unused) {
    (void)unused;
    Engine *engine = open_fixture("llama_tiny", 1);
    size_t vocab = (size_t)engine_info(engine)->vocab_size;
    int32_t ids[2][40];
    float *logits = mem_alloc(vocab * sizeof *logits), *fresh[2];
    State *parent = NULL, *fork[2], *next;
    for (uint64_t f = 0; f < 2; f++) {
        random_ids(engine, 5 + f, ids[f], 40);
        memmove(ids[f], ids[0], 33 * sizeof(int32_t));
        fresh[f] = score_logits(engine, ids[f], 40, NULL);
    }
    free(score_logits(engine, ids[0], 33, &parent));
    size_t alone = state_bytes_own(parent), block = 16 * engine_info(engine)->state_bytes_per_token;
    assert_int_equal(engine_info(engine)->state_block_tokens, 16);
    assert_true(alone >= 3 * block);
    for (int f = 0; f < 2; f++)
        fork[f] = fork_of(engine, parent, ids[f] + 33, 3, NULL);
    assert_true(state_bytes_own(parent) == alone - 3 * block);
    assert_true(state_bytes_own(fork[0]) < block);
    assert_true(state_bytes_own(fork[1]) >= block && state_bytes_own(fork[1]) < 2 * block);
    for (int f = 0; f < 2; f++) {
        next = fork_of(engine, fork[f], ids[f] + 36, 4, logits);
        assert_same_bits(logits, fresh[f] + 39 * vocab, vocab, "a fork's fork");
        state_release(next);
        state_release(fork[f]);
        free(fresh[f]);
    }
    assert_true(state_bytes_own(parent) == alone);
    state_release(parent);
    free(logits);
    engine_close(engine);
}

/* ---- refusals */

static void expect_refusal(Engine *engine, Segment segment, const char *words) {
    Error error = {0};
    segment.want_state = true;
    assert_int_equal(engine_score(engine, &segment, 1, &error), -1);
    assert_null(segment.state);
    if (!strstr(error.message, words))
        fail_msg("the message is \"%s\", expected \"%s\" in it", error.message, words);
}

static void test_bad_segments_are_refused(void **unused) {
    (void)unused;
    Engine *engine = open_fixture("llama_tiny", 1);
    int32_t vocab = (int32_t)engine_info(engine)->vocab_size, good[] = {1, 2, 3}, bad[] = {1, vocab, 3};
    TargetResult results[2];
    expect_refusal(engine, (Segment){.tokens = good, .n_tokens = 0}, "no tokens");
    expect_refusal(engine, (Segment){.tokens = bad, .n_tokens = 3}, "outside the vocabulary [0, 97)");
    expect_refusal(engine, (Segment){.tokens = (int32_t[]){-1}, .n_tokens = 1}, "token id -1");
    const Target targets[] = {{1, vocab}, {3, 0}, {2, 0}, {1, 0}, {-1, 0}};
    Segment segment = {.tokens = good, .n_tokens = 3, .n_targets = 1, .results = results};
    segment.targets = &targets[0];
    expect_refusal(engine, segment, "target 0 is the token id 97");
    segment.targets = &targets[1];
    expect_refusal(engine, segment, "position 3");
    segment.targets = &targets[4];
    expect_refusal(engine, segment, "position -1");
    segment.targets = &targets[2];
    segment.n_targets = 2;
    expect_refusal(engine, segment, "position 1, expected one from 2 to 2");
    float logit;
    expect_refusal(engine, (Segment){.tokens = good, .n_tokens = 3, .logits = &logit, .logits_from = 4},
                   "logits are wanted from position 4 of 3");
    engine_close(engine);
}

static void test_states_of_another_engine_are_refused(void **unused) {
    (void)unused;
    Engine *engine = open_fixture("llama_tiny", 1), *other = open_fixture("zebra_tiny", 1);
    State *state = NULL;
    free(score_logits(other, (int32_t[]){1, 2}, 2, &state));
    expect_refusal(engine, (Segment){.parent = state, .tokens = (int32_t[]){1}, .n_tokens = 1},
                   "another engine");
    state_release(state);
    engine_close(other);
    engine_close(engine);
}

/* A failed call gives back the reference that it was to take over: LeakSanitizer sees it if not. */
static void test_failure_releases_moved_parents(void **unused) {
    (void)unused;
    Engine *engine = open_fixture("llama_tiny", 1);
    State *parent = NULL;
    Error error = {0};
    free(score_logits(engine, (int32_t[]){1, 2}, 2, &parent));
    Segment segments[2] = {
        {.parent = parent, .tokens = (int32_t[]){3}, .n_tokens = 1, .move_parent = true, .want_state = true},
        {.tokens = (int32_t[]){-5}, .n_tokens = 1, .want_state = true}};
    assert_int_equal(engine_score(engine, segments, 2, &error), -1);
    assert_null(segments[0].state);
    engine_close(engine);
}

static void test_other_arithmetic_is_refused_by_name(void **unused) {
    (void)unused;
    Engine *engine = NULL;
    Error error = {0};
    EngineOptions options = {.model_folder = "tests/fixtures/models/llama_tiny", .dtype = DTYPE_FLOAT16};
    assert_int_equal(engine_open(&engine, &options, &error), -1);
    assert_null(engine);
    assert_non_null(strstr(error.message, "float16 is not available"));
    assert_non_null(strstr(error.message, "bfloat16"));
    assert_non_null(strstr(error.message, "float32"));
    options = (EngineOptions){.model_folder = options.model_folder, .backend = "abacus"};
    assert_int_equal(engine_open(&engine, &options, &error), -1);
    assert_non_null(strstr(error.message, "abacus"));
    setenv("ZEVAL_ISA", "mmx", 1);
    options.backend = NULL;
    assert_int_equal(engine_open(&engine, &options, &error), -1);
    assert_non_null(strstr(error.message, "mmx"));
    options.instruction_set = "portable";
    assert_int_equal(engine_open(&engine, &options, &error), 0);
    assert_string_equal(engine_instruction_set(engine), "portable");
    engine_close(engine);
    unsetenv("ZEVAL_ISA");
}

static void test_model_facts(void **unused) {
    (void)unused;
    Engine *engine = open_fixture("llama_tiny_tied_bf16", 1);
    const ModelInfo *info = engine_info(engine);
    assert_string_equal(info->family, "llama");
    assert_string_equal(info->architecture, "LlamaForCausalLM");
    assert_int_equal(info->weights_dtype, DTYPE_BFLOAT16);
    assert_int_equal(info->n_weight_files, 2);
    for (int64_t i = 0; i < info->n_layers; i++)
        assert_int_equal(info->mixers[i], MIXER_ATTENTION);
    assert_string_equal(engine_backend(engine), "cpu");
    assert_int_equal(engine_dtype(engine), DTYPE_FLOAT32);
    assert_non_null(engine_instruction_set(engine));
    engine_close(engine);
    engine = open_fixture_as("llama_tiny", DTYPE_BFLOAT16, 1);
    assert_int_equal(engine_dtype(engine), DTYPE_BFLOAT16);
    engine_close(engine);
}

int run_engine_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logits_match_other_implementations),
        cmocka_unit_test(test_bfloat16_is_as_exact_as_other_implementations),
        cmocka_unit_test(test_stories260k_decodes_the_published_text),
        cmocka_unit_test(test_cuts_do_not_change_bits),
        cmocka_unit_test(test_every_instruction_set_keeps_the_promises),
        cmocka_unit_test(test_long_batches_do_not_change_bits),
        cmocka_unit_test(test_threads_do_not_change_bits),
        cmocka_unit_test(test_company_does_not_change_bits),
        cmocka_unit_test(test_forks_equal_fresh_runs),
        cmocka_unit_test(test_targets_are_the_log_softmax_of_the_logits),
        cmocka_unit_test(test_wide_models_keep_the_promises),
        cmocka_unit_test(test_nan_weights_do_no_harm),
        cmocka_unit_test(test_blocks_are_shared_between_forks),
        cmocka_unit_test(test_bad_segments_are_refused),
        cmocka_unit_test(test_states_of_another_engine_are_refused),
        cmocka_unit_test(test_failure_releases_moved_parents),
        cmocka_unit_test(test_other_arithmetic_is_refused_by_name),
        cmocka_unit_test(test_model_facts),
    };
    return cmocka_run_group_tests_name("engine", tests, NULL, NULL);
}
