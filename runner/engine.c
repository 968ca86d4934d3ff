/* Opening an engine: the model, the backend, the memory that every call uses again. */
#include "runner/engine.h"

#include <stdlib.h>
#include <string.h>

#include "base/ceiling.h"
#include "base/memory.h"
#include "runner/checkpoint/copy.h"

/* The scratch of a tile stays about this large, so that a long batch costs no more memory than a short one.
 */
enum { TILE_FLOATS = 12 * 1024 * 1024, TILE_ROWS_MIN = 64, TILE_ROWS_MAX = 512 };

static const double CEILING_SECONDS = 0.25;

static const char *const dtype_names[] = {
    [DTYPE_FLOAT32] = "float32", [DTYPE_BFLOAT16] = "bfloat16", [DTYPE_FLOAT16] = "float16"};

const char *dtype_name(Dtype dtype) {
    return dtype_names[dtype];
}

int dtype_parse(const char *name, Dtype *out, Error *error) {
    for (size_t i = 0; i < sizeof dtype_names / sizeof *dtype_names; i++)
        if (strcmp(name, dtype_names[i]) == 0) {
            *out = (Dtype)i;
            return 0;
        }
    return error_set_kind(error, ERROR_USAGE, "the dtype is \"%.40s\", expected float32, bfloat16 or float16",
                          name);
}

const char *mixer_name(MixerKind kind) {
    static const char *const names[] = {[MIXER_ATTENTION] = "attention",
                                        [MIXER_MLA] = "mla",
                                        [MIXER_MAMBA2] = "mamba2",
                                        [MIXER_MAMBA1] = "mamba1",
                                        [MIXER_LLAMBA] = "llamba"};
    return names[kind];
}

static void fill_info(Engine *engine) {
    const Model *model = &engine->model;
    const ModelConfig *config = &model->config;
    engine->weight_files = mem_alloc(model->checkpoint.n_files * sizeof *engine->weight_files);
    for (size_t i = 0; i < model->checkpoint.n_files; i++)
        engine->weight_files[i] = model->checkpoint.files[i].path;
    engine->info =
        (ModelInfo){.family = config->family,
                    .architecture = config->architecture,
                    .n_layers = config->n_layers,
                    .hidden_size = config->hidden_size,
                    .vocab_size = config->vocab_size,
                    .max_position_embeddings = config->max_position_embeddings,
                    .n_parameters = model->n_parameters,
                    .weights_dtype = model->stored_dtype,
                    .mixers = config->mixers,
                    .state_bytes_per_token = model->block_floats * sizeof(float) / BLOCK_TOKENS,
                    .state_bytes_fixed = model->recurrent_floats * sizeof(float),
                    .state_block_tokens = BLOCK_TOKENS,
                    .passing_bytes_per_token = model->layer.cache_floats * sizeof(float) / BLOCK_TOKENS,
                    .passing_bytes_fixed = model->layer.recurrent_floats * sizeof(float),
                    .weight_files = engine->weight_files,
                    .n_weight_files = model->checkpoint.n_files,
                    .bos_token_id = config->bos_token_id,
                    .eos_token_id = config->eos_token_id};
}

static int allocate_tile(Engine *engine, Error *error) {
    size_t d = (size_t)engine->model.config.hidden_size, per_row = 3 * d + engine->model.workspace_floats;
    size_t rows = TILE_FLOATS / per_row;
    rows = rows < TILE_ROWS_MIN ? TILE_ROWS_MIN : rows > TILE_ROWS_MAX ? TILE_ROWS_MAX : rows;
    rows -= rows % TILE_ROWS_MIN; /* linear layers take so many at once */
    size_t vocab_tiles = ((size_t)engine->model.config.vocab_size + VOCAB_TILE - 1) / VOCAB_TILE;
    engine->tile_rows = engine->info.tile_tokens = rows;
    if (!(engine->hidden = floats_try_alloc(rows * d, "activations", error)) ||
        !(engine->normed = floats_try_alloc(rows * d, "activations", error)) ||
        !(engine->mixed = floats_try_alloc(rows * d, "activations", error)) ||
        !(engine->workspace = floats_try_alloc(rows * engine->model.workspace_floats, "activations", error)))
        return -1;
    engine->head_rows = mem_alloc(rows * sizeof *engine->head_rows);
    engine->pieces = mem_alloc(rows * sizeof *engine->pieces);
    engine->spans = mem_alloc(rows * sizeof *engine->spans);
    engine->outputs = mem_alloc(rows * sizeof *engine->outputs);
    engine->tokens = mem_alloc(rows * sizeof *engine->tokens);
    engine->summaries = mem_alloc(HEAD_ROWS * vocab_tiles * sizeof *engine->summaries);
    return 0;
}

