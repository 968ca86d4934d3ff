/* Mamba-2 as the state-spaces library publishes it, and its transformers port. One norm and one mixer a
 * layer, no MLP; in mamba2attn-2.7b six of the mixers are attention, which the library convolves too. The
 * library keeps the residual in float32, which is what this runtime does for every model.
 */
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "runner/families/family.h"

static const char *const ignored[] = {NULL};

static const TensorNames names = {.embedding = "backbone.embedding.weight",
                                  .final_norm = "backbone.norm_f",
                                  .head = "lm_head.weight",
                                  .layers = "backbone.layers.",
                                  .input_norm = "norm",
                                  .mixer = {[MIXER_MAMBA2] = "mixer.", [MIXER_ATTENTION] = "mixer."},
                                  .ignored = ignored};

/* The sizes of a mixer, by the names that one of the two kinds of file gives them. */
typedef struct MixerKeys {
    const char *groups, *state_width, *head_width;
} MixerKeys;

static int read_mixer(ModelConfig *out, const cJSON *object, const MixerKeys *keys, int64_t inner,
                      const char *where, Error *error) {
    int64_t groups = 1, state = 128, head = 64;
    if (json_opt_int(object, keys->groups, 1, CONFIG_MAX_HEADS, &groups, where, error) ||
        json_opt_int(object, keys->state_width, 1, CONFIG_MAX_HEAD_WIDTH, &state, where, error) ||
        json_opt_int(object, keys->head_width, 1, CONFIG_MAX_HEAD_WIDTH, &head, where, error))
        return -1;
    if (inner > CONFIG_MAX_WIDTH || inner % head)
        return error_set(error, "%s: the inner width %lld is not a whole number of heads of width %lld (%s)",
                         where, (long long)inner, (long long)head, keys->head_width);
    if ((inner / head) % groups)
        return error_set(error, "%s: the %lld heads cannot be put into %lld groups (%s)", where,
                         (long long)(inner / head), (long long)groups, keys->groups);
    for (int64_t i = 0; i < out->n_layers; i++)
        out->mixers[i] = MIXER_MAMBA2;
    out->mlp = MLP_NONE;
    out->names = names;
    out->mamba2 = (Mamba2Config){.n_heads = inner / head,
                                 .head_width = head,
                                 .state_width = state,
                                 .x_groups = inner / head,
                                 .b_groups = groups,
                                 .c_groups = groups,
                                 .norm_groups = groups,
                                 .norm_eps = 1e-5, /* fixed in the library */
                                 .dt_max = INFINITY};
    return 0;
}

/* [low, high] of the step; an infinite end is spelled null, as a string, or left out. */
static int read_step_limits(Mamba2Config *mamba, const cJSON *object, const char *key, const char *where,
                            Error *error) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!list || cJSON_IsNull(list))
        return 0;
    const cJSON *low = cJSON_IsArray(list) ? list->child : NULL, *high = low ? low->next : NULL;
    if (!low || !high || high->next || !cJSON_IsNumber(low) || !(low->valuedouble >= 0))
        return error_set(error, "%s: %s is not a list of two numbers, the first from 0", where, key);
    mamba->dt_min = low->valuedouble;
    if (cJSON_IsNumber(high))
        mamba->dt_max = high->valuedouble;
    if (!(mamba->dt_max >= mamba->dt_min))
        return error_set(error, "%s: %s begins at %g and ends at %g", where, key, mamba->dt_min,
                         mamba->dt_max);
    return 0;
}

/* An error if a switch of the architecture is set to something else than all published models have. */
static int require_bool(const cJSON *object, const char *key, bool value, const char *where, Error *error) {
    bool found = value;
    if (json_opt_bool(object, key, &found, where, error))
        return -1;
    if (found != value)
        return error_set(error, "%s: %s is %s, but only %s is supported", where, key,
                         found ? "true" : "false", value ? "true" : "false");
    return 0;
}

static int read_common(ModelConfig *out, const cJSON *config, const char *where, Error *error) {
    if (json_get_int(config, "vocab_size", 1, CONFIG_MAX_VOCABULARY - 1024, &out->vocab_size, where, error) ||
        read_token_id(config, "bos_token_id", &out->bos_token_id, where, error) ||
        read_token_id(config, "eos_token_id", &out->eos_token_id, where, error))
        return -1;
    return 0;
}

