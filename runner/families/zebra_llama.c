/* Zebra-Llama: multi-head latent attention in some layers, Mamba-2 in the others. hybrid_config.json
 * describes the mixers; config.json, inherited from the base model, gives the vocabulary, the tying and the
 * final norm (its rope_scaling belongs to attention layers that are no longer there). */
#include <string.h>

#include "base/json.h"
#include "runner/families/family.h"

static const char *const ignored[] = {"*.mla.wk_b", "*.mla.wv_b", "*.rotary_emb.*", NULL};

static const TensorNames names = {.embedding = "model.embed_tokens.weight",
                                  .final_norm = "model.norm.weight",
                                  .head = "lm_head.weight",
                                  .layers = "model.layers.",
                                  .input_norm = "input_layernorm.weight",
                                  .post_norm = "post_attention_layernorm.weight",
                                  .mlp = "mlp.",
                                  .mixer = {[MIXER_MLA] = "mla.", [MIXER_MAMBA2] = "mamba."},
                                  .ignored = ignored};

static int read_layer_kinds(ModelConfig *out, const cJSON *side, const char *where, Error *error) {
    const cJSON *list;
    int64_t n_layers = out->n_layers, index;
    if (json_opt_int(side, "n_layer", 1, CONFIG_MAX_LAYERS, &n_layers, where, error) ||
        json_get_array(side, "mla_layers", &list, where, error))
        return -1;
    if (n_layers != out->n_layers)
        return error_set(error, "%s: n_layer is %lld, but config.json's num_hidden_layers is %lld", where,
                         (long long)n_layers, (long long)out->n_layers);
    for (int64_t i = 0; i < n_layers; i++)
        out->mixers[i] = MIXER_MAMBA2;
    for (const cJSON *item = list->child; item; item = item->next) {
        if (!json_to_int(item, 0, n_layers - 1, &index))
            return error_set(error, "%s: mla_layers has an entry that is no layer number from 0 to %lld",
                             where, (long long)(n_layers - 1));
        out->mixers[index] = MIXER_MLA;
    }
    return 0;
}

static int read_mla(ModelConfig *out, const cJSON *side, const char *where, Error *error) {
    MlaConfig *mla = &out->mla;
    *mla = (MlaConfig){.n_heads = 32,
                       .n_kv_heads = 8,
                       .q_rank = 1536,
                       .kv_rank = 128,
                       .nope_width = 128,
                       .rope_width = 64,
                       .v_width = 128};
    const cJSON *q_rank = cJSON_GetObjectItemCaseSensitive(side, "q_lora_rank");
    if (q_rank && cJSON_IsNull(q_rank))
        mla->q_rank = 0;
    if (json_opt_int(side, "num_attention_heads", 1, CONFIG_MAX_HEADS, &mla->n_heads, where, error) ||
        json_opt_int(side, "num_key_value_heads", 1, CONFIG_MAX_HEADS, &mla->n_kv_heads, where, error) ||
        json_opt_int(side, "q_lora_rank", 1, CONFIG_MAX_WIDTH, &mla->q_rank, where, error) ||
        json_opt_int(side, "kv_lora_rank", 1, CONFIG_MAX_WIDTH, &mla->kv_rank, where, error) ||
        json_opt_int(side, "qk_nope_head_dim", 1, CONFIG_MAX_HEAD_WIDTH, &mla->nope_width, where, error) ||
        json_opt_int(side, "qk_rope_head_dim", 2, CONFIG_MAX_HEAD_WIDTH, &mla->rope_width, where, error) ||
        json_opt_int(side, "v_head_dim", 1, CONFIG_MAX_HEAD_WIDTH, &mla->v_width, where, error) ||
        json_opt_bool(side, "use_lora_layer_norm", &mla->rank_norms, where, error) ||
        json_opt_bool(side, "attention_bias", &mla->bias, where, error))
        return -1;
    if (mla->n_heads % mla->n_kv_heads)
        return error_set(error, "%s: num_attention_heads %lld is not a multiple of num_key_value_heads %lld",
                         where, (long long)mla->n_heads, (long long)mla->n_kv_heads);
    return 0;
}

/* Every file of this family means YaRN, also the first published ones that say "llama3" inside rope_scaling.
 */
