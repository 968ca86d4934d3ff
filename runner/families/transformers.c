/* Plain transformers: rotary attention with grouped heads and an MLP in every layer. A family is an entry of
 * traits; one function reads them all. */
#include <string.h>

#include "base/json.h"
#include "runner/families/family.h"

static const char *const ignored[] = {"*.rotary_emb.inv_freq", NULL};

static const TensorNames names = {.embedding = "model.embed_tokens.weight",
                                  .final_norm = "model.norm",
                                  .head = "lm_head.weight",
                                  .layers = "model.layers.",
                                  .input_norm = "input_layernorm",
                                  .post_norm = "post_attention_layernorm",
                                  .mlp = "mlp.",
                                  .mixer = {[MIXER_ATTENTION] = "self_attn."},
                                  .ignored = ignored};

static int read_heads(ModelConfig *out, const TransformerTraits *traits, const ConfigFile *file,
                      Error *error) {
    AttentionConfig *attention = &out->attention;
    const char *where = file->where;
    if (json_get_int(file->json, "num_attention_heads", 1, CONFIG_MAX_HEADS, &attention->n_heads, where,
                     error))
        return -1;
    attention->n_kv_heads = traits->n_kv_heads ? traits->n_kv_heads : attention->n_heads;
    attention->head_dim = traits->head_dim ? traits->head_dim : out->hidden_size / attention->n_heads;
    if (json_opt_int(file->json, "num_key_value_heads", 1, CONFIG_MAX_HEADS, &attention->n_kv_heads, where,
                     error) ||
        json_opt_int(file->json, "kv_channels", 1, CONFIG_MAX_HEAD_WIDTH, &attention->head_dim, where,
                     error) ||
        json_opt_int(file->json, "head_dim", 1, CONFIG_MAX_HEAD_WIDTH, &attention->head_dim, where, error))
        return -1;
    if (attention->n_heads % attention->n_kv_heads)
        return error_set(error, "%s: num_attention_heads %lld is not a multiple of num_key_value_heads %lld",
                         where, (long long)attention->n_heads, (long long)attention->n_kv_heads);
    if (attention->head_dim < 1 || attention->head_dim > CONFIG_MAX_HEAD_WIDTH)
        return error_set(
            error, "%s: hidden_size %lld over num_attention_heads %lld gives heads of width %lld", where,
            (long long)out->hidden_size, (long long)attention->n_heads, (long long)attention->head_dim);
    return 0;
}

static int read_biases(AttentionConfig *attention, const TransformerTraits *traits, const ConfigFile *file,
                       Error *error) {
    bool by_key = false;
    if (json_opt_bool(file->json, "attention_bias", &by_key, file->where, error))
        return -1;
    attention->qkv_bias = traits->qkv_bias == BIAS_ALWAYS || (traits->qkv_bias == BIAS_BY_KEY && by_key);
    attention->o_bias = traits->o_bias == BIAS_ALWAYS || (traits->o_bias == BIAS_BY_KEY && by_key);
    attention->qk_norms = traits->qk_norms;
    return 0;
}

static int read_window(AttentionConfig *attention, const TransformerTraits *traits, const ConfigFile *file,
                       Error *error) {
    int64_t window = traits->sliding_window, from = traits->max_window_layers;
    bool on = traits->window == WINDOW_ALWAYS;
    if (traits->window == WINDOW_NEVER)
        return 0;
    const cJSON *stored = cJSON_GetObjectItemCaseSensitive(file->json, "sliding_window");
    if (stored && cJSON_IsNull(stored))
        window = 0;
    if (json_opt_int(file->json, "sliding_window", 1, CONFIG_MAX_POSITIONS, &window, file->where, error))
        return -1;
    if (traits->window == WINDOW_SWITCHED &&
        (json_opt_bool(file->json, "use_sliding_window", &on, file->where, error) ||
         json_opt_int(file->json, "max_window_layers", 0, CONFIG_MAX_POSITIONS, &from, file->where, error)))
        return -1;
    attention->window = on ? window : 0;
    attention->window_layers = from;
    return 0;
}

/* The width of a head's rotated part; rope_percent and rope_percentage are older names of the key. */
static int read_rotary_width(int64_t *out, const ModelConfig *config, const TransformerTraits *traits,
                             const ConfigFile *file, Error *error) {
    double factor = traits->partial_rotary;
    *out = config->attention.head_dim;
    if (factor == 0)
        return 0;
    if (read_positive(file->json, "rope_percentage", &factor, file->where, error) ||
        read_positive(file->json, "rope_percent", &factor, file->where, error) ||
        read_positive(file->json, "partial_rotary_factor", &factor, file->where, error))
        return -1;
    if (factor > 1)
        return error_set(error, "%s: partial_rotary_factor is %g, expected a number from 0 to 1", file->where,
                         factor);
    *out = (int64_t)((double)config->attention.head_dim * factor);
    if (*out < 2)
        return error_set(error,
                         "%s: partial_rotary_factor %g of heads of width %lld leaves nothing to rotate",
                         file->where, factor, (long long)config->attention.head_dim);
    return 0;
}

int read_transformer(ModelConfig *out, const Family *family, const ConfigFile *files, Error *error) {
    const TransformerTraits *traits = &family->traits;
    const ConfigFile *file = &files[0];
    int64_t rotary_width;
    if (read_common_fields(out, family, file, error) || read_heads(out, traits, file, error) ||
        read_biases(&out->attention, traits, file, error) ||
        read_window(&out->attention, traits, file, error) ||
        read_rotary_width(&rotary_width, out, traits, file, error))
        return -1;
    for (int64_t i = 0; i < out->n_layers; i++)
        out->mixers[i] = MIXER_ATTENTION;
    out->names = names;
    return read_rope(&out->rope, file->json, rotary_width, file->where, error);
}

const Family family_llama = {.name = "llama",
                             .architecture = "LlamaForCausalLM",
                             .read = read_transformer,
                             .traits = {.qkv_bias = BIAS_BY_KEY, .o_bias = BIAS_BY_KEY}};

const Family family_mistral = {.name = "mistral",
                               .architecture = "MistralForCausalLM",
                               .read = read_transformer,
                               .traits = {.n_kv_heads = 8, .window = WINDOW_ALWAYS, .sliding_window = 4096}};

const Family family_qwen2 = {.name = "qwen2",
                             .architecture = "Qwen2ForCausalLM",
                             .read = read_transformer,
                             .traits = {.qkv_bias = BIAS_ALWAYS,
                                        .n_kv_heads = 32,
                                        .window = WINDOW_SWITCHED,
                                        .sliding_window = 4096,
                                        .max_window_layers = 28}};

const Family family_qwen3 = {.name = "qwen3",
                             .architecture = "Qwen3ForCausalLM",
                             .read = read_transformer,
                             .traits = {.qkv_bias = BIAS_BY_KEY,
                                        .o_bias = BIAS_BY_KEY,
                                        .qk_norms = true,
                                        .n_kv_heads = 32,
                                        .head_dim = 128,
                                        .window = WINDOW_SWITCHED,
                                        .sliding_window = 4096,
                                        .max_window_layers = 28}};

const Family family_nemotron = {.name = "nemotron",
                                .architecture = "NemotronForCausalLM",
                                .read = read_transformer,
                                .traits = {.qkv_bias = BIAS_BY_KEY,
                                           .o_bias = BIAS_BY_KEY,
                                           .norm = NORM_LAYER_1P,
                                           .mlp = MLP_SQUARED_RELU,
                                           .partial_rotary = 0.5}};
