/* X-EcoMLA: every attention layer of the base model replaced by latent attention. MLA_config.json describes
 * the blocks, mla_layer_config.json the latent attention; its keys and values are per query head, its ranks
 * may differ from layer to layer, and without rope_scaling its rotation is the plain one.
 *
 * What the reference (AMD-AGI/AMD-Hybrid-Models) settles:
 * - attn_layers is empty: each published training configuration lists every layer in mla_layers, and the
 *   inference code knows no other layer.
 * - YaRN's original length is the stored one, or 4096: the training script leaves the key out, and that is
 * the default of the rotary module (mla/hybrid_mla_layer.py). config.json's is the base model's, and unused.
 * - The plain rotation's angles are bfloat16 in bfloat16 runs, positions and all: the table is rebuilt in the
 *   type of a buffer that model.to(dtype) has cast. YaRN rebuilds its frequencies in float32. */
#include <stdio.h>

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
                                  .mixer = {[MIXER_MLA] = "mla."},
                                  .ignored = ignored};

/* {"3": {"q_rank": ..., "kv_rank": ...}}; a layer that is not in the list has the ranks of the one before it.
 */
static int read_ranks(ModelConfig *out, const ConfigFile *mla, Error *error) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(mla->json, "layer_rank_list");
    if (!list || cJSON_IsNull(list))
        return 0;
    if (!cJSON_IsObject(list))
        return error_set(error, "%s: layer_rank_list is %s, expected an object", mla->where,
                         json_type_name(list));
    int64_t q = out->ranks[0].q, kv = out->ranks[0].kv;
    for (int64_t i = 0; i < out->n_layers; i++) {
        char number[24], where[300];
        snprintf(number, sizeof number, "%lld", (long long)i);
        const cJSON *entry = cJSON_GetObjectItemCaseSensitive(list, number);
        snprintf(where, sizeof where, "%.200s: layer_rank_list entry %s", mla->where, number);
        if (entry && (json_get_int(entry, "q_rank", 1, CONFIG_MAX_WIDTH, &q, where, error) ||
                      json_get_int(entry, "kv_rank", 1, CONFIG_MAX_WIDTH, &kv, where, error)))
            return -1;
        out->ranks[i] = (MlaRanks){(int32_t)q, (int32_t)kv};
    }
    return 0;
}

static int read_x_ecomla(ModelConfig *out, const Family *family, const ConfigFile *files, Error *error) {
    const ConfigFile *blocks = &files[1], *mla = &files[2];
    const cJSON *kept = cJSON_GetObjectItemCaseSensitive(blocks->json, "attn_layers");
    int64_t n_layers, hidden;
    if (read_common_fields(out, family, &files[0], error) || read_side_sizes(out, blocks, error))
        return -1;
    n_layers = out->n_layers;
    hidden = out->hidden_size;
    if (json_opt_int(blocks->json, "n_layer", 1, CONFIG_MAX_LAYERS, &n_layers, blocks->where, error) ||
        json_opt_int(mla->json, "hidden_size", 1, CONFIG_MAX_WIDTH, &hidden, mla->where, error))
        return -1;
    if (n_layers != out->n_layers)
        return error_set(error, "%s: n_layer is %lld, but config.json's num_hidden_layers is %lld",
                         blocks->where, (long long)n_layers, (long long)out->n_layers);
    if (hidden != out->hidden_size)
        return error_set(error, "%s: hidden_size is %lld, but config.json's is %lld", mla->where,
                         (long long)hidden, (long long)out->hidden_size);
    if (kept && !cJSON_IsNull(kept) && (!cJSON_IsArray(kept) || kept->child))
        return error_set(error,
                         "%s: attn_layers keeps layers with the base model's attention, but only an empty "
                         "list is supported",
                         blocks->where);
    for (int64_t i = 0; i < out->n_layers; i++)
        out->mixers[i] = MIXER_MLA;
    out->names = names;
    if (read_mla(out, mla, error) || read_ranks(out, mla, error) ||
        read_yarn(&out->rope, mla->json, out->mla.rope_width, mla->where, error))
        return -1;
    out->mla.n_kv_heads = out->mla.n_heads;
    out->rope.rounding = out->rope.scaling == ROPE_YARN ? ROPE_EXACT : ROPE_ROUND_ANGLES;
    return 0;
}

const Family family_x_ecomla = {
    .name = "x-ecomla", .side_files = {"MLA_config.json", "mla_layer_config.json"}, .read = read_x_ecomla};
