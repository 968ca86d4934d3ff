/* Streaming decode: the ids so far are decoded together, since a decoder may look at its neighbours, and what
 * can no longer change is handed out. */
#include "runner/tokenizer/tokenizer_internal.h"

/* Start of the character that `at` lies in. */
static size_t character_start(const Buffer *text, size_t at) {
    while (at && at < text->size && ((unsigned char)text->data[at] & 0xC0) == 0x80)
        at--;
    return at;
}

/* Hands out what is new up to the stable end, or all of it. */
static int hand_out(TokenStream *stream, const Tokenizer *tokenizer, bool all, Buffer *out, Error *error) {
    Buffer text = {0};
    size_t stable;
    int result = decode_ids(tokenizer, stream->ids.ids, stream->ids.n, true, &text, &stable, error);
    if (!result) {
        size_t end = all ? text.size : character_start(&text, stable);
        if (end > stream->printed) {
            buffer_append(out, text.data + stream->printed, end - stream->printed);
            stream->printed = end;
        }
    }
    buffer_free(&text);
    return result;
}

int token_stream_push(TokenStream *stream, const Tokenizer *tokenizer, int32_t id, Buffer *out,
                      Error *error) {
    token_ids_append(&stream->ids, id);
    if (hand_out(stream, tokenizer, false, out, error)) {
        stream->ids.n--;
        return -1;
    }
    return 0;
}

int token_stream_finish(TokenStream *stream, const Tokenizer *tokenizer, Buffer *out, Error *error) {
    return hand_out(stream, tokenizer, true, out, error);
}

void token_stream_free(TokenStream *stream) {
    token_ids_free(&stream->ids);
    *stream = (TokenStream){0};
}
