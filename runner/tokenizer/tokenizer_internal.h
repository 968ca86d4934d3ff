/* What the files of the tokenizer share. Text goes through four stages, each a file: added tokens are cut out
 * (added_tokens.c), what is left is normalized (normalize.c), cut into words (pretokenize.c), and each word
 * becomes ids (bpe.c); encode.c runs them. Decoding is decode.c. The chains of the stages are flat arrays:
 * nested "Sequence" components are unrolled when the file is loaded (load.c). */
#ifndef ZEVAL_RUNNER_TOKENIZER_INTERNAL_H
#define ZEVAL_RUNNER_TOKENIZER_INTERNAL_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <stdatomic.h>

#include "base/base.h"
#include "runner/tokenizer/tokenizer.h"

enum {
    MAX_TOKEN_ID = (1 << 24) - 1, /* far above any vocabulary; bounds the tables indexed by id */
    MAX_CHAIN = 256               /* components in one chain */
};

/* ---- trace.c: where text came from, when the caller asks for offsets */

/* Says of every byte of a text that a stage makes which bytes of the user's text it stands for. Invariant:
 * while `on`, n is the size of the text that the stage has made. NULL or off: nothing is recorded. */
typedef struct Trace {
    bool on;
    const TokenSpan *source; /* of the stage's input, one for each byte */
    size_t n_source;
    TokenSpan *spans; /* of its output */
    size_t n, capacity;
} Trace;
/* The stage copied input bytes [from, from + n). */
void trace_copy(Trace *trace, size_t from, size_t n);
/* The stage made n bytes out of input bytes [from, to); from == to: out of nothing, there. */
void trace_make(Trace *trace, size_t n, size_t from, size_t to);
/* What bytes [start, start + n) of a text with these spans stand for. */
TokenSpan trace_join(const TokenSpan *spans, size_t n_spans, size_t start, size_t n);
void trace_free(Trace *trace);

/* ---- unicode.c: the character classes of the reference's language, and repair of broken UTF-8 */

bool unicode_is_space(uint32_t code);       /* White_Space */
bool unicode_is_numeric(uint32_t code);     /* general category N */
bool unicode_is_punctuation(uint32_t code); /* ASCII punctuation or general category P */
bool unicode_is_word(uint32_t code);        /* \w of Unicode's regular expression report */
/* Appends text with every maximal ill-formed sequence replaced by one U+FFFD. */
void unicode_append_repaired(Buffer *out, const char *text, size_t bytes, Trace *trace);
/* Length of an unfinished but so far well-formed character at the end of text, 0 if there is none. */
size_t unicode_unfinished_tail(const char *text, size_t bytes);
/* The byte-level alphabet: every byte has a printable character, every such character its byte (-1: none). */
uint32_t unicode_from_byte(uint8_t byte);
int unicode_to_byte(uint32_t code);
void unicode_append(Buffer *out, uint32_t code);

/* ---- pattern.c: String and Regex patterns, matched by PCRE2 as the reference's Oniguruma would */

typedef struct TokenPattern {
    pcre2_code *code; /* NULL: no pattern */
    char *literal;    /* what a String pattern looks for, NULL: a Regex */
    size_t literal_bytes;
    pcre2_match_context *limits;
} TokenPattern;

/* Reads {"String": ...} or {"Regex": ...}. */
int token_pattern_load(TokenPattern *out, const cJSON *json, const char *where, Error *error);
int token_pattern_compile(TokenPattern *out, const char *source, size_t bytes, bool literal,
                          const char *where, Error *error);
void token_pattern_free(TokenPattern *pattern);

/* A part of a text that a pattern matched, or that lies between two matches. */
typedef struct Cut {
    size_t start, end;
    bool matched;
} Cut;
typedef struct Cuts {
    Cut *items;
    size_t n, capacity;
} Cuts;
void cuts_append(Cuts *cuts, size_t start, size_t end, bool matched);
/* Replaces cuts by the ones of text: they cover it, in order; matches may be empty. text is valid UTF-8. */
int token_pattern_cut(const TokenPattern *pattern, const char *text, size_t bytes, Cuts *cuts, Error *error);

