/* Post-processors, folded at load time into one list of ids around the text. A processor in a sequence works
 * on what those before it made, so its "A" is replaced by the list so far. */
#include <string.h>

#include "runner/tokenizer/tokenizer_internal.h"

static int append(TokenIds *list, int32_t id, const char *where, Error *error) {
    if (list->n >= MAX_TEMPLATE)
        return error_set(error, "%s: the post_processor adds more than %d tokens", where, MAX_TEMPLATE);
    token_ids_append(list, id);
    return 0;
}

static int append_special(TokenIds *list, const cJSON *specials, const char *name, const char *where,
                          Error *error) {
    const cJSON *special = cJSON_GetObjectItemCaseSensitive(specials, name), *item;
    const cJSON *ids = cJSON_GetObjectItemCaseSensitive(special, "ids");
    if (!cJSON_IsArray(ids))
        return error_set(error, "%s: the template's token \"%s\" is missing from \"special_tokens\"", where,
                         name);
    cJSON_ArrayForEach(item, ids) {
        int64_t id;
        if (!json_to_int(item, 0, MAX_TOKEN_ID, &id))
            return error_set(error, "%s: special token \"%s\": found %s among its ids, expected 0 to %d",
                             where, name, json_type_name(item), MAX_TOKEN_ID);
        if (append(list, (int32_t)id, where, error))
            return -1;
    }
    return 0;
}

static int append_sequence(TokenIds *list, const TokenIds *before, const char *name, const char *where,
                           Error *error) {
    if (strcmp(name, "A") != 0)
        return error_set(error, "%s: the template \"single\" uses the sequence \"%s\", expected \"A\"", where,
                         name);
    for (size_t i = 0; i < before->n; i++)
        if (append(list, before->ids[i], where, error))
            return -1;
    return 0;
}

static int read_template(TokenIds *list, const TokenIds *before, const cJSON *json, const char *where,
                         Error *error) {
    const cJSON *single, *piece;
    const cJSON *specials = cJSON_GetObjectItemCaseSensitive(json, "special_tokens");
    if (json_get_array(json, "single", &single, where, error))
        return -1;
    cJSON_ArrayForEach(piece, single) {
        const cJSON *special = cJSON_GetObjectItemCaseSensitive(piece, "SpecialToken");
        const cJSON *sequence = cJSON_GetObjectItemCaseSensitive(piece, "Sequence");
        const char *name;
        if (!special && !sequence)
            return error_set(
                error, "%s: a piece of the template \"single\" is neither SpecialToken nor Sequence", where);
        if (json_get_string(special ? special : sequence, "id", &name, where, error))
            return -1;
        if (special ? append_special(list, specials, name, where, error)
                    : append_sequence(list, before, name, where, error))
            return -1;
    }
    return 0;
}

int post_processor_load(TokenIds *pattern, const char *type, const cJSON *json, const char *where,
                        Error *error) {
    if (strcmp(type, "ByteLevel") == 0)
        return 0; /* changes offsets only */
    if (strcmp(type, "TemplateProcessing") != 0)
        return error_set(error, "%s: the post_processor \"%s\" is not supported", where, type);
    TokenIds list = {0};
    if (read_template(&list, pattern, json, where, error)) {
        token_ids_free(&list);
        return -1;
    }
    token_ids_free(pattern);
    *pattern = list;
    return 0;
}
