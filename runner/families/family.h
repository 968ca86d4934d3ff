/* Model families: each is one entry of a table saying how to recognise its checkpoints and how to read their
 * configuration. Plain transformers differ in a few traits only and are all read by one function. */
#ifndef ZEVAL_RUNNER_FAMILIES_FAMILY_H
#define ZEVAL_RUNNER_FAMILIES_FAMILY_H

#include <cjson/cJSON.h>

#include "runner/model_config.h"

typedef enum BiasRule { BIAS_NEVER, BIAS_ALWAYS, BIAS_BY_KEY /* attention_bias */ } BiasRule;
typedef enum WindowRule {
    WINDOW_NEVER,
    WINDOW_ALWAYS,  /* sliding_window, in every layer */
    WINDOW_SWITCHED /* only if use_sliding_window, and from layer max_window_layers on */
} WindowRule;

/* What tells one plain transformer from another. */
typedef struct TransformerTraits {
    BiasRule qkv_bias, o_bias;
    WindowRule window;
    bool qk_norms;
    NormKind norm;
    MlpKind mlp;
    double partial_rotary; /* the default of partial_rotary_factor; 0: no such key, whole heads are rotated */
    int64_t n_kv_heads;    /* the default of num_key_value_heads; 0: num_attention_heads */
    int64_t head_dim;      /* the default of head_dim; 0: hidden_size / num_attention_heads */
    int64_t sliding_window, max_window_layers; /* the defaults of the keys of that name */
} TransformerTraits;

/* A parsed JSON file and what messages call it. */
typedef struct ConfigFile {
    const cJSON *json;
    const char *where;
} ConfigFile;

enum { FAMILY_SIDE_FILES = 2, FAMILY_FILES = 1 + FAMILY_SIDE_FILES };

typedef struct Family {
    const char *name;
    /* How it is recognised, one of: */
    const char *side_files[FAMILY_SIDE_FILES]; /* files whose presence makes a checkpoint this family's */
    const char *architecture;                  /* the word in config.json's "architectures" */
    bool (*recognise)(const cJSON *config);    /* what a config.json without architectures looks like */
    const char *looks;                         /* that, in words for a message */
    TransformerTraits traits;                  /* for read_transformer */
    /* Fills *out from config.json and the side files, in this order. */
    int (*read)(ModelConfig *out, const struct Family *family, const ConfigFile *files, Error *error);
} Family;

extern const Family family_llama, family_mistral, family_qwen2, family_qwen3, family_nemotron,
    family_zebra_llama, family_x_ecomla, family_mamba_in_llama, family_llamba, family_mamba2,
    family_mamba2_hf;

/* model_config_read once the files are in memory. */
int family_read_config(ModelConfig *out, const Family *family, const ConfigFile *files, Error *error);
/* The family of a config.json without side files; NULL with an Error naming what was found and what is
 * supported. */
const Family *family_of_config(const cJSON *config, const char *where, Error *error);

/* Fields that several families share. */
int read_common_fields(ModelConfig *out, const Family *family, const ConfigFile *file, Error *error);
int read_transformer(ModelConfig *out, const Family *family, const ConfigFile *files, Error *error);
/* rms_norm_eps; absent leaves *out as it is. */
int read_norm_eps(const cJSON *object, const char *key, double *out, const char *where, Error *error);
/* A number that must be finite and positive; absent leaves *out as it is. */
int read_positive(const cJSON *object, const char *key, double *out, const char *where, Error *error);
/* A special token's id; absent: -1. */
int read_token_id(const cJSON *config, const char *key, int32_t *out, const char *where, Error *error);
/* An error that names the key and both values if an optional string has another value than this one. */
int require_string(const cJSON *object, const char *key, const char *value, const char *where, Error *error);
/* rope_theta and rope_scaling, or the newer rope_parameters that holds both. `width` is a head's rotated
 * part. */
int read_rope(RopeConfig *out, const cJSON *config, int64_t width, const char *where, Error *error);

/* Parts that the distilled hybrids share. The `side` file's hidden_size and intermediate_size must be those
 * of config.json, and its rms_norm_eps is that of the layers' norms. */
int read_side_sizes(ModelConfig *out, const ConfigFile *side, Error *error);
/* Every layer becomes `others`, those in the side file's list `key` `listed`. n_layer must agree. */
int read_layer_kinds(ModelConfig *out, const char *key, MixerKind listed, MixerKind others,
                     const ConfigFile *side, Error *error);
bool has_mixer(const ModelConfig *config, MixerKind kind);
/* MLA's widths and default ranks; the key of the groups of kv_b_proj is the caller's to read. */
int read_mla(ModelConfig *out, const ConfigFile *side, Error *error);
/* The YaRN of the MLA modules; plain where rope_scaling is null. */
int read_yarn(RopeConfig *out, const cJSON *side, int64_t width, const char *where, Error *error);
/* d_inner, d_xb and ssm_cfg of a Mamba-2 as the distilled hybrids have it. */
int read_shared_mamba2(ModelConfig *out, const ConfigFile *side, Error *error);

#endif
