/* Norms over the hidden width: RMSNorm, or LayerNorm with a weight stored as its offset from one. */
#ifndef ZEVAL_RUNNER_LAYERS_NORM_H
#define ZEVAL_RUNNER_LAYERS_NORM_H

#include "runner/layers/layer.h"

typedef struct Norm {
    float *weight; /* [hidden_size] */
    float *bias;   /* NULL: RMSNorm */
    float eps;
    bool rounds_twice; /* in bfloat16, also before the multiplication by the weight */
} Norm;

/* The norm PREFIX NAME of the kind that the configuration says. What was taken before a failure is freed by
 * norm_free. */
int norm_load(Norm *out, const ModelConfig *config, double eps, Checkpoint *checkpoint, const char *prefix,
              const char *name, Error *error);
void norm_free(Norm *norm);
/* y = norm(x), both [n] */
void norm_row(const Norm *norm, const Cpu *cpu, float *y, const float *x, size_t n);

#endif
