/* Loads and applies norms. */
#include "runner/layers/norm.h"

#include <stdio.h>
#include <stdlib.h>

/* The classes of transformers, and Llamba's after them, round the normed numbers before they multiply; the
 * hybrids with latents or Mamba take a kernel that rounds once. */
static bool rounds_twice(const ModelConfig *config) {
    for (int64_t i = 0; i < config->n_layers; i++)
        if (config->mixers[i] != MIXER_ATTENTION && config->mixers[i] != MIXER_LLAMBA)
            return false;
    return true;
}

int norm_load(Norm *out, const ModelConfig *config, double eps, Checkpoint *checkpoint, const char *prefix,
              const char *name, Error *error) {
    char text[256];
    out->eps = (float)eps;
    out->rounds_twice = rounds_twice(config);
    snprintf(text, sizeof text, "%s%s.weight", prefix, name);
    if (vector_load(&out->weight, config, checkpoint, text, config->hidden_size, error))
        return -1;
    if (config->norm == NORM_RMS)
        return 0;
    for (int64_t i = 0; i < config->hidden_size; i++)
        out->weight[i] += 1.0f;
    round_to_dtype(config->dtype, out->weight, (size_t)config->hidden_size);
    snprintf(text, sizeof text, "%s%s.bias", prefix, name);
    return vector_load(&out->bias, config, checkpoint, text, config->hidden_size, error);
}

void norm_free(Norm *norm) {
    free(norm->weight);
    free(norm->bias);
    *norm = (Norm){0};
}

void norm_row(const Norm *norm, const Cpu *cpu, float *y, const float *x, size_t n) {
    if (!norm->bias) {
        cpu_rms_norm(cpu, y, x, norm->weight, n, norm->eps, norm->rounds_twice);
        return;
    }
    cpu->kernels->layer_norm(y, x, norm->weight, norm->bias, n, norm->eps);
    cpu_round(cpu, y, n);
}