/* ---- pieces: a text cut into pieces that lie in `text` one after the other without gaps */

typedef struct Piece {
    size_t start, bytes;
    int32_t id;    /* an added token, or -1: text that is still to be encoded */
    bool at_start; /* begins where the user's text begins */
} Piece;
typedef struct Pieces {
    Buffer text;
    Piece *items;
    size_t n, capacity;
    /* Decoding only. Text before `stable` does not change when more ids follow; `open`: ids that follow may
     * make the last piece longer. */
    size_t stable;
    bool open;
    Trace trace; /* encoding only */
} Pieces;
/* Appends bytes [from, from + n) of the text that a stage works on. */
void pieces_copy(Pieces *pieces, const char *text, size_t from, size_t n);
void pieces_clear(Pieces *pieces);
void pieces_free(Pieces *pieces);
/* Closes a piece that holds the text appended since the last one; an empty one is dropped when `id` < 0. */
void pieces_close(Pieces *pieces, int32_t id, bool at_start);
/* The same for decoding, where empty pieces count. */
void pieces_close_token(Pieces *pieces);

/* ---- vocabulary.c: strings to ids by hash, ids to strings by index */

typedef struct StringSlot {
    const char *text; /* NULL: free */
    uint32_t bytes;
    int32_t id;
} StringSlot;
typedef struct StringTable {
    StringSlot *slots;
    size_t n, capacity; /* capacity is a power of two, at least a third of it free */
} StringTable;
/* Makes room for n strings; -1 if there is not enough memory. */
int string_table_reserve(StringTable *table, size_t n, Error *error);
/* The text is kept by reference; the table grows when it must. */
void string_table_put(StringTable *table, const char *text, size_t bytes, int32_t id);
int32_t string_table_find(const StringTable *table, const char *text, size_t bytes); /* -1: none */
void string_table_free(StringTable *table);

typedef struct TokenText {
    const char *text; /* NULL: a hole in the ids */
    size_t bytes;
} TokenText;

/* ---- bpe_tables.c: the tables of byte-pair encoding */

typedef struct MergeSlot {
    uint64_t pair; /* left id in the high half, right id in the low half; UINT64_MAX: free */
    int32_t rank, merged;
} MergeSlot;

enum {
    N_SMALL_CHARACTERS = 512, /* covers ASCII and the byte-level alphabet */
    JOIN_BITS = 1 << 18
};

/* Whether the text of a piece is encoded as that piece. */
typedef enum WholeState { WHOLE_UNTRIED, WHOLE_YES, WHOLE_NO } WholeState;

typedef struct Bpe {
    StringTable ids;
    TokenText *texts;     /* by id */
    size_t n_texts;       /* one more than the largest id */
    size_t longest_piece; /* bytes */
    MergeSlot *merges;
    size_t merge_mask;
    uint64_t *joins;     /* a Bloom filter of the characters that stand side by side in a piece */
    atomic_uchar *whole; /* WholeState by id; found out while encoding, the same by every thread */
    int32_t small_ids[N_SMALL_CHARACTERS]; /* code point to id, -1: none */
    int32_t byte_ids[256];                 /* "<0x41>" and so on, -1: none */
    int32_t unknown_id;                    /* -1: none */
    bool byte_fallback, fuse_unknown, ignore_merges;
} Bpe;

typedef struct BpeSymbol {
    int32_t id;
    int32_t previous, next; /* -1: none */
    int32_t start, bytes;   /* what it stands for in the word */
} BpeSymbol;
typedef struct BpeCandidate {
    int32_t rank, at, merged;
} BpeCandidate;
/* Working memory of one encode call. */
typedef struct BpeScratch {
    BpeSymbol *symbols;
    size_t n_symbols, symbols_capacity;
    BpeCandidate *heap; /* smallest (rank, at) first */
    size_t n_heap, heap_capacity;
    TokenSpans *ranges; /* gets the bytes of the word that each id stands for; NULL: not wanted */
} BpeScratch;

