/* How fast a plan is made: random prompts that share a few-shot prefix and, in fours, a question.
 *
 *     build/bench/plan [MILLIONS_OF_TOKENS]      default: 10
 *
 * Prints seconds for adding and for settling, and what the plan's memory comes to per distinct token. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/base.h"
#include "eval/plan.h"

enum { SHOT_TOKENS = 500, QUESTION_TOKENS = 100, CHOICES = 4, QUESTIONS_PER_PREFIX = 200 };

static void append_random(TokenIds *out, size_t n, Random *random) {
    for (size_t i = 0; i < n; i++)
        token_ids_append(out, (int32_t)random_below(random, 32000));
}

int main(int argc, char **argv) {
    size_t wanted = (argc > 1 ? (size_t)atoll(argv[1]) : 10) * 1000000, n_questions = 0;
    double adding = 0;
    Plan *plan = plan_create();
    EncodedRequest request = {0};
    Random random;
    uint32_t number;
    random_seed(&random, 1);
    for (size_t tokens = 0; tokens < wanted; n_questions++) {
        request.tokens.n = n_questions % QUESTIONS_PER_PREFIX ? SHOT_TOKENS : 0;
        append_random(&request.tokens, SHOT_TOKENS - request.tokens.n, &random);
        append_random(&request.tokens, QUESTION_TOKENS, &random);
        request.n_context = request.tokens.n;
        for (int i = 0; i < CHOICES; i++) {
            request.tokens.n = request.n_context;
            append_random(&request.tokens, 2 + random_below(&random, 10), &random);
            tokens += request.tokens.n - 1;
            double start = clock_seconds();
            if (plan_add(plan, &request, &number, NULL))
                return 1;
            adding += clock_seconds() - start;
        }
    }
    double start = clock_seconds();
    plan_settle(plan, &(ModelInfo){.state_bytes_per_token = 1000, .state_bytes_fixed = 1000000},
                (size_t)8 << 30);
    double settling = clock_seconds() - start;
    PlanCounts counts = plan_counts(plan);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("%zu requests, %zu tokens, %zu distinct: added in %.2f s, settled in %.2f s; process %.1f bytes a "
           "distinct token\n",
           counts.n_requests, counts.tokens_alone, counts.tokens_distinct, adding, settling,
           (double)usage.ru_maxrss * 1024 / (double)counts.tokens_distinct);
    plan_free(plan);
    encoded_request_free(&request);
    return 0;
}
