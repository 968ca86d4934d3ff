/* Tokenizers as published with checkpoints: text to the reference's ids and back. Immutable after load; every
 * function that takes a const Tokenizer may be called from several threads at once. */
#ifndef ZEVAL_RUNNER_TOKENIZER_TOKENIZER_H
#define ZEVAL_RUNNER_TOKENIZER_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/file.h"

typedef struct Tokenizer Tokenizer;

/* A growable list of token ids. Zero-initialise with {0}. */
typedef struct TokenIds {
    int32_t *ids;
    size_t n, capacity;
} TokenIds;
void token_ids_append(TokenIds *list, int32_t id);
void token_ids_free(TokenIds *list);

/* Opens a tokenizer.json or tokenizer.model (SentencePiece BPE, or Llama 3's ranks in base64), plain or gzip,
 * or a folder that holds one, under that name or with .gz; the JSON is preferred. What lies beside it is read
 * where it is there: tokenizer_config.json for the BOS and EOS strings, add_bos_token and add_eos_token,
 * added_tokens_decoder, chat_template and model_max_length; special_tokens_map.json for a BOS or EOS that the
 * former does not name. A part that is not understood (a normalizer, pre-tokenizer, model, decoder,
 * post-processor type) is refused by name. */
int tokenizer_open(Tokenizer **out, const char *file_or_folder, Error *error);
void tokenizer_close(Tokenizer *tokenizer);
/* The files that were read, for hashing: the tokenizer, then those beside it. */
size_t tokenizer_file_count(const Tokenizer *tokenizer);
const char *tokenizer_file(const Tokenizer *tokenizer, size_t i);

/* What happens with special tokens; flags that can be combined. */
typedef enum SpecialPolicy {
    SPECIAL_NONE = 0,   /* add nothing around the text; special-token strings in it become those tokens */
    SPECIAL_ADD = 1,    /* run the post-processor: BOS, EOS as the file says */
    SPECIAL_AS_TEXT = 2 /* special-token strings in the text are text like any other */
} SpecialPolicy;

/* Appends the ids of text to out. Added tokens that are not special are found under every policy. Invalid
 * UTF-8 is taken as the reference takes it after replacement by U+FFFD; NUL bytes are data. A character that
 * the vocabulary lacks is dropped when there is no unknown token, as the reference does. Fails only if a
 * Split pattern exceeds its match limits or a word has a billion bytes. */
int tokenizer_encode(const Tokenizer *tokenizer, const char *text, size_t bytes, SpecialPolicy policy,
                     TokenIds *out, Error *error);

/* The bytes [start, end) of a text that a token stands for. */
typedef struct TokenSpan {
    size_t start, end;
} TokenSpan;
/* A growable list of them. Zero-initialise with {0}. */
typedef struct TokenSpans {
    TokenSpan *items;
    size_t n, capacity;
} TokenSpans;
void token_spans_append(TokenSpans *list, TokenSpan span);
void token_spans_free(TokenSpans *list);

/* tokenizer_encode that also appends to spans, for each id, the bytes of `text` that it stands for: the space
 * in front of a word is part of it, a token that is part of a character has only its bytes, characters that
 * normalization joined or reordered share theirs, and tokens that stand for nothing in the text (BOS, a
 * prepended space alone) have an empty span. */
int tokenizer_encode_spans(const Tokenizer *tokenizer, const char *text, size_t bytes, SpecialPolicy policy,
                           TokenIds *out, TokenSpans *spans, Error *error);

/* Appends the text of ids to out, as the file's decoder makes it. An id that is not in the vocabulary is an
 * error. */
int tokenizer_decode(const Tokenizer *tokenizer, const int32_t *ids, size_t n, bool skip_special, Buffer *out,
                     Error *error);

/* The id of an added or vocabulary token, -1 if there is none; the token's own string, NULL if the id is
 * unknown. */
int32_t tokenizer_token_id(const Tokenizer *tokenizer, const char *token);
const char *tokenizer_token_text(const Tokenizer *tokenizer, int32_t id);
/* One more than the largest id. */
int64_t tokenizer_vocab_size(const Tokenizer *tokenizer);

/* -1 / NULL when the tokenizer has none. Without a bos_token in tokenizer_config.json, a special token that
 * the post-processor puts first is taken as BOS. */
int32_t tokenizer_bos_id(const Tokenizer *tokenizer);
int32_t tokenizer_eos_id(const Tokenizer *tokenizer);
const char *tokenizer_bos_text(const Tokenizer *tokenizer);
/* True if SPECIAL_ADD puts BOS first. */
bool tokenizer_adds_bos(const Tokenizer *tokenizer);
/* tokenizer_config.json's model_max_length; 0 if absent or the library's "infinite" sentinel. */
int64_t tokenizer_model_max_length(const Tokenizer *tokenizer);
/* tokenizer_config.json's chat_template (the one named "default" where there are several); NULL if absent. */
const char *tokenizer_chat_template(const Tokenizer *tokenizer);

/* JSON Lines in bulk: {"text": ...} to {"ids": [...]}, or back. */
typedef struct BulkOptions {
    const char *name; /* of the input, for messages */
    SpecialPolicy policy;
    bool offsets;              /* encoding: also "offsets": [[start, end], ...], in bytes */
    bool decode, skip_special; /* decode: ids to text; skip_special: without special tokens */
    int n_threads;             /* 0: one per processor */
} BulkOptions;
/* Reads lines until the input ends and writes one for each, in their order. Stops at the first line that is
 * not such an object, after writing those before it; the message names the line. */
int tokenizer_process_lines(const Tokenizer *tokenizer, LineReader *reader, const BulkOptions *options,
                            FILE *out, Error *error);

/* Streaming decode: push ids one at a time; each call appends only text that later ids cannot change, never
 * half a character; special tokens are skipped. The time of a call does not grow with the stream. finish
 * appends what was held back. Together they give what tokenizer_decode gives. An id that is not in the
 * vocabulary is an error and changes nothing. Zero-initialise with {0}; free with token_stream_free. */
typedef struct TokenStream {
    TokenIds ids;   /* the last ids, as many as may still matter */
    size_t printed; /* bytes of their decoded text already handed out */
    Buffer tail;    /* byte-level decoding: an unfinished character */
} TokenStream;
int token_stream_push(TokenStream *stream, const Tokenizer *tokenizer, int32_t id, Buffer *out, Error *error);
int token_stream_finish(TokenStream *stream, const Tokenizer *tokenizer, Buffer *out, Error *error);
void token_stream_free(TokenStream *stream);

#endif