int bpe_load(Bpe *bpe, const cJSON *model, Arena *arena, const char *where, Error *error);
void bpe_free(Bpe *bpe);
/* The steps of filling the tables, in this order. */
int bpe_reserve(Bpe *bpe, size_t n_pieces, size_t n_ids, Error *error);
/* id < n_ids; the text is copied; a second piece with the same id or text is an error. */
int bpe_add_piece(Bpe *bpe, Arena *arena, const char *text, size_t bytes, int32_t id, const char *where,
                  Error *error);
int bpe_reserve_merges(Bpe *bpe, size_t n, const char *where, Error *error);
void bpe_add_merge(Bpe *bpe, int32_t left, int32_t right, int32_t rank, int32_t merged);
/* `unknown` is the piece that stands for characters the vocabulary lacks, NULL if there is none. */
int bpe_finish(Bpe *bpe, const char *unknown, const char *where, Error *error);

/* The slot of a pair, or the free one where it would go. */
MergeSlot *bpe_merge_slot(const Bpe *bpe, int32_t left, int32_t right);
/* False if the two characters stand side by side in no piece; true may be wrong. */
bool bpe_may_join(const Bpe *bpe, int32_t left, int32_t right);
WholeState bpe_whole(const Bpe *bpe, int32_t id);
void bpe_set_whole(const Bpe *bpe, int32_t id, bool whole);

/* ---- bpe.c */

int bpe_encode(const Bpe *bpe, const char *word, size_t bytes, BpeScratch *scratch, TokenIds *out,
               Error *error);
void bpe_scratch_free(BpeScratch *scratch);

/* ---- normalize.c */

typedef struct Normalizer Normalizer;
typedef struct NormalizerKind {
    const char *name;
    int (*load)(Normalizer *normalizer, const cJSON *json, Arena *arena, const char *where, Error *error);
    /* Appends the normalized text to out; clears *at_start when the text's first character goes. */
    int (*apply)(const Normalizer *normalizer, const char *text, size_t bytes, Buffer *out, Trace *trace,
                 bool *at_start, Error *error);
} NormalizerKind;
struct Normalizer {
    const NormalizerKind *kind;
    TokenPattern pattern;
    const char *content; /* what is prepended or put in place of a match */
    bool strip_left, strip_right;
};
int normalizer_load(Normalizer *out, const char *type, const cJSON *json, Arena *arena, const char *where,
                    Error *error);
void normalizer_free(Normalizer *normalizer);
/* Runs a chain over the text in `text`, in place; `spans` likewise, unless NULL. */
int normalizers_apply(const Normalizer *normalizers, size_t n, Buffer *text, TokenSpans *spans,
                      bool *at_start, Error *error);

/* ---- pretokenize.c */

typedef enum SplitBehavior {
    SPLIT_REMOVED,
    SPLIT_ISOLATED,
    SPLIT_MERGED_WITH_PREVIOUS,
    SPLIT_MERGED_WITH_NEXT,
    SPLIT_CONTIGUOUS
} SplitBehavior;
typedef enum PrependScheme { PREPEND_ALWAYS, PREPEND_FIRST, PREPEND_NEVER } PrependScheme;

