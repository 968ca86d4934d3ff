/* What the configurations of the distilled hybrids have in common. */
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "runner/families/family.h"

int read_side_sizes(ModelConfig *out, const ConfigFile *side, Error *error) {
    int64_t hidden = out->hidden_size, intermediate = out->intermediate_size, model = out->hidden_size;
    out->norm_eps = 1e-5;
    if (read_norm_eps(side->json, "rms_norm_eps", &out->norm_eps, side->where, error) ||
        json_opt_int(side->json, "hidden_size", 1, CONFIG_MAX_WIDTH, &hidden, side->where, error) ||
        json_opt_int(side->json, "d_model", 1, CONFIG_MAX_WIDTH, &model, side->where, error) ||
        json_opt_int(side->json, "intermediate_size", 1, CONFIG_MAX_WIDTH, &intermediate, side->where,
                     error) ||
        require_string(side->json, "hidden_act", "silu", side->where, error))
        return -1;
    if (hidden != out->hidden_size || model != out->hidden_size || intermediate != out->intermediate_size)
        return error_set(error,
                         "%s: hidden_size %lld, d_model %lld and intermediate_size %lld differ from "
                         "config.json's %lld and %lld",
                         side->where, (long long)hidden, (long long)model, (long long)intermediate,
                         (long long)out->hidden_size, (long long)out->intermediate_size);
    return 0;
}

int read_layer_kinds(ModelConfig *out, const char *key, MixerKind listed, MixerKind others,
                     const ConfigFile *side, Error *error) {
    const cJSON *list;
    const char *where = side->where;
    int64_t n_layers = out->n_layers, index;
    if (json_opt_int(side->json, "n_layer", 1, CONFIG_MAX_LAYERS, &n_layers, where, error) ||
        json_get_array(side->json, key, &list, where, error))
        return -1;
    if (n_layers != out->n_layers)
        return error_set(error, "%s: n_layer is %lld, but config.json's num_hidden_layers is %lld", where,
                         (long long)n_layers, (long long)out->n_layers);
    for (int64_t i = 0; i < n_layers; i++)
        out->mixers[i] = others;
    for (const cJSON *item = list->child; item; item = item->next) {
        if (!json_to_int(item, 0, n_layers - 1, &index))
            return error_set(error, "%s: %s has an entry that is no layer number from 0 to %lld", where, key,
                             (long long)(n_layers - 1));
        out->mixers[index] = listed;
    }
    return 0;
}

bool has_mixer(const ModelConfig *config, MixerKind kind) {
    for (int64_t i = 0; i < config->n_layers; i++)
        if (config->mixers[i] == kind)
            return true;
    return false;
}

int read_mla(ModelConfig *out, const ConfigFile *file, Error *error) {
    const cJSON *side = file->json;
    const char *where = file->where;
    int64_t q = 1536, kv = 128;
    MlaConfig *mla = &out->mla;
    *mla = (MlaConfig){.n_heads = 32, .n_kv_heads = 8, .nope_width = 128, .rope_width = 64, .v_width = 128};
    const cJSON *q_rank = cJSON_GetObjectItemCaseSensitive(side, "q_lora_rank");
    if (q_rank && cJSON_IsNull(q_rank))
        q = 0;
    if (json_opt_int(side, "num_attention_heads", 1, CONFIG_MAX_HEADS, &mla->n_heads, where, error) ||
        json_opt_int(side, "q_lora_rank", 1, CONFIG_MAX_WIDTH, &q, where, error) ||
        json_opt_int(side, "kv_lora_rank", 1, CONFIG_MAX_WIDTH, &kv, where, error) ||
        json_opt_int(side, "qk_nope_head_dim", 1, CONFIG_MAX_HEAD_WIDTH, &mla->nope_width, where, error) ||
        json_opt_int(side, "qk_rope_head_dim", 2, CONFIG_MAX_HEAD_WIDTH, &mla->rope_width, where, error) ||
        json_opt_int(side, "v_head_dim", 1, CONFIG_MAX_HEAD_WIDTH, &mla->v_width, where, error) ||
        json_opt_bool(side, "use_lora_layer_norm", &mla->rank_norms, where, error) ||
        json_opt_bool(side, "attention_bias", &mla->bias, where, error))
        return -1;
    for (int64_t i = 0; i < out->n_layers; i++)
        out->ranks[i] = (MlaRanks){(int32_t)q, (int32_t)kv};
    return 0;
}

/* Every file of these families means YaRN, also Zebra-Llama's first published ones that say "llama3" inside
 * rope_scaling. */
int read_yarn(RopeConfig *out, const cJSON *side, int64_t width, const char *where, Error *error) {
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

int read_shared_mamba2(ModelConfig *out, const ConfigFile *file, Error *error) {
    const cJSON *side = file->json, *ssm;
    const char *where = file->where;
    int64_t expand = 1, inner, shared, heads, width;
    bool repeat = false;
    if (json_get_object(side, "ssm_cfg", &ssm, where, error) ||
        json_opt_int(ssm, "expand", 1, 64, &expand, where, error))
        return -1;
    inner = expand * out->hidden_size;
    if (json_opt_int(side, "d_inner", 1, CONFIG_MAX_WIDTH, &inner, where, error) ||
        json_get_int(side, "d_xb", 1, CONFIG_MAX_WIDTH, &shared, where, error) ||
        json_get_int(ssm, "ngroups", 1, CONFIG_MAX_HEADS, &heads, where, error) ||
        json_get_int(ssm, "d_state", 1, CONFIG_MAX_HEAD_WIDTH, &width, where, error) ||
        json_opt_bool(ssm, "repeat_kv_before_conv", &repeat, where, error))
        return -1;
    if (repeat)
        return error_set(
            error, "%s: ssm_cfg.repeat_kv_before_conv is true, which is not supported for Mamba-2", where);
    if (inner != heads * width)
        return error_set(error, "%s: d_inner is %lld, expected ssm_cfg's ngroups %lld times d_state %lld",
                         where, (long long)inner, (long long)heads, (long long)width);
    if (shared % width || inner % shared)
        return error_set(
            error, "%s: d_xb %lld does not divide d_inner %lld into whole groups of heads of width %lld",
            where, (long long)shared, (long long)inner, (long long)width);
    out->mamba2 = (Mamba2Config){.n_heads = heads,
                                 .head_width = width,
                                 .state_width = width,
                                 .x_groups = shared / width,
                                 .b_groups = shared / width,
                                 .c_groups = heads,
                                 .norm_groups = heads,
                                 .norm_eps = 1e-5, /* fixed in the reference, no key for it */
                                 .dt_max = INFINITY};
    return 0;
}
