/* How honest the reckoning of what is left is, on made-up runs with a clock of their own. */
#include <math.h>
#include <stdlib.h>

#include "base/base.h"
#include "eval/eta.h"
#include "tests/eval/tests.h"

enum { N_STEPS = 4000 };

static const double MINUTE = 60;

/* A run: what each step does, and how long it takes. */
typedef struct Story {
    EtaWork steps[N_STEPS];
    double seconds[N_STEPS];
    double total;
} Story;

/* What an operation of each kind really takes, which the reckoning is not told. */
static const double truth[ETA_KINDS] = {1e-11, 3e-11, 0.7e-11, 20e-11};

static double duration(const EtaWork *work) {
    double seconds = 0;
    for (int i = 0; i < ETA_KINDS; i++)
        seconds += work->operations[i] * truth[i];
    return seconds;
}

/* A batch at some position of long texts, whose tokens look back further and further. */
static EtaWork feeding(Random *random, double position) {
    double tokens = (double)(500 + random_below(random, 4000));
    return (EtaWork){{tokens * 1e6, tokens * position * 1e3, tokens * 1e5 * random_double(random), 0}};
}

static EtaWork generating(Random *random) {
    return (EtaWork){{0, 0, 0, (double)(10 + random_below(random, 100)) * 1e6}};
}

/* What is left after each step, from the end. */
static EtaWork *left_after(const Story *story) {
    EtaWork *left = mem_alloc_zero(N_STEPS, sizeof *left);
    for (int i = N_STEPS - 1; i > 0; i--)
        left[i - 1] = eta_work_sum(left[i], story->steps[i]);
    return left;
}

/* From `begin_s` to `end_s` of the run, what is foretold to be left is within `share` of the run's true total
 * of what is. */
static void check(const Story *story, double begin_s, double end_s, double share) {
    EtaWork *left = left_after(story);
    Eta eta = {0};
    double now = 0;
    for (int i = 0; i < N_STEPS; i++) {
        eta_note(&eta, story->steps[i], story->seconds[i]);
        now += story->seconds[i];
        double foretold = now + eta_left(&eta, left[i]);
        if (now >= begin_s && now <= end_s && fabs(foretold / story->total - 1) > share)
            fail_msg("after %.1f s: foretold to take %.1f s in all, took %.1f s", now, foretold,
                     story->total);
    }
    free(left);
}

/* Times are off by up to a third either way, and `slowness` multiplies those of some steps. */
static void set_seconds(Story *story, Random *random, double (*slowness)(double now, int step)) {
    story->total = 0;
    for (int i = 0; i < N_STEPS; i++) {
        double noise = 2.0 / 3 + 2.0 / 3 * random_double(random);
        story->seconds[i] = duration(&story->steps[i]) * noise * slowness(story->total, i);
        story->total += story->seconds[i];
    }
}

static double steady(double now, int step) {
    (void)now;
    (void)step;
    return 1;
}

static double slow_at_first(double now, int step) {
    (void)step;
    return now < 15 ? 4 : 1;
}

static double slower_from_the_middle(double now, int step) {
    (void)now;
    return step < N_STEPS / 2 ? 1 : 2;
}

static Story *new_story(Random *random, uint64_t seed) {
    random_seed(random, seed);
    return mem_alloc_zero(1, sizeof(Story));
}

/* Texts become longer and longer, so that later steps take several times as long as the first. */
static void test_a_run_whose_steps_become_dearer(void **state) {
    (void)state;
    Random random;
    Story *story = new_story(&random, 1);
    for (int i = 0; i < N_STEPS; i++)
        story->steps[i] = feeding(&random, i);
    set_seconds(story, &random, steady);
    assert_true(story->total > 4 * MINUTE);
    check(story, MINUTE, INFINITY, 0.1);
    free(story);
}

