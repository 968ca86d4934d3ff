/* The draw of tokens: which are kept, and how often each comes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "runner/sample.h"
#include "tests/runner/runner_tests.h"

enum { N = 13 };
static const float logits[N] = {0.5F, -1.0F, 3.25F,  2.0F, 2.75F, -4.0F, 1.5F,
                                0.0F, 2.5F,  -0.75F, 1.0F, 3.0F,  -2.0F};

/* What transformers 4.50.3 keeps of these logits with TemperatureLogitsWarper, TopKLogitsWarper and
 * TopPLogitsWarper, and the probability of the last token that is kept. */
static void test_kept_tokens_are_those_that_transformers_keeps(void **unused) {
    (void)unused;
    static const int32_t order[N] = {2, 11, 4, 8, 3, 6, 10, 0, 7, 9, 1, 12, 5};
    static const struct {
        SampleOptions options;
        size_t n_kept;
        double last;
    } cases[] = {{{1.0, 0, 0.5}, 3, 0.254275213},
                 {{1.0, 0, 0.9}, 6, 0.0523734665},
                 {{0.5, 0, 0.9}, 4, 0.101536324},
                 {{2.0, 0, 0.9}, 9, 0.0387994574},
                 {{1.0, 5, 1.0}, 5, 0.0911216024},
                 {{1.0, 5, 0.6}, 3, 0.254275213},
                 {{0.7, 8, 0.75}, 3, 0.223615263},
                 {{1.5, 1, 0.3}, 1, 1},
                 {{3.0, 0, 0.99}, 13, 0.0132324661},
                 {{1.0, 12, 0.95}, 7, 0.0307880951},
                 {{1.0, 0, 1e-6}, 1, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Candidate candidates[N];
        double sum = 0;
        size_t n = sample_keep(candidates, logits, N, &cases[i].options);
        assert_int_equal(n, cases[i].n_kept);
        for (size_t k = 0; k < n; k++) {
            assert_int_equal(candidates[k].token, order[k]);
            sum += candidates[k].weight;
        }
        if (fabs(candidates[n - 1].weight / sum - cases[i].last) > 1e-7)
            fail_msg("case %zu: the last token has probability %.9g, expected %.9g", i,
                     candidates[n - 1].weight / sum, cases[i].last);
    }
}

static int compare_candidates(const void *a, const void *b) {
    const Candidate *x = a, *y = b;
    if (x->logit != y->logit)
        return x->logit < y->logit ? 1 : -1;
    return x->token < y->token ? -1 : 1;
}

/* Sorting everything says the same, for vocabularies of many sizes with many equals in them. */
static void test_kept_tokens_are_the_first_of_all_sorted(void **unused) {
    (void)unused;
    enum { MOST = 300 };
    Random random;
    random_seed(&random, 8);
    for (int round = 0; round < 2000; round++) {
        float values[MOST];
        Candidate kept[MOST], sorted[MOST];
        size_t n = 1 + random_below(&random, MOST);
        for (size_t i = 0; i < n; i++) {
            values[i] = (float)random_below(&random, 40) / 8;
            sorted[i] = (Candidate){.token = (int32_t)i, .logit = values[i]};
        }
        SampleOptions options = {0.25 + random_double(&random), (int64_t)random_below(&random, 2 * n),
                                 0.05 + 0.95 * random_double(&random)};
        size_t most = options.top_k > 0 && (size_t)options.top_k < n ? (size_t)options.top_k : n,
               expected = 0;
        double sum = 0, reached = 0;
        qsort(sorted, n, sizeof *sorted, compare_candidates);
        for (size_t i = 0; i < most; i++)
            sum += exp((double)(sorted[i].logit - sorted[0].logit) / options.temperature);
        while (expected < most && reached < options.top_p * sum * (1 - 1e-12))
            reached += exp((double)(sorted[expected++].logit - sorted[0].logit) / options.temperature);
        size_t found = sample_keep(kept, values, n, &options);
        assert_int_equal(found, expected);
        for (size_t i = 0; i < found; i++)
            assert_int_equal(kept[i].token, sorted[i].token);
    }
}

static void test_draws_follow_the_probabilities(void **unused) {
    (void)unused;
    enum { DRAWS = 100000 };
    static const SampleOptions cases[] = {{1.0, 0, 1.0}, {0.7, 6, 1.0}, {1.3, 0, 0.8}};
    Random random;
    random_seed(&random, 3);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Candidate candidates[N];
        size_t counts[N] = {0}, n = sample_keep(candidates, logits, N, &cases[i]);
        double sum = 0, square = 0;
        for (int k = 0; k < DRAWS; k++)
            counts[sample_draw(candidates, n, &random)]++;
        for (size_t k = 0; k < n; k++)
            sum += candidates[k].weight;
        for (size_t k = 0; k < n; k++) {
            double expected = DRAWS * candidates[k].weight / sum;
            square += pow((double)counts[candidates[k].token] - expected, 2) / expected;
        }
        if (square > 40) /* of 12 degrees of freedom: once in 10,000 */
            fail_msg("case %zu: chi square %g", i, square);
    }
}

static void test_draws_from_what_is_no_number_are_defined(void **unused) {
    (void)unused;
    const float wrong[4] = {NAN, -INFINITY, 1, NAN}, none[2] = {NAN, -INFINITY};
    Candidate candidates[4];
    Random random;
    random_seed(&random, 1);
    for (int64_t k = 0; k <= 4; k++)
        for (int i = 0; i < 50; i++) {
            size_t n = sample_keep(candidates, wrong, 4, &(SampleOptions){0.8, k, 1});
            assert_int_equal(sample_draw(candidates, n, &random), 2);
            n = sample_keep(candidates, none, 2, &(SampleOptions){0.8, k, 0.5});
            assert_true(sample_draw(candidates, n, &random) < 2);
        }
}

int run_sample_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kept_tokens_are_those_that_transformers_keeps),
        cmocka_unit_test(test_kept_tokens_are_the_first_of_all_sorted),
        cmocka_unit_test(test_draws_follow_the_probabilities),
        cmocka_unit_test(test_draws_from_what_is_no_number_are_defined),
    };
    return cmocka_run_group_tests_name("sample", tests, NULL, NULL);
}