typedef struct PreTokenizer PreTokenizer;
typedef struct PreTokenizerKind {
    const char *name;
    int (*load)(PreTokenizer *self, const cJSON *json, Arena *arena, const char *where, Error *error);
    /* Appends the pieces that one piece of text falls into. `cuts` is working memory. */
    int (*apply)(const PreTokenizer *self, const char *text, size_t bytes, bool at_start, Cuts *cuts,
                 Pieces *out, Error *error);
} PreTokenizerKind;
struct PreTokenizer {
    const PreTokenizerKind *kind;
    TokenPattern pattern;
    bool (*is_member)(uint32_t code); /* kinds that split at a class of characters */
    SplitBehavior behavior;
    bool invert;
    bool add_prefix_space;   /* ByteLevel */
    const char *replacement; /* Metaspace: one character */
    PrependScheme prepend;
    bool split;
};
int pre_tokenizer_load(PreTokenizer *out, const char *type, const cJSON *json, Arena *arena,
                       const char *where, Error *error);
void pre_tokenizer_free(PreTokenizer *pre_tokenizer);
/* Runs a chain over pieces; `spare` and `cuts` are working memory. */
int pre_tokenizers_apply(const PreTokenizer *chain, size_t n, Pieces *pieces, Pieces *spare, Cuts *cuts,
                         Error *error);
/* {"prepend_scheme": ..., "add_prefix_space": ..., "replacement": ...}, shared with the decoder. */
int metaspace_load(const cJSON *json, Arena *arena, const char **replacement, PrependScheme *prepend,
                   const char *where, Error *error);

/* ---- added_tokens.c */

typedef struct AddedToken {
    const char *content;
    size_t bytes;
    const char *normalized_content; /* what is searched for and decoded; NULL: content itself */
    size_t normalized_bytes;
    int32_t id;
    bool special, single_word, lstrip, rstrip, normalized;
} AddedToken;

typedef struct TrieNode {
    int32_t first_child, next_sibling; /* -1: none */
    int32_t token;                     /* index of the added token that ends here, -1: none */
    uint8_t byte;
} TrieNode;
typedef struct Trie {
    TrieNode *nodes;
    size_t n, capacity;
    int32_t roots[256];
} Trie;

typedef struct AddedTokens {
    AddedToken *items;
    size_t n, capacity;
    StringTable index;    /* content to index in items */
    int32_t *by_id;       /* id to index in items, -1: none */
    size_t n_by_id;       /* one more than the largest id */
    Trie raw, normalized; /* searched in the text as it came / after normalization */
} AddedTokens;

struct Tokenizer;
/* Reads an entry, all but its id. */
int added_token_read(AddedToken *token, const cJSON *json, Arena *arena, const char *where, Error *error);
/* Reads a tokenizer.json's list. */
int added_tokens_load(struct Tokenizer *tokenizer, const cJSON *list, const char *where, Error *error);
/* Adds a token under the id it declares, or changes what is known about the token of that content. An id that
 * the vocabulary gives to another piece is an error. */
int added_tokens_add(struct Tokenizer *tokenizer, AddedToken token, const char *where, Error *error);
/* Makes the tokens findable; called once, when all are there and the normalizers are loaded. */
int added_tokens_index(struct Tokenizer *tokenizer, Error *error);
void added_tokens_free(AddedTokens *added);
/* NULL if id is not an added token. */
const AddedToken *added_tokens_by_id(const AddedTokens *added, int32_t id);
/* Cuts text at the tokens of a trie, but for special ones if they are to be skipped, and appends the pieces.
 */
void added_tokens_cut(const AddedTokens *added, const Trie *trie, const char *text, size_t bytes,
                      bool at_start, bool skip_special, Pieces *out);

/* ---- postprocess.c: what SPECIAL_ADD puts around a text, as a list of ids in which TEMPLATE_TEXT stands for
 * the text */

enum { TEMPLATE_TEXT = -1, MAX_TEMPLATE = 4096 };
int post_processor_load(TokenIds *pattern, const char *type, const cJSON *json, const char *where,
                        Error *error);

/* ---- decode.c */

