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

/* What the reference rounds to bfloat16 when it runs in bfloat16. It casts the whole module, buffers
 * included, so that the weights were trained with what came of it; far from the start it shows. */
typedef enum RopeRounding {
    ROPE_EXACT,
    ROPE_ROUND_FREQUENCIES,
    ROPE_ROUND_ANGLES /* frequencies, positions and their products */
} RopeRounding;

typedef struct RopeConfig {
    int64_t width; /* rotated channels of a head, even */
    double theta;
    RopeScaling scaling;
    double factor;
    double original_positions;                           /* original_max_position_embeddings */
    double low_freq_factor, high_freq_factor;            /* llama3 */
    double beta_fast, beta_slow, mscale, mscale_all_dim; /* yarn */
    RopeRounding rounding;
} RopeConfig;

typedef struct Rope {
    size_t half;        /* width / 2 */
    float *frequencies; /* [half] */
    float scale;        /* multiplies cosines and sines */
    RopeRounding rounding;
    size_t origin;          /* what position 0 counts as: 0, but for tests of far positions */
    float *cosines, *sines; /* [n_positions, half] */
    size_t n_positions;
} Rope;

/* Rounds as config->rounding says; who computes in float32 asks for ROPE_EXACT. */
void rope_init(Rope *out, const RopeConfig *config);
void rope_free(Rope *rope);
/* Extends the tables to positions [0, n). */
int rope_extend(Rope *rope, size_t n, Error *error);

/* YaRN's factor on the softmax scale: g(factor, mscale_all_dim)^2, 1 where mscale_all_dim is 0. */
double rope_yarn_score_factor(const RopeConfig *config);

#endif
