/* See special_tokens.h. */
#include "eval/special_tokens.h"

#include <stdlib.h>
#include <string.h>

enum { CONFIG_BYTES_MAX = 64 << 20 };

int special_tokens_read_file(const char *folder, const char *name, cJSON **out, Error *error) {
    char *path = path_join(folder, name);
    *out = NULL;
    int result = file_exists(path) ? json_parse_file(out, path, CONFIG_BYTES_MAX, error) : 0;
    free(path);
    return result;
}

/* A token's text, or its content. */
static const char *token_of(const cJSON *json, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);
    if (cJSON_IsObject(item))
        item = cJSON_GetObjectItemCaseSensitive(item, "content");
    return cJSON_IsString(item) ? item->valuestring : NULL;
}

const char *special_token_text(const cJSON *config, const cJSON *map, const char *key) {
    const char *text = token_of(config, key);
    return text ? text : token_of(map, key);
}

/* What a class of transformers has for a token where no file has the key at all. */
static const char *class_default(const cJSON *config, const char *key) {
    static const struct {
        const char *class, *unk, *bos, *eos, *pad;
    } classes[] = {{"LlamaTokenizer", "<unk>", "<s>", "</s>", NULL},
                   {"GPT2Tokenizer", "<|endoftext|>", "<|endoftext|>", "<|endoftext|>", NULL},
                   {"Qwen2Tokenizer", "<|endoftext|>", NULL, "<|endoftext|>", "<|endoftext|>"}};
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(config, "tokenizer_class");
    for (size_t i = 0; cJSON_IsString(name) && i < sizeof classes / sizeof *classes; i++) {
        size_t n = strlen(classes[i].class);
        const char *rest = name->valuestring + n;
        if (strncmp(name->valuestring, classes[i].class, n) != 0 || (*rest && strcmp(rest, "Fast") != 0))
            continue;
        return strcmp(key, "unk_token") == 0   ? classes[i].unk
               : strcmp(key, "bos_token") == 0 ? classes[i].bos
               : strcmp(key, "eos_token") == 0 ? classes[i].eos
                                               : classes[i].pad;
    }
    return NULL;
}

static const char *named_token(const cJSON *config, const cJSON *map, const char *key) {
    const char *text = special_token_text(config, map, key);
    if (text || cJSON_GetObjectItemCaseSensitive(config, key))
        return text;
    return class_default(config, key);
}

static void append_token(Buffer *out, const char *name, const char *text, int64_t id) {
    buffer_printf(out, "\"tokenizer_%s_token\": [", name);
    if (text)
        text_append_json(out, text, strlen(text));
    else
        buffer_append_text(out, "null");
    if (id < 0)
        buffer_append_text(out, ", \"None\"], ");
    else
        buffer_printf(out, ", \"%lld\"], ", (long long)id);
}

int special_tokens_json(const char *folder, const Tokenizer *tokenizer, char **out, Error *error) {
    cJSON *config = NULL, *map = NULL;
    Buffer json = {0};
    int result = special_tokens_read_file(folder, "tokenizer_config.json", &config, error) ||
                 special_tokens_read_file(folder, "special_tokens_map.json", &map, error);
    *out = NULL;
    if (!result) {
        const char *pad = named_token(config, map, "pad_token"), *eos = named_token(config, map, "eos_token"),
                   *bos = named_token(config, map, "bos_token"), *unk = named_token(config, map, "unk_token");
        int64_t eos_id = eos ? tokenizer_token_id(tokenizer, eos) : -1;
        pad = pad ? pad : unk ? unk : eos;
        int64_t pad_id = pad ? tokenizer_token_id(tokenizer, pad) : tokenizer_vocab_size(tokenizer);
        buffer_append_char(&json, '{');
        append_token(&json, "pad", pad ? pad : "<|pad|>", pad_id); /* lm-eval adds one where there is none */
        append_token(&json, "eos", eos, eos_id);
        append_token(&json, "bos", bos, bos ? tokenizer_token_id(tokenizer, bos) : -1);
        if (eos_id < 0)
            buffer_append_text(&json, "\"eot_token_id\": null}");
        else
            buffer_printf(&json, "\"eot_token_id\": %lld}", (long long)eos_id);
        *out = buffer_take(&json);
    }
    buffer_free(&json);
    cJSON_Delete(config);
    cJSON_Delete(map);
    return result ? -1 : 0;
}
