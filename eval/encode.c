/* Pair encoding; see encode.h. */
#include "eval/encode.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"

static int64_t default_max_length(const Tokenizer *tokenizer, const ModelInfo *model) {
    if (model->max_position_embeddings > 0)
        return model->max_position_embeddings;
    int64_t own = tokenizer_model_max_length(tokenizer);
    return own > 0 ? own : 2048;
}

/* The first id that is one, -1 if none is. */
static int32_t first_known(const int32_t *ids, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (ids[i] >= 0)
            return ids[i];
    return -1;
}

int encoder_init(Encoder *encoder, const Tokenizer *tokenizer, const ModelInfo *model, Compat compat,
                 BosPolicy bos, int64_t max_length, Error *error) {
    int32_t bos_id = tokenizer_bos_id(tokenizer), eos_id = tokenizer_eos_id(tokenizer);
    bool old = compat == COMPAT_V0_4_0;
    const int32_t prefixes[] = {bos_id, eos_id, model->bos_token_id, model->eos_token_id};
    const int32_t old_prefixes[] = {eos_id, model->eos_token_id, bos_id, model->bos_token_id};
    *encoder = (Encoder){
        .tokenizer = tokenizer,
        .compat = compat,
        .add_bos = bos == BOS_ADD || (bos == BOS_DEFAULT && !old && tokenizer_adds_bos(tokenizer)),
        .prefix_token = first_known(old ? old_prefixes : prefixes, 4),
        .max_length = max_length > 0 ? max_length : default_max_length(tokenizer, model),
    };
    if (encoder->prefix_token < 0)
        return error_set(error,
                         "tokenizer %s: found neither a BOS nor an EOS token, expected one to stand for an "
                         "empty context",
                         tokenizer_file(tokenizer, 0));
    if (encoder->add_bos && bos_id < 0)
        return error_set(error, "tokenizer %s: it has no BOS token, but one is to be added",
                         tokenizer_file(tokenizer, 0));
    if (tokenizer_vocab_size(tokenizer) > model->vocab_size)
        return error_set(error,
                         "tokenizer %s: found %lld tokens, expected at most the model's vocab_size, %lld",
                         tokenizer_file(tokenizer, 0), (long long)tokenizer_vocab_size(tokenizer),
                         (long long)model->vocab_size);
    return 0;
}

/* A text that already begins with BOS does not get a second one. */
static int encode_text(const Encoder *encoder, const char *text, size_t bytes, TokenIds *out, Error *error) {
    const char *bos = tokenizer_bos_text(encoder->tokenizer);
    bool has_bos = bos && *bos && strlen(bos) <= bytes && memcmp(text, bos, strlen(bos)) == 0;
    if (!encoder->add_bos || has_bos)
        return tokenizer_encode(encoder->tokenizer, text, bytes, SPECIAL_NONE, out, error);
    if (tokenizer_adds_bos(encoder->tokenizer))
        return tokenizer_encode(encoder->tokenizer, text, bytes, SPECIAL_ADD, out, error);
    token_ids_append(out, tokenizer_bos_id(encoder->tokenizer));
    return tokenizer_encode(encoder->tokenizer, text, bytes, SPECIAL_NONE, out, error);
}

static int encode_empty_context(const Encoder *encoder, const char *continuation, EncodedRequest *out,
                                Error *error) {
    token_ids_append(&out->tokens, encoder->prefix_token);
    out->n_context = 1;
    if (tokenizer_encode(encoder->tokenizer, continuation, strlen(continuation), SPECIAL_NONE, &out->tokens,
                         error))
        return -1;
    TokenIds *tokens = &out->tokens;
    bool brings_its_own = tokens->n > 1 && tokens->ids[1] == encoder->prefix_token;
    if (brings_its_own && encoder->compat != COMPAT_V0_4_0) {
        memmove(tokens->ids, tokens->ids + 1, (tokens->n - 1) * sizeof *tokens->ids);
        tokens->n--;
    }
    return 0;
}

/* White space at the end of the context belongs to the continuation. The continuation's tokens are what the
 * whole text has beyond the number of the context's tokens, even where a merge crosses the boundary. */
static int encode_both(const Encoder *encoder, const EncodedRequest *former, const char *context,
                       const char *continuation, EncodedRequest *out, Error *error) {
    const char *stripped = context;
    size_t context_bytes = strlen(context), stripped_bytes = context_bytes;
    text_rstrip(&stripped, &stripped_bytes);
    Buffer text = {0};
    TokenIds whole = {0};
    buffer_append(&text, context, context_bytes);
    buffer_append_text(&text, continuation);
    int result = encode_text(encoder, text.data, text.size, &whole, error);
    if (result == 0 && former && former->n_truncated == 0)
        for (size_t i = 0; i < former->n_context; i++)
            token_ids_append(&out->tokens, former->tokens.ids[i]);
    else if (result == 0)
        result = encode_text(encoder, context, stripped_bytes, &out->tokens, error);
    out->n_context = out->tokens.n;
    for (size_t i = out->n_context; i < whole.n && result == 0; i++)
        token_ids_append(&out->tokens, whole.ids[i]);
    token_ids_free(&whole);
    buffer_free(&text);
    return result;
}

