/* What lies beside the tokenizer: tokenizer_config.json, and special_tokens_map.json where that names tokens
 * that the former does not. */
#include <stdlib.h>
#include <string.h>

#include "runner/tokenizer/tokenizer_internal.h"

enum { MAX_CONFIG_BYTES = 64 << 20 };

int tokenizer_config_read(cJSON **out, const char *path, Error *error) {
    if (json_parse_file(out, path, MAX_CONFIG_BYTES, error))
        return -1;
    if (cJSON_IsObject(*out))
        return 0;
    error_set(error, "%s: found %s, expected an object", path, json_type_name(*out));
    cJSON_Delete(*out);
    *out = NULL;
    return -1;
}

int tokenizer_config_legacy(const cJSON *root, const char *path, bool *legacy, Error *error) {
    *legacy = true;
    return json_opt_bool(root, "legacy", legacy, path, error);
}

/* {"128000": {"content": "<|begin_of_text|>", ...}, ...} */
int tokenizer_config_added_tokens(Tokenizer *tokenizer, const cJSON *root, const char *path, Error *error) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "added_tokens_decoder"), *item;
    const char *where = arena_printf(&tokenizer->arena, "%s: added_tokens_decoder", path);
    if (!list || cJSON_IsNull(list))
        return 0;
    if (!cJSON_IsObject(list))
        return error_set(error, "%s: found %s, expected an object", where, json_type_name(list));
    cJSON_ArrayForEach(item, list) {
        AddedToken token = {0};
        int64_t id;
        if (!text_to_int(item->string, &id) || id < 0 || id > MAX_TOKEN_ID)
            return error_set(error, "%s: found the key \"%s\", expected an id from 0 to %d", where,
                             item->string, MAX_TOKEN_ID);
        if (added_token_read(&token, item, &tokenizer->arena, where, error))
            return -1;
        token.id = (int32_t)id;
        if (added_tokens_add(tokenizer, token, where, error))
            return -1;
    }
    return 0;
}

/* Classes of the reference library that build their own post-processor out of add_bos_token and
 * add_eos_token; the latter is false when absent. */
static const struct {
    const char *name;
    bool add_bos; /* when add_bos_token is absent */
} own_template_classes[] = {
    {"LlamaTokenizer", true},         {"LlamaTokenizerFast", true},  {"CodeLlamaTokenizer", true},
    {"CodeLlamaTokenizerFast", true}, {"GemmaTokenizer", true},      {"GemmaTokenizerFast", true},
    {"CohereTokenizer", true},        {"CohereTokenizerFast", true}, {"GPTNeoXTokenizer", false},
    {"GPTNeoXTokenizerFast", false},
};

/* A special token: a string, or an object with "content". *id stays -1 when there is none. */
static int config_token(Tokenizer *tokenizer, const cJSON *root, const char *key, int32_t *id,
                        const char **text, const char *path, Error *error) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, key);
    if (!item || cJSON_IsNull(item))
        return 0;
    if (cJSON_IsObject(item))
        item = cJSON_GetObjectItemCaseSensitive(item, "content");
    if (!cJSON_IsString(item))
        return error_set(error, "%s: field \"%s\": found %s, expected a string or an object with \"content\"",
                         path, key, json_type_name(item));
    *id = tokenizer_token_id(tokenizer, item->valuestring);
    if (*id < 0)
        return error_set(error, "%s: the %s \"%s\" is not in the tokenizer's vocabulary", path, key,
                         item->valuestring);
    *text = tokenizer_token_text(tokenizer, *id);
    return 0;
}

static int config_template(Tokenizer *tokenizer, const cJSON *root, const char *path, Error *error) {
    const char *class = "";
    bool add_bos = false, add_eos = false, own = false;
    if (json_opt_string(root, "tokenizer_class", &class, path, error))
        return -1;
    for (size_t i = 0; i < sizeof own_template_classes / sizeof *own_template_classes; i++) {
        if (strcmp(class, own_template_classes[i].name) == 0) {
            own = true;
            add_bos = own_template_classes[i].add_bos;
        }
    }
    if (!own)
        return 0;
    if (json_opt_bool(root, "add_bos_token", &add_bos, path, error) ||
        json_opt_bool(root, "add_eos_token", &add_eos, path, error))
        return -1;
    if ((add_bos && tokenizer->bos_id < 0) || (add_eos && tokenizer->eos_id < 0))
        return error_set(error, "%s: add_%s_token is set, but there is no %s_token", path,
                         add_bos && tokenizer->bos_id < 0 ? "bos" : "eos",
                         add_bos && tokenizer->bos_id < 0 ? "bos" : "eos");
    tokenizer->template_ids.n = 0;
    if (add_bos)
        token_ids_append(&tokenizer->template_ids, tokenizer->bos_id);
    token_ids_append(&tokenizer->template_ids, TEMPLATE_TEXT);
    if (add_eos)
        token_ids_append(&tokenizer->template_ids, tokenizer->eos_id);
    return 0;
}

/* A string, or the one named "default" in a list of {"name", "template"}. */
static int config_chat_template(Tokenizer *tokenizer, const cJSON *root, const char *path, Error *error) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, "chat_template"), *named;
    if (cJSON_IsArray(item)) {
        const cJSON *list = item;
        item = NULL;
        cJSON_ArrayForEach(named, list) {
            const cJSON *name = cJSON_GetObjectItemCaseSensitive(named, "name");
            if (cJSON_IsString(name) && strcmp(name->valuestring, "default") == 0)
                item = cJSON_GetObjectItemCaseSensitive(named, "template");
        }
    }
    if (!item || cJSON_IsNull(item))
        return 0;
    if (!cJSON_IsString(item))
        return error_set(error,
                         "%s: field \"chat_template\": found %s, expected a string or a list of named ones",
                         path, json_type_name(item));
    tokenizer->chat_template = arena_strdup(&tokenizer->arena, item->valuestring);
    return 0;
}

int tokenizer_config_names(Tokenizer *tokenizer, const cJSON *root, const cJSON *map, const char *path,
                           const char *map_path, Error *error) {
    static const char *const keys[] = {"bos_token", "eos_token"};
    int32_t *const ids[] = {&tokenizer->bos_id, &tokenizer->eos_id};
    const char *eos_text = NULL;
    const char **const texts[] = {&tokenizer->bos_text, &eos_text};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const cJSON *here = cJSON_GetObjectItemCaseSensitive(root, keys[i]);
        bool from_map = map && (!here || cJSON_IsNull(here));
        if (config_token(tokenizer, from_map ? map : root, keys[i], ids[i], texts[i],
                         from_map ? map_path : path, error))
            return -1;
    }
    return 0;
}

int tokenizer_config_apply(Tokenizer *tokenizer, const cJSON *root, const char *path, Error *error) {
    const double infinite = 1e15; /* the library writes 1e30 for "no limit" */
    double length = 0;
    if (json_opt_double(root, "model_max_length", &length, path, error) ||
        config_template(tokenizer, root, path, error) || config_chat_template(tokenizer, root, path, error))
        return -1;
    if (length < 0)
        return error_set(error, "%s: field \"model_max_length\": found %g, expected a positive number", path,
                         length);
    tokenizer->model_max_length = length < infinite ? (int64_t)length : 0;
    return 0;
}
