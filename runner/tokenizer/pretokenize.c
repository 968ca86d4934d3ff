/* Pre-tokenizers: how normalized text is cut into the words that BPE sees. A kind is a row of `kinds`: what
 * it reads from the file, and what it does to one piece. */
#include <stdlib.h>
#include <string.h>

#include "runner/tokenizer/tokenizer_internal.h"

/* The GPT-2 pattern, which is ByteLevel's own. */
static const char byte_level_pattern[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/* ---- cutting with a behaviour */

/* Joins neighbours in the way the behaviour asks for, in place. Afterwards `matched` means: drop it. */
static void apply_behavior(Cuts *cuts, SplitBehavior behavior) {
    size_t kept = 0;
    bool previous = false;
    Cut *items = cuts->items;
    if (behavior == SPLIT_REMOVED)
        return;
    if (behavior == SPLIT_MERGED_WITH_NEXT) {
        size_t first = cuts->n;
        for (size_t i = cuts->n; i-- > 0;) {
            Cut cut = items[i];
            if (cut.matched && !previous && first < cuts->n)
                items[first].start = cut.start;
            else
                items[--first] = (Cut){cut.start, cut.end, false};
            previous = cut.matched;
        }
        cuts->n -= first;
        memmove(items, items + first, cuts->n * sizeof *items);
        return;
    }
    for (size_t i = 0; i < cuts->n; i++) {
        Cut cut = items[i];
        bool join = behavior == SPLIT_CONTIGUOUS             ? cut.matched == previous
                    : behavior == SPLIT_MERGED_WITH_PREVIOUS ? cut.matched && !previous
                                                             : false;
        if (join && kept)
            items[kept - 1].end = cut.end;
        else
            items[kept++] = (Cut){cut.start, cut.end, false};
        previous = cut.matched;
    }
    cuts->n = kept;
}

static void emit(Cuts *cuts, const char *text, SplitBehavior behavior, bool invert, bool at_start,
                 Pieces *out) {
    for (size_t i = 0; invert && i < cuts->n; i++)
        cuts->items[i].matched = !cuts->items[i].matched;
    if (cuts->n)
        apply_behavior(cuts, behavior);
    for (size_t i = 0; i < cuts->n; i++) {
        const Cut *cut = &cuts->items[i];
        if (cut->matched)
            continue;
        pieces_copy(out, text, cut->start, cut->end - cut->start);
        pieces_close(out, -1, at_start && cut->start == 0);
    }
}

/* Cuts at every character of a class, each a match of its own. */
static void cut_at_members(const char *text, size_t bytes, bool (*is_member)(uint32_t), Cuts *cuts) {
    size_t covered = 0;
    cuts->n = 0;
    for (size_t at = 0, length; at < bytes; at += length) {
        uint32_t code;
        length = utf8_decode(text + at, bytes - at, &code);
        if (!is_member(code))
            continue;
        if (covered < at)
            cuts_append(cuts, covered, at, false);
        cuts_append(cuts, at, at + length, true);
        covered = at + length;
    }
    if (covered < bytes)
        cuts_append(cuts, covered, bytes, false);
}

static int load_behavior(const cJSON *json, SplitBehavior *out, const char *where, Error *error) {
    static const char *const names[] = {
        [SPLIT_REMOVED] = "Removed",
        [SPLIT_ISOLATED] = "Isolated",
        [SPLIT_MERGED_WITH_PREVIOUS] = "MergedWithPrevious",
        [SPLIT_MERGED_WITH_NEXT] = "MergedWithNext",
        [SPLIT_CONTIGUOUS] = "Contiguous",
    };
    const char *name = names[*out];
    if (json_opt_string(json, "behavior", &name, where, error))
        return -1;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i], name) == 0) {
            *out = (SplitBehavior)i;
            return 0;
        }
    }
    return error_set(error,
                     "%s: field \"behavior\": found \"%s\", expected Removed, Isolated, "
                     "MergedWithPrevious, MergedWithNext or Contiguous",
                     where, name);
}

/* ---- Split */

static int load_split(PreTokenizer *self, const cJSON *json, Arena *arena, const char *where, Error *error) {
    (void)arena;
    if (!cJSON_GetObjectItemCaseSensitive(json, "behavior"))
        return error_set(error, "%s: field \"behavior\": found nothing, expected a string", where);
    return load_behavior(json, &self->behavior, where, error) ||
                   json_opt_bool(json, "invert", &self->invert, where, error) ||
                   token_pattern_load(&self->pattern, json, where, error)
               ? -1
               : 0;
}

static int apply_split(const PreTokenizer *self, const char *text, size_t bytes, bool at_start, Cuts *cuts,
                       Pieces *out, Error *error) {
    if (token_pattern_cut(&self->pattern, text, bytes, cuts, error))
        return -1;
    emit(cuts, text, self->behavior, self->invert, at_start, out);
    return 0;
}

/* ---- ByteLevel */

