/* MambaInLlama: some attention layers of a Llama or Mistral kept as they are, the others Mamba-1 or Mamba-2.
 * config.json is the base model's and describes the attention; mamba_config.json says which layers keep it.
 *
 * What the reference (jxiw/MambaInLlama) settles:
 * - Mamba-1's dt bias counts twice, in dt_proj and again in the scan: its training, evaluation and stepping
 *   code all do so (mamba/hybrid_mamba_layer.py).
 * - x and B are repeated before Mamba-1's convolution and after Mamba-2's: the training scripts write an
 *   ssm_cfg of {"expand": 1} or {"expand", "ngroups", "d_state"}, so repeat_kv_before_conv keeps its default.
 * - Rotary frequencies, scaled ones too, are rounded to bfloat16 in bfloat16 runs: the wrapper that trains
 * and evaluates ends with model.to(dtype), which casts that buffer as well (hybrid_wrapper.py).
 * - Fused matrices (mamba.in_proj, mha.in_proj) exist only in memory, after the faster wrapper has read the
 *   names that are in the files (mamba_inference/hybrid_wrapper.py). */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "runner/families/family.h"

static int read_mamba1(ModelConfig *out, const cJSON *ssm, const ConfigFile *side, Error *error) {
    Mamba1Config *mamba = &out->mamba1;
    const cJSON *rank = cJSON_GetObjectItemCaseSensitive(ssm, "dt_rank");
    bool automatic = cJSON_IsString(rank) && strcmp(rank->valuestring, "auto") == 0;
    bool repeat = true;
    int64_t states = 16, expand = 1;
    if (json_opt_int(ssm, "expand", 1, 64, &expand, side->where, error))
        return -1;
    mamba->inner = expand * out->hidden_size;
    mamba->dt_rank = (out->hidden_size + 15) / 16;
    if (json_opt_int(side->json, "d_inner", 1, CONFIG_MAX_WIDTH, &mamba->inner, side->where, error) ||
        json_get_int(side->json, "d_xb", 1, CONFIG_MAX_WIDTH, &mamba->shared, side->where, error) ||
        (!automatic &&
         json_opt_int(ssm, "dt_rank", 1, CONFIG_MAX_WIDTH, &mamba->dt_rank, side->where, error)) ||
        json_opt_int(ssm, "d_state", 1, CONFIG_MAX_HEAD_WIDTH, &states, side->where, error) ||
        json_opt_bool(ssm, "repeat_kv_before_conv", &repeat, side->where, error))
        return -1;
    if (states != 16 || !repeat)
        return error_set(error,
                         "%s: ssm_cfg has d_state %lld and repeat_kv_before_conv %s, but Mamba-1 layers are "
                         "supported with 16 and true only",
                         side->where, (long long)states, repeat ? "true" : "false");
    if (mamba->shared % 16 || mamba->inner % mamba->shared)
        return error_set(error, "%s: d_xb %lld does not divide d_inner %lld into whole groups of 16 channels",
                         side->where, (long long)mamba->shared, (long long)mamba->inner);
    return 0;
}

static int read_mamba_in_llama(ModelConfig *out, const Family *family, const ConfigFile *files,
                               Error *error) {
    const ConfigFile *side = &files[1];
    const cJSON *ssm;
    const Family *base = family_of_config(files[0].json, files[0].where, error);
    (void)family;
    if (!base)
        return -1;
    if (base != &family_llama && base != &family_mistral)
        return error_set(error, "%s: the base model is of the family %s, expected llama or mistral for %s",
                         files[0].where, base->name, side->where);
    if (read_transformer(out, base, files, error) || read_side_sizes(out, side, error) ||
        json_get_object(side->json, "ssm_cfg", &ssm, side->where, error))
        return -1;
    MixerKind mamba = cJSON_GetObjectItemCaseSensitive(ssm, "ngroups") ? MIXER_MAMBA2 : MIXER_MAMBA1;
    if (read_layer_kinds(out, "attn_layers", MIXER_ATTENTION, mamba, side, error))
        return -1;
    if (has_mixer(out, MIXER_ATTENTION) && out->norm_eps != out->final_norm_eps)
        return error_set(error,
                         "%s: rms_norm_eps is %g, but config.json's, which the attention layers use, is %g; "
                         "different ones in one model are not supported",
                         side->where, out->norm_eps, out->final_norm_eps);
    out->rope.rounding = ROPE_ROUND_FREQUENCIES;
    out->names.mixer[mamba] = "mamba.";
    if (!has_mixer(out, mamba))
        return 0;
    return mamba == MIXER_MAMBA2 ? read_shared_mamba2(out, side, error) : read_mamba1(out, ssm, side, error);
}

const Family family_mamba_in_llama = {
    .name = "mamba-in-llama", .side_files = {"mamba_config.json"}, .read = read_mamba_in_llama};
