/* Mamba-1 as MambaInLlama has it: channels in groups of 16, B and C of each group of 16 states. x and B come
 * narrow and each of their groups is repeated; the convolution runs over the repeated x alone.
 *
 * A sequence's state is the convolution's window, then [groups][STATES][LANES], a group's channels fastest.
 * The scan is the plain recurrence, token by token. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "runner/layers/convolution.h"

enum { STATES = 16 };
_Static_assert((int)LANES == (int)STATES, "a group of channels fills the lanes");

typedef struct Mamba1 {
    LinearLayer z, x, b, c, dt_down, dt_up, out;
    Convolution convolution; /* of the repeated x */
    float *a;                /* [groups][STATES][LANES], -exp(A_log) */
    float *d;                /* [inner] */
    size_t inner, shared, groups, repeat, dt_rank;
} Mamba1;

static void mamba1_free(void *layer) {
    Mamba1 *mamba = layer;
    LinearLayer *linears[] = {&mamba->z,       &mamba->x,     &mamba->b,  &mamba->c,
                              &mamba->dt_down, &mamba->dt_up, &mamba->out};
    for (size_t i = 0; i < sizeof linears / sizeof *linears; i++)
        linear_free(linears[i]);
    convolution_free(&mamba->convolution);
    free(mamba->a);
    free(mamba->d);
    free(mamba);
}

static int load_decays(Mamba1 *mamba, Checkpoint *checkpoint, const char *prefix, Error *error) {
    char name[256];
    float *stored;
    if (checkpoint_floats(checkpoint, tensor_name(name, prefix, "A_log"),
                          (const int64_t[]){(int64_t)mamba->inner, STATES}, 2, &stored, error))
        return -1;
    mamba->a = mem_alloc(mamba->inner * STATES * sizeof *mamba->a);
    for (size_t c = 0; c < mamba->inner; c++)
        for (size_t n = 0; n < STATES; n++)
            mamba->a[(c / LANES * STATES + n) * LANES + c % LANES] = -expf(stored[c * STATES + n]);
    free(stored);
    return 0;
}

static int mamba1_load(void **out, const ModelConfig *config, size_t layer, Checkpoint *checkpoint,
                       const char *prefix, Error *error) {
    (void)layer;
    const Mamba1Config *c = &config->mamba1;
    char name[256];
    Mamba1 *mamba = mem_alloc_zero(1, sizeof *mamba);
    int64_t d = config->hidden_size;
    mamba->inner = (size_t)c->inner;
    mamba->shared = (size_t)c->shared;
    mamba->groups = mamba->inner / LANES;
    mamba->repeat = mamba->inner / mamba->shared;
    mamba->dt_rank = (size_t)c->dt_rank;
    if (linear_load(&mamba->z, config, checkpoint, prefix, "in_proj_z", c->inner, d, false, error) ||
        linear_load(&mamba->x, config, checkpoint, prefix, "in_proj_x", c->shared, d, false, error) ||
        linear_load(&mamba->b, config, checkpoint, prefix, "B_proj", c->shared, d, false, error) ||
        linear_load(&mamba->c, config, checkpoint, prefix, "C_proj", c->inner, d, false, error) ||
        linear_load(&mamba->dt_down, config, checkpoint, prefix, "dt_proj_down", c->dt_rank, d, false,
                    error) ||
        linear_load(&mamba->dt_up, config, checkpoint, prefix, "dt_proj", c->inner, c->dt_rank, true,
                    error) ||
        convolution_load(&mamba->convolution, config, mamba->inner, true, checkpoint, prefix, error) ||
        load_decays(mamba, checkpoint, prefix, error) ||
        checkpoint_vector(checkpoint, tensor_name(name, prefix, "D"), c->inner, &mamba->d, error) ||
        linear_load(&mamba->out, config, checkpoint, prefix, "out_proj", d, c->inner, false, error)) {
        mamba1_free(mamba);
        return -1;
    }
    *out = mamba;
    return 0;
}

static size_t mamba1_cache_floats(const void *layer) {
    (void)layer;
    return 0;
}

static size_t mamba1_recurrent_floats(const void *layer) {
    const Mamba1 *mamba = layer;
    return convolution_window_floats(&mamba->convolution) + mamba->inner * STATES;
}

static size_t mamba1_workspace_floats(const void *layer) {
    const Mamba1 *mamba = layer;
    return 5 * mamba->inner + 2 * mamba->shared + mamba->dt_rank;
}

