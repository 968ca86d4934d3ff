/* Reads tokenizer.json. The file's components are loaded by the files that run them; this one walks the JSON
 * and checks the frame. */
#include <stdlib.h>
#include <string.h>

#include "runner/tokenizer/tokenizer_internal.h"

enum { MAX_FILE_BYTES = 512 << 20, MAX_NESTING = 16 };

/* ---- chains */

typedef struct Walk {
    const char *list_key;
    ChainVisitor *visit;
    void *context;
    const char *where;
    int n;
} Walk;

static int walk_component(Walk *walk, const cJSON *json, int depth, Error *error) {
    const cJSON *list, *item;
    const char *type;
    if (!cJSON_IsObject(json))
        return error_set(error, "%s: found %s, expected an object with a \"type\"", walk->where,
                         json_type_name(json));
    if (json_get_string(json, "type", &type, walk->where, error))
        return -1;
    if (strcmp(type, "Sequence") != 0) {
        if (++walk->n > MAX_CHAIN)
            return error_set(error, "%s: more than %d components", walk->where, MAX_CHAIN);
        return walk->visit(walk->context, type, json, walk->where, error);
    }
    if (depth == MAX_NESTING)
        return error_set(error, "%s: sequences are nested more than %d deep", walk->where, MAX_NESTING);
    if (json_get_array(json, walk->list_key, &list, walk->where, error))
        return -1;
    cJSON_ArrayForEach(item, list) {
        if (walk_component(walk, item, depth + 1, error))
            return -1;
    }
    return 0;
}

int chain_walk(const cJSON *json, const char *list_key, ChainVisitor *visit, void *context, const char *where,
               Error *error) {
    Walk walk = {list_key, visit, context, where, 0};
    if (!json || cJSON_IsNull(json))
        return 0;
    return walk_component(&walk, json, 0, error);
}

/* Lengthens an array by one zeroed item and returns it. */
static void *append_zeroed(void **items, size_t *n, size_t bytes_each) {
    *items = mem_realloc(*items, (*n + 1) * bytes_each);
    void *item = (char *)*items + (*n)++ * bytes_each;
    return memset(item, 0, bytes_each);
}

static int visit_normalizer(void *context, const char *type, const cJSON *json, const char *where,
                            Error *error) {
    Tokenizer *tokenizer = context;
    Normalizer *item =
        append_zeroed((void **)&tokenizer->normalizers, &tokenizer->n_normalizers, sizeof *item);
    return normalizer_load(item, type, json, &tokenizer->arena, where, error);
}

static int visit_pre_tokenizer(void *context, const char *type, const cJSON *json, const char *where,
                               Error *error) {
    Tokenizer *tokenizer = context;
    PreTokenizer *item =
        append_zeroed((void **)&tokenizer->pre_tokenizers, &tokenizer->n_pre_tokenizers, sizeof *item);
    return pre_tokenizer_load(item, type, json, &tokenizer->arena, where, error);
}

static int visit_decoder(void *context, const char *type, const cJSON *json, const char *where,
                         Error *error) {
    Tokenizer *tokenizer = context;
    Decoder *item = append_zeroed((void **)&tokenizer->decoders, &tokenizer->n_decoders, sizeof *item);
    return decoder_load(item, type, json, &tokenizer->arena, where, error);
}

static int visit_post_processor(void *context, const char *type, const cJSON *json, const char *where,
                                Error *error) {
    Tokenizer *tokenizer = context;
    return post_processor_load(&tokenizer->template_ids, type, json, where, error);
}

/* The four chains of the file, in the order in which they must be loaded. */
static const struct {
    const char *key, *list_key;
    ChainVisitor *visit;
} chains[] = {
    {"normalizer", "normalizers", visit_normalizer},
    {"pre_tokenizer", "pretokenizers", visit_pre_tokenizer},
    {"post_processor", "processors", visit_post_processor},
    {"decoder", "decoders", visit_decoder},
};

/* ---- tokenizer.json */

static int load_model(Tokenizer *tokenizer, const cJSON *root, const char *path, Error *error) {
    const cJSON *model;
    const char *where = arena_printf(&tokenizer->arena, "%s: model", path), *type = "BPE";
    if (json_get_object(root, "model", &model, path, error) ||
        json_opt_string(model, "type", &type, where, error))
        return -1;
    if (strcmp(type, "BPE") != 0)
        return error_set(error, "%s: the model type \"%s\" is not supported, expected BPE", path, type);
    return bpe_load(&tokenizer->bpe, model, &tokenizer->arena, where, error);
}

int tokenizer_load_stages(Tokenizer *tokenizer, const cJSON *root, const char *path, Error *error) {
    token_ids_append(&tokenizer->template_ids, TEMPLATE_TEXT);
    for (size_t i = 0; i < sizeof chains / sizeof *chains; i++) {
        const char *where = arena_printf(&tokenizer->arena, "%s: %s", path, chains[i].key);
        if (chain_walk(cJSON_GetObjectItemCaseSensitive(root, chains[i].key), chains[i].list_key,
                       chains[i].visit, tokenizer, where, error))
            return -1;
    }
    tokenizer->has_decoder = cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(root, "decoder"));
    return 0;
}

static int load_root(Tokenizer *tokenizer, const cJSON *root, const char *path, Error *error) {
    const char *version = "1.0";
    if (!cJSON_IsObject(root))
        return error_set(error, "%s: found %s, expected an object with a \"model\"", path,
                         json_type_name(root));
    if (json_opt_string(root, "version", &version, path, error))
        return -1;
    if (strcmp(version, "1.0") != 0)
        return error_set(error, "%s: field \"version\": found \"%s\", expected \"1.0\"", path, version);
    if (load_model(tokenizer, root, path, error))
        return -1;
    if (tokenizer_load_stages(tokenizer, root, path, error))
        return -1;
    const cJSON *added = cJSON_GetObjectItemCaseSensitive(root, "added_tokens");
    if (added && !cJSON_IsArray(added) && !cJSON_IsNull(added))
        return error_set(error, "%s: field \"added_tokens\": found %s, expected an array", path,
                         json_type_name(added));
    return added_tokens_load(tokenizer, added, arena_printf(&tokenizer->arena, "%s: added_tokens", path),
                             error);
}

int tokenizer_load_json(Tokenizer *tokenizer, const char *path, Error *error) {
    cJSON *root;
    if (json_parse_file(&root, path, MAX_FILE_BYTES, error))
        return -1;
    int result = load_root(tokenizer, root, path, error);
    cJSON_Delete(root);
    return result;
}

/* Every id that SPECIAL_ADD writes must exist. */
static int check_template(const Tokenizer *tokenizer, const char *path, Error *error) {
    for (size_t i = 0; i < tokenizer->template_ids.n; i++) {
        int32_t id = tokenizer->template_ids.ids[i];
        if (id != TEMPLATE_TEXT && !tokenizer_token_text(tokenizer, id))
            return error_set(error, "%s: post_processor: the id %d is not in the vocabulary", path, (int)id);
    }
    return 0;
}

int tokenizer_finish_loading(Tokenizer *tokenizer, const char *path, Error *error) {
    if (added_tokens_index(tokenizer, error) || check_template(tokenizer, path, error))
        return -1;
    int32_t first = tokenizer->template_ids.n ? tokenizer->template_ids.ids[0] : TEMPLATE_TEXT;
    if (first != TEMPLATE_TEXT) {
        tokenizer->bos_id = first;
        tokenizer->bos_text = tokenizer_token_text(tokenizer, first);
    }
    return 0;
}