static int truncate_left(const Encoder *encoder, EncodedRequest *out, Error *error) {
    size_t most = (size_t)encoder->max_length + 1, n = out->tokens.n, n_continuation = n - out->n_context;
    if (n_continuation > (size_t)encoder->max_length)
        return error_set(error, "the continuation has %zu tokens, expected at most max_length, %lld",
                         n_continuation, (long long)encoder->max_length);
    if (n <= most)
        return 0;
    out->n_truncated = n - most;
    memmove(out->tokens.ids, out->tokens.ids + out->n_truncated, most * sizeof *out->tokens.ids);
    out->tokens.n = most;
    out->n_context -= out->n_truncated;
    return 0;
}

int encode_pair_after(const Encoder *encoder, const EncodedRequest *former, const char *context,
                      const char *continuation, EncodedRequest *out, Error *error) {
    out->tokens.n = 0;
    out->n_truncated = 0;
    int result = *context ? encode_both(encoder, former, context, continuation, out, error)
                          : encode_empty_context(encoder, continuation, out, error);
    if (result)
        return -1;
    if (out->n_context == 0)
        return error_set(error, "the context has no tokens");
    if (out->tokens.n <= out->n_context)
        return error_set(error, "the continuation has no tokens of its own");
    return truncate_left(encoder, out, error);
}

int encode_pair(const Encoder *encoder, const char *context, const char *continuation, EncodedRequest *out,
                Error *error) {
    return encode_pair_after(encoder, NULL, context, continuation, out, error);
}

void encoded_request_free(EncodedRequest *request) {
    token_ids_free(&request->tokens);
    *request = (EncodedRequest){0};
}

int encode_prompt(const Encoder *encoder, const char *prompt, size_t max_new_tokens, EncodedRequest *out,
                  Error *error) {
    out->tokens.n = 0;
    out->n_truncated = 0;
    if (max_new_tokens >= (size_t)encoder->max_length)
        return error_set(
            error,
            "up to %zu tokens are to be generated, expected fewer than max_length, %lld, so that "
            "the prompt has room",
            max_new_tokens, (long long)encoder->max_length);
    if (encode_text(encoder, prompt, strlen(prompt), &out->tokens, error))
        return -1;
    if (out->tokens.n == 0)
        token_ids_append(&out->tokens, encoder->prefix_token);
    size_t most = (size_t)encoder->max_length - max_new_tokens;
    if (out->tokens.n > most) {
        out->n_truncated = out->tokens.n - most;
        memmove(out->tokens.ids, out->tokens.ids + out->n_truncated, most * sizeof *out->tokens.ids);
        out->tokens.n = most;
    }
    out->n_context = out->tokens.n;
    return 0;
}

EncodedRequest *encoded_list_add(EncodedList *list) {
    if (list->n == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 8;
        list->items = mem_realloc(list->items, capacity * sizeof *list->items);
        memset(list->items + list->capacity, 0, (capacity - list->capacity) * sizeof *list->items);
        list->capacity = capacity;
    }
    return &list->items[list->n++];
}

void encoded_list_free(EncodedList *list) {
    for (size_t i = 0; i < list->capacity; i++)
        encoded_request_free(&list->items[i]);
    free(list->items);
    *list = (EncodedList){0};
}

/* ---- rolling windows */

void rolling_windows(const TokenIds *tokens, int32_t prefix_token, size_t max_length, EncodedList *out) {
    for (size_t done = 0; done < tokens->n;) {
        size_t left = tokens->n - done, n = left < max_length ? left : max_length, end = done + n;
        EncodedRequest *window = encoded_list_add(out);
        *window = (EncodedRequest){.tokens = {window->tokens.ids, 0, window->tokens.capacity}};
        if (done == 0)
            token_ids_append(&window->tokens, prefix_token);
        for (size_t i = done == 0 ? 0 : end - max_length - 1; i < end; i++)
            token_ids_append(&window->tokens, tokens->ids[i]);
        window->n_context = window->tokens.n - n;
        done = end;
    }
}

int encode_rolling(const Encoder *encoder, const char *text, EncodedList *out, Error *error) {
    TokenIds tokens = {0};
    int result = encode_text(encoder, text, strlen(text), &tokens, error);
    if (result == 0)
        rolling_windows(&tokens, encoder->prefix_token, (size_t)encoder->max_length, out);
    token_ids_free(&tokens);
    return result;
}
