/* Zebra-Llama: multi-head latent attention in some layers, Mamba-2 in the others. hybrid_config.json
 * describes the mixers; config.json, inherited from the base model, gives the vocabulary, the tying and the
 * final norm (its rope_scaling belongs to attention layers that are no longer there).
 *
 * What the reference (AMD-AGI/AMD-Hybrid-Models) settles:
 * - lm_head.weight is used where it is stored, whatever config.json says of tying: the inference code
 * replaces the trunk after the base model was tied, so the two are different matrices there. Without it, a
 * tied config.json means the embedding, as in training.
 * - repeat_kv_before_conv is false: that is the training script's default, no published configuration sets
 * it, and the stepping code has no such branch (hybrid_inference/mamba2).
 * - YaRN's original length is the stored one, 8192 in the published files. Both spellings of rope_scaling's
 *   type mean YaRN, and its frequencies are float32 also in bfloat16 runs. */
#include "base/json.h"
#include "runner/families/family.h"

static const char *const ignored[] = {"*.mla.wk_b", "*.mla.wv_b", "*.rotary_emb.*", NULL};

static const TensorNames names = {.embedding = "model.embed_tokens.weight",
                                  .final_norm = "model.norm",
                                  .head = "lm_head.weight",
                                  .layers = "model.layers.",
                                  .input_norm = "input_layernorm",
                                  .post_norm = "post_attention_layernorm",
                                  .mlp = "mlp.",
                                  .mixer = {[MIXER_MLA] = "mla.", [MIXER_MAMBA2] = "mamba."},
                                  .ignored = ignored};

/* Keys and values are shared as in the base model, unless use_full_kv_head gives every head its own. */
static int read_groups(MlaConfig *mla, const ConfigFile *side, Error *error) {
    bool full = false;
    if (json_opt_int(side->json, "num_key_value_heads", 1, CONFIG_MAX_HEADS, &mla->n_kv_heads, side->where,
                     error) ||
        json_opt_bool(side->json, "use_full_kv_head", &full, side->where, error))
        return -1;
    if (full)
        mla->n_kv_heads = mla->n_heads;
    if (mla->n_heads % mla->n_kv_heads)
        return error_set(error, "%s: num_attention_heads %lld is not a multiple of num_key_value_heads %lld",
                         side->where, (long long)mla->n_heads, (long long)mla->n_kv_heads);
    return 0;
}

static int read_zebra(ModelConfig *out, const Family *family, const ConfigFile *files, Error *error) {
    const ConfigFile *side = &files[1];
    if (read_common_fields(out, family, &files[0], error) || read_side_sizes(out, side, error) ||
        read_layer_kinds(out, "mla_layers", MIXER_MLA, MIXER_MAMBA2, side, error))
        return -1;
    out->names = names;
    if (has_mixer(out, MIXER_MLA) &&
        (read_mla(out, side, error) || read_groups(&out->mla, side, error) ||
         read_yarn(&out->rope, side->json, out->mla.rope_width, side->where, error)))
        return -1;
    return has_mixer(out, MIXER_MAMBA2) ? read_shared_mamba2(out, side, error) : 0;
}

const Family family_zebra_llama = {
    .name = "zebra-llama", .side_files = {"hybrid_config.json"}, .read = read_zebra};
