/* Byte-pair encoding: a word starts as one symbol per character, and the pair with the smallest merge rank,
 * leftmost first, is merged until no pair has a merge. Symbols are a doubly linked list in an array; the
 * pairs that could be merged wait in a heap ordered by (rank, position), so a word of n characters takes O(n
 * log n). A heap entry whose pair has changed since is recognised by its merged id and dropped. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/tokenizer/tokenizer_internal.h"

/* ---- encoding */

static uint64_t pair_key(int32_t left, int32_t right) {
    return (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
}

static size_t pair_hash(uint64_t key) {
    key ^= key >> 31;
    key *= 0x9E3779B97F4A7C15u;
    return (size_t)(key ^ key >> 32);
}

/* The slot of a pair, or the free one where it would go. */
static MergeSlot *merge_slot(const Bpe *bpe, uint64_t key) {
    size_t at = pair_hash(key) & bpe->merge_mask;
    while (bpe->merges[at].pair != key && bpe->merges[at].pair != UINT64_MAX)
        at = (at + 1) & bpe->merge_mask;
    return &bpe->merges[at];
}

static const MergeSlot *find_merge(const Bpe *bpe, int32_t left, int32_t right) {
    const MergeSlot *slot = merge_slot(bpe, pair_key(left, right));
    return slot->pair == UINT64_MAX ? NULL : slot;
}

static void push_symbol(BpeScratch *scratch, int32_t id) {
    if (scratch->n_symbols == scratch->symbols_capacity) {
        scratch->symbols_capacity = scratch->symbols_capacity ? scratch->symbols_capacity * 2 : 128;
        scratch->symbols =
            mem_realloc(scratch->symbols, scratch->symbols_capacity * sizeof *scratch->symbols);
    }
    int32_t at = (int32_t)scratch->n_symbols++;
    scratch->symbols[at] = (BpeSymbol){id, at - 1, at + 1};
}

static bool before(BpeCandidate a, BpeCandidate b) {
    return a.rank != b.rank ? a.rank < b.rank : a.at < b.at;
}

static void sift_down(BpeCandidate *heap, size_t n, size_t at) {
    BpeCandidate moving = heap[at];
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && before(heap[child + 1], heap[child]))
            child++;
        if (!before(heap[child], moving))
            break;
        heap[at] = heap[child];
    }
    heap[at] = moving;
}

/* Appends without ordering. */
static void heap_append(BpeScratch *scratch, BpeCandidate candidate) {
    if (scratch->n_heap == scratch->heap_capacity) {
        scratch->heap_capacity = scratch->heap_capacity ? scratch->heap_capacity * 2 : 128;
        scratch->heap = mem_realloc(scratch->heap, scratch->heap_capacity * sizeof *scratch->heap);
    }
    scratch->heap[scratch->n_heap++] = candidate;
}

