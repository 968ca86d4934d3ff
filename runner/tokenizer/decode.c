/* Decoding: the tokens' strings go through the chain of decoders and are joined. Each decoder also keeps
 * count of how much of its output is `stable`, that is, stays as it is whatever ids follow; streaming prints
 * no more than that. */
#include <stdlib.h>
#include <string.h>

#include "runner/tokenizer/tokenizer_internal.h"

static const char *piece_text(const Pieces *in, size_t i) {
    return in->text.data ? in->text.data + in->items[i].start : "";
}

/* How many bytes of a piece are stable. */
static size_t stable_part(const Pieces *in, size_t i) {
    const Piece *piece = &in->items[i];
    if (in->stable <= piece->start)
        return 0;
    size_t part = in->stable - piece->start;
    return part < piece->bytes ? part : piece->bytes;
}

/* True if neither the piece nor anything before it can change. */
static bool is_settled(const Pieces *in, size_t i) {
    const Piece *piece = &in->items[i];
    return piece->start + piece->bytes <= in->stable && !(in->open && i + 1 == in->n);
}

/* ---- Replace */

static int load_replace(Decoder *self, const cJSON *json, Arena *arena, const char *where, Error *error) {
    const char *content;
    if (token_pattern_load(&self->pattern, json, where, error) ||
        json_get_string(json, "content", &content, where, error))
        return -1;
    const cJSON *pattern = cJSON_GetObjectItemCaseSensitive(json, "pattern");
    const cJSON *literal = cJSON_GetObjectItemCaseSensitive(pattern, "String");
    self->pattern_bytes = literal ? strlen(literal->valuestring) : 0;
    self->content = arena_strdup(arena, content);
    return 0;
}

/* A match of the string can still begin in the last pattern_bytes - 1 stable bytes; where a regex matches can
 * depend on anything that follows in the piece. */
static size_t replace_limit(const Decoder *self, const Pieces *in, size_t i) {
    size_t part = stable_part(in, i), held = self->pattern_bytes - 1;
    if (is_settled(in, i))
        return in->items[i].bytes;
    return self->pattern_bytes && part > held ? part - held : 0;
}

static int apply_replace(const Decoder *self, const Pieces *in, Pieces *out, Error *error) {
    Cuts cuts = {0};
    int result = 0;
    for (size_t i = 0; i < in->n && !result; i++) {
        const char *text = piece_text(in, i);
        size_t limit = replace_limit(self, in, i), part = stable_part(in, i);
        result = token_pattern_cut(&self->pattern, text, in->items[i].bytes, &cuts, error);
        for (size_t k = 0; k < cuts.n && !result; k++) {
            const Cut *cut = &cuts.items[k];
            size_t before = out->text.size;
            if (cut->matched)
                buffer_append_text(&out->text, self->content);
            else
                buffer_append(&out->text, text + cut->start, cut->end - cut->start);
            if (limit && cut->matched && cut->end <= part)
                out->stable = out->text.size;
            else if (!cut->matched && cut->start < limit)
                out->stable = cut->end <= limit ? out->text.size : before + (limit - cut->start);
        }
        pieces_close_token(out);
    }
    free(cuts.items);
    out->open = in->open;
    return result;
}

/* ---- ByteFallback */

/* The byte of "<0xAB>", -1 for any other token. */
static int fallback_byte(const char *text, size_t bytes) {
    char hex[3] = {0};
    if (bytes != 6 || memcmp(text, "<0x", 3) != 0 || text[5] != '>')
        return -1;
    memcpy(hex, text + 3, 2);
    char *end;
    long value = strtol(hex, &end, 16);
    bool digits = ((unsigned char)(hex[0] - '0') < 10 || ((hex[0] | 32) >= 'a' && (hex[0] | 32) <= 'f')) &&
                  end == hex + 2;
    return digits ? (int)value : -1;
}

/* A run of bytes is text if all of it is UTF-8; otherwise each byte is one U+FFFD. */
static void flush_bytes(Buffer *run, Pieces *out) {
    if (!run->size)
        return;
    if (utf8_valid(run->data, run->size)) {
        buffer_append(&out->text, run->data, run->size);
        pieces_close_token(out);
    } else {
        for (size_t i = 0; i < run->size; i++) {
            buffer_append(&out->text, "\xEF\xBF\xBD", 3);
            pieces_close_token(out);
        }
    }
    buffer_clear(run);
}

