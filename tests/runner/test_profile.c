/* The engine's account of its own time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "runner/runner.h"
#include "tests/runner/runner_tests.h"
#include "tests/runner/test_engine_support.h"

static TargetResult score_one(Engine *engine) {
    const int32_t tokens[] = {5};
    Target target = {0, 7};
    TargetResult result = {0};
    Segment segment = {
        .tokens = tokens, .n_tokens = 1, .targets = &target, .n_targets = 1, .results = &result};
    assert_int_equal(engine_score(engine, &segment, 1, NULL), 0);
    return result;
}

/* One token with a target meets every matrix but the embedding once: the operations are twice the elements,
 * counted from the model's config. */
static void test_operations_are_those_of_the_matrices(void **state) {
    (void)state;
    enum { D = 48, FFN = 56, LAYERS = 2, QUERY = 6 * 10, KEY = 2 * 10, VOCABULARY = 97 };
    Engine *engine = open_engine("tests/fixtures/models/llama_tiny", 2);
    TargetResult before = score_one(engine);
    assert_true(engine_profile(engine).seconds[PHASE_LINEAR] == 0);
    engine_profile_start(engine);
    TargetResult after = score_one(engine);
    EngineProfile profile = engine_profile(engine);
    double layers = 2.0 * LAYERS * (2 * D * QUERY + 2 * D * KEY + 3 * D * FFN);
    assert_true(profile.operations[PHASE_LINEAR] == layers);
    assert_true(profile.operations[PHASE_HEAD] == 2.0 * D * VOCABULARY);
    assert_true(before.logprob == after.logprob && before.argmax == after.argmax);
    engine_close(engine);
}

static void test_every_phase_of_a_hybrid_is_seen(void **state) {
    (void)state;
    static const EnginePhase phases[] = {PHASE_OUTSIDE, PHASE_REST, PHASE_LINEAR,     PHASE_ATTENTION,
                                         PHASE_SCAN,    PHASE_HEAD, PHASE_CONVOLUTION};
    Buffer text = {0};
    Engine *engine = open_engine("tests/fixtures/models/zebra_tiny", 2);
    double start = clock_seconds(), sum = 0;
    engine_profile_start(engine);
    score_one(engine);
    EngineProfile profile = engine_profile(engine);
    double took = clock_seconds() - start;
    assert_int_equal(profile.n_threads, 2);
    for (size_t i = 0; i < ENGINE_PHASES; i++) {
        assert_true(profile.seconds[phases[i]] > 0);
        assert_true(profile.waiting[phases[i]] <= 2 * profile.seconds[phases[i]] + 1e-9);
        sum += profile.seconds[phases[i]];
    }
    assert_true(sum <= took);
    engine_profile_text(&profile, &text);
    assert_non_null(strstr(text.data, "linear layers "));
    assert_non_null(strstr(text.data, "state-space scan and gate "));
    assert_null(strstr(text.data, "outside"));
    buffer_free(&text);
    engine_close(engine);
}

int run_profile_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operations_are_those_of_the_matrices),
        cmocka_unit_test(test_every_phase_of_a_hybrid_is_seen),
    };
    return cmocka_run_group_tests_name("profile", tests, NULL, NULL);
}
