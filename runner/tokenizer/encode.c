/* Encoding: repair, cut at added tokens, normalize, cut at normalized added tokens, cut into words, merge. */
#include <stdlib.h>

#include "runner/tokenizer/tokenizer_internal.h"

/* Working memory of one call, so that a Tokenizer can be shared between threads. */
typedef struct Scratch {
    Buffer repaired, normal;
    Pieces raw, pieces, spare;
    Cuts cuts;
    BpeScratch bpe;
} Scratch;

static void scratch_free(Scratch *scratch) {
    buffer_free(&scratch->repaired);
    buffer_free(&scratch->normal);
    pieces_free(&scratch->raw);
    pieces_free(&scratch->pieces);
    pieces_free(&scratch->spare);
    free(scratch->cuts.items);
    bpe_scratch_free(&scratch->bpe);
}

/* Cuts out the added tokens and normalizes what lies between them. */
static int extract(const Tokenizer *tokenizer, const char *text, size_t bytes, bool skip_special,
                   Scratch *scratch, Error *error) {
    const AddedTokens *added = &tokenizer->added;
    added_tokens_cut(added, &added->raw, text, bytes, true, skip_special, &scratch->raw);
    for (size_t i = 0; i < scratch->raw.n; i++) {
        const Piece *piece = &scratch->raw.items[i];
        const char *part = scratch->raw.text.data + piece->start;
        bool at_start = piece->at_start;
        if (piece->id >= 0) {
            buffer_append(&scratch->pieces.text, part, piece->bytes);
            pieces_close(&scratch->pieces, piece->id, false);
            continue;
        }
        buffer_clear(&scratch->normal);
        buffer_append(&scratch->normal, part, piece->bytes);
        if (normalizers_apply(tokenizer->normalizers, tokenizer->n_normalizers, &scratch->normal, &at_start,
                              error))
            return -1;
        if (scratch->normal.size)
            added_tokens_cut(added, &added->normalized, scratch->normal.data, scratch->normal.size, at_start,
                             skip_special, &scratch->pieces);
    }
    return 0;
}

static int append_text(const Tokenizer *tokenizer, const char *text, size_t bytes, bool skip_special,
                       Scratch *scratch, TokenIds *out, Error *error) {
    if (extract(tokenizer, text, bytes, skip_special, scratch, error) ||
        pre_tokenizers_apply(tokenizer->pre_tokenizers, tokenizer->n_pre_tokenizers, &scratch->pieces,
                             &scratch->spare, &scratch->cuts, error))
        return -1;
    for (size_t i = 0; i < scratch->pieces.n; i++) {
        const Piece *piece = &scratch->pieces.items[i];
        if (piece->id >= 0)
            token_ids_append(out, piece->id);
        else if (bpe_encode(&tokenizer->bpe, scratch->pieces.text.data + piece->start, piece->bytes,
                            &scratch->bpe, out, error))
            return -1;
    }
    return 0;
}

/* Puts the template's ids around text ids that are already at the end of out, from `first` on. */
static void surround(const TokenIds *template_ids, TokenIds *out, size_t first) {
    TokenIds text = {0};
    for (size_t i = first; i < out->n; i++)
        token_ids_append(&text, out->ids[i]);
    out->n = first;
    for (size_t i = 0; i < template_ids->n; i++) {
        if (template_ids->ids[i] != TEMPLATE_TEXT)
            token_ids_append(out, template_ids->ids[i]);
        for (size_t k = 0; template_ids->ids[i] == TEMPLATE_TEXT && k < text.n; k++)
            token_ids_append(out, text.ids[k]);
    }
    token_ids_free(&text);
}

int tokenizer_encode(const Tokenizer *tokenizer, const char *text, size_t bytes, SpecialPolicy policy,
                     TokenIds *out, Error *error) {
    Scratch scratch = {0};
    size_t first = out->n;
    if (bytes && !utf8_valid(text, bytes)) {
        unicode_append_repaired(&scratch.repaired, text, bytes);
        text = scratch.repaired.data;
        bytes = scratch.repaired.size;
    }
    int result = append_text(tokenizer, text, bytes, policy & SPECIAL_AS_TEXT, &scratch, out, error);
    if (result)
        out->n = first;
    else if (policy & SPECIAL_ADD)
        surround(&tokenizer->template_ids, out, first);
    scratch_free(&scratch);
    return result;
}
