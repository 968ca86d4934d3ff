/* Fuzzes the tokenizer: the input up to a line "====" is a tokenizer.json, or after "MODEL:" a
 * tokenizer.model; what follows is text to encode with it; the ids are decoded again, whole and as a stream.
 * Without the line, the input is the file alone and a fixed text is encoded. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "runner/tokenizer/tokenizer.h"

static char json_path[64], model_path[64];

static void remove_files(void) {
    unlink(json_path);
    unlink(model_path);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    snprintf(json_path, sizeof json_path, "/tmp/zeval-fuzz-tokenizer-%ld.json", (long)getpid());
    snprintf(model_path, sizeof model_path, "/tmp/zeval-fuzz-tokenizer-%ld.model", (long)getpid());
    atexit(remove_files);
    return 0;
}

static void round_trip(const Tokenizer *tokenizer, const char *text, size_t bytes) {
    TokenIds ids = {0};
    Buffer decoded = {0}, streamed = {0};
    TokenStream stream = {0};
    if (!tokenizer_encode(tokenizer, text, bytes, SPECIAL_ADD, &ids, NULL)) {
        if (tokenizer_decode(tokenizer, ids.ids, ids.n, true, &decoded, NULL))
            goto done; /* a pattern's limit */
        for (size_t i = 0; i < ids.n && i < 256; i++)
            if (token_stream_push(&stream, tokenizer, ids.ids[i], &streamed, NULL))
                goto done;
        if (token_stream_finish(&stream, tokenizer, &streamed, NULL))
            goto done;
        if (ids.n <= 256 && (streamed.size != decoded.size ||
                             (decoded.size && memcmp(streamed.data, decoded.data, decoded.size) != 0)))
            abort();
    }
done:
    token_stream_free(&stream);
    buffer_free(&decoded);
    buffer_free(&streamed);
    token_ids_free(&ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char divider[] = "\n====\n",
                      model[] = "MODEL:", sample[] = "a<s> Hello  w\xC3\xB6rld 12\n\xF0\x9F\x98\x80\xFF";
    bool is_model = size >= sizeof model - 1 && memcmp(data, model, sizeof model - 1) == 0;
    const char *path = is_model ? model_path : json_path;
    if (is_model) {
        data += sizeof model - 1;
        size -= sizeof model - 1;
    }
    const char *json = (const char *)data, *cut = memmem(data, size, divider, sizeof divider - 1);
    size_t json_bytes = cut ? (size_t)(cut - json) : size;
    const char *text = cut ? cut + sizeof divider - 1 : sample;
    size_t bytes = cut ? size - json_bytes - (sizeof divider - 1) : sizeof sample - 1;
    Tokenizer *tokenizer;
    Error error = {0};
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(json, 1, json_bytes, file) != json_bytes || fclose(file))
        abort();
    if (tokenizer_open(&tokenizer, path, &error)) {
        if (!error.message[0])
            abort();
        return 0;
    }
    round_trip(tokenizer, text, bytes);
    tokenizer_close(tokenizer);
    return 0;
}
