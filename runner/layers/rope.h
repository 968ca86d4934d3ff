/* Rotary position embedding: frequencies and tables of cosines and sines. */
#ifndef ZEVAL_RUNNER_LAYERS_ROPE_H
#define ZEVAL_RUNNER_LAYERS_ROPE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef enum RopeScaling {
    ROPE_PLAIN,
    ROPE_LLAMA3,
    ROPE_YARN /* as the MLA modules of DeepSeek and its descendants define it */
} RopeScaling;

typedef struct RopeConfig {
    int64_t width; /* rotated channels of a head, even */
    double theta;
    RopeScaling scaling;
    double factor;
    double original_positions;                           /* original_max_position_embeddings */
    double low_freq_factor, high_freq_factor;            /* llama3 */
    double beta_fast, beta_slow, mscale, mscale_all_dim; /* yarn */
} RopeConfig;

typedef struct Rope {
    size_t half;            /* width / 2 */
    float *frequencies;     /* [half] */
    float scale;            /* multiplies cosines and sines */
    size_t origin;          /* what position 0 counts as: 0, but for tests of far positions */
    float *cosines, *sines; /* [n_positions, half] */
    size_t n_positions;
} Rope;

void rope_init(Rope *out, const RopeConfig *config);
void rope_free(Rope *rope);
/* Extends the tables to positions [0, n). */
int rope_extend(Rope *rope, size_t n, Error *error);

/* YaRN's factor on the softmax scale: g(factor, mscale_all_dim)^2, 1 where mscale_all_dim is 0. */
double rope_yarn_score_factor(const RopeConfig *config);

#endif
