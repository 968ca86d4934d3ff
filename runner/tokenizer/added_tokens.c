/* Added tokens: strings that are recognised in a text before the model sees it. Those with `normalized` are
 * looked for in the normalized text, in their normalized form; the others in the text as it came. At each
 * place the longest token wins; a trie of bytes finds it. */
#include <stdlib.h>
#include <string.h>

#include "runner/tokenizer/tokenizer_internal.h"

/* ---- the trie */

static void trie_begin(Trie *trie) {
    for (size_t i = 0; i < sizeof trie->roots / sizeof *trie->roots; i++)
        trie->roots[i] = -1;
}

static int32_t trie_new_node(Trie *trie, uint8_t byte, int32_t next_sibling) {
    if (trie->n == trie->capacity) {
        trie->capacity = trie->capacity ? trie->capacity * 2 : 64;
        trie->nodes = mem_realloc(trie->nodes, trie->capacity * sizeof *trie->nodes);
    }
    trie->nodes[trie->n] = (TrieNode){-1, next_sibling, -1, byte};
    return (int32_t)trie->n++;
}

static int32_t trie_child(const Trie *trie, int32_t first, uint8_t byte) {
    while (first >= 0 && trie->nodes[first].byte != byte)
        first = trie->nodes[first].next_sibling;
    return first;
}

static void trie_add(Trie *trie, const char *text, size_t bytes, int32_t token) {
    int32_t node = -1;
    for (size_t i = 0; i < bytes; i++) {
        uint8_t byte = (uint8_t)text[i];
        int32_t first = node < 0 ? trie->roots[byte] : trie->nodes[node].first_child;
        int32_t child = trie_child(trie, first, byte);
        if (child < 0) {
            child = trie_new_node(trie, byte, first);
            if (node < 0)
                trie->roots[byte] = child;
            else
                trie->nodes[node].first_child = child;
        }
        node = child;
    }
    if (node >= 0)
        trie->nodes[node].token = token;
}

/* The longest token that text begins with, -1 if none; *length is its length. */
static int32_t trie_longest(const Trie *trie, const char *text, size_t bytes, size_t *length) {
    int32_t found = -1, node = trie->roots[(uint8_t)text[0]];
    for (size_t i = 0; node >= 0; node = trie_child(trie, trie->nodes[node].first_child, (uint8_t)text[i])) {
        i++;
        if (trie->nodes[node].token >= 0) {
            found = trie->nodes[node].token;
            *length = i;
        }
        if (i == bytes)
            break;
    }
    return found;
}

/* ---- searching */

/* Start of the character that ends at `end`. */
static size_t previous_character(const char *text, size_t end) {
    do
        end--;
    while (end && ((unsigned char)text[end] & 0xC0) == 0x80);
    return end;
}

static bool word_before(const char *text, size_t at) {
    uint32_t code;
    if (at == 0)
        return false;
    size_t start = previous_character(text, at);
    utf8_decode(text + start, at - start, &code);
    return unicode_is_word(code);
}

static bool word_after(const char *text, size_t bytes, size_t at) {
    uint32_t code;
    if (at == bytes)
        return false;
    utf8_decode(text + at, bytes - at, &code);
    return unicode_is_word(code);
}

static size_t skip_space_back(const char *text, size_t at, size_t lowest) {
    while (at > lowest) {
        uint32_t code;
        size_t start = previous_character(text, at);
        utf8_decode(text + start, at - start, &code);
        if (!unicode_is_space(code))
            break;
        at = start;
    }
    return at;
}

static size_t skip_space(const char *text, size_t bytes, size_t at) {
    while (at < bytes) {
        uint32_t code;
        size_t length = utf8_decode(text + at, bytes - at, &code);
        if (!unicode_is_space(code))
            break;
        at += length;
    }
    return at;
}

void added_tokens_cut(const AddedTokens *added, const Trie *trie, const char *text, size_t bytes,
                      bool at_start, bool skip_special, Pieces *out) {
    size_t done = 0;
    for (size_t at = 0, length = 0; trie->n && at < bytes;) {
        int32_t index = trie_longest(trie, text + at, bytes - at, &length);
        if (index < 0) {
            at++;
            continue;
        }
        const AddedToken *token = &added->items[index];
        size_t start = at, end = at + length;
        at = end;
        if (token->special && skip_special)
            continue;
        if (token->single_word && (word_before(text, start) || word_after(text, bytes, end)))
            continue;
        /* Space that the token before took stays with it. */
        if (token->lstrip)
            start = skip_space_back(text, start, done < start ? done : start);
        if (token->rstrip)
            end = skip_space(text, bytes, end);
        if (done < start) {
            pieces_copy(out, text, done, start - done);
            pieces_close(out, -1, at_start && done == 0);
        }
        pieces_copy(out, text, start, end - start);
        pieces_close(out, token->id, false);
        done = end;
    }
    if (done < bytes) {
        pieces_copy(out, text, done, bytes - done);
        pieces_close(out, -1, at_start && done == 0);
    }
}

const AddedToken *added_tokens_by_id(const AddedTokens *added, int32_t id) {
    if (id < 0 || (size_t)id >= added->n_by_id || added->by_id[id] < 0)
        return NULL;
    return &added->items[added->by_id[id]];
}

/* ---- loading */

