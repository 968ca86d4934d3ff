/* Frequencies in float32 as the reference computes them: the tables must be those the weights were trained
 * with, and at large positions the rounding of a frequency shows. */
#include "runner/layers/rope.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "runner/floats.h"
#include "runner/weight.h"

static const double pi = 3.14159265358979323846;

/* A number over a tensor is, in the reference, the tensor's reciprocal times the number: two roundings, and
 * thousands of positions on they show. */
static float over(double number, float tensor) {
    return 1.0f / tensor * (float)number;
}

static void scale_llama3(float *frequencies, size_t half, const RopeConfig *config) {
    double longest = config->original_positions / config->low_freq_factor;
    double shortest = config->original_positions / config->high_freq_factor;
    for (size_t i = 0; i < half; i++) {
        float f = frequencies[i];
        float wavelength = over(2 * pi, f);
        float slow = f / (float)config->factor;
        if (wavelength > (float)longest) {
            frequencies[i] = slow;
        } else if (wavelength >= (float)shortest) {
            float smooth = (over(config->original_positions, wavelength) - (float)config->low_freq_factor) /
                           (float)(config->high_freq_factor - config->low_freq_factor);
            frequencies[i] = (1.0f - smooth) * f / (float)config->factor + smooth * f;
        }
    }
}

/* The channel pair whose wave turns `rotations` times within the original context. */
static double yarn_channel(const RopeConfig *config, double rotations) {
    return (double)config->width * log(config->original_positions / (rotations * 2 * pi)) /
           (2 * log(config->theta));
}

static double yarn_mscale(double factor, double mscale) {
    return factor <= 1 ? 1.0 : 0.1 * mscale * log(factor) + 1.0;
}

double rope_yarn_score_factor(const RopeConfig *config) {
    if (config->scaling != ROPE_YARN || config->mscale_all_dim == 0)
        return 1.0;
    double m = yarn_mscale(config->factor, config->mscale_all_dim);
    return m * m;
}

static void scale_yarn(float *frequencies, size_t half, const RopeConfig *config) {
    double low = fmax(floor(yarn_channel(config, config->beta_fast)), 0);
    double high = fmin(ceil(yarn_channel(config, config->beta_slow)), (double)config->width - 1);
    if (low == high)
        high += 0.001;
    for (size_t i = 0; i < half; i++) {
        float ramp = ((float)i - (float)low) / (float)(high - low);
        ramp = fminf(fmaxf(ramp, 0.0f), 1.0f);
        float keep = 1.0f - ramp;
        float slow = 1.0f / ((float)config->factor * (1.0f / frequencies[i]));
        frequencies[i] = slow * (1.0f - keep) + frequencies[i] * keep;
    }
}

void rope_init(Rope *out, const RopeConfig *config) {
    memset(out, 0, sizeof *out);
    out->half = (size_t)config->width / 2;
    out->scale = 1.0f;
    out->frequencies = mem_alloc(out->half * sizeof(float));
    for (size_t i = 0; i < out->half; i++) {
        float exponent = (float)(2 * i) / (float)config->width;
        out->frequencies[i] = 1.0f / (float)pow(config->theta, (double)exponent);
    }
    if (config->scaling == ROPE_LLAMA3) {
        scale_llama3(out->frequencies, out->half, config);
    } else if (config->scaling == ROPE_YARN) {
        scale_yarn(out->frequencies, out->half, config);
        out->scale = (float)(yarn_mscale(config->factor, config->mscale) /
                             yarn_mscale(config->factor, config->mscale_all_dim));
    }
    out->rounding = config->rounding;
    for (size_t i = 0; config->rounding != ROPE_EXACT && i < out->half; i++)
        out->frequencies[i] = bfloat16_to_float(float_to_bfloat16(out->frequencies[i]));
}

void rope_free(Rope *rope) {
    free(rope->frequencies);
    free(rope->cosines);
    free(rope->sines);
    memset(rope, 0, sizeof *rope);
}

static float angle_at(const Rope *rope, size_t position, size_t i) {
    if (rope->rounding != ROPE_ROUND_ANGLES)
        return (float)position * rope->frequencies[i];
    float rounded = bfloat16_to_float(float_to_bfloat16((float)position));
    return bfloat16_to_float(float_to_bfloat16(rounded * rope->frequencies[i]));
}

int rope_extend(Rope *rope, size_t n, Error *error) {
    if (n <= rope->n_positions || rope->half == 0)
        return 0;
    size_t capacity = n < 512 ? 512 : n + n / 2, floats;
    if (!mem_mul(capacity, rope->half, &floats))
        return error_set(error, "a sequence of %zu tokens is too long for this machine", n);
    float *cosines = floats_try_alloc(floats, "the rotary tables", error);
    float *sines = cosines ? floats_try_alloc(floats, "the rotary tables", error) : NULL;
    if (!sines) {
        free(cosines);
        return -1;
    }
    for (size_t t = 0; t < capacity; t++)
        for (size_t i = 0; i < rope->half; i++) {
            float angle = angle_at(rope, rope->origin + t, i);
            cosines[t * rope->half + i] = (float)cos((double)angle) * rope->scale;
            sines[t * rope->half + i] = (float)sin((double)angle) * rope->scale;
        }
    free(rope->cosines);
    free(rope->sines);
    rope->cosines = cosines;
    rope->sines = sines;
    rope->n_positions = capacity;
    return 0;
}
