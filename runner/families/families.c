/* Recognises a checkpoint's family and reads what all families have in common. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "runner/families/family.h"

enum { CONFIG_MAX_BYTES = 16 * 1024 * 1024 };

/* First match wins: a side file says more than the architecture that config.json inherited from its base. */
static const Family *const families[] = {&family_zebra_llama, &family_x_ecomla, &family_mamba_in_llama,
                                         &family_llama,       &family_mistral,  &family_qwen2,
                                         &family_qwen3,       &family_nemotron, &family_mamba2_hf,
                                         &family_llamba,      &family_mamba2};
static const size_t n_families = sizeof families / sizeof *families;

static const char *architecture_of(const cJSON *config) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(config, "architectures");
    const cJSON *first = cJSON_IsArray(list) ? list->child : NULL;
    return cJSON_IsString(first) ? first->valuestring : NULL;
}

static void describe_families(Buffer *out) {
    for (size_t i = 0; i < n_families; i++) {
        const Family *family = families[i];
        buffer_append_text(out, i ? ", " : "");
        if (family->architecture)
            buffer_append_text(out, family->architecture);
        else if (family->side_files[0])
            buffer_printf(out, "any with %s", family->side_files[0]);
        else
            buffer_append_text(out, family->looks);
    }
}

const Family *family_of_config(const cJSON *config, const char *where, Error *error) {
    const char *architecture = architecture_of(config);
    for (size_t i = 0; i < n_families; i++) {
        const Family *family = families[i];
        if ((architecture && family->architecture && strcmp(architecture, family->architecture) == 0) ||
            (family->recognise && family->recognise(config)))
            return family;
    }
    Buffer known = {0};
    describe_families(&known);
    if (architecture)
        error_set(error, "%s: the architecture is \"%.100s\", which is not supported; supported are: %s",
                  where, architecture, known.data);
    else
        error_set(error, "%s: has no \"architectures\" list with a name in it; supported are: %s", where,
                  known.data);
    buffer_free(&known);
    return NULL;
}

int family_read_config(ModelConfig *out, const Family *family, const ConfigFile *files, Error *error) {
    memset(out, 0, sizeof *out);
    out->family = family->name;
    const char *architecture = architecture_of(files[0].json);
    snprintf(out->architecture, sizeof out->architecture, "%s", architecture ? architecture : family->name);
    return family->read(out, family, files, error);
}

/* Python writes an infinite number as Infinity, which JSON does not know: it becomes a number too large for
 * any type. Lengths stay as they are, and with them the places that messages name. */
static void spell_infinities(char *text, size_t size) {
    static const char word[] = "Infinity", number[] = "1e99999 ";
    const size_t n = sizeof word - 1;
    bool in_string = false;
    for (size_t i = 0; i < size; i++) {
        if (in_string && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            in_string = !in_string;
        else if (!in_string && size - i >= n && memcmp(text + i, word, n) == 0)
            memcpy(text + i, number, n);
    }
}

static int parse_config(cJSON **out, const char *path, Error *error) {
    Buffer text = {0};
    int status = file_read(&text, path, CONFIG_MAX_BYTES, error);
    if (status == 0) {
        spell_infinities(text.data, text.size);
        status = json_parse(out, text.data, text.size, path, error);
    }
    buffer_free(&text);
    return status;
}

static int parse_object(cJSON **out, const char *path, Error *error) {
    if (parse_config(out, path, error))
        return -1;
    if (cJSON_IsObject(*out))
        return 0;
    error_set(error, "%s: is %s, expected a JSON object", path, json_type_name(*out));
    cJSON_Delete(*out);
    *out = NULL;
    return -1;
}

/* The family whose side files are in the folder. */
static const Family *family_of_folder(const char *folder) {
    for (size_t i = 0; i < n_families; i++)
        for (size_t s = 0; s < FAMILY_SIDE_FILES && families[i]->side_files[s]; s++) {
            char *path = path_join(folder, families[i]->side_files[s]);
            bool found = file_exists(path);
            free(path);
            if (found)
                return families[i];
        }
    return NULL;
}

/* The files of a family lie at paths[]; those that were read are the caller's to delete, also on failure. */
static int read_files(const Family **family, cJSON **parsed, char **paths, const char *folder, Error *error) {
    paths[0] = path_join(folder, "config.json");
    if (!file_is_directory(folder))
        return error_set(error, "%s: is not a folder with a model in it", folder);
    if (parse_object(&parsed[0], paths[0], error))
        return -1;
    *family = family_of_folder(folder);
    if (!*family) {
        *family = family_of_config(parsed[0], paths[0], error);
        return *family ? 0 : -1;
    }
    for (size_t s = 0; s < FAMILY_SIDE_FILES && (*family)->side_files[s]; s++) {
        paths[1 + s] = path_join(folder, (*family)->side_files[s]);
        if (parse_object(&parsed[1 + s], paths[1 + s], error))
            return -1;
    }
    return 0;
}

int model_config_read(ModelConfig *out, const char *folder, Error *error) {
    const Family *family = NULL;
    cJSON *parsed[FAMILY_FILES] = {0};
    char *paths[FAMILY_FILES] = {0};
    ConfigFile files[FAMILY_FILES];
    int status = read_files(&family, parsed, paths, folder, error);
    for (size_t i = 0; i < FAMILY_FILES; i++)
        files[i] = (ConfigFile){parsed[i], paths[i]};
    if (status == 0)
        status = family_read_config(out, family, files, error);
    for (size_t i = 0; i < FAMILY_FILES; i++) {
        cJSON_Delete(parsed[i]);
        free(paths[i]);
    }
    return status;
}

/* A special token's id: a number, or (Llama 3) a list of numbers, the first of which counts. */
int read_token_id(const cJSON *config, const char *key, int32_t *out, const char *where, Error *error) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(config, key);
    int64_t value = -1;
    *out = -1;
    if (!item || cJSON_IsNull(item))
        return 0;
    bool list = cJSON_IsArray(item);
    if (!json_to_int(list ? item->child : item, list ? 0 : -1, INT32_MAX, &value))
        return error_set(error, "%s: %s is %s, expected a token id or a list of them", where, key,
                         json_type_name(item));
    *out = (int32_t)value;
    return 0;
}