int added_token_read(AddedToken *token, const cJSON *json, Arena *arena, const char *where, Error *error) {
    const char *content;
    if (!cJSON_IsObject(json))
        return error_set(error, "%s: an entry of \"added_tokens\" is %s, expected an object", where,
                         json_type_name(json));
    if (json_get_string(json, "content", &content, where, error) ||
        json_opt_bool(json, "special", &token->special, where, error) ||
        json_opt_bool(json, "single_word", &token->single_word, where, error) ||
        json_opt_bool(json, "lstrip", &token->lstrip, where, error) ||
        json_opt_bool(json, "rstrip", &token->rstrip, where, error))
        return -1;
    token->normalized = !token->special;
    if (json_opt_bool(json, "normalized", &token->normalized, where, error))
        return -1;
    token->bytes = strlen(content);
    token->content = arena_strndup(arena, content, token->bytes);
    return 0;
}

static int normalize_content(Tokenizer *tokenizer, AddedToken *token, Error *error) {
    Buffer text = {0};
    bool at_start = true;
    buffer_append(&text, token->content, token->bytes);
    int result =
        normalizers_apply(tokenizer->normalizers, tokenizer->n_normalizers, &text, NULL, &at_start, error);
    if (!result && (text.size != token->bytes || memcmp(text.data, token->content, text.size) != 0)) {
        token->normalized_content = arena_strndup(&tokenizer->arena, text.size ? text.data : "", text.size);
        token->normalized_bytes = text.size;
    }
    buffer_free(&text);
    return result;
}

/* Appends a token, or replaces what is known about the one of the same content. */
static void put_token(AddedTokens *added, AddedToken token) {
    int32_t known = string_table_find(&added->index, token.content, token.bytes);
    if (known < 0) {
        if (added->n == added->capacity) {
            added->capacity = added->capacity ? added->capacity * 2 : 64;
            added->items = mem_realloc(added->items, added->capacity * sizeof *added->items);
        }
        known = (int32_t)added->n++;
    }
    added->items[known] = token;
    string_table_put(&added->index, token.content, token.bytes, known);
}

/* The id that the content has already, -1 if none. */
static int32_t known_id(const Tokenizer *tokenizer, const AddedToken *token) {
    int32_t known = string_table_find(&tokenizer->added.index, token->content, token->bytes);
    return known >= 0 ? tokenizer->added.items[known].id
                      : string_table_find(&tokenizer->bpe.ids, token->content, token->bytes);
}

int added_tokens_add(Tokenizer *tokenizer, AddedToken token, const char *where, Error *error) {
    if (token.bytes == 0)
        return 0;
    int32_t known = known_id(tokenizer, &token);
    if (known >= 0) {
        token.id = known;
    } else {
        const Bpe *bpe = &tokenizer->bpe;
        const char *piece = (size_t)token.id < bpe->n_texts ? bpe->texts[token.id].text : NULL;
        if (piece)
            return error_set(error, "%s: the token \"%s\" has the id %d, which is the vocabulary's \"%s\"",
                             where, token.content, (int)token.id, piece);
    }
    put_token(&tokenizer->added, token);
    return 0;
}

int added_tokens_index(Tokenizer *tokenizer, Error *error) {
    AddedTokens *added = &tokenizer->added;
    int32_t largest = -1;
    trie_begin(&added->raw);
    trie_begin(&added->normalized);
    for (size_t i = 0; i < added->n; i++) {
        AddedToken *token = &added->items[i];
        largest = token->id > largest ? token->id : largest;
        if (token->normalized && normalize_content(tokenizer, token, error))
            return -1;
    }
    added->n_by_id = (size_t)(largest + 1);
    if (mem_try_alloc((void **)&added->by_id, added->n_by_id, sizeof *added->by_id, "the added tokens",
                      error))
        return -1;
    for (size_t i = 0; i < added->n_by_id; i++)
        added->by_id[i] = -1;
    for (size_t i = 0; i < added->n; i++) {
        const AddedToken *token = &added->items[i];
        added->by_id[token->id] = (int32_t)i;
        if (token->normalized_content)
            trie_add(&added->normalized, token->normalized_content, token->normalized_bytes, (int32_t)i);
        else
            trie_add(token->normalized ? &added->normalized : &added->raw, token->content, token->bytes,
                     (int32_t)i);
    }
    return 0;
}

/* A token that the vocabulary has keeps that id; the others are numbered from the vocabulary's size on. That
 * is the reference's rule, whatever id the entry declares. */
int added_tokens_load(Tokenizer *tokenizer, const cJSON *list, const char *where, Error *error) {
    const cJSON *item;
    int32_t next_id = (int32_t)tokenizer->bpe.ids.n;
    cJSON_ArrayForEach(item, list) {
        AddedToken token = {0};
        int64_t declared;
        if (added_token_read(&token, item, &tokenizer->arena, where, error) ||
            json_get_int(item, "id", 0, MAX_TOKEN_ID, &declared, where, error))
            return -1;
        if (token.bytes == 0)
            continue;
        token.id = known_id(tokenizer, &token);
        if (token.id < 0)
            token.id = next_id++;
        put_token(&tokenizer->added, token);
    }
    return 0;
}

void added_tokens_free(AddedTokens *added) {
    free(added->items);
    free(added->by_id);
    string_table_free(&added->index);
    free(added->raw.nodes);
    free(added->normalized.nodes);
    *added = (AddedTokens){0};
}