/* What the library can do besides, but no checkpoint that it publishes for Mamba-2 asks for. */
static int read_library_switches(const cJSON *config, const cJSON *ssm, const char *where, Error *error) {
    int64_t intermediate = 0, taps = 4;
    if (require_string(ssm, "layer", "Mamba2", where, error) ||
        require_bool(config, "rms_norm", true, where, error) ||
        require_bool(ssm, "rmsnorm", true, where, error) ||
        require_bool(ssm, "norm_before_gate", false, where, error) ||
        require_bool(ssm, "bias", false, where, error) ||
        require_bool(ssm, "conv_bias", true, where, error) ||
        json_opt_int(config, "d_intermediate", 0, CONFIG_MAX_WIDTH, &intermediate, where, error) ||
        json_opt_int(ssm, "d_conv", 1, 64, &taps, where, error))
        return -1;
    if (intermediate || taps != 4)
        return error_set(error, "%s: d_intermediate is %lld and d_conv %lld, but only 0 and 4 are supported",
                         where, (long long)intermediate, (long long)taps);
    return 0;
}

/* An error if a switch that is off by default there is not on, or the other way round. */
static int require_stated(const cJSON *object, const char *key, bool value, const char *where, Error *error) {
    if (!cJSON_GetObjectItemCaseSensitive(object, key))
        return error_set(error, "%s: attn_cfg.%s is missing, which means %s; only %s is supported", where,
                         key, value ? "false" : "true", value ? "true" : "false");
    return require_bool(object, key, value, where, error);
}

/* attn_cfg holds the arguments of the library's attention layer, whose defaults are those of its constructor.
 */
static int read_attention(ModelConfig *out, const cJSON *config, const char *where, Error *error) {
    AttentionConfig *attention = &out->attention;
    const cJSON *options;
    int64_t taps = 0, rotary = 0, mlp = 0;
    double theta = 10000;
    if (json_get_object(config, "attn_cfg", &options, where, error) ||
        json_get_int(options, "num_heads", 1, CONFIG_MAX_HEADS, &attention->n_heads, where, error))
        return -1;
    attention->n_kv_heads = attention->n_heads;
    attention->head_dim = out->hidden_size / attention->n_heads;
    if (json_opt_int(options, "num_heads_kv", 1, CONFIG_MAX_HEADS, &attention->n_kv_heads, where, error) ||
        json_opt_int(options, "head_dim", 1, CONFIG_MAX_HEAD_WIDTH, &attention->head_dim, where, error) ||
        json_opt_int(options, "d_conv", 0, 64, &taps, where, error) ||
        json_opt_int(options, "mlp_dim", 0, CONFIG_MAX_WIDTH, &mlp, where, error) ||
        json_opt_int(options, "rotary_emb_dim", 0, CONFIG_MAX_HEAD_WIDTH, &rotary, where, error) ||
        read_positive(options, "rotary_emb_base", &theta, where, error) ||
        require_bool(options, "rotary_emb_interleaved", false, where, error) ||
        require_stated(options, "causal", true, where, error) ||
        require_stated(options, "qkv_proj_bias", false, where, error) ||
        require_stated(options, "out_proj_bias", false, where, error))
        return -1;
    if (mlp || (taps != 0 && taps != 4) || cJSON_GetObjectItemCaseSensitive(options, "softmax_scale"))
        return error_set(error,
                         "%s: attn_cfg has mlp_dim %lld, d_conv %lld or a softmax_scale; only 0, 0 or 4, and "
                         "none are supported",
                         where, (long long)mlp, (long long)taps);
    if (attention->head_dim < 1 || attention->n_heads % attention->n_kv_heads || rotary < 2 || rotary % 2 ||
        rotary > attention->head_dim)
        return error_set(error,
                         "%s: attn_cfg's num_heads %lld, num_heads_kv %lld, head_dim %lld and rotary_emb_dim "
                         "%lld do not go together",
                         where, (long long)attention->n_heads, (long long)attention->n_kv_heads,
                         (long long)attention->head_dim, (long long)rotary);
    attention->fused = true;
    attention->convolution = taps == 4;
    out->rope = (RopeConfig){.width = rotary, .theta = theta, .scaling = ROPE_PLAIN, .factor = 1};
    return 0;
}

static int read_attention_layers(ModelConfig *out, const ConfigFile *file, Error *error) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(file->json, "attn_layer_idx");
    if (!list || cJSON_IsNull(list))
        return 0;
    if (read_layer_kinds(out, "attn_layer_idx", MIXER_ATTENTION, MIXER_MAMBA2, file, error))
        return -1;
    return has_mixer(out, MIXER_ATTENTION) ? read_attention(out, file->json, file->where, error) : 0;
}

