/* Llamba: a Llama whose attention became a discrete Mamba-2 in every layer. No published file asks for
 * lm_head_bias or for another convolution (their keys are absent, or say false, 4 and true), so those are
 * refused by name. */
#include <string.h>

#include "base/json.h"
#include "runner/families/family.h"

static const double block_norm_eps = 1e-5; /* fixed in the reference, no key for it */
static const char *const ignored[] = {NULL};

static const TensorNames names = {.embedding = "backbone.embedding.weight",
                                  .final_norm = "backbone.final_layernorm",
                                  .head = "lm_head.weight",
                                  .other_head = "backbone.lm_head.weight",
                                  .layers = "backbone.layers.",
                                  .input_norm = "input_layernorm",
                                  .post_norm = "post_attention_layernorm",
                                  .mlp = "mlp.",
                                  .mixer = {[MIXER_LLAMBA] = "mixer."},
                                  .ignored = ignored};

static int read_mixer(ModelConfig *out, const cJSON *ssm, const char *where, Error *error) {
    LlambaConfig *llamba = &out->llamba;
    int64_t expand = 1, inner, taps = 4;
    bool conv_bias = true;
    *llamba = (LlambaConfig){.n_heads = 32, .n_groups = 32, .state_width = 64};
    if (json_opt_int(ssm, "expand", 1, 64, &expand, where, error))
        return -1;
    inner = expand * out->hidden_size;
    if (json_opt_int(ssm, "d_inner", 1, CONFIG_MAX_WIDTH, &inner, where, error) ||
        json_opt_int(ssm, "n_v_heads", 1, CONFIG_MAX_HEADS, &llamba->n_heads, where, error) ||
        json_opt_int(ssm, "n_qk_heads", 1, CONFIG_MAX_HEADS, &llamba->n_groups, where, error) ||
        json_opt_int(ssm, "d_state", 1, CONFIG_MAX_HEAD_WIDTH, &llamba->state_width, where, error) ||
        json_opt_int(ssm, "d_conv", 1, 64, &taps, where, error) ||
        json_opt_bool(ssm, "conv_bias", &conv_bias, where, error) ||
        json_opt_bool(ssm, "bias", &llamba->bias, where, error) ||
        require_string(ssm, "activation", "identity", where, error))
        return -1;
    if (taps != 4 || !conv_bias)
        return error_set(error,
                         "%s: ssm_cfg has d_conv %lld and conv_bias %s, but only 4 and true are supported",
                         where, (long long)taps, conv_bias ? "true" : "false");
    if (inner > CONFIG_MAX_WIDTH || inner % llamba->n_heads || llamba->n_heads % llamba->n_groups)
        return error_set(
            error,
            "%s: ssm_cfg's n_v_heads %lld does not divide the inner width %lld, or is no multiple "
            "of n_qk_heads %lld",
            where, (long long)llamba->n_heads, (long long)inner, (long long)llamba->n_groups);
    llamba->head_width = inner / llamba->n_heads;
    return 0;
}

static int read_mlp(ModelConfig *out, const cJSON *config, const char *where, Error *error) {
    const cJSON *mlp;
    return json_get_object(config, "mlp_cfg", &mlp, where, error) ||
                   json_get_int(mlp, "intermediate_size", 1, CONFIG_MAX_WIDTH, &out->intermediate_size, where,
                                error) ||
                   json_opt_bool(mlp, "bias", &out->mlp_bias, where, error) ||
                   require_string(mlp, "act_fn", "silu", where, error)
               ? -1
               : 0;
}

static int read_llamba(ModelConfig *out, const Family *family, const ConfigFile *files, Error *error) {
    const cJSON *config = files[0].json, *ssm;
    const char *where = files[0].where;
    int64_t multiple = 8;
    bool head_bias = false;
    (void)family;
    out->norm_eps = block_norm_eps;
    out->final_norm_eps = 1e-5;
    if (json_get_int(config, "d_model", 1, CONFIG_MAX_WIDTH, &out->hidden_size, where, error) ||
        json_get_int(config, "n_layer", 1, CONFIG_MAX_LAYERS, &out->n_layers, where, error) ||
        json_get_int(config, "vocab_size", 1, CONFIG_MAX_VOCABULARY - 1024, &out->vocab_size, where, error) ||
        json_opt_int(config, "pad_vocab_size_multiple", 1, 1024, &multiple, where, error) ||
        read_norm_eps(config, "norm_epsilon", &out->final_norm_eps, where, error) ||
        json_opt_bool(config, "tie_embeddings", &out->tied_head, where, error) ||
        json_opt_bool(config, "lm_head_bias", &head_bias, where, error) ||
        read_token_id(config, "bos_token_id", &out->bos_token_id, where, error) ||
        read_token_id(config, "eos_token_id", &out->eos_token_id, where, error) ||
        read_mlp(out, config, where, error) || json_get_object(config, "ssm_cfg", &ssm, where, error) ||
        read_mixer(out, ssm, where, error))
        return -1;
    if (head_bias)
        return error_set(error, "%s: lm_head_bias is true, which is not supported", where);
    out->vocab_size = (out->vocab_size + multiple - 1) / multiple * multiple;
    for (int64_t i = 0; i < out->n_layers; i++)
        out->mixers[i] = MIXER_LLAMBA;
    out->names = names;
    return 0;
}

static bool is_llamba(const cJSON *config) {
    const cJSON *type = cJSON_GetObjectItemCaseSensitive(config, "model_type");
    const cJSON *ssm = cJSON_GetObjectItemCaseSensitive(config, "ssm_cfg");
    return (cJSON_IsString(type) && strcmp(type->valuestring, "llamba") == 0) ||
           (cJSON_IsObject(ssm) && cJSON_GetObjectItemCaseSensitive(ssm, "n_v_heads"));
}

const Family family_llamba = {
    .name = "llamba", .recognise = is_llamba, .looks = "Llamba (model_type \"llamba\")", .read = read_llamba};
