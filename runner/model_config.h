/* What a family reads out of a checkpoint's configuration: everything needed to build the model, checked and
 * bounded. */
#ifndef ZEVAL_RUNNER_MODEL_CONFIG_H
#define ZEVAL_RUNNER_MODEL_CONFIG_H

#include "runner/layers/rope.h"
#include "runner/runner.h"

/* Bounds on what a configuration may ask for. */
enum {
    CONFIG_MAX_LAYERS = 1024,
    CONFIG_MAX_HEADS = 4096,
    CONFIG_MAX_HEAD_WIDTH = 4096,
    CONFIG_MAX_WIDTH = 1 << 20, /* hidden and intermediate sizes, ranks */
    CONFIG_MAX_VOCABULARY = 1 << 24,
    CONFIG_MAX_POSITIONS = 1 << 30
};

typedef struct AttentionConfig {
    int64_t n_heads, n_kv_heads, head_dim;
    bool qkv_bias, o_bias;
    bool qk_norms;                 /* each head's query and key is normed before it is rotated */
    bool fused;                    /* in_proj's rows are the queries', the keys' and the values' */
    bool convolution;              /* of what in_proj gives, before it is rotated; only if fused */
    int64_t window, window_layers; /* keys that a query sees (0: all of them), from that layer on */
} AttentionConfig;

typedef struct MlaConfig {
    int64_t n_heads, n_kv_heads;             /* kv heads: groups of kv_b_proj */
    int64_t nope_width, rope_width, v_width; /* per head */
    bool rank_norms;                         /* use_lora_layer_norm */
    bool bias;
} MlaConfig;

typedef struct Mamba2Config {
    int64_t n_heads, head_width, state_width;
    int64_t x_groups, b_groups, c_groups; /* heads next to each other share x, B, C: so many of each */
    int64_t norm_groups;                  /* of the gated norm */
    double norm_eps;                      /* of it */
    double dt_min, dt_max;
} Mamba2Config;

typedef struct Mamba1Config {
    int64_t inner, shared; /* d_inner; d_xb, the width of x and B before they are repeated */
    int64_t dt_rank;
} Mamba1Config;

typedef struct LlambaConfig {
    int64_t n_heads, n_groups; /* groups of heads that share B and C */
    int64_t head_width, state_width;
    bool bias; /* of the projections, in place of the gate's own */
} LlambaConfig;

/* Ranks of one MLA layer; q 0: no low-rank query. */
typedef struct MlaRanks {
    int32_t q, kv;
} MlaRanks;

typedef enum NormKind {
    NORM_RMS,
    NORM_LAYER_1P /* LayerNorm whose stored weight is the offset from one */
} NormKind;

typedef enum MlpKind { MLP_SWIGLU, MLP_SQUARED_RELU, MLP_NONE } MlpKind;

/* A family's names of the tensors outside the mixers; a norm's name goes without ".weight". */
typedef struct TensorNames {
    const char *embedding, *final_norm, *head;
    const char *other_head;                   /* another name of the head, or NULL */
    const char *layers;                       /* what comes before a layer's number */
    const char *input_norm, *post_norm, *mlp; /* after the layer's prefix */
    const char *mixer[MIXER_KINDS];           /* prefix after the layer's, by MixerKind */
    const char *const *ignored; /* NULL-terminated patterns of tensors that may be there unused */
} TensorNames;

typedef struct ModelConfig {
    Dtype dtype;        /* of the arithmetic, which is not the configuration's business but every layer's */
    const char *family; /* static */
    char architecture[128];
    int64_t n_layers, hidden_size, intermediate_size, vocab_size, max_position_embeddings;
    double norm_eps, final_norm_eps; /* of the layers' norms, of the last one */
    NormKind norm;
    MlpKind mlp;
    bool tied_head, mlp_bias;
    int32_t bos_token_id, eos_token_id; /* -1: absent */
    MixerKind mixers[CONFIG_MAX_LAYERS];
    RopeConfig rope;
    AttentionConfig attention;
    MlaConfig mla;
    MlaRanks ranks[CONFIG_MAX_LAYERS]; /* of MLA layers */
    Mamba2Config mamba2;
    Mamba1Config mamba1;
    LlambaConfig llamba;
    TensorNames names;
} ModelConfig;

/* Reads config.json (and the side files of its family) of a checkpoint folder. */
int model_config_read(ModelConfig *out, const char *folder, Error *error);

#endif