static int read_mamba2(ModelConfig *out, const Family *family, const ConfigFile *files, Error *error) {
    static const MixerKeys keys = {"ngroups", "d_state", "headdim"};
    const cJSON *config = files[0].json, *ssm;
    const char *where = files[0].where;
    int64_t multiple = 8, expand = 2;
    (void)family;
    out->norm_eps = 1e-5;
    out->tied_head = true;
    if (json_get_int(config, "d_model", 1, CONFIG_MAX_WIDTH, &out->hidden_size, where, error) ||
        json_get_int(config, "n_layer", 1, CONFIG_MAX_LAYERS, &out->n_layers, where, error) ||
        read_common(out, config, where, error) ||
        read_norm_eps(config, "norm_epsilon", &out->norm_eps, where, error) ||
        json_opt_int(config, "pad_vocab_size_multiple", 1, 1024, &multiple, where, error) ||
        json_opt_bool(config, "tie_embeddings", &out->tied_head, where, error) ||
        json_get_object(config, "ssm_cfg", &ssm, where, error) ||
        read_library_switches(config, ssm, where, error) ||
        json_opt_int(ssm, "expand", 1, 64, &expand, where, error) ||
        read_mixer(out, ssm, &keys, expand * out->hidden_size, where, error))
        return -1;
    out->vocab_size = (out->vocab_size + multiple - 1) / multiple * multiple;
    out->final_norm_eps = out->norm_eps;
    if (read_attention_layers(out, &files[0], error))
        return -1;
    return read_step_limits(&out->mamba2, ssm, "dt_limit", where, error);
}

static bool is_library_config(const cJSON *config) {
    return cJSON_GetObjectItemCaseSensitive(config, "d_model") &&
           cJSON_GetObjectItemCaseSensitive(config, "n_layer") &&
           !cJSON_GetObjectItemCaseSensitive(config, "model_type") &&
           !cJSON_GetObjectItemCaseSensitive(config, "architectures");
}

const Family family_mamba2 = {.name = "mamba2",
                              .recognise = is_library_config,
                              .looks = "state-spaces Mamba2 (d_model, n_layer, no model_type)",
                              .read = read_mamba2};

static int read_mamba2_hf(ModelConfig *out, const Family *family, const ConfigFile *files, Error *error) {
    static const MixerKeys keys = {"n_groups", "state_size", "head_dim"};
    const cJSON *config = files[0].json;
    const char *where = files[0].where;
    int64_t expand = 2, heads = 0, taps = 4;
    (void)family;
    out->norm_eps = 1e-5;
    if (json_get_int(config, "hidden_size", 1, CONFIG_MAX_WIDTH, &out->hidden_size, where, error) ||
        json_get_int(config, "num_hidden_layers", 1, CONFIG_MAX_LAYERS, &out->n_layers, where, error) ||
        read_common(out, config, where, error) ||
        read_norm_eps(config, "layer_norm_epsilon", &out->norm_eps, where, error) ||
        json_opt_bool(config, "tie_word_embeddings", &out->tied_head, where, error) ||
        json_opt_int(config, "expand", 1, 64, &expand, where, error) ||
        json_opt_int(config, "conv_kernel", 1, 64, &taps, where, error) ||
        json_get_int(config, "num_heads", 1, CONFIG_MAX_HEADS, &heads, where, error) ||
        require_string(config, "hidden_act", "silu", where, error) ||
        require_bool(config, "use_bias", false, where, error) ||
        require_bool(config, "use_conv_bias", true, where, error) ||
        read_mixer(out, config, &keys, expand * out->hidden_size, where, error))
        return -1;
    if (taps != 4)
        return error_set(error, "%s: conv_kernel is %lld, but only 4 is supported", where, (long long)taps);
    if (heads != out->mamba2.n_heads)
        return error_set(error, "%s: num_heads is %lld, but expand, hidden_size and head_dim make %lld",
                         where, (long long)heads, (long long)out->mamba2.n_heads);
    out->final_norm_eps = out->norm_eps;
    out->mamba2.norm_eps = out->norm_eps;
    out->names.embedding = "backbone.embeddings.weight";
    return read_step_limits(&out->mamba2, config, "time_step_limit", where, error);
}

const Family family_mamba2_hf = {
    .name = "mamba2", .architecture = "Mamba2ForCausalLM", .read = read_mamba2_hf};
