/* What the engine's tests share: opening models, reading fixtures, scoring one sequence. */
#ifndef ZEVAL_TESTS_RUNNER_TEST_ENGINE_SUPPORT_H
#define ZEVAL_TESTS_RUNNER_TEST_ENGINE_SUPPORT_H

#include "runner/runner.h"

/* Opens a folder on n_threads; a failure fails the test with the message. */
Engine *open_engine_as(const char *folder, Dtype dtype, int n_threads);
/* The same in float32. */
Engine *open_engine(const char *folder, int n_threads);

/* The folder of the real small model, or NULL with a line on stdout where it is absent. Free it. */
char *shared_path(const char *name);

/* A new folder with a Llama of random weights, wide enough that sums run over several blocks of the depth and
 * the vocabulary over several tiles. With `broken`, some weights are NaN. Give it back with
 * remove_random_llama. */
char *make_random_llama(bool broken);
void remove_random_llama(char *folder);

/* A float32 .npy file of two dimensions. */
typedef struct Matrix {
    size_t rows, cols;
    float *data;
} Matrix;
Matrix read_npy(const char *path);

/* One case of a model fixture's logits.json. */
typedef struct FixtureCase {
    int32_t *ids;
    size_t n_ids;
    size_t first_position; /* what the first token's position counts as */
    size_t *positions;     /* the row numbers of `logits`, in order */
    Matrix logits;
} FixtureCase;

typedef struct Fixture {
    char *model_folder;
    FixtureCase *cases;
    size_t n_cases;
} Fixture;
Fixture read_fixture(const char *name); /* its logits.json */
Fixture read_fixture_file(const char *name, const char *file);
void free_fixture(Fixture *fixture);

/* The fixtures' own checkpoints: every property of a model is tested on each. */
enum { N_FIXTURE_MODELS = 22 };
extern const char *const fixture_models[N_FIXTURE_MODELS];

/* Scores all cases of the fixture with the checkpoint in `folder` (NULL: the fixture's own), each at its
 * first position, and fails if a logit is more than 1e-5 of the case's largest away from the fixture's.
 * Prints how far the worst is. */
void expect_fixture_logits(const char *name, const char *folder);

/* The logits of every position of one segment; [n, vocab_size], free it. *state (if not NULL) is the parent
 * on the way in, taken over, and the state after the segment on the way out. */
float *score_logits(Engine *engine, const int32_t *ids, size_t n, State **state);

/* A pseudo-random sequence of ids within the vocabulary. */
void random_ids(const Engine *engine, uint64_t seed, int32_t *out, size_t n);

/* Fails with both values and where they are if two arrays differ in any bit. */
void assert_same_bits(const float *a, const float *b, size_t n, const char *what);

#endif