static int apply_byte_fallback(const Decoder *self, const Pieces *in, Pieces *out, Error *error) {
    (void)self;
    (void)error;
    Buffer run = {0};
    for (size_t i = 0; i < in->n; i++) {
        const char *text = piece_text(in, i);
        int byte = fallback_byte(text, in->items[i].bytes);
        if (byte >= 0) {
            buffer_append_char(&run, (char)byte);
            continue;
        }
        flush_bytes(&run, out);
        buffer_append(&out->text, text, in->items[i].bytes);
        pieces_close_token(out);
        if (is_settled(in, i))
            out->stable = out->text.size;
    }
    flush_bytes(&run, out);
    buffer_free(&run);
    return 0;
}

/* ---- Fuse */

static int apply_fuse(const Decoder *self, const Pieces *in, Pieces *out, Error *error) {
    (void)self;
    (void)error;
    buffer_append(&out->text, in->text.data, in->text.size);
    pieces_close_token(out);
    out->stable = in->stable;
    out->open = true;
    return 0;
}

/* ---- Strip */

static int load_strip(Decoder *self, const cJSON *json, Arena *arena, const char *where, Error *error) {
    const char *content;
    if (json_get_string(json, "content", &content, where, error) ||
        json_get_int(json, "start", 0, INT32_MAX, &self->strip_start, where, error) ||
        json_get_int(json, "stop", 0, INT32_MAX, &self->strip_stop, where, error))
        return -1;
    if (utf8_length(content, strlen(content)) != 1)
        return error_set(error, "%s: field \"content\": found \"%s\", expected one character", where,
                         content);
    self->content = arena_strdup(arena, content);
    return 0;
}

static int apply_strip(const Decoder *self, const Pieces *in, Pieces *out, Error *error) {
    (void)error;
    size_t width = strlen(self->content);
    for (size_t i = 0; i < in->n; i++) {
        const char *text = piece_text(in, i);
        size_t start = 0, stop = in->items[i].bytes, part = stable_part(in, i);
        for (int64_t k = 0; k < self->strip_start && start + width <= stop &&
                            memcmp(text + start, self->content, width) == 0;
             k++)
            start += width;
        for (int64_t k = 0; k < self->strip_stop && start + width <= stop &&
                            memcmp(text + stop - width, self->content, width) == 0;
             k++)
            stop -= width;
        part = part < stop ? part : stop;
        if (part > start)
            out->stable = out->text.size + (part - start);
        buffer_append(&out->text, text + start, stop - start);
        pieces_close_token(out);
    }
    out->open = in->open;
    return 0;
}

/* ---- Metaspace */

static int load_metaspace(Decoder *self, const cJSON *json, Arena *arena, const char *where, Error *error) {
    return metaspace_load(json, arena, &self->replacement, &self->prepend, where, error);
}

static int apply_metaspace(const Decoder *self, const Pieces *in, Pieces *out, Error *error) {
    (void)error;
    size_t width = strlen(self->replacement);
    for (size_t i = 0; i < in->n; i++) {
        const char *text = piece_text(in, i);
        size_t bytes = in->items[i].bytes, part = stable_part(in, i);
        for (size_t at = 0, length; at < bytes; at += length) {
            bool mark = at + width <= bytes && memcmp(text + at, self->replacement, width) == 0;
            length = mark ? width : 1;
            if (!mark)
                buffer_append_char(&out->text, text[at]);
            else if (i > 0 || self->prepend == PREPEND_NEVER)
                buffer_append_char(&out->text, ' ');
            if (at + length <= part)
                out->stable = out->text.size;
        }
        pieces_close_token(out);
    }
    out->open = in->open;
    return 0;
}

/* ---- ByteLevel */

/* Appends the bytes that a token's characters stand for, or the token as it is when one stands for none. */
static void append_token_bytes(Buffer *out, const char *text, size_t bytes) {
    size_t before = out->size;
    for (size_t at = 0; at < bytes;) {
        uint32_t code;
        at += utf8_decode(text + at, bytes - at, &code);
        int byte = unicode_to_byte(code);
        if (byte < 0) {
            out->size = before;
            buffer_append(out, text, bytes);
            return;
        }
        buffer_append_char(out, (char)byte);
    }
}

static int apply_byte_level(const Decoder *self, const Pieces *in, Pieces *out, Error *error) {
    (void)self;
    (void)error;
    Buffer raw = {0};
    size_t stable = 0;
    for (size_t i = 0; i < in->n; i++) {
        append_token_bytes(&raw, piece_text(in, i), in->items[i].bytes);
        if (is_settled(in, i))
            stable = raw.size;
    }
    if (raw.size) {
        stable -= unicode_unfinished_tail(raw.data, stable);
        unicode_append_repaired(&out->text, raw.data, stable, NULL);
        out->stable = out->text.size;
        unicode_append_repaired(&out->text, raw.data + stable, raw.size - stable, NULL);
    }
    pieces_close_token(out);
    out->open = true;
    buffer_free(&raw);
    return 0;
}

