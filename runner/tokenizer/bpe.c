/* Byte-pair encoding: a word starts as one symbol per character, and the pair with the smallest merge rank,
 * leftmost first, is merged until no pair has a merge. Symbols are a doubly linked list in an array; the
 * pairs that could be merged wait in a heap ordered by (rank, position), so a word of n characters takes O(n
 * log n). A heap entry whose pair has changed since is recognised by its merged id and dropped.
 *
 * Two short cuts change no result. Where two characters stand side by side in no piece that a merge makes, no
 * merge can cross, so what lies left and right is merged apart: a text that no pre-tokenizer cut falls into
 * words all the same. And a stretch that is itself a piece of the vocabulary mostly becomes that piece;
 * whether it does is worked out once and remembered (`whole`). */
#include <stdlib.h>

#include "runner/tokenizer/tokenizer_internal.h"

static const MergeSlot *find_merge(const Bpe *bpe, int32_t left, int32_t right) {
    const MergeSlot *slot = bpe_merge_slot(bpe, left, right);
    return slot->pair == UINT64_MAX ? NULL : slot;
}

static void push_symbol(BpeScratch *scratch, int32_t id, size_t start, size_t bytes) {
    if (scratch->n_symbols == scratch->symbols_capacity) {
        scratch->symbols_capacity = scratch->symbols_capacity ? scratch->symbols_capacity * 2 : 128;
        scratch->symbols =
            mem_realloc(scratch->symbols, scratch->symbols_capacity * sizeof *scratch->symbols);
    }
    int32_t at = (int32_t)scratch->n_symbols++;
    scratch->symbols[at] = (BpeSymbol){id, at - 1, at + 1, (int32_t)start, (int32_t)bytes};
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
static void merge_symbols(const Bpe *bpe, BpeScratch *scratch, size_t n) {
    BpeSymbol *symbols = scratch->symbols;
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
        left->bytes += right->bytes;
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
static bool push_bytes(const Bpe *bpe, BpeScratch *scratch, const char *word, size_t start, size_t bytes) {
    const char *text = word + start;
    for (size_t i = 0; i < bytes; i++)
        if (bpe->byte_ids[(uint8_t)text[i]] < 0)
            return false;
    for (size_t i = 0; i < bytes; i++)
        push_symbol(scratch, bpe->byte_ids[(uint8_t)text[i]], start + i, 1);
    return true;
}

static void put_id(TokenIds *out, const BpeScratch *scratch, int32_t id, size_t start, size_t bytes) {
    token_ids_append(out, id);
    if (scratch->ranges)
        token_spans_append(scratch->ranges, (TokenSpan){start, start + bytes});
}

static void put_symbol(TokenIds *out, const BpeScratch *scratch, const BpeSymbol *symbol) {
    put_id(out, scratch, symbol->id, (size_t)symbol->start, (size_t)symbol->bytes);
}

/* Appends what the collected symbols, the stretch [start, end) of the word, merge into. `id` is the piece of
 * the vocabulary that its text is, -1 if it is none. */
static void flush_symbols(const Bpe *bpe, BpeScratch *scratch, int32_t id, size_t start, size_t end,
                          TokenIds *out) {
    size_t n = scratch->n_symbols;
    scratch->n_symbols = 0;
    if (n == 0)
        return;
    if (n == 1) {
        put_symbol(out, scratch, &scratch->symbols[0]);
        return;
    }
    if (id >= 0 && bpe_whole(bpe, id) == WHOLE_YES) {
        put_id(out, scratch, id, start, end - start);
        return;
    }
    merge_symbols(bpe, scratch, n);
    for (int32_t at = 0; at >= 0; at = scratch->symbols[at].next)
        put_symbol(out, scratch, &scratch->symbols[at]);
    if (id >= 0)
        bpe_set_whole(bpe, id, scratch->symbols[0].id == id && scratch->symbols[0].next < 0);
}

static int32_t find_piece(const Bpe *bpe, const char *text, size_t bytes) {
    return bytes <= bpe->longest_piece ? string_table_find(&bpe->ids, text, bytes) : -1;
}

/* Encodes a word character by character. As in the reference, a run of unknown characters is written out when
 * the next known one comes, so bytes of the fallback may overtake it; without an unknown token it is
 * dropped. Stretches are flushed only between two known characters, where no unknown one waits. */
static void encode_characters(const Bpe *bpe, const char *word, size_t bytes, BpeScratch *scratch,
                              TokenIds *out) {
    bool unknown_waits = false;
    size_t start = 0;                      /* of the stretch being collected */
    size_t unknown = 0, unknown_bytes = 0; /* the run of unknown characters */
    int32_t left = -1;                     /* the character before, if it is known */
    scratch->n_symbols = 0;
    for (size_t at = 0, length; at < bytes; at += length) {
        uint32_t code;
        length = utf8_decode(word + at, bytes - at, &code);
        int32_t id = code < N_SMALL_CHARACTERS ? bpe->small_ids[code]
                                               : string_table_find(&bpe->ids, word + at, length);
        if (id >= 0 && left >= 0 && !bpe_may_join(bpe, left, id)) {
            flush_symbols(bpe, scratch, find_piece(bpe, word + start, at - start), start, at, out);
            start = at;
        }
        left = id;
        if (id >= 0) {
            if (unknown_waits)
                push_symbol(scratch, bpe->unknown_id, unknown, unknown_bytes);
            unknown_waits = false;
            push_symbol(scratch, id, at, length);
        } else if (bpe->byte_fallback && push_bytes(bpe, scratch, word, at, length)) {
            continue;
        } else if (bpe->unknown_id >= 0) {
            if (unknown_waits && !bpe->fuse_unknown)
                push_symbol(scratch, bpe->unknown_id, unknown, unknown_bytes);
            if (!unknown_waits || !bpe->fuse_unknown)
                unknown = at;
            unknown_bytes = at + length - unknown;
            unknown_waits = true;
        }
    }
    if (unknown_waits)
        push_symbol(scratch, bpe->unknown_id, unknown, unknown_bytes);
    flush_symbols(bpe, scratch, find_piece(bpe, word + start, bytes - start), start, bytes, out);
}

int bpe_encode(const Bpe *bpe, const char *word, size_t bytes, BpeScratch *scratch, TokenIds *out,
               Error *error) {
    if (bytes >= INT32_MAX / 2)
        return error_set(error, "a word of %zu bytes is too long to encode, expected less than %d", bytes,
                         INT32_MAX / 2);
    int32_t id = find_piece(bpe, word, bytes);
    if (id >= 0 && (bpe->ignore_merges || bpe_whole(bpe, id) == WHOLE_YES))
        put_id(out, scratch, id, 0, bytes);
    else
        encode_characters(bpe, word, bytes, scratch, out);
    return 0;
}

void bpe_scratch_free(BpeScratch *scratch) {
    free(scratch->symbols);
    free(scratch->heap);
    *scratch = (BpeScratch){0};
}