static void test_a_slow_start_is_forgotten_after_a_minute(void **state) {
    (void)state;
    Random random;
    Story *story = new_story(&random, 2);
    for (int i = 0; i < N_STEPS; i++)
        story->steps[i] = feeding(&random, i % 1000);
    set_seconds(story, &random, slow_at_first);
    assert_true(story->total > 3 * MINUTE);
    check(story, MINUTE, INFINITY, 0.2);
    free(story);
}

/* Nobody can foresee it; half a run's time later it must be known. */
static void test_a_machine_that_slows_down_is_followed(void **state) {
    (void)state;
    Random random;
    Story *story = new_story(&random, 3);
    for (int i = 0; i < N_STEPS; i++)
        story->steps[i] = feeding(&random, i % 1000);
    set_seconds(story, &random, slower_from_the_middle);
    double middle = 0;
    for (int i = 0; i < N_STEPS / 2; i++)
        middle += story->seconds[i];
    check(story, 1.5 * middle, INFINITY, 0.1);
    free(story);
}

/* The program is stopped for an hour and goes on as before. */
static void test_an_interruption_does_not_last(void **state) {
    (void)state;
    Random random;
    Story *story = new_story(&random, 6);
    for (int i = 0; i < N_STEPS; i++)
        story->steps[i] = feeding(&random, i % 1000);
    set_seconds(story, &random, steady);
    story->seconds[N_STEPS / 2] += 60 * MINUTE;
    EtaWork *left = left_after(story);
    Eta eta = {0};
    double after = story->total;
    for (int i = 0; i < N_STEPS; i++) {
        eta_note(&eta, story->steps[i], story->seconds[i]);
        after -= i == N_STEPS / 2 ? story->seconds[i] - 60 * MINUTE : story->seconds[i];
        double foretold = eta_left(&eta, left[i]);
        if (i >= N_STEPS / 2 && fabs(foretold - after) > 0.1 * story->total)
            fail_msg("step %d: foretold %.1f s more, took %.1f s", i, foretold, after);
    }
    free(left);
    free(story);
}

/* A token that is generated costs many times one that is fed; both come in turns. */
static void test_texts_to_be_generated_among_others(void **state) {
    (void)state;
    Random random;
    Story *story = new_story(&random, 4);
    for (int i = 0; i < N_STEPS; i++)
        story->steps[i] = i % 200 < 40 || i > N_STEPS - 1000 ? generating(&random) : feeding(&random, 300);
    set_seconds(story, &random, steady);
    check(story, MINUTE, INFINITY, 0.1);
    free(story);
}

static void test_steps_that_are_all_alike(void **state) {
    (void)state;
    Random random;
    Story *story = new_story(&random, 5);
    for (int i = 0; i < N_STEPS; i++) {
        story->steps[i] = (EtaWork){{4e9, 1e9, 1e8, 0}};
        story->seconds[i] = 0.1;
    }
    story->total = 0.1 * N_STEPS;
    check(story, 0, INFINITY, 1e-6);
    free(story);
}

static void test_nothing_done_or_nothing_left(void **state) {
    (void)state;
    Eta eta = {0};
    EtaWork some = {{1e9, 0, 0, 0}}, none = {{0}};
    assert_true(eta_left(&eta, some) == 0);
    eta_note(&eta, none, 5);
    assert_true(eta_left(&eta, some) == 0);
    eta_note(&eta, some, 5);
    assert_true(eta_left(&eta, none) == 0);
    assert_true(fabs(eta_left(&eta, some) - 5) < 1e-9);
}

int run_eta_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_run_whose_steps_become_dearer),
        cmocka_unit_test(test_a_slow_start_is_forgotten_after_a_minute),
        cmocka_unit_test(test_a_machine_that_slows_down_is_followed),
        cmocka_unit_test(test_an_interruption_does_not_last),
        cmocka_unit_test(test_texts_to_be_generated_among_others),
        cmocka_unit_test(test_steps_that_are_all_alike),
        cmocka_unit_test(test_nothing_done_or_nothing_left),
    };
    return cmocka_run_group_tests_name("eta", tests, NULL, NULL);
}
