/* A score does not depend on company: whatever is planned together, in whatever batches and memory, each
 * request gets the bits it gets alone, and no prefix is computed twice that has room. */
#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "eval/plan.h"
#include "tests/eval/tests.h"
#include "tests/eval/trees.h"

static const size_t UNLIMITED = (size_t)1 << 40;

static const char *const transformer = "tests/fixtures/models/llama_tiny";
static const char *const hybrid = "tests/fixtures/models/zebra_tiny";

static Engine *open_threads(const char *folder, int n_threads) {
    Engine *engine;
    Error error = {0};
    EngineOptions options = {.model_folder = folder, .n_threads = n_threads};
    if (engine_open(&engine, &options, &error))
        fail_msg("%s", error.message);
    return engine;
}

static Engine *open_model(const char *folder) {
    return open_threads(folder, 2);
}

/* ---- the property */

/* How a plan is walked. */
typedef struct Walk {
    const size_t *order; /* [n] of the requests that are planned */
    size_t n, batch_tokens, budget;
} Walk;

static void check_answer(const Trees *trees, const Walk *walk, size_t request, const Answer *found) {
    const Answer *expected = &trees->alone[request];
    if (trees->settings[request]) {
        if (!text_equal(found->text, expected->text))
            fail_msg("prompt %zu, batches of %zu, %zu bytes: found \"%s\", expected \"%s\"", request,
                     walk->batch_tokens, walk->budget, found->text, expected->text);
    } else if (found->loglikelihood != expected->loglikelihood || found->is_greedy != expected->is_greedy) {
        fail_msg("request %zu, batches of %zu, %zu bytes: found %a %d, expected %a %d", request,
                 walk->batch_tokens, walk->budget, found->loglikelihood, found->is_greedy,
                 expected->loglikelihood, expected->is_greedy);
    }
}

static Plan *make_plan(Engine *engine, const Trees *trees, const Walk *walk) {
    Plan *plan = plan_create();
    uint32_t number;
    plan_generate_with(plan, &trees->rules);
    for (size_t i = 0; i < walk->n; i++) {
        size_t request = walk->order[i];
        const EncodedRequest *item = &trees->items[request];
        const Generation *settings = trees->settings[request];
        assert_int_equal(settings
                             ? plan_add_prompt(plan, item, settings, trees->seeds[request], &number, NULL)
                             : plan_add(plan, item, &number, NULL),
                         0);
        assert_int_equal(number, i);
    }
    plan_settle(plan, engine_info(engine), walk->budget);
    return plan;
}

/* Plans the requests in the given order and compares every answer's bits. */
static PlanCounts check_plan(Engine *engine, const Trees *trees, Walk walk) {
    size_t n_answered = 0, n;
    int more;
    Plan *plan = make_plan(engine, trees, &walk);
    PlanCounts counts = plan_counts(plan);
    assert_int_equal(counts.n_requests, walk.n);
    if (walk.n == N_REQUESTS) {
        assert_int_equal(counts.tokens_alone, trees->tokens_alone);
        assert_int_equal(counts.tokens_distinct, trees->tokens_distinct);
    }
    while ((more = plan_step(plan, engine, walk.batch_tokens, NULL)) > 0) {
        const uint32_t *answered = plan_answered(plan, &n);
        n_answered += n;
        for (size_t i = 0; i < n; i++) {
            Answer found = plan_answer(plan, answered[i]);
            check_answer(trees, &walk, walk.order[answered[i]], &found);
        }
    }
    assert_int_equal(more, 0);
    assert_int_equal(n_answered, walk.n);
    assert_int_equal(plan_tokens_fed(plan), counts.tokens_distinct + counts.tokens_again);
    assert_int_equal(plan_prompts_done(plan), counts.n_prompts);
    if (counts.state_bytes <= walk.budget && plan_peak_bytes(plan) > walk.budget)
        fail_msg("states took %zu bytes, expected at most %zu", plan_peak_bytes(plan), walk.budget);
    plan_free(plan);
    return counts;
}

/* Every other way to walk: orders, parts, batches, memory, threads. */
static void check_model(const char *folder, uint64_t seed) {
    Engine *engine = open_model(folder), *one_thread = open_threads(folder, 1);
    Trees *trees = trees_make(engine, seed);
    Random random;
    size_t order[N_REQUESTS];
    random_seed(&random, seed);
    for (size_t i = 0; i < N_REQUESTS; i++)
        order[i] = i;
    PlanCounts whole = check_plan(engine, trees, (Walk){order, N_REQUESTS, 4096, UNLIMITED});
    assert_int_equal(whole.tokens_again, 0);
    assert_true(whole.n_states > 0 && whole.n_prompts > 0);
    for (size_t budget = whole.state_bytes; budget > 0; budget /= 4) {
        random_shuffle(&random, order, N_REQUESTS);
        size_t n = random_below(&random, 2) ? N_REQUESTS : 1 + random_below(&random, N_REQUESTS);
        Walk walk = {order, n, 1 + random_below(&random, 300), budget};
        PlanCounts counts = check_plan(random_below(&random, 2) ? engine : one_thread, trees, walk);
        assert_true(counts.state_bytes <= budget || counts.tokens_again > 0 || counts.n_states > 0 ||
                    n < N_REQUESTS);
    }
    PlanCounts none = check_plan(engine, trees, (Walk){order, N_REQUESTS, 100, 0});
    assert_int_equal(none.n_states, 0);
    assert_true(none.tokens_again > 0);
    trees_free(trees);
    engine_close(engine);
    engine_close(one_thread);
}