static void heap_push(BpeScratch *scratch, BpeCandidate candidate) {
    heap_append(scratch, candidate);
    BpeCandidate *heap = scratch->heap;
    size_t at = scratch->n_heap - 1;
    for (; at && before(candidate, heap[(at - 1) / 2]); at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = candidate;
}

static BpeCandidate heap_pop(BpeScratch *scratch) {
    BpeCandidate top = scratch->heap[0];
    scratch->heap[0] = scratch->heap[--scratch->n_heap];
    if (scratch->n_heap)
        sift_down(scratch->heap, scratch->n_heap, 0);
    return top;
}

static void push_pair(const Bpe *bpe, BpeScratch *scratch, int32_t at) {
    const BpeSymbol *left = &scratch->symbols[at];
    const MergeSlot *merge = find_merge(bpe, left->id, scratch->symbols[left->next].id);
    if (merge)
        heap_push(scratch, (BpeCandidate){merge->rank, at, merge->merged});
}

/* A symbol that was merged into its left neighbour has id -1. */
static void merge_symbols(const Bpe *bpe, BpeScratch *scratch) {
    BpeSymbol *symbols = scratch->symbols;
    size_t n = scratch->n_symbols;
    if (n)
        symbols[n - 1].next = -1;
    scratch->n_heap = 0;
    for (size_t i = 0; i + 1 < n; i++) {
        const MergeSlot *merge = find_merge(bpe, symbols[i].id, symbols[i + 1].id);
        if (merge)
            heap_append(scratch, (BpeCandidate){merge->rank, (int32_t)i, merge->merged});
    }
    for (size_t i = scratch->n_heap / 2; i-- > 0;)
        sift_down(scratch->heap, scratch->n_heap, i);

    while (scratch->n_heap) {
        BpeCandidate top = heap_pop(scratch);
        BpeSymbol *left = &symbols[top.at];
        if (left->id < 0 || left->next < 0)
            continue;
        BpeSymbol *right = &symbols[left->next];
        const MergeSlot *merge = find_merge(bpe, left->id, right->id);
        if (!merge || merge->merged != top.merged)
            continue;
        left->id = top.merged;
        left->next = right->next;
        right->id = -1;
        if (left->next >= 0) {
            symbols[left->next].previous = top.at;
            push_pair(bpe, scratch, top.at);
        }
        if (left->previous >= 0)
            push_pair(bpe, scratch, left->previous);
    }
}

/* Adds the bytes of a character as symbols; false if the vocabulary lacks one of them. */
static bool push_bytes(const Bpe *bpe, BpeScratch *scratch, const char *text, size_t bytes) {
    for (size_t i = 0; i < bytes; i++)
        if (bpe->byte_ids[(uint8_t)text[i]] < 0)
            return false;
    for (size_t i = 0; i < bytes; i++)
        push_symbol(scratch, bpe->byte_ids[(uint8_t)text[i]]);
    return true;
}

/* One symbol per character. As in the reference, a run of unknown characters is written out when the next
 * known one comes, so bytes of the fallback may overtake it; without an unknown token it is dropped. */
static void split_symbols(const Bpe *bpe, const char *word, size_t bytes, BpeScratch *scratch) {
    bool unknown_waits = false;
    scratch->n_symbols = 0;
    for (size_t at = 0, length; at < bytes; at += length) {
        uint32_t code;
        length = utf8_decode(word + at, bytes - at, &code);
        int32_t id = code < N_SMALL_CHARACTERS ? bpe->small_ids[code]
                                               : string_table_find(&bpe->ids, word + at, length);
        if (id >= 0) {
            if (unknown_waits)
                push_symbol(scratch, bpe->unknown_id);
            unknown_waits = false;
            push_symbol(scratch, id);
        } else if (bpe->byte_fallback && push_bytes(bpe, scratch, word + at, length)) {
            continue;
        } else if (bpe->unknown_id >= 0) {
            if (unknown_waits && !bpe->fuse_unknown)
                push_symbol(scratch, bpe->unknown_id);
            unknown_waits = true;
        }
    }
    if (unknown_waits)
        push_symbol(scratch, bpe->unknown_id);
}

int bpe_encode(const Bpe *bpe, const char *word, size_t bytes, BpeScratch *scratch, TokenIds *out,
               Error *error) {
    if (bytes >= INT32_MAX / 2)
        return error_set(error, "a word of %zu bytes is too long to encode, expected less than %d", bytes,
                         INT32_MAX / 2);
    if (bpe->ignore_merges) {
        int32_t id = string_table_find(&bpe->ids, word, bytes);
        if (id >= 0) {
            token_ids_append(out, id);
            return 0;
        }
    }
    split_symbols(bpe, word, bytes, scratch);
    merge_symbols(bpe, scratch);
    for (int32_t at = scratch->n_symbols ? 0 : -1; at >= 0; at = scratch->symbols[at].next)
        token_ids_append(out, scratch->symbols[at].id);
    return 0;
}

void bpe_scratch_free(BpeScratch *scratch) {
    free(scratch->symbols);
    free(scratch->heap);
    *scratch = (BpeScratch){0};
}

/* ---- loading */

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
        mem_try_alloc((void **)&bpe->texts, (size_t)largest + 1, sizeof *bpe->texts, "the vocabulary",
                      error) ||
        string_table_reserve(&bpe->ids, n, error))
        return -1;
    bpe->n_texts = (size_t)largest + 1;
    cJSON_ArrayForEach(item, vocabulary) {
        size_t bytes = strlen(item->string);
        int32_t id = (int32_t)item->valuedouble;
        TokenText *slot = &bpe->texts[id];
        if (slot->text)
            return error_set(error, "%s: vocab entries \"%s\" and \"%s\" both have the id %d", where,
                             slot->text, item->string, id);
        if (string_table_find(&bpe->ids, item->string, bytes) >= 0)
            return error_set(error, "%s: vocab entry \"%s\" is there twice", where, item->string);
        *slot = (TokenText){arena_strndup(arena, item->string, bytes), bytes};
        string_table_put(&bpe->ids, slot->text, bytes, id);
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

static int add_merge(Bpe *bpe, const cJSON *item, int32_t rank, Buffer *joined, const char *where,
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
    uint64_t key = pair_key(left_id, right_id);
    *merge_slot(bpe, key) = (MergeSlot){key, rank, merged};
    return 0;
}

static int load_merges(Bpe *bpe, const cJSON *merges, const char *where, Error *error) {
    size_t n = 0, capacity = 16;
    const cJSON *item;
    cJSON_ArrayForEach(item, merges) n++;
    if (n > INT32_MAX / 4)
        return error_set(error, "%s: field \"merges\" has %zu entries, which is too many", where, n);
    while (capacity / 2 < n + 1)
        capacity *= 2;
    if (mem_try_alloc((void **)&bpe->merges, capacity, sizeof *bpe->merges, "the table of merges", error))
        return -1;
    bpe->merge_mask = capacity - 1;
    for (size_t i = 0; i < capacity; i++)
        bpe->merges[i].pair = UINT64_MAX;
    Buffer joined = {0};
    int32_t rank = 0;
    int result = 0;
    cJSON_ArrayForEach(item, merges) {
        if (cJSON_IsString(item) && text_starts_with(item->valuestring, "#version"))
            continue;
        if ((result = add_merge(bpe, item, rank++, &joined, where, error)))
            break;
    }
    buffer_free(&joined);
    return result;
}

/* Fills the tables that make the common look-ups an index. */
static void index_characters(Bpe *bpe) {
    char text[8];
    for (uint32_t code = 0; code < N_SMALL_CHARACTERS; code++)
        bpe->small_ids[code] = string_table_find(&bpe->ids, text, utf8_encode(code, text));
    for (int byte = 0; byte < 256; byte++) {
        int length = snprintf(text, sizeof text, "<0x%02X>", (unsigned)byte);
        bpe->byte_ids[byte] = string_table_find(&bpe->ids, text, (size_t)length);
    }
}

int bpe_load(Bpe *bpe, const cJSON *model, Arena *arena, const char *where, Error *error) {
    const cJSON *vocabulary, *merges;
    const char *unknown = NULL;
    bpe->unknown_id = -1;
    if (load_options(bpe, model, &unknown, where, error) ||
        json_get_object(model, "vocab", &vocabulary, where, error) ||
        json_get_array(model, "merges", &merges, where, error) ||
        load_vocabulary(bpe, vocabulary, arena, where, error) || load_merges(bpe, merges, where, error))
        return -1;
    index_characters(bpe);
    if (!unknown)
        return 0;
    bpe->unknown_id = string_table_find(&bpe->ids, unknown, strlen(unknown));
    if (bpe->unknown_id < 0)
        return error_set(error, "%s: the unk_token \"%s\" is not in the vocabulary", where, unknown);
    return 0;
}

void bpe_free(Bpe *bpe) {
    string_table_free(&bpe->ids);
    free(bpe->texts);
    free(bpe->merges);
    *bpe = (Bpe){0};
}
