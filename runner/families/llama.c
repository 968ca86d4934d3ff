/* Llama (LlamaForCausalLM): rotary attention with grouped heads, SwiGLU, RMSNorm. */
#include <stddef.h>

#include "base/json.h"
#include "runner/families/family.h"

static const char *const ignored[] = {"*.rotary_emb.inv_freq", NULL};

static const TensorNames names = {.embedding = "model.embed_tokens.weight",
                                  .final_norm = "model.norm.weight",
                                  .head = "lm_head.weight",
                                  .layers = "model.layers.",
                                  .input_norm = "input_layernorm.weight",
                                  .post_norm = "post_attention_layernorm.weight",
                                  .mlp = "mlp.",
                                  .mixer = {[MIXER_ATTENTION] = "self_attn."},
                                  .ignored = ignored};

static int read_llama(ModelConfig *out, const cJSON *config, const char *where, const cJSON *side,
                      const char *side_where, Error *error) {
    (void)side;
    (void)side_where;
    AttentionConfig *attention = &out->attention;
    if (read_common_fields(out, config, where, error) ||
        json_get_int(config, "num_attention_heads", 1, CONFIG_MAX_HEADS, &attention->n_heads, where, error) ||
        json_opt_bool(config, "attention_bias", &attention->bias, where, error))
        return -1;
    attention->n_kv_heads = attention->n_heads;
    attention->head_dim = out->hidden_size / attention->n_heads;
    if (json_opt_int(config, "num_key_value_heads", 1, CONFIG_MAX_HEADS, &attention->n_kv_heads, where,
                     error) ||
        json_opt_int(config, "head_dim", 1, CONFIG_MAX_HEAD_WIDTH, &attention->head_dim, where, error))
        return -1;
    if (attention->n_heads % attention->n_kv_heads)
        return error_set(error, "%s: num_attention_heads %lld is not a multiple of num_key_value_heads %lld",
                         where, (long long)attention->n_heads, (long long)attention->n_kv_heads);
    if (attention->head_dim < 1 || attention->head_dim > CONFIG_MAX_HEAD_WIDTH)
        return error_set(
            error, "%s: hidden_size %lld over num_attention_heads %lld gives heads of width %lld", where,
            (long long)out->hidden_size, (long long)attention->n_heads, (long long)attention->head_dim);
    for (int64_t i = 0; i < out->n_layers; i++)
        out->mixers[i] = MIXER_ATTENTION;
    out->names = names;
    return read_rope(&out->rope, config, attention->head_dim, where, error);
}

const Family family_llama = {.name = "llama", .architecture = "LlamaForCausalLM", .read = read_llama};
