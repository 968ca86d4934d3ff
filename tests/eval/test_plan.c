/* A score does not depend on company: whatever is planned together, in whatever batches and memory, each
 * request gets the bits it gets alone, and no prefix is computed twice that has room. */
#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "eval/plan.h"
#include "tests/eval/tests.h"

enum { N_REQUESTS = 150, MAX_TOKENS = 120 };
static const size_t UNLIMITED = (size_t)1 << 40;

static const char *const transformer = "tests/fixtures/models/llama_tiny";
static const char *const hybrid = "tests/fixtures/models/zebra_tiny";

static Engine *open_model(const char *folder) {
    Engine *engine;
    Error error = {0};
    EngineOptions options = {.model_folder = folder, .n_threads = 2};
    if (engine_open(&engine, &options, &error))
        fail_msg("%s", error.message);
    return engine;
}

/* ---- random trees of requests */

typedef struct Requests {
    EncodedRequest items[N_REQUESTS];
    Answer alone[N_REQUESTS];
    size_t tokens_alone, tokens_distinct;
} Requests;

/* A request that goes on from somewhere in a former one, or stops there, or is the same again. Some
 * continuations are long, as in rolling windows, some are one token. */
static void make_request(Random *random, Requests *requests, size_t i, int64_t vocab_size) {
    EncodedRequest *out = &requests->items[i];
    const EncodedRequest *former = i ? &requests->items[random_below(random, i)] : NULL;
    size_t shared = former ? random_below(random, former->tokens.n + 1) : 0;
    size_t more = random_below(random, 3) ? random_below(random, 12) : random_below(random, 60);
    for (size_t j = 0; j < shared; j++)
        token_ids_append(&out->tokens, former->tokens.ids[j]);
    while (out->tokens.n < 2 || (more > 0 && out->tokens.n < MAX_TOKENS)) {
        token_ids_append(&out->tokens, (int32_t)random_below(random, (uint64_t)vocab_size));
        more -= more > 0;
    }
    size_t n = out->tokens.n, most = random_below(random, 3) ? 4 : n;
    out->n_context = n - 1 - random_below(random, most < n - 1 ? most : n - 1);
}

static int compare_inputs(const void *a, const void *b) {
    const EncodedRequest *x = a, *y = b;
    size_t nx = x->tokens.n - 1, ny = y->tokens.n - 1, n = nx < ny ? nx : ny;
    for (size_t i = 0; i < n; i++)
        if (x->tokens.ids[i] != y->tokens.ids[i])
            return x->tokens.ids[i] < y->tokens.ids[i] ? -1 : 1;
    return nx < ny ? -1 : nx > ny;
}

/* Sorted inputs: each adds what it does not have in common with the one before. */
static size_t count_distinct(const Requests *requests) {
    static EncodedRequest sorted[N_REQUESTS];
    memcpy(sorted, requests->items, sizeof sorted);
    qsort(sorted, N_REQUESTS, sizeof *sorted, compare_inputs);
    size_t sum = 0;
    for (size_t i = 0; i < N_REQUESTS; i++) {
        size_t common = 0, n = sorted[i].tokens.n - 1;
        while (i > 0 && common < n && common < sorted[i - 1].tokens.n - 1 &&
               sorted[i].tokens.ids[common] == sorted[i - 1].tokens.ids[common])
            common++;
        sum += n - common;
    }
    return sum;
}

/* Feeds the whole input as one segment and sums by hand. */
static Answer score_alone(Engine *engine, const EncodedRequest *request) {
    size_t n = request->tokens.n - request->n_context;
    Target targets[MAX_TOKENS];
    TargetResult results[MAX_TOKENS];
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

static Requests *make_requests(Engine *engine, uint64_t seed) {
    Requests *requests = mem_alloc_zero(1, sizeof *requests);
    Random random;
    random_seed(&random, seed);
    for (size_t i = 0; i < N_REQUESTS; i++) {
        make_request(&random, requests, i, engine_info(engine)->vocab_size);
        requests->alone[i] = score_alone(engine, &requests->items[i]);
        requests->tokens_alone += requests->items[i].tokens.n - 1;
    }
    requests->tokens_distinct = count_distinct(requests);
    return requests;
}

static void free_requests(Requests *requests) {
    for (size_t i = 0; i < N_REQUESTS; i++)
        encoded_request_free(&requests->items[i]);
    free(requests);
}

/* ---- the property */

/* Plans the requests in the given order and compares every answer's bits. */
static PlanCounts check_plan(Engine *engine, const Requests *requests, const size_t *order,
                             size_t batch_tokens, size_t budget) {
    Plan *plan = plan_create();
    uint32_t numbers[N_REQUESTS];
    size_t n_answered = 0, n;
    int more;
    for (size_t i = 0; i < N_REQUESTS; i++)
        assert_int_equal(plan_add(plan, &requests->items[order[i]], &numbers[i], NULL), 0);
    plan_settle(plan, engine_info(engine), budget);
    PlanCounts counts = plan_counts(plan);
    assert_int_equal(counts.n_requests, N_REQUESTS);
    assert_int_equal(counts.tokens_alone, requests->tokens_alone);
    assert_int_equal(counts.tokens_distinct, requests->tokens_distinct);
    while ((more = plan_step(plan, engine, batch_tokens, NULL)) > 0) {
        const uint32_t *answered = plan_answered(plan, &n);
        n_answered += n;
        for (size_t i = 0; i < n; i++) {
            Answer found = plan_answer(plan, answered[i]), expected = requests->alone[order[answered[i]]];
            if (found.loglikelihood != expected.loglikelihood || found.is_greedy != expected.is_greedy)
                fail_msg("request %u, batches of %zu, %zu bytes: found %a %d, expected %a %d", answered[i],
                         batch_tokens, budget, found.loglikelihood, found.is_greedy, expected.loglikelihood,
                         expected.is_greedy);
        }
    }
    assert_int_equal(more, 0);
    assert_int_equal(n_answered, N_REQUESTS);
    assert_int_equal(plan_tokens_fed(plan), counts.tokens_distinct + counts.tokens_again);
    if (counts.state_bytes <= budget && plan_peak_bytes(plan) > budget)
        fail_msg("states took %zu bytes, expected at most %zu", plan_peak_bytes(plan), budget);
    plan_free(plan);
    return counts;
}

static void check_model(const char *folder, uint64_t seed) {
    Engine *engine = open_model(folder);
    Requests *requests = make_requests(engine, seed);
    Random random;
    size_t order[N_REQUESTS];
    random_seed(&random, seed);
    for (size_t i = 0; i < N_REQUESTS; i++)
        order[i] = i;
    PlanCounts whole = check_plan(engine, requests, order, 4096, UNLIMITED);
    assert_int_equal(whole.tokens_again, 0);
    assert_true(whole.n_states > 0);
    for (size_t budget = whole.state_bytes; budget > 0; budget /= 4) {
        random_shuffle(&random, order, N_REQUESTS);
        PlanCounts counts = check_plan(engine, requests, order, 1 + random_below(&random, 300), budget);
        assert_true(counts.state_bytes <= budget || counts.tokens_again > 0 || counts.n_states > 0);
    }
    PlanCounts none = check_plan(engine, requests, order, 100, 0);
    assert_int_equal(none.n_states, 0);
    assert_true(none.tokens_again > 0);
    free_requests(requests);
    engine_close(engine);
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