static void test_sharing_changes_no_bit_in_any_family(void **state) {
    (void)state;
    glob_t found;
    assert_int_equal(glob("tests/fixtures/models/*/config.json", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        char *folder = path_folder(found.gl_pathv[i]);
        check_model(folder, i);
        free(folder);
    }
    globfree(&found);
}

/* ---- shapes */

static EncodedRequest request_of(const int32_t *ids, size_t n, size_t n_context) {
    EncodedRequest request = {.n_context = n_context};
    for (size_t i = 0; i < n; i++)
        token_ids_append(&request.tokens, ids[i]);
    return request;
}

static size_t run_to_the_end(Plan *plan, Engine *engine) {
    plan_settle(plan, engine_info(engine), UNLIMITED);
    while (plan_step(plan, engine, 4096, NULL) > 0)
        continue;
    return plan_tokens_fed(plan);
}

/* Four one-token choices after one context are read off one position: the context is fed once, and nothing
 * else. */
static void test_single_token_choices_cost_one_context(void **state) {
    (void)state;
    Engine *engine = open_model(transformer);
    Plan *plan = plan_create();
    uint32_t number;
    for (int32_t i = 0; i < 4; i++) {
        int32_t ids[11] = {0, 7, 14, 21, 28, 35, 42, 49, 6, 13, i};
        EncodedRequest request = request_of(ids, 11, 10);
        assert_int_equal(plan_add(plan, &request, &number, NULL), 0);
        assert_int_equal(number, i);
        encoded_request_free(&request);
    }
    assert_int_equal(run_to_the_end(plan, engine), 10);
    assert_int_equal(plan_counts(plan).tokens_alone, 40);
    assert_int_equal(plan_counts(plan).n_states, 0);
    plan_free(plan);
    engine_close(engine);
}

/* The same tokens with another boundary are two requests with two answers, and cost nothing twice. */
static void test_equal_inputs_are_merged(void **state) {
    (void)state;
    Engine *engine = open_model(transformer);
    Plan *plan = plan_create();
    int32_t ids[6] = {1, 2, 3, 4, 5, 6};
    uint32_t number;
    for (size_t n_context = 1; n_context < 6; n_context++) {
        EncodedRequest request = request_of(ids, 6, n_context);
        for (int twice = 0; twice < 2; twice++)
            assert_int_equal(plan_add(plan, &request, &number, NULL), 0);
        encoded_request_free(&request);
    }
    assert_int_equal(run_to_the_end(plan, engine), 5);
    for (uint32_t i = 0; i < 10; i += 2)
        assert_true(plan_answer(plan, i).loglikelihood == plan_answer(plan, i + 1).loglikelihood);
    for (uint32_t i = 2; i < 10; i += 2)
        assert_true(plan_answer(plan, i).loglikelihood > plan_answer(plan, i - 2).loglikelihood);
    plan_free(plan);
    engine_close(engine);
}

/* Every prefix of one long sequence: a chain of nodes as deep as it is long, fed as one segment. */
static void test_a_chain_of_prefixes_is_fed_once(void **state) {
    (void)state;
    enum { LENGTH = 300 };
    Engine *engine = open_model(hybrid);
    Plan *plan = plan_create();
    int32_t ids[LENGTH + 1];
    uint32_t number;
    for (int32_t i = 0; i <= LENGTH; i++)
        ids[i] = i % 50;
    for (size_t n = 2; n <= LENGTH + 1; n++) {
        EncodedRequest request = request_of(ids, n, n - 1);
        assert_int_equal(plan_add(plan, &request, &number, NULL), 0);
        encoded_request_free(&request);
    }
    assert_int_equal(run_to_the_end(plan, engine), LENGTH);
    assert_int_equal(plan_counts(plan).n_states, 0);
    plan_free(plan);
    engine_close(engine);
}

static void test_a_plan_of_nothing_has_nothing_to_do(void **state) {
    (void)state;
    Engine *engine = open_model(transformer);
    Plan *plan = plan_create();
    assert_int_equal(run_to_the_end(plan, engine), 0);
    assert_int_equal(plan_counts(plan).tokens_distinct, 0);
    plan_free(plan);
    engine_close(engine);
}

static void test_a_failing_engine_leaves_nothing_behind(void **state) {
    (void)state;
    Engine *engine = open_model(hybrid);
    Plan *plan = plan_create();
    Error error = {0};
    uint32_t number;
    for (int32_t i = 0; i < 3; i++) {
        int32_t ids[4] = {1, 2, i == 2 ? 1 << 30 : i, 4};
        EncodedRequest request = request_of(ids, 4, 3);
        assert_int_equal(plan_add(plan, &request, &number, NULL), 0);
        encoded_request_free(&request);
    }
    plan_settle(plan, engine_info(engine), UNLIMITED);
    int more;
    while ((more = plan_step(plan, engine, 1, &error)) > 0)
        continue;
    assert_int_equal(more, -1);
    assert_non_null(strstr(error.message, "vocabulary"));
    plan_free(plan);
    engine_close(engine);
}

int run_plan_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sharing_changes_no_bit_in_any_family),
        cmocka_unit_test(test_single_token_choices_cost_one_context),
        cmocka_unit_test(test_equal_inputs_are_merged),
        cmocka_unit_test(test_a_chain_of_prefixes_is_fed_once),
        cmocka_unit_test(test_a_plan_of_nothing_has_nothing_to_do),
        cmocka_unit_test(test_a_failing_engine_leaves_nothing_behind),
    };
    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