static int load_byte_level(PreTokenizer *self, const cJSON *json, Arena *arena, const char *where,
                           Error *error) {
    (void)arena;
    bool use_regex = true;
    self->add_prefix_space = true;
    if (json_opt_bool(json, "add_prefix_space", &self->add_prefix_space, where, error) ||
        json_opt_bool(json, "use_regex", &use_regex, where, error))
        return -1;
    if (!use_regex)
        return 0;
    return token_pattern_compile(&self->pattern, byte_level_pattern, sizeof byte_level_pattern - 1, false,
                                 where, error);
}

/* Bytes [start, end) of text in the byte-level alphabet, whose characters take one or two bytes. With
 * `spaced` the text has a space in front that the stage's input has not. */
static void append_byte_characters(Pieces *out, const char *text, size_t start, size_t end, bool spaced) {
    char *first = buffer_reserve(&out->text, 2 * (end - start)), *at = first;
    for (size_t i = start; i < end; i++) {
        size_t length = utf8_encode(unicode_from_byte((uint8_t)text[i]), at);
        size_t from = spaced && i > 0 ? i - 1 : i;
        at += length;
        if (out->trace.on)
            trace_make(&out->trace, length, from, spaced && i == 0 ? from : from + 1);
    }
    out->text.size += (size_t)(at - first);
    *at = '\0';
}

static int apply_byte_level(const PreTokenizer *self, const char *text, size_t bytes, bool at_start,
                            Cuts *cuts, Pieces *out, Error *error) {
    Buffer spaced = {0};
    int result = 0;
    if (self->add_prefix_space && bytes && text[0] != ' ') {
        buffer_append_char(&spaced, ' ');
        buffer_append(&spaced, text, bytes);
        text = spaced.data;
        bytes = spaced.size;
    }
    cuts->n = 0;
    if (self->pattern.code)
        result = token_pattern_cut(&self->pattern, text, bytes, cuts, error);
    else
        cuts_append(cuts, 0, bytes, false);
    for (size_t i = 0; !result && i < cuts->n; i++) {
        append_byte_characters(out, text, cuts->items[i].start, cuts->items[i].end, text == spaced.data);
        pieces_close(out, -1, at_start && i == 0);
    }
    buffer_free(&spaced);
    return result;
}

/* ---- Metaspace */

int metaspace_load(const cJSON *json, Arena *arena, const char **replacement, PrependScheme *prepend,
                   const char *where, Error *error) {
    static const char *const names[] = {
        [PREPEND_ALWAYS] = "always", [PREPEND_FIRST] = "first", [PREPEND_NEVER] = "never"};
    const char *text, *scheme = NULL;
    bool add_prefix_space = true;
    if (json_get_string(json, "replacement", &text, where, error) ||
        json_opt_string(json, "prepend_scheme", &scheme, where, error) ||
        json_opt_bool(json, "add_prefix_space", &add_prefix_space, where, error))
        return -1;
    if (utf8_length(text, strlen(text)) != 1)
        return error_set(error, "%s: field \"replacement\": found \"%s\", expected one character", where,
                         text);
    *replacement = arena_strdup(arena, text);
    *prepend = add_prefix_space ? PREPEND_ALWAYS : PREPEND_NEVER;
    if (!scheme)
        return 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i], scheme) != 0)
            continue;
        if (!add_prefix_space && i != PREPEND_NEVER)
            return error_set(error,
                             "%s: field \"prepend_scheme\": found \"%s\" although add_prefix_space is "
                             "false, expected \"never\"",
                             where, scheme);
        *prepend = (PrependScheme)i;
        return 0;
    }
    return error_set(error, "%s: field \"prepend_scheme\": found \"%s\", expected always, first or never",
                     where, scheme);
}

static int load_metaspace(PreTokenizer *self, const cJSON *json, Arena *arena, const char *where,
                          Error *error) {
    self->split = true;
    return metaspace_load(json, arena, &self->replacement, &self->prepend, where, error) ||
                   json_opt_bool(json, "split", &self->split, where, error)
               ? -1
               : 0;
}

static void prepend_mark(const PreTokenizer *self, Pieces *out) {
    buffer_append_text(&out->text, self->replacement);
    trace_make(&out->trace, strlen(self->replacement), 0, 0);
}

static int apply_metaspace(const PreTokenizer *self, const char *text, size_t bytes, bool at_start,
                           Cuts *cuts, Pieces *out, Error *error) {
    (void)cuts;
    (void)error;
    size_t mark_bytes = strlen(self->replacement);
    bool marked = text[0] == ' ' || (bytes >= mark_bytes && memcmp(text, self->replacement, mark_bytes) == 0);
    if (!marked && (self->prepend == PREPEND_ALWAYS || (self->prepend == PREPEND_FIRST && at_start)))
        prepend_mark(self, out);
    size_t first_piece = out->n;
    for (size_t at = 0, length; at < bytes; at += length) {
        uint32_t code;
        length = utf8_decode(text + at, bytes - at, &code);
        bool mark =
            code == ' ' || (length == mark_bytes && memcmp(text + at, self->replacement, length) == 0);
        if (mark && self->split)
            pieces_close(out, -1, at_start && out->n == first_piece);
        buffer_append(&out->text, mark ? self->replacement : text + at, mark ? mark_bytes : length);
        if (mark)
            trace_make(&out->trace, mark_bytes, at, at + length);
        else
            trace_copy(&out->trace, at, length);
    }
    pieces_close(out, -1, at_start && out->n == first_piece);
    return 0;
}

