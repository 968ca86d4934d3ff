/* Opening and closing tokenizers, and the facts about them. */
#include "runner/tokenizer/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "runner/tokenizer/tokenizer_internal.h"

enum { FILE_MODEL, FILE_CONFIG, FILE_MAP, N_FILES }; /* places in Tokenizer.files while loading */

/* The file meant by a file or folder, as a new string; NULL if a folder has none. */
static char *find_file(const char *file_or_folder) {
    static const char *const names[] = {"tokenizer.json", "tokenizer.json.gz", "tokenizer.model",
                                        "tokenizer.model.gz"};
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

/* The file of that name beside another, as a new string; NULL if there is none. */
static char *find_beside(const char *file, const char *name) {
    char *folder = path_folder(file), *path = path_join(folder, name);
    free(folder);
    if (file_exists(path))
        return path;
    free(path);
    return NULL;
}

/* tokenizer.model has a format of its own, whatever else its name says. */
static bool is_model_file(const char *path) {
    return text_ends_with(path, ".model") || text_ends_with(path, ".model.gz");
}

static int load_parts(Tokenizer *tokenizer, const cJSON *config, const cJSON *map, Error *error) {
    char **files = tokenizer->files;
    bool legacy = true,
         config_adds = cJSON_GetObjectItemCaseSensitive(config, "added_tokens_decoder") != NULL;
    if (config && tokenizer_config_legacy(config, files[FILE_CONFIG], &legacy, error))
        return -1;
    if (is_model_file(files[FILE_MODEL])
            ? tokenizer_load_model_file(tokenizer, files[FILE_MODEL], legacy, !config_adds, error)
            : tokenizer_load_json(tokenizer, files[FILE_MODEL], error))
        return -1;
    if (config && tokenizer_config_added_tokens(tokenizer, config, files[FILE_CONFIG], error))
        return -1;
    if (tokenizer_finish_loading(tokenizer, files[FILE_MODEL], error) ||
        tokenizer_config_names(tokenizer, config, map, files[FILE_CONFIG], files[FILE_MAP], error))
        return -1;
    return config ? tokenizer_config_apply(tokenizer, config, files[FILE_CONFIG], error) : 0;
}

static int load_files(Tokenizer *tokenizer, Error *error) {
    char **files = tokenizer->files;
    cJSON *config = NULL, *map = NULL;
    files[FILE_CONFIG] = find_beside(files[FILE_MODEL], "tokenizer_config.json");
    files[FILE_MAP] = find_beside(files[FILE_MODEL], "special_tokens_map.json");
    int result = files[FILE_CONFIG] ? tokenizer_config_read(&config, files[FILE_CONFIG], error) : 0;
    if (!result && files[FILE_MAP])
        result = tokenizer_config_read(&map, files[FILE_MAP], error);
    if (!result)
        result = load_parts(tokenizer, config, map, error);
    cJSON_Delete(config);
    cJSON_Delete(map);
    for (int i = 0; i < N_FILES; i++) /* those that are not there leave no gap */
        if (files[i])
            files[tokenizer->n_files++] = files[i];
    for (size_t i = tokenizer->n_files; i < N_FILES; i++)
        files[i] = NULL;
    return result;
}

int tokenizer_open(Tokenizer **out, const char *file_or_folder, Error *error) {
    *out = NULL;
    char *path = find_file(file_or_folder);
    if (!path)
        return error_set(error,
                         "opening a tokenizer: the folder %s holds no tokenizer.json and no tokenizer.model",
                         file_or_folder);
    Tokenizer *tokenizer = mem_alloc_zero(1, sizeof *tokenizer);
    tokenizer->bos_id = tokenizer->eos_id = -1;
    tokenizer->files[FILE_MODEL] = path;
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
    for (int i = 0; i < N_FILES; i++)
        free(tokenizer->files[i]);
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

const char *tokenizer_chat_template(const Tokenizer *tokenizer) {
    return tokenizer->chat_template;
}