typedef struct Decoder Decoder;
typedef struct DecoderKind {
    const char *name;
    int (*load)(Decoder *decoder, const cJSON *json, Arena *arena, const char *where, Error *error);
    int (*apply)(const Decoder *decoder, const Pieces *in, Pieces *out, Error *error);
} DecoderKind;
struct Decoder {
    const DecoderKind *kind;
    TokenPattern pattern;
    size_t pattern_bytes; /* of a String pattern; 0: a Regex */
    const char *content;
    int64_t strip_start, strip_stop;
    const char *replacement;
    PrependScheme prepend;
};
int decoder_load(Decoder *out, const char *type, const cJSON *json, Arena *arena, const char *where,
                 Error *error);
void decoder_free(Decoder *decoder);
/* Decodes ids; *stable is set to how many bytes of what was appended later ids cannot change. */
int decode_ids(const struct Tokenizer *tokenizer, const int32_t *ids, size_t n, bool skip_special,
               Buffer *out, size_t *stable, Error *error);

/* For streaming. An error if the vocabulary has no such id; whether an id is skipped as special; whether
 * decoding is nothing but bytes; the bytes of an id, then; whether an id is a byte of a run that only ids to
 * come can end. */
int decode_check_id(const struct Tokenizer *tokenizer, int32_t id, Error *error);
bool decode_skips(const struct Tokenizer *tokenizer, int32_t id);
bool decode_is_byte_level(const struct Tokenizer *tokenizer);
void decode_token_bytes(const struct Tokenizer *tokenizer, int32_t id, Buffer *out);
bool decode_waits_after(const struct Tokenizer *tokenizer, int32_t id);

/* ---- load.c */

/* Called once per component of a chain, in order. */
typedef int ChainVisitor(void *context, const char *type, const cJSON *json, const char *where, Error *error);
/* Unrolls a component and the sequences in it; `list_key` is where a Sequence keeps its members. */
int chain_walk(const cJSON *json, const char *list_key, ChainVisitor *visit, void *context, const char *where,
               Error *error);
/* The four chains of stages in a tokenizer.json. */
int tokenizer_load_stages(struct Tokenizer *tokenizer, const cJSON *root, const char *path, Error *error);
int tokenizer_load_json(struct Tokenizer *tokenizer, const char *path, Error *error);
/* Indexes the added tokens, checks the template, and takes its first token for BOS. */
int tokenizer_finish_loading(struct Tokenizer *tokenizer, const char *path, Error *error);

/* ---- model_file.c */

/* Reads a tokenizer.model. `legacy` is the reference library's setting of that name: a space goes in front of
 * every part of a text between special tokens, not only of the first. `own_specials`: base64 ranks get the
 * special tokens of Llama 3; otherwise the caller adds some. */
int tokenizer_load_model_file(struct Tokenizer *tokenizer, const char *path, bool legacy, bool own_specials,
                              Error *error);

/* ---- config.c */

/* Reads a file that must hold an object. */
int tokenizer_config_read(cJSON **out, const char *path, Error *error);
int tokenizer_config_legacy(const cJSON *root, const char *path, bool *legacy, Error *error);
int tokenizer_config_added_tokens(struct Tokenizer *tokenizer, const cJSON *root, const char *path,
                                  Error *error);
/* BOS and EOS, from the configuration or else from the map; either may be NULL. */
int tokenizer_config_names(struct Tokenizer *tokenizer, const cJSON *root, const cJSON *map, const char *path,
                           const char *map_path, Error *error);
/* The rest: length, template, chat template. */
int tokenizer_config_apply(struct Tokenizer *tokenizer, const cJSON *root, const char *path, Error *error);

struct Tokenizer {
    Arena arena;
    char *files[3];
    size_t n_files;
    Bpe bpe;
    AddedTokens added;
    Normalizer *normalizers;
    size_t n_normalizers;
    PreTokenizer *pre_tokenizers;
    size_t n_pre_tokenizers;
    Decoder *decoders;
    size_t n_decoders;
    bool has_decoder; /* without one, tokens are joined by spaces */
    TokenIds template_ids;
    int32_t bos_id, eos_id;
    const char *bos_text;
    const char *chat_template;
    int64_t model_max_length;
};

#endif
