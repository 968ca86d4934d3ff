/* What the walk holds stays inside its budget, measured as the process's resident size. */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "eval/plan.h"
#include "tests/eval/tests.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

enum { N_CONTEXTS = 6000, CONTEXT_TOKENS = 16 };
static const size_t BUDGET = (size_t)16 << 20, UNLIMITED = (size_t)1 << 40;

static size_t peak_bytes(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (size_t)usage.ru_maxrss * 1024;
}

/* Many contexts with two choices each: in one batch, every context's state at once. */
static Plan *wide_plan(void) {
    Plan *plan = plan_create();
    Random random;
    uint32_t number;
    random_seed(&random, 1);
    for (int i = 0; i < N_CONTEXTS; i++) {
        EncodedRequest request = {.n_context = CONTEXT_TOKENS};
        for (int j = 0; j < CONTEXT_TOKENS; j++)
            token_ids_append(&request.tokens, (int32_t)random_below(&random, 50));
        for (int32_t choice = 0; choice < 2; choice++) {
            request.tokens.n = CONTEXT_TOKENS;
            token_ids_append(&request.tokens, choice);
            token_ids_append(&request.tokens, 7);
            if (plan_add(plan, &request, &number, NULL))
                exit(1);
        }
        encoded_request_free(&request);
    }
    return plan;
}

/* How much more the process takes at most while it walks. */
static size_t walk(size_t budget) {
    Engine *engine;
    EngineOptions options = {.model_folder = "tests/fixtures/models/zebra_tiny", .n_threads = 1};
    int32_t tokens[512] = {0};
    Segment warm_up = {.tokens = tokens, .n_tokens = 512};
    if (engine_open(&engine, &options, NULL) || engine_score(engine, &warm_up, 1, NULL))
        exit(1);
    Plan *plan = wide_plan();
    plan_settle(plan, engine_info(engine), budget);
    size_t before = peak_bytes();
    int more;
    while ((more = plan_step(plan, engine, 1 << 20, NULL)) > 0)
        continue;
    if (more < 0 || plan_tokens_fed(plan) != plan_counts(plan).tokens_distinct)
        exit(1);
    size_t grown = peak_bytes() - before;
    plan_free(plan);
    engine_close(engine);
    return grown;
}

/* In a process of its own, since the most that a process ever took does not go down. */
static size_t walk_apart(size_t budget) {
    int ends[2], status;
    size_t grown = 0;
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        grown = walk(budget);
        _exit(write(ends[1], &grown, sizeof grown) != sizeof grown);
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &grown, sizeof grown), sizeof grown);
    close(ends[0]);
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    return grown;
}

static void test_states_stay_inside_the_budget(void **state) {
    (void)state;
    if (SANITIZED) {
        printf("skipped: a sanitizer's own memory would be measured\n");
        skip();
    }
    size_t free_growth = walk_apart(UNLIMITED), held_growth = walk_apart(BUDGET);
    printf("resident size grew by %zu bytes, %zu within a budget of %zu\n", free_growth, held_growth, BUDGET);
    assert_true(free_growth > 2 * BUDGET);
    assert_true(held_growth < BUDGET + BUDGET / 10);
}

int run_memory_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_states_stay_inside_the_budget),
    };
    return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