int require_string(const cJSON *object, const char *key, const char *value, const char *where, Error *error) {
    const char *found = value;
    if (json_opt_string(object, key, &found, where, error))
        return -1;
    if (strcmp(found, value) != 0)
        return error_set(error, "%s: %s is \"%.40s\", but only \"%s\" is supported", where, key, found,
                         value);
    return 0;
}

int read_norm_eps(const cJSON *object, const char *key, double *out, const char *where, Error *error) {
    if (json_opt_double(object, key, out, where, error))
        return -1;
    if (!(*out >= 0 && *out <= 1))
        return error_set(error, "%s: %s is %g, expected a number from 0 to 1", where, key, *out);
    return 0;
}

int read_common_fields(ModelConfig *out, const Family *family, const ConfigFile *file, Error *error) {
    const cJSON *config = file->json;
    const char *where = file->where;
    bool layer_norm = family->traits.norm == NORM_LAYER_1P;
    out->norm = family->traits.norm;
    out->mlp = family->traits.mlp;
    out->norm_eps = layer_norm ? 1e-5 : 1e-6;
    if (json_get_int(config, "hidden_size", 1, CONFIG_MAX_WIDTH, &out->hidden_size, where, error) ||
        json_get_int(config, "intermediate_size", 1, CONFIG_MAX_WIDTH, &out->intermediate_size, where,
                     error) ||
        json_get_int(config, "num_hidden_layers", 1, CONFIG_MAX_LAYERS, &out->n_layers, where, error) ||
        json_get_int(config, "vocab_size", 1, CONFIG_MAX_VOCABULARY, &out->vocab_size, where, error) ||
        json_opt_int(config, "max_position_embeddings", 1, CONFIG_MAX_POSITIONS,
                     &out->max_position_embeddings, where, error) ||
        read_norm_eps(config, layer_norm ? "norm_eps" : "rms_norm_eps", &out->norm_eps, where, error) ||
        json_opt_bool(config, "tie_word_embeddings", &out->tied_head, where, error) ||
        json_opt_bool(config, "mlp_bias", &out->mlp_bias, where, error) ||
        read_token_id(config, "bos_token_id", &out->bos_token_id, where, error) ||
        read_token_id(config, "eos_token_id", &out->eos_token_id, where, error) ||
        require_string(config, "hidden_act", out->mlp == MLP_SQUARED_RELU ? "relu2" : "silu", where, error))
        return -1;
    out->final_norm_eps = out->norm_eps;
    return 0;
}

int read_positive(const cJSON *object, const char *key, double *out, const char *where, Error *error) {
    if (json_opt_double(object, key, out, where, error))
        return -1;
    if (!(*out > 0 && *out < 1e18))
        return error_set(error, "%s: %s is %g, expected a positive number", where, key, *out);
    return 0;
}

static int read_llama3(RopeConfig *out, const cJSON *scaling, const char *where, Error *error) {
    out->scaling = ROPE_LLAMA3;
    out->low_freq_factor = 1;
    out->high_freq_factor = 4;
    out->original_positions = 8192;
    if (read_positive(scaling, "factor", &out->factor, where, error) ||
        read_positive(scaling, "low_freq_factor", &out->low_freq_factor, where, error) ||
        read_positive(scaling, "high_freq_factor", &out->high_freq_factor, where, error) ||
        read_positive(scaling, "original_max_position_embeddings", &out->original_positions, where, error))
        return -1;
    if (out->high_freq_factor <= out->low_freq_factor)
        return error_set(error, "%s: rope scaling's high_freq_factor %g is not above its low_freq_factor %g",
                         where, out->high_freq_factor, out->low_freq_factor);
    return 0;
}

int read_rope(RopeConfig *out, const cJSON *config, int64_t width, const char *where, Error *error) {
    *out = (RopeConfig){.width = width, .theta = 10000, .scaling = ROPE_PLAIN, .factor = 1};
    if (width % 2)
        return error_set(error, "%s: the rotary width of a head is %lld, expected an even number", where,
                         (long long)width);
    const cJSON *scaling = cJSON_GetObjectItemCaseSensitive(config, "rope_scaling");
    const cJSON *parameters = cJSON_GetObjectItemCaseSensitive(config, "rope_parameters");
    if (parameters && !cJSON_IsNull(parameters))
        scaling = parameters;
    if (read_positive(config, "rope_theta", &out->theta, where, error))
        return -1;
    if (!scaling || cJSON_IsNull(scaling))
        return 0;
    if (!cJSON_IsObject(scaling))
        return error_set(error, "%s: rope_scaling is %s, expected an object", where, json_type_name(scaling));
    const char *type = "default";
    if (json_opt_string(scaling, "type", &type, where, error) ||
        json_opt_string(scaling, "rope_type", &type, where, error) ||
        read_positive(scaling, "rope_theta", &out->theta, where, error))
        return -1;
    if (strcmp(type, "default") == 0)
        return 0;
    if (strcmp(type, "llama3") == 0)
        return read_llama3(out, scaling, where, error);
    return error_set(error,
                     "%s: rope scaling has type \"%.40s\", but only \"default\" and \"llama3\" are supported",
                     where, type);
}
