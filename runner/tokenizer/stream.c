/* Streaming decode: a window of the last ids is decoded together, since a decoder may look at its neighbours,
 * and what can no longer change is handed out. When all of it is handed out, the window shrinks to its last
 * id if that alone decodes to settled text: what follows then depends on nothing before it. So the work does
 * not grow with the length of the stream. Byte-level decoding keeps no ids, only the bytes of an unfinished
 * character. */
#include <string.h>

#include "runner/tokenizer/tokenizer_internal.h"

/* Start of the character that `at` lies in. */
static size_t character_start(const Buffer *text, size_t at) {
    while (at && at < text->size && ((unsigned char)text->data[at] & 0xC0) == 0x80)
        at--;
    return at;
}

/* Makes the window its last id, if nothing is lost by that. */
static int shrink_window(TokenStream *stream, const Tokenizer *tokenizer, Error *error) {
    Buffer text = {0};
    size_t stable = 0;
    int32_t last = stream->ids.ids[stream->ids.n - 1];
    int result = decode_ids(tokenizer, &last, 1, true, &text, &stable, error);
    if (!result && text.size && stable == text.size) {
        stream->ids.ids[0] = last;
        stream->ids.n = 1;
        stream->printed = text.size;
    }
    buffer_free(&text);
    return result;
}

/* Hands out what is new up to the stable end, or all of it. */
static int hand_out(TokenStream *stream, const Tokenizer *tokenizer, bool all, Buffer *out, Error *error) {
    Buffer text = {0};
    size_t stable = 0;
    int result = decode_ids(tokenizer, stream->ids.ids, stream->ids.n, true, &text, &stable, error);
    if (!result) {
        size_t end = all ? text.size : character_start(&text, stable);
        if (end > stream->printed) {
            buffer_append(out, text.data + stream->printed, end - stream->printed);
            stream->printed = end;
        }
        if (!all && stream->ids.n > 1 && stream->printed == text.size && stable == text.size)
            result = shrink_window(stream, tokenizer, error);
    }
    buffer_free(&text);
    return result;
}

static void push_bytes(TokenStream *stream, const Tokenizer *tokenizer, int32_t id, Buffer *out) {
    Buffer *tail = &stream->tail;
    decode_token_bytes(tokenizer, id, tail);
    if (!tail->size)
        return;
    size_t settled = tail->size - unicode_unfinished_tail(tail->data, tail->size);
    unicode_append_repaired(out, tail->data, settled, NULL);
    tail->size -= settled;
    memmove(tail->data, tail->data + settled, tail->size + 1);
}

int token_stream_push(TokenStream *stream, const Tokenizer *tokenizer, int32_t id, Buffer *out,
                      Error *error) {
    if (decode_check_id(tokenizer, id, error))
        return -1;
    if (decode_skips(tokenizer, id))
        return 0;
    if (decode_is_byte_level(tokenizer)) {
        push_bytes(stream, tokenizer, id, out);
        return 0;
    }
    token_ids_append(&stream->ids, id);
    /* A run of bytes is read as a whole, so nothing is known before it ends. */
    return decode_waits_after(tokenizer, id) ? 0 : hand_out(stream, tokenizer, false, out, error);
}

int token_stream_finish(TokenStream *stream, const Tokenizer *tokenizer, Buffer *out, Error *error) {
    if (!decode_is_byte_level(tokenizer))
        return hand_out(stream, tokenizer, true, out, error);
    if (stream->tail.size)
        unicode_append_repaired(out, stream->tail.data, stream->tail.size, NULL);
    buffer_clear(&stream->tail);
    return 0;
}

void token_stream_free(TokenStream *stream) {
    token_ids_free(&stream->ids);
    buffer_free(&stream->tail);
    *stream = (TokenStream){0};
}
