/* What the walk holds stays inside its budget, measured as the process's resident size. */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "eval/plan.h"
#include "tests/eval/tests.h"
#include "tests/sanitized.h"

enum { N_CONTEXTS = 6000, CONTEXT_TOKENS = 16, N_PROMPTS = 256, PROMPT_TOKENS = 100 };
static const size_t BUDGET = (size_t)16 << 20, PROMPT_BUDGET = (size_t)6 << 20, UNLIMITED = (size_t)1 << 40;

static size_t peak_bytes(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (size_t)usage.ru_maxrss * 1024;
}

/* Many contexts with two choices each: in one batch, every context's state at once. */
static void add_contexts(Plan *plan) {
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
}

static GenerationRules rules;
static Generation settings;

/* Many prompts that grow for long: all at once they would take more than the budget. */
static void add_prompts(Plan *plan) {
    Tokenizer *tokenizer;
    Random random;
    uint32_t number;
    EncodedRequest prompt = {0};
    random_seed(&random, 2);
    if (tokenizer_open(&tokenizer, "zoo/demo/model", NULL) ||
        generation_rules_init(&rules, tokenizer, "zoo/demo/model", COMPAT_MAIN, NULL) ||
        generation_parse(&settings, &rules, "{\"until\": [], \"max_gen_toks\": 150}", NULL))
        exit(1);
    plan_generate_with(plan, &rules);
    for (int i = 0; i < N_PROMPTS; i++) {
        prompt.tokens.n = 0;
        for (int j = 0; j < PROMPT_TOKENS; j++)
            token_ids_append(&prompt.tokens, (int32_t)random_below(&random, 50));
        prompt.n_context = prompt.tokens.n;
        if (plan_add_prompt(plan, &prompt, &settings, 0, &number, NULL))
            exit(1);
    }
    encoded_request_free(&prompt);
}

/* How much more the process takes at most while it walks. */
static size_t walk(const char *folder, void (*add)(Plan *), size_t budget, size_t narrow) {
    Engine *engine;
    EngineOptions options = {.model_folder = folder, .n_threads = 1};
    int32_t tokens[512] = {0};
    Segment warm_up = {.tokens = tokens, .n_tokens = 512};
    if (engine_open(&engine, &options, NULL) || engine_score(engine, &warm_up, 1, NULL))
        exit(1);
    Plan *plan = plan_create();
    add(plan);
    plan_narrow(plan, narrow);
    plan_settle(plan, engine_info(engine), budget);
    size_t before = peak_bytes();
    int more;
    while ((more = plan_step(plan, engine, 1 << 20, NULL)) > 0)
        continue;
    if (more < 0 || plan_tokens_fed(plan) != plan_counts(plan).tokens_distinct ||
        plan_prompts_done(plan) != plan_counts(plan).n_prompts)
        exit(1);
    size_t grown = peak_bytes() - before;
    plan_free(plan);
    engine_close(engine);
    return grown;
}

/* In a process of its own, since the most that a process ever took does not go down. */
static size_t walk_apart(const char *folder, void (*add)(Plan *), size_t budget, size_t narrow) {
    int ends[2], status;
    size_t grown = 0;
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    malloc_trim(0); /* what the child finds free would not be seen to grow */
    pid_t child = fork();
    if (child == 0) {
        grown = walk(folder, add, budget, narrow);
        _exit(write(ends[1], &grown, sizeof grown) != sizeof grown);
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &grown, sizeof grown), sizeof grown);
    close(ends[0]);
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    return grown;
}

static void check_budget(const char *folder, void (*add)(Plan *), size_t budget, bool is_narrow) {
    if (SANITIZED) {
        printf("skipped: a sanitizer's own memory would be measured\n");
        skip();
    }
    size_t free_growth = walk_apart(folder, add, UNLIMITED, 0);
    size_t held_growth =
        is_narrow ? walk_apart(folder, add, UNLIMITED, budget) : walk_apart(folder, add, budget, 0);
    printf("resident size grew by %zu bytes, %zu within a budget of %zu\n", free_growth, held_growth, budget);
    assert_true(free_growth > 2 * budget);
    assert_true(held_growth < budget + budget / 10);
}

static void test_states_stay_inside_the_budget(void **state) {
    (void)state;
    check_budget("tests/fixtures/models/zebra_tiny", add_contexts, BUDGET, false);
}

/* Without a limit, but asked to be narrow: as little, and as before no token twice. */
static void test_narrow_walks_hold_few_states(void **state) {
    (void)state;
    check_budget("tests/fixtures/models/zebra_tiny", add_contexts, BUDGET, true);
    check_budget("tests/fixtures/models/llama_tiny", add_contexts, BUDGET / 4, true);
}

static void test_growing_sequences_stay_inside_the_budget(void **state) {
    (void)state;
    check_budget("tests/fixtures/models/llama_tiny", add_prompts, PROMPT_BUDGET, false);
}

int run_memory_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_states_stay_inside_the_budget),
        cmocka_unit_test(test_narrow_walks_hold_few_states),
        cmocka_unit_test(test_growing_sequences_stay_inside_the_budget),
    };
    return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
