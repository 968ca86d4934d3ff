/* The tables of byte-pair encoding, and how a tokenizer.json fills them. Other formats (model_file.c) use the
 * same steps: bpe_reserve, bpe_add_piece for each piece, bpe_reserve_merges, bpe_add_merge in order of rank,
 * bpe_finish. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/tokenizer/tokenizer_internal.h"

/* ---- tables */

static uint64_t pair_key(int32_t left, int32_t right) {
    return (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
}

static size_t pair_hash(uint64_t key) {
    key ^= key >> 31;
    key *= 0x9E3779B97F4A7C15u;
    return (size_t)(key ^ key >> 32);
}

MergeSlot *bpe_merge_slot(const Bpe *bpe, int32_t left, int32_t right) {
    uint64_t key = pair_key(left, right);
    size_t at = pair_hash(key) & bpe->merge_mask;
    while (bpe->merges[at].pair != key && bpe->merges[at].pair != UINT64_MAX)
        at = (at + 1) & bpe->merge_mask;
    return &bpe->merges[at];
}

bool bpe_may_join(const Bpe *bpe, int32_t left, int32_t right) {
    size_t bit = pair_hash(pair_key(left, right)) % JOIN_BITS;
    return bpe->joins[bit / 64] >> bit % 64 & 1;
}

WholeState bpe_whole(const Bpe *bpe, int32_t id) {
    return (WholeState)atomic_load_explicit(&bpe->whole[id], memory_order_relaxed);
}

void bpe_set_whole(const Bpe *bpe, int32_t id, bool whole) {
    atomic_store_explicit(&bpe->whole[id], whole ? WHOLE_YES : WHOLE_NO, memory_order_relaxed);
}

int bpe_reserve(Bpe *bpe, size_t n_pieces, size_t n_ids, Error *error) {
    if (mem_try_alloc((void **)&bpe->texts, n_ids, sizeof *bpe->texts, "the vocabulary", error) ||
        mem_try_alloc((void **)&bpe->whole, n_ids, sizeof *bpe->whole, "the vocabulary", error) ||
        mem_try_alloc((void **)&bpe->joins, JOIN_BITS / 64, sizeof *bpe->joins, "the vocabulary", error) ||
        string_table_reserve(&bpe->ids, n_pieces, error))
        return -1;
    bpe->n_texts = n_ids;
    return 0;
}

int bpe_add_piece(Bpe *bpe, Arena *arena, const char *text, size_t bytes, int32_t id, const char *where,
                  Error *error) {
    TokenText *slot = &bpe->texts[id];
    if (slot->text)
        return error_set(error, "%s: vocab entries \"%s\" and \"%.*s\" both have the id %d", where,
                         slot->text, (int)(bytes < 200 ? bytes : 200), text, id);
    if (string_table_find(&bpe->ids, text, bytes) >= 0)
        return error_set(error, "%s: vocab entry \"%.*s\" is there twice", where,
                         (int)(bytes < 200 ? bytes : 200), text);
    *slot = (TokenText){arena_strndup(arena, text, bytes), bytes};
    string_table_put(&bpe->ids, slot->text, bytes, id);
    bpe->longest_piece = bytes > bpe->longest_piece ? bytes : bpe->longest_piece;
    return 0;
}

int bpe_reserve_merges(Bpe *bpe, size_t n, const char *where, Error *error) {
    size_t capacity = 16;
    if (n > INT32_MAX / 4)
        return error_set(error, "%s: there are %zu merges, which is too many", where, n);
    while (capacity / 2 < n + 1)
        capacity *= 2;
    if (mem_try_alloc((void **)&bpe->merges, capacity, sizeof *bpe->merges, "the table of merges", error))
        return -1;
    bpe->merge_mask = capacity - 1;
    for (size_t i = 0; i < capacity; i++)
        bpe->merges[i].pair = UINT64_MAX;
    return 0;
}

void bpe_add_merge(Bpe *bpe, int32_t left, int32_t right, int32_t rank, int32_t merged) {
    *bpe_merge_slot(bpe, left, right) = (MergeSlot){pair_key(left, right), rank, merged};
}

static int32_t character_id(const Bpe *bpe, const char *text, size_t bytes, uint32_t code) {
    return code < N_SMALL_CHARACTERS ? bpe->small_ids[code] : string_table_find(&bpe->ids, text, bytes);
}

/* Notes every two characters that stand side by side in a piece. */
static void index_joins(Bpe *bpe, const char *text, size_t bytes) {
    int32_t left = -1;
    for (size_t at = 0, length; at < bytes; at += length) {
        uint32_t code;
        length = utf8_decode(text + at, bytes - at, &code);
        int32_t right = character_id(bpe, text + at, length, code);
        if (left >= 0 && right >= 0) {
            size_t bit = pair_hash(pair_key(left, right)) % JOIN_BITS;
            bpe->joins[bit / 64] |= (uint64_t)1 << bit % 64;
        }
        left = right;
    }
}

int bpe_finish(Bpe *bpe, const char *unknown, const char *where, Error *error) {
    char text[8];
    for (uint32_t code = 0; code < N_SMALL_CHARACTERS; code++)
        bpe->small_ids[code] = string_table_find(&bpe->ids, text, utf8_encode(code, text));
    for (int byte = 0; byte < 256; byte++) {
        int length = snprintf(text, sizeof text, "<0x%02X>", (unsigned)byte);
        bpe->byte_ids[byte] = string_table_find(&bpe->ids, text, (size_t)length);
    }
    for (size_t id = 0; id < bpe->n_texts; id++)
        if (bpe->texts[id].text)
            index_joins(bpe, bpe->texts[id].text, bpe->texts[id].bytes);
    bpe->unknown_id = unknown ? string_table_find(&bpe->ids, unknown, strlen(unknown)) : -1;
    if (unknown && bpe->unknown_id < 0)
        return error_set(error, "%s: the unk_token \"%s\" is not in the vocabulary", where, unknown);
    return 0;
}

void bpe_free(Bpe *bpe) {
    string_table_free(&bpe->ids);
    free(bpe->texts);
    free(bpe->whole);
    free(bpe->joins);
    free(bpe->merges);
    *bpe = (Bpe){0};
}

/* ---- tokenizer.json */

static int load_options(Bpe *bpe, const cJSON *model, const char **unknown, const char *where, Error *error) {
    double dropout = 0;
    const char *prefix = "", *suffix = "";
    if (json_opt_double(model, "dropout", &dropout, where, error) ||
        json_opt_string(model, "continuing_subword_prefix", &prefix, where, error) ||
        json_opt_string(model, "end_of_word_suffix", &suffix, where, error) ||
        json_opt_string(model, "unk_token", unknown, where, error) ||
        json_opt_bool(model, "byte_fallback", &bpe->byte_fallback, where, error) ||
        json_opt_bool(model, "fuse_unk", &bpe->fuse_unknown, where, error) ||
        json_opt_bool(model, "ignore_merges", &bpe->ignore_merges, where, error))
        return -1;
    if (dropout != 0)
        return error_set(error, "%s: field \"dropout\": found %g, expected none: encoding must not be random",
                         where, dropout);
    if (*prefix)
        return error_set(error,
                         "%s: field \"continuing_subword_prefix\": found \"%s\", which is not supported",
                         where, prefix);
    if (*suffix)
        return error_set(error, "%s: field \"end_of_word_suffix\": found \"%s\", which is not supported",
                         where, suffix);
    return 0;
}

/* The number of entries and the largest id of a vocabulary. */
static int measure_vocabulary(const cJSON *vocabulary, size_t *n, int64_t *largest, const char *where,
                              Error *error) {
    const cJSON *item;
    *n = 0;
    *largest = -1;
    cJSON_ArrayForEach(item, vocabulary) {
        int64_t id;
        if (!json_to_int(item, 0, MAX_TOKEN_ID, &id)) {
            if (!cJSON_IsNumber(item))
                return error_set(error, "%s: vocab entry \"%s\": found %s, expected an id", where,
                                 item->string, json_type_name(item));
            return error_set(error, "%s: vocab entry \"%s\": found the id %.17g, expected one from 0 to %d",
                             where, item->string, item->valuedouble, MAX_TOKEN_ID);
        }
        *largest = id > *largest ? id : *largest;
        ++*n;
    }
    if (*n == 0)
        return error_set(error, "%s: field \"vocab\" is empty, expected at least one entry", where);
    return 0;
}

static int load_vocabulary(Bpe *bpe, const cJSON *vocabulary, Arena *arena, const char *where, Error *error) {
    size_t n;
    int64_t largest;
    const cJSON *item;
    if (measure_vocabulary(vocabulary, &n, &largest, where, error) ||
        bpe_reserve(bpe, n, (size_t)largest + 1, error))
        return -1;
    cJSON_ArrayForEach(item, vocabulary) {
        if (bpe_add_piece(bpe, arena, item->string, strlen(item->string), (int32_t)item->valuedouble, where,
                          error))
            return -1;
    }
    return 0;
}

/* Reads a merge, "left right" or ["left", "right"]. */
static int read_merge(const cJSON *item, const char **left, size_t *left_bytes, const char **right,
                      size_t *right_bytes) {
    if (cJSON_IsString(item)) {
        const char *space = strchr(item->valuestring, ' ');
        if (!space || strchr(space + 1, ' '))
            return -1;
        *left = item->valuestring;
        *left_bytes = (size_t)(space - *left);
        *right = space + 1;
    } else {
        const cJSON *first = cJSON_IsArray(item) ? item->child : NULL;
        const cJSON *second = first ? first->next : NULL;
        if (!cJSON_IsString(first) || !cJSON_IsString(second) || second->next)
            return -1;
        *left = first->valuestring;
        *left_bytes = strlen(*left);
        *right = second->valuestring;
    }
    *right_bytes = strlen(*right);
    return 0;
}

static int missing_piece(int32_t rank, const char *piece, size_t bytes, const char *where, Error *error) {
    return error_set(error, "%s: merge %d needs the piece \"%.*s\", which is not in the vocabulary", where,
                     (int)rank, (int)(bytes < 200 ? bytes : 200), piece);
}

static int read_and_add_merge(Bpe *bpe, const cJSON *item, int32_t rank, Buffer *joined, const char *where,
                              Error *error) {
    const char *left, *right;
    size_t left_bytes, right_bytes;
    if (read_merge(item, &left, &left_bytes, &right, &right_bytes))
        return error_set(error, "%s: merge %d: found %s%s%s, expected \"left right\" or two strings", where,
                         (int)rank, cJSON_IsString(item) ? "\"" : "",
                         cJSON_IsString(item) ? item->valuestring : json_type_name(item),
                         cJSON_IsString(item) ? "\"" : "");
    int32_t left_id = string_table_find(&bpe->ids, left, left_bytes);
    int32_t right_id = string_table_find(&bpe->ids, right, right_bytes);
    if (left_id < 0)
        return missing_piece(rank, left, left_bytes, where, error);
    if (right_id < 0)
        return missing_piece(rank, right, right_bytes, where, error);
    buffer_clear(joined);
    buffer_append(joined, left, left_bytes);
    buffer_append(joined, right, right_bytes);
    int32_t merged = string_table_find(&bpe->ids, joined->data, joined->size);
    if (merged < 0)
        return missing_piece(rank, joined->data, joined->size, where, error);
    bpe_add_merge(bpe, left_id, right_id, rank, merged);
    return 0;
}

static int load_merges(Bpe *bpe, const cJSON *merges, const char *where, Error *error) {
    size_t n = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, merges) n++;
    if (bpe_reserve_merges(bpe, n, where, error))
        return -1;
    Buffer joined = {0};
    int32_t rank = 0;
    int result = 0;
    cJSON_ArrayForEach(item, merges) {
        if (cJSON_IsString(item) && text_starts_with(item->valuestring, "#version"))
            continue;
        if ((result = read_and_add_merge(bpe, item, rank++, &joined, where, error)))
            break;
    }
    buffer_free(&joined);
    return result;
}

int bpe_load(Bpe *bpe, const cJSON *model, Arena *arena, const char *where, Error *error) {
    const cJSON *vocabulary, *merges;
    const char *unknown = NULL;
    if (load_options(bpe, model, &unknown, where, error) ||
        json_get_object(model, "vocab", &vocabulary, where, error) ||
        json_get_array(model, "merges", &merges, where, error) ||
        load_vocabulary(bpe, vocabulary, arena, where, error) || load_merges(bpe, merges, where, error))
        return -1;
    return bpe_finish(bpe, unknown, where, error);
}
