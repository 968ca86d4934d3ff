/* A score does not depend on company: whatever is planned together, each request gets the bits it gets alone.
 */
#include <string.h>

#include "base/base.h"
#include "eval/plan.h"
#include "tests/eval/tests.h"

enum { N_REQUESTS = 120 };

static Engine *open_model(const char *folder) {
    Engine *engine;
    Error error = {0};
    EngineOptions options = {.model_folder = folder, .n_threads = 2};
    if (engine_open(&engine, &options, &error))
        fail_msg("%s", error.message);
    return engine;
}

/* A request whose context repeats a pattern, so that some of a group share much, some little, some all. */
static void make_request(Random *random, const int32_t *base, int64_t vocab_size, EncodedRequest *out) {
    size_t n_context = 1 + random_below(random, 40), n_continuation = 1 + random_below(random, 4);
    size_t n_shared = random_below(random, n_context + 1);
    out->tokens.n = 0;
    out->n_context = n_context;
    for (size_t i = 0; i < n_context + n_continuation; i++)
        token_ids_append(&out->tokens,
                         i < n_shared ? base[i] : (int32_t)random_below(random, (uint64_t)vocab_size));
}

/* Feeds the whole input as one segment and sums by hand. */
static Answer alone(Engine *engine, const EncodedRequest *request) {
    size_t n = request->tokens.n - request->n_context;
    Target targets[8];
    TargetResult results[8];
    for (size_t i = 0; i < n; i++)
        targets[i] = (Target){.position = (int32_t)(request->n_context - 1 + i),
                              .token = request->tokens.ids[request->n_context + i]};
    Segment segment = {.tokens = request->tokens.ids,
                       .n_tokens = request->tokens.n - 1,
                       .targets = targets,
                       .n_targets = n,
                       .results = results};
    assert_int_equal(engine_score(engine, &segment, 1, NULL), 0);
    Answer answer = {.is_greedy = true};
    for (size_t i = 0; i < n; i++) {
        answer.loglikelihood += results[i].logprob;
        answer.is_greedy &= results[i].argmax == targets[i].token;
    }
    return answer;
}

static void check_planned_equals_alone(const char *folder, uint64_t seed) {
    Engine *engine = open_model(folder);
    int64_t vocab_size = engine_info(engine)->vocab_size;
    static EncodedRequest requests[N_REQUESTS];
    static Answer planned[N_REQUESTS];
    Random random;
    Plan *plan = plan_create();
    int32_t base[64];
    size_t computed, asked = 0;
    random_seed(&random, seed);
    for (int i = 0; i < N_REQUESTS; i++) {
        if (i == 0 || random_below(&random, 4) == 0) {
            plan_begin_group(plan);
            for (int j = 0; j < 64; j++)
                base[j] = (int32_t)random_below(&random, (uint64_t)vocab_size);
        }
        make_request(&random, base, vocab_size, &requests[i]);
        plan_add(plan, &requests[i], &planned[i]);
        asked += requests[i].tokens.n - 1;
    }
    assert_int_equal(plan_tokens(plan), asked);
    assert_int_equal(plan_run(plan, engine, &computed, NULL), 0);
    assert_true(computed < asked);
    assert_int_equal(plan_requests(plan), 0);
    for (int i = 0; i < N_REQUESTS; i++) {
        Answer expected = alone(engine, &requests[i]);
        if (planned[i].loglikelihood != expected.loglikelihood || planned[i].is_greedy != expected.is_greedy)
            fail_msg("request %d: found %a, expected %a", i, planned[i].loglikelihood,
                     expected.loglikelihood);
        encoded_request_free(&requests[i]);
    }
    plan_free(plan);
    engine_close(engine);
}

static void test_sharing_changes_no_bit_of_a_transformer(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++)
        check_planned_equals_alone("tests/fixtures/models/llama_tiny", seed);
}

static void test_sharing_changes_no_bit_of_a_hybrid(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++)
        check_planned_equals_alone("tests/fixtures/models/zebra_tiny", seed);
}

/* Four one-token choices after one context are read off one position: the context is fed once, and nothing
 * else. */
static void test_single_token_choices_cost_one_context(void **state) {
    (void)state;
    Engine *engine = open_model("tests/fixtures/models/llama_tiny");
    Plan *plan = plan_create();
    Answer answers[4];
    plan_begin_group(plan);
    for (int32_t i = 0; i < 4; i++) {
        EncodedRequest request = {.n_context = 10};
        for (int32_t j = 0; j < 10; j++)
            token_ids_append(&request.tokens, j * 7 % 50);
        token_ids_append(&request.tokens, i);
        plan_add(plan, &request, &answers[i]);
        encoded_request_free(&request);
    }
    size_t computed;
    assert_int_equal(plan_tokens(plan), 40);
    assert_int_equal(plan_run(plan, engine, &computed, NULL), 0);
    assert_int_equal(computed, 10);
    plan_free(plan);
    engine_close(engine);
}

int run_plan_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sharing_changes_no_bit_of_a_transformer),
        cmocka_unit_test(test_sharing_changes_no_bit_of_a_hybrid),
        cmocka_unit_test(test_single_token_choices_cost_one_context),
    };
    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