/* ---- kinds that split at a class of characters */

static int load_digits(PreTokenizer *self, const cJSON *json, Arena *arena, const char *where, Error *error) {
    (void)arena;
    bool individual = false;
    if (json_opt_bool(json, "individual_digits", &individual, where, error))
        return -1;
    self->is_member = unicode_is_numeric;
    self->behavior = individual ? SPLIT_ISOLATED : SPLIT_CONTIGUOUS;
    return 0;
}

static int load_whitespace_split(PreTokenizer *self, const cJSON *json, Arena *arena, const char *where,
                                 Error *error) {
    (void)json;
    (void)arena;
    (void)where;
    (void)error;
    self->is_member = unicode_is_space;
    self->behavior = SPLIT_REMOVED;
    return 0;
}

static int load_punctuation(PreTokenizer *self, const cJSON *json, Arena *arena, const char *where,
                            Error *error) {
    (void)arena;
    self->is_member = unicode_is_punctuation;
    self->behavior = SPLIT_ISOLATED;
    return load_behavior(json, &self->behavior, where, error);
}

static int apply_members(const PreTokenizer *self, const char *text, size_t bytes, bool at_start, Cuts *cuts,
                         Pieces *out, Error *error) {
    (void)error;
    cut_at_members(text, bytes, self->is_member, cuts);
    emit(cuts, text, self->behavior, false, at_start, out);
    return 0;
}

/* ---- Whitespace: runs of word characters and runs of others, without the space between them */

static int apply_whitespace(const PreTokenizer *self, const char *text, size_t bytes, bool at_start,
                            Cuts *cuts, Pieces *out, Error *error) {
    (void)self;
    (void)cuts;
    (void)error;
    enum { SPACE, WORD, OTHER } kind, previous = SPACE;
    size_t start = 0;
    for (size_t at = 0, length; at < bytes; at += length, previous = kind) {
        uint32_t code;
        length = utf8_decode(text + at, bytes - at, &code);
        kind = unicode_is_word(code) ? WORD : unicode_is_space(code) ? SPACE : OTHER;
        if (kind != previous) {
            pieces_close(out, -1, at_start && start == 0);
            start = at;
        }
        if (kind != SPACE)
            pieces_copy(out, text, at, length);
    }
    pieces_close(out, -1, at_start && start == 0);
    return 0;
}

static const PreTokenizerKind kinds[] = {
    {"Split", load_split, apply_split},
    {"ByteLevel", load_byte_level, apply_byte_level},
    {"Metaspace", load_metaspace, apply_metaspace},
    {"Digits", load_digits, apply_members},
    {"Whitespace", NULL, apply_whitespace},
    {"WhitespaceSplit", load_whitespace_split, apply_members},
    {"Punctuation", load_punctuation, apply_members},
};

int pre_tokenizer_load(PreTokenizer *out, const char *type, const cJSON *json, Arena *arena,
                       const char *where, Error *error) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(kinds[i].name, type) == 0) {
            out->kind = &kinds[i];
            return out->kind->load ? out->kind->load(out, json, arena, where, error) : 0;
        }
    }
    return error_set(error, "%s: the pre_tokenizer \"%s\" is not supported", where, type);
}

void pre_tokenizer_free(PreTokenizer *pre_tokenizer) {
    token_pattern_free(&pre_tokenizer->pattern);
}

int pre_tokenizers_apply(const PreTokenizer *chain, size_t n, Pieces *pieces, Pieces *spare, Cuts *cuts,
                         Error *error) {
    for (size_t i = 0; i < n; i++) {
        pieces_clear(spare);
        for (size_t k = 0; k < pieces->n; k++) {
            const Piece *piece = &pieces->items[k];
            const char *text = pieces->text.data + piece->start;
            if (pieces->trace.on) {
                spare->trace.source = pieces->trace.spans + piece->start;
                spare->trace.n_source = piece->bytes;
            }
            if (piece->id >= 0) {
                pieces_copy(spare, text, 0, piece->bytes);
                pieces_close(spare, piece->id, false);
            } else if (chain[i].kind->apply(&chain[i], text, piece->bytes, piece->at_start, cuts, spare,
                                            error)) {
                return -1;
            }
        }
        Pieces swap = *pieces;
        *pieces = *spare;
        *spare = swap;
    }
    return 0;
}