static int read_yarn(RopeConfig *out, const cJSON *side, int64_t width, const char *where, Error *error) {
    *out = (RopeConfig){.width = width,
                        .theta = 10000,
                        .factor = 1,
                        .original_positions = 4096,
                        .beta_fast = 32,
                        .beta_slow = 1,
                        .mscale = 1};
    const cJSON *scaling = cJSON_GetObjectItemCaseSensitive(side, "rope_scaling");
    const char *type = "yarn";
    if (width % 2)
        return error_set(error, "%s: qk_rope_head_dim is %lld, expected an even number", where,
                         (long long)width);
    if (read_positive(side, "rope_theta", &out->theta, where, error))
        return -1;
    if (!scaling || cJSON_IsNull(scaling))
        return 0;
    if (!cJSON_IsObject(scaling))
        return error_set(error, "%s: rope_scaling is %s, expected an object", where, json_type_name(scaling));
    out->scaling = ROPE_YARN;
    if (json_opt_string(scaling, "type", &type, where, error) ||
        json_opt_string(scaling, "rope_type", &type, where, error) ||
        read_positive(scaling, "factor", &out->factor, where, error) ||
        read_positive(scaling, "original_max_position_embeddings", &out->original_positions, where, error) ||
        read_positive(scaling, "beta_fast", &out->beta_fast, where, error) ||
        read_positive(scaling, "beta_slow", &out->beta_slow, where, error) ||
        json_opt_double(scaling, "mscale", &out->mscale, where, error) ||
        json_opt_double(scaling, "mscale_all_dim", &out->mscale_all_dim, where, error))
        return -1;
    if (strcmp(type, "yarn") != 0 && strcmp(type, "llama3") != 0)
        return error_set(error, "%s: rope_scaling has type \"%.40s\", expected \"yarn\"", where, type);
    if (!(out->mscale >= 0 && out->mscale < 1e6 && out->mscale_all_dim >= 0 && out->mscale_all_dim < 1e6))
        return error_set(error, "%s: rope_scaling's mscale %g or mscale_all_dim %g is negative or too large",
                         where, out->mscale, out->mscale_all_dim);
    return 0;
}

static int read_mamba2(ModelConfig *out, const cJSON *side, const char *where, Error *error) {
    const cJSON *ssm;
    Mamba2Config *mamba = &out->mamba2;
    bool repeat = false;
    mamba->inner = out->hidden_size;
    if (json_get_object(side, "ssm_cfg", &ssm, where, error) ||
        json_opt_int(side, "d_inner", 1, CONFIG_MAX_WIDTH, &mamba->inner, where, error) ||
        json_get_int(side, "d_xb", 1, CONFIG_MAX_WIDTH, &mamba->shared, where, error) ||
        json_get_int(ssm, "ngroups", 1, CONFIG_MAX_HEADS, &mamba->n_heads, where, error) ||
        json_get_int(ssm, "d_state", 1, CONFIG_MAX_HEAD_WIDTH, &mamba->head_width, where, error) ||
        json_opt_bool(ssm, "repeat_kv_before_conv", &repeat, where, error))
        return -1;
    if (repeat)
        return error_set(
            error, "%s: ssm_cfg.repeat_kv_before_conv is true, which is not supported for Mamba-2", where);
    if (mamba->inner != mamba->n_heads * mamba->head_width)
        return error_set(error, "%s: d_inner is %lld, expected ssm_cfg's ngroups %lld times d_state %lld",
                         where, (long long)mamba->inner, (long long)mamba->n_heads,
                         (long long)mamba->head_width);
    if (mamba->shared % mamba->head_width || mamba->inner % mamba->shared)
        return error_set(
            error, "%s: d_xb %lld does not divide d_inner %lld into whole groups of heads of width %lld",
            where, (long long)mamba->shared, (long long)mamba->inner, (long long)mamba->head_width);
    return 0;
}

static bool has_mixer(const ModelConfig *config, MixerKind kind) {
    for (int64_t i = 0; i < config->n_layers; i++)
        if (config->mixers[i] == kind)
            return true;
    return false;
}

static int read_zebra(ModelConfig *out, const cJSON *config, const char *where, const cJSON *side,
                      const char *side_where, Error *error) {
    if (read_common_fields(out, config, where, error) || read_layer_kinds(out, side, side_where, error))
        return -1;
    out->names = names;
    out->norm_eps = 1e-5;
    int64_t hidden = out->hidden_size, intermediate = out->intermediate_size;
    if (read_norm_eps(side, &out->norm_eps, side_where, error) ||
        json_opt_int(side, "hidden_size", 1, CONFIG_MAX_WIDTH, &hidden, side_where, error) ||
        json_opt_int(side, "intermediate_size", 1, CONFIG_MAX_WIDTH, &intermediate, side_where, error))
        return -1;
    if (hidden != out->hidden_size || intermediate != out->intermediate_size)
        return error_set(
            error, "%s: hidden_size %lld and intermediate_size %lld differ from config.json's %lld and %lld",
            side_where, (long long)hidden, (long long)intermediate, (long long)out->hidden_size,
            (long long)out->intermediate_size);
    if (has_mixer(out, MIXER_MLA) && (read_mla(out, side, side_where, error) ||
                                      read_yarn(&out->rope, side, out->mla.rope_width, side_where, error)))
        return -1;
    if (has_mixer(out, MIXER_MAMBA2) && read_mamba2(out, side, side_where, error))
        return -1;
    return 0;
}

const Family family_zebra_llama = {
    .name = "zebra-llama", .side_file = "hybrid_config.json", .read = read_zebra};