static const DecoderKind kinds[] = {
    {"Replace", load_replace, apply_replace},
    {"ByteFallback", NULL, apply_byte_fallback},
    {"Fuse", NULL, apply_fuse},
    {"Strip", load_strip, apply_strip},
    {"ByteLevel", NULL, apply_byte_level},
    {"Metaspace", load_metaspace, apply_metaspace},
};

int decoder_load(Decoder *out, const char *type, const cJSON *json, Arena *arena, const char *where,
                 Error *error) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(kinds[i].name, type) == 0) {
            out->kind = &kinds[i];
            return out->kind->load ? out->kind->load(out, json, arena, where, error) : 0;
        }
    }
    return error_set(error, "%s: the decoder \"%s\" is not supported", where, type);
}

void decoder_free(Decoder *decoder) {
    token_pattern_free(&decoder->pattern);
}

/* ---- running the chain */

/* The text that the decoders get for an id that is in the vocabulary. */
static TokenText token_text(const Tokenizer *tokenizer, int32_t id) {
    const AddedToken *added = added_tokens_by_id(&tokenizer->added, id);
    if (added && added->normalized_content)
        return (TokenText){added->normalized_content, added->normalized_bytes};
    return added ? (TokenText){added->content, added->bytes} : tokenizer->bpe.texts[id];
}

int decode_check_id(const Tokenizer *tokenizer, int32_t id, Error *error) {
    if (tokenizer_token_text(tokenizer, id))
        return 0;
    return error_set(error, "decoding: id %d is not in the vocabulary of %lld ids", (int)id,
                     (long long)tokenizer_vocab_size(tokenizer));
}

bool decode_skips(const Tokenizer *tokenizer, int32_t id) {
    const AddedToken *added = added_tokens_by_id(&tokenizer->added, id);
    return added && added->special && !added->normalized_content;
}

bool decode_is_byte_level(const Tokenizer *tokenizer) {
    return tokenizer->n_decoders == 1 && tokenizer->decoders[0].kind->apply == apply_byte_level;
}

void decode_token_bytes(const Tokenizer *tokenizer, int32_t id, Buffer *out) {
    TokenText text = token_text(tokenizer, id);
    append_token_bytes(out, text.text, text.bytes);
}

bool decode_waits_after(const Tokenizer *tokenizer, int32_t id) {
    TokenText text = token_text(tokenizer, id);
    for (size_t i = 0; i < tokenizer->n_decoders; i++)
        if (tokenizer->decoders[i].kind->apply == apply_byte_fallback)
            return fallback_byte(text.text, text.bytes) >= 0;
    return false;
}

static int gather_tokens(const Tokenizer *tokenizer, const int32_t *ids, size_t n, bool skip_special,
                         Pieces *out, Error *error) {
    for (size_t i = 0; i < n; i++) {
        if (decode_check_id(tokenizer, ids[i], error))
            return -1;
        if (skip_special && decode_skips(tokenizer, ids[i]))
            continue;
        TokenText text = token_text(tokenizer, ids[i]);
        buffer_append(&out->text, text.text, text.bytes);
        pieces_close_token(out);
    }
    out->stable = out->text.size;
    return 0;
}

static void join(const Tokenizer *tokenizer, const Pieces *pieces, Buffer *out, size_t *stable) {
    if (tokenizer->has_decoder) {
        buffer_append(out, pieces->text.data, pieces->text.size);
        *stable = pieces->stable;
        return;
    }
    size_t before = out->size;
    for (size_t i = 0; i < pieces->n; i++) {
        if (i)
            buffer_append_char(out, ' ');
        buffer_append(out, piece_text(pieces, i), pieces->items[i].bytes);
    }
    *stable = out->size - before;
}

int decode_ids(const Tokenizer *tokenizer, const int32_t *ids, size_t n, bool skip_special, Buffer *out,
               size_t *stable, Error *error) {
    Pieces pieces = {0}, spare = {0};
    int result = gather_tokens(tokenizer, ids, n, skip_special, &pieces, error);
    for (size_t i = 0; i < tokenizer->n_decoders && !result; i++) {
        pieces_clear(&spare);
        result = tokenizer->decoders[i].kind->apply(&tokenizer->decoders[i], &pieces, &spare, error);
        Pieces swap = pieces;
        pieces = spare;
        spare = swap;
    }
    if (!result)
        join(tokenizer, &pieces, out, stable);
    pieces_free(&pieces);
    pieces_free(&spare);
    return result;
}

int tokenizer_decode(const Tokenizer *tokenizer, const int32_t *ids, size_t n, bool skip_special, Buffer *out,
                     Error *error) {
    size_t stable;
    return decode_ids(tokenizer, ids, n, skip_special, out, &stable, error);
}
