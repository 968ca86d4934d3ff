/* Requests as token sequences: lm-evaluation-harness's pair encoding and left truncation
 * (lm_eval/api/model.py TemplateLM._encode_pair, lm_eval/models/huggingface.py HFLM._loglikelihood_tokens).
 */
#ifndef ZEVAL_EVAL_ENCODE_H
#define ZEVAL_EVAL_ENCODE_H

#include <stddef.h>
#include <stdint.h>

#include "eval/eval.h"
#include "runner/tokenizer/tokenizer.h"

typedef struct Encoder {
    const Tokenizer *tokenizer;
    Compat compat;
    bool add_bos;         /* put BOS before a context that does not begin with it */
    int32_t prefix_token; /* stands for an empty context: BOS, else EOS; the tokenizer's, else the model's */
    int64_t max_length;
} Encoder;

/* Settles BOS policy, prefix token and maximum length. The vocabulary must fit the model's. In the profile
 * v0.4.0 BOS is only added when asked for, and the prefix token is EOS. */
int encoder_init(Encoder *encoder, const Tokenizer *tokenizer, const ModelInfo *model, Compat compat,
                 BosPolicy bos, int64_t max_length, Error *error);

/* A request as tokens: ids[0, n_context) and then the continuation. The last token is never fed. */
typedef struct EncodedRequest {
    TokenIds tokens;
    size_t n_context;   /* after truncation, at least 1 */
    size_t n_truncated; /* context tokens cut off on the left */
} EncodedRequest;

/* Replaces *out (zero-initialise it first, free with encoded_request_free). The input, everything but the
 * last token, is cut on the left to max_length; a continuation longer than that is an error. */
int encode_pair(const Encoder *encoder, const char *context, const char *continuation, EncodedRequest *out,
                Error *error);
/* The same for a request whose context is that of `former`, which then need not be encoded again. */
int encode_pair_after(const Encoder *encoder, const EncodedRequest *former, const char *context,
                      const char *continuation, EncodedRequest *out, Error *error);
void encoded_request_free(EncodedRequest *request);

/* A prompt to be gone on from by up to max_new_tokens: cut on the left so that both fit max_length, all of
 * its tokens context. A prompt without tokens becomes the prefix token. */
int encode_prompt(const Encoder *encoder, const char *prompt, size_t max_new_tokens, EncodedRequest *out,
                  Error *error);

/* Requests whose number is not known beforehand. Zero-initialise with {0}; [n, capacity) keep their memory.
 */
typedef struct EncodedList {
    EncodedRequest *items;
    size_t n, capacity;
} EncodedList;
/* One more request at the end, to be replaced by an encode function. The pointer lives until the next call.
 */
EncodedRequest *encoded_list_add(EncodedList *list);
void encoded_list_free(EncodedList *list);

/* Appends the windows that score every token of a text once (lm_eval/utils.py get_rolling_token_windows with
 * a context of one token, make_disjoint_window): the first after the prefix token, the others after as many
 * former tokens as max_length has room for. No windows for a text without tokens. */
int encode_rolling(const Encoder *encoder, const char *text, EncodedList *out, Error *error);
/* The same for tokens. */
void rolling_windows(const TokenIds *tokens, int32_t prefix_token, size_t max_length, EncodedList *out);

#endif