/* Per row of the tile: */
typedef struct Mamba1Run {
    const Mamba1 *layer;
    const Tile *tile;
    size_t place, states;   /* where the layer begins in a state's recurrent memory, and the states in it */
    float *z, *c, *dt;      /* [inner] */
    float *x, *b;           /* [shared] */
    float *low;             /* [dt_rank] */
    float *repeated, *conv; /* [inner]: x for every channel, before and after the convolution */
} Mamba1Run;

/* Gives every channel its x, and turns dt into the step. */
static void prepare_span(void *context, size_t i, int thread) {
    (void)thread;
    const Mamba1Run *run = context;
    const Mamba1 *mamba = run->layer;
    const Span *span = &run->tile->spans[i];
    for (size_t row = span->row; row < span->row + span->n_rows; row++) {
        const float *x = run->x + row * mamba->shared;
        float *repeated = run->repeated + row * mamba->inner, *dt = run->dt + row * mamba->inner;
        for (size_t g = 0; g < mamba->groups; g++)
            memcpy(repeated + g * LANES, x + g / mamba->repeat * LANES, LANES * sizeof *x);
        /* The reference adds the bias in the projection and once more in the scan, in training and since. */
        run->tile->cpu->kernels->softplus(dt, mamba->dt_up.bias, mamba->inner);
    }
}

static void scan_group(void *context, size_t i, int thread) {
    (void)thread;
    const Mamba1Run *run = context;
    const Mamba1 *mamba = run->layer;
    const Kernels *kernels = run->tile->cpu->kernels;
    const Piece *piece = &run->tile->pieces[i / mamba->groups];
    size_t group = i % mamba->groups;
    float *state = recurrent_layer(piece->state, run->place) + run->states + group * STATES * LANES;
    const float *a = mamba->a + group * STATES * LANES, *d = mamba->d + group * LANES;
    for (size_t row = piece->row; row < piece->row + piece->n_rows; row++) {
        size_t at = row * mamba->inner + group * LANES;
        float y[LANES] = {0}, *x = run->conv + at, *gate = run->z + at;
        kernels->scan_channels(state, y, x, run->dt + at, a,
                               run->b + row * mamba->shared + group / mamba->repeat * STATES, run->c + at,
                               STATES);
        kernels->multiply_add(y, d, x, LANES);
        kernels->silu_multiply(gate, y, LANES);
        cpu_round(run->tile->cpu, gate, LANES);
    }
}

static void mamba1_forward(const void *opaque, Place place, const Tile *tile, const float *x, float *y) {
    const Mamba1 *mamba = opaque;
    size_t rows = tile->n_rows, d = mamba->z.weight.cols, inner = mamba->inner, shared = mamba->shared;
    Mamba1Run run = {.layer = mamba, .tile = tile, .z = tile->workspace};
    run.place = place.recurrent;
    run.states = convolution_window_floats(&mamba->convolution);
    run.c = run.z + rows * inner;
    run.dt = run.c + rows * inner;
    run.repeated = run.dt + rows * inner;
    run.conv = run.repeated + rows * inner;
    run.x = run.conv + rows * inner;
    run.b = run.x + rows * shared;
    run.low = run.b + rows * shared;
    cpu_linear(tile->cpu,
               (Linear[]){{&mamba->z.weight, NULL, x, run.z, d, inner},
                          {&mamba->x.weight, NULL, x, run.x, d, shared},
                          {&mamba->b.weight, NULL, x, run.b, d, shared},
                          {&mamba->c.weight, NULL, x, run.c, d, inner},
                          {&mamba->dt_down.weight, NULL, x, run.low, d, mamba->dt_rank}},
               5, rows);
    cpu_linear(tile->cpu,
               &(Linear){&mamba->dt_up.weight, mamba->dt_up.bias, run.low, run.dt, mamba->dt_rank, inner}, 1,
               rows);
    cpu_parallel(tile->cpu, tile->n_spans, rows * inner * 16, prepare_span, &run);
    convolution_run(
        &(ConvolutionRun){&mamba->convolution, tile, place.recurrent, run.repeated, inner, run.conv});
    cpu_parallel(tile->cpu, tile->n_pieces * mamba->groups, rows * inner * STATES * 4, scan_group, &run);
    rows_of_outputs(tile, run.z, run.z, inner, inner);
    cpu_linear(tile->cpu, &(Linear){&mamba->out.weight, NULL, run.z, y, inner, d}, 1, tile->n_outputs);
}

const MixerType mixer_mamba1 = {.kind = MIXER_MAMBA1,
                                .load = mamba1_load,
                                .free = mamba1_free,
                                .cache_floats = mamba1_cache_floats,
                                .recurrent_floats = mamba1_recurrent_floats,
                                .workspace_floats = mamba1_workspace_floats,
                                .forward = mamba1_forward};