static int open_parts(Engine *engine, const EngineOptions *options, Error *error) {
    if (options->backend && strcmp(options->backend, "cpu") != 0)
        return error_set_kind(error, ERROR_USAGE, "the backend is \"%.40s\", but this build has only \"cpu\"",
                              options->backend);
    if (options->dtype == DTYPE_FLOAT16)
        return error_set_kind(
            error, ERROR_USAGE,
            "arithmetic in float16 is not available on the cpu backend; use --dtype float32 "
            "or bfloat16 (weights stored in any dtype are read)");
    if (cpu_open(&engine->cpu, options->instruction_set ? options->instruction_set : getenv("ZEVAL_ISA"),
                 options->dtype, options->n_threads, error) ||
        (options->pin_threads && thread_pool_pin(engine->cpu.pool, error)) ||
        model_open(&engine->model, options->model_folder, options->dtype, error) ||
        (options->copy_weights && checkpoint_copy(&engine->model.checkpoint, engine->cpu.pool, error)))
        return -1;
    RopeConfig rope = engine->model.config.rope;
    if (options->dtype != DTYPE_BFLOAT16)
        rope.rounding = ROPE_EXACT;
    rope_init(&engine->rope, &rope);
    engine->pool.threads = engine->cpu.pool;
    engine->pool.block_floats = engine->model.block_floats;
    engine->pool.layer = engine->model.layer;
    engine->pool.recurrent_floats = engine->model.recurrent_floats;
    fill_info(engine);
    return allocate_tile(engine, error);
}

int engine_open(Engine **out, const EngineOptions *options, Error *error) {
    Engine *engine = mem_alloc_zero(1, sizeof *engine);
    *out = NULL;
    if (open_parts(engine, options, error)) {
        engine_close(engine);
        return -1;
    }
    *out = engine;
    return 0;
}

void engine_close(Engine *engine) {
    if (!engine)
        return;
    warm_up_end(engine->warm_up);
    free(engine->hidden);
    free(engine->normed);
    free(engine->mixed);
    free(engine->workspace);
    free(engine->head_rows);
    free(engine->pieces);
    free(engine->spans);
    free(engine->outputs);
    free(engine->tokens);
    free(engine->summaries);
    free(engine->weight_files);
    state_pool_free(&engine->pool);
    rope_free(&engine->rope);
    model_close(&engine->model);
    cpu_close(&engine->cpu);
    free(engine);
}

void engine_warm_up(Engine *engine) {
    if (!engine->warm_up)
        engine->warm_up = warm_up_begin(&engine->model.checkpoint);
}

const ModelInfo *engine_info(const Engine *engine) {
    return &engine->info;
}

Dtype engine_dtype(const Engine *engine) {
    return engine->cpu.dtype;
}

const char *engine_backend(const Engine *engine) {
    (void)engine;
    return "cpu";
}

const char *engine_instruction_set(const Engine *engine) {
    return engine->cpu.name;
}

void engine_profile_start(Engine *engine) {
    ThreadPool *pool = engine->cpu.pool;
    bool pairs = engine->cpu.dtype == DTYPE_BFLOAT16;
    double ceiling = pairs ? ceiling_bf16(pool, CEILING_SECONDS) : 0;
    if (ceiling == 0)
        ceiling = ceiling_f32(pool, CEILING_SECONDS);
    profile_start(&engine->cpu.profile, pool);
    engine->cpu.profile.totals.ceiling = ceiling;
}

EngineProfile engine_profile(Engine *engine) {
    profile_enter(&engine->cpu.profile, engine->cpu.profile.phase);
    return engine->cpu.profile.totals;
}
