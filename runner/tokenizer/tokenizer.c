/* Opening and closing tokenizers, and the facts about them. */
#include "runner/tokenizer/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "runner/tokenizer/tokenizer_internal.h"

/* The tokenizer.json meant by a file or folder, as a new string; NULL if a folder has none. */
static char *find_file(const char *file_or_folder) {
    static const char *const names[] = {"tokenizer.json", "tokenizer.json.gz"};
    if (!file_is_directory(file_or_folder))
        return mem_strdup(file_or_folder);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = path_join(file_or_folder, names[i]);
        if (file_exists(path))
            return path;
        free(path);
    }
    return NULL;
}

static int load_files(Tokenizer *tokenizer, Error *error) {
    if (tokenizer_load_json(tokenizer, tokenizer->files[0], error))
        return -1;
    tokenizer->n_files = 1;
    char *folder = path_folder(tokenizer->files[0]);
    char *config = path_join(folder, "tokenizer_config.json");
    free(folder);
    if (!file_exists(config)) {
        free(config);
        return 0;
    }
    tokenizer->files[1] = config;
    tokenizer->n_files = 2;
    return tokenizer_load_config(tokenizer, config, error);
}

int tokenizer_open(Tokenizer **out, const char *file_or_folder, Error *error) {
    *out = NULL;
    char *path = find_file(file_or_folder);
    if (!path)
        return error_set(error, "opening a tokenizer: the folder %s holds no tokenizer.json", file_or_folder);
    Tokenizer *tokenizer = mem_alloc_zero(1, sizeof *tokenizer);
    tokenizer->bos_id = tokenizer->eos_id = -1;
    tokenizer->files[0] = path;
    if (load_files(tokenizer, error)) {
        tokenizer_close(tokenizer);
        return -1;
    }
    *out = tokenizer;
    return 0;
}

void tokenizer_close(Tokenizer *tokenizer) {
    if (!tokenizer)
        return;
    for (size_t i = 0; i < tokenizer->n_normalizers; i++)
        normalizer_free(&tokenizer->normalizers[i]);
    for (size_t i = 0; i < tokenizer->n_pre_tokenizers; i++)
        pre_tokenizer_free(&tokenizer->pre_tokenizers[i]);
    for (size_t i = 0; i < tokenizer->n_decoders; i++)
        decoder_free(&tokenizer->decoders[i]);
    free(tokenizer->normalizers);
    free(tokenizer->pre_tokenizers);
    free(tokenizer->decoders);
    token_ids_free(&tokenizer->template_ids);
    added_tokens_free(&tokenizer->added);
    bpe_free(&tokenizer->bpe);
    arena_free(&tokenizer->arena);
    free(tokenizer->files[0]);
    free(tokenizer->files[1]);
    free(tokenizer);
}

size_t tokenizer_file_count(const Tokenizer *tokenizer) {
    return tokenizer->n_files;
}

const char *tokenizer_file(const Tokenizer *tokenizer, size_t i) {
    return i < tokenizer->n_files ? tokenizer->files[i] : NULL;
}

int32_t tokenizer_token_id(const Tokenizer *tokenizer, const char *token) {
    size_t bytes = strlen(token);
    int32_t index = string_table_find(&tokenizer->added.index, token, bytes);
    return index >= 0 ? tokenizer->added.items[index].id
                      : string_table_find(&tokenizer->bpe.ids, token, bytes);
}

const char *tokenizer_token_text(const Tokenizer *tokenizer, int32_t id) {
    const AddedToken *added = added_tokens_by_id(&tokenizer->added, id);
    if (added)
        return added->content;
    return id >= 0 && (size_t)id < tokenizer->bpe.n_texts ? tokenizer->bpe.texts[id].text : NULL;
}

int64_t tokenizer_vocab_size(const Tokenizer *tokenizer) {
    size_t added = tokenizer->added.n_by_id, vocabulary = tokenizer->bpe.n_texts;
    return (int64_t)(added > vocabulary ? added : vocabulary);
}

int32_t tokenizer_bos_id(const Tokenizer *tokenizer) {
    return tokenizer->bos_id;
}

int32_t tokenizer_eos_id(const Tokenizer *tokenizer) {
    return tokenizer->eos_id;
}

const char *tokenizer_bos_text(const Tokenizer *tokenizer) {
    return tokenizer->bos_text;
}

bool tokenizer_adds_bos(const Tokenizer *tokenizer) {
    return tokenizer->bos_id >= 0 && tokenizer->template_ids.n &&
           tokenizer->template_ids.ids[0] == tokenizer->bos_id;
}

int64_t tokenizer_model_max_length(const Tokenizer *tokenizer) {
    return tokenizer->model_max_length;
}
