/* tokenizer.model: SentencePiece's protobuf with a BPE model (Llama 2, Mistral), or the ranks of Llama 3 in
 * base64. Neither lists merges: two pieces merge when together they are a piece, better pieces first. The
 * other stages are those that the reference library's converters write into a tokenizer.json, so they are
 * loaded from such JSON. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/tokenizer/protobuf.h"
#include "runner/tokenizer/tokenizer_internal.h"

enum { MAX_MODEL_BYTES = 64 << 20, MAX_PIECE_BYTES = 1024, MAX_PIECES = 1 << 22 };

/* SentencePiece's kinds of pieces. */
typedef enum PieceType {
    PIECE_NORMAL = 1,
    PIECE_UNKNOWN = 2,
    PIECE_CONTROL = 3,
    PIECE_USER_DEFINED = 4,
    PIECE_UNUSED = 5,
    PIECE_BYTE = 6
} PieceType;

typedef struct ModelPiece {
    char *text; /* in the tokenizer's arena */
    size_t bytes;
    float score;
    uint64_t type;
    int32_t id;
} ModelPiece;

/* What is read from the file before tables are made of it. */
typedef struct ModelFile {
    const char *path;
    Tokenizer *tokenizer;
    ModelPiece *pieces; /* by id */
    size_t n, capacity;
    bool byte_fallback, add_prefix;
} ModelFile;

static ModelPiece *add_piece(ModelFile *file, const char *text, size_t bytes, Error *error) {
    if (file->n >= MAX_PIECES || bytes > MAX_PIECE_BYTES || bytes == 0) {
        error_set(error, "%s: piece %zu has %zu bytes, expected 1 to %d bytes in each of at most %d pieces",
                  file->path, file->n, bytes, MAX_PIECE_BYTES, MAX_PIECES);
        return NULL;
    }
    if (file->n == file->capacity) {
        file->capacity = file->capacity ? file->capacity * 2 : 4096;
        file->pieces = mem_realloc(file->pieces, file->capacity * sizeof *file->pieces);
    }
    ModelPiece *piece = &file->pieces[file->n];
    *piece = (ModelPiece){.text = arena_strndup(&file->tokenizer->arena, text, bytes),
                          .bytes = bytes,
                          .type = PIECE_NORMAL,
                          .id = (int32_t)file->n++};
    return piece;
}

/* ---- SentencePiece */

static int read_piece(ModelFile *file, ProtobufField message, Error *error) {
    Protobuf reader = protobuf_inside(&message);
    ProtobufField field, text = {0};
    float score = 0;
    uint64_t type = PIECE_NORMAL;
    int got;
    while ((got = protobuf_next(&reader, &field, error)) > 0) {
        if (field.number == 1 && field.kind == PROTOBUF_BYTES)
            text = field;
        else if (field.number == 2 && field.kind == PROTOBUF_FIXED32)
            score = protobuf_float(&field);
        else if (field.number == 3 && field.kind == PROTOBUF_VARINT)
            type = field.value;
    }
    if (got < 0)
        return error_prefix(error, "%s: piece %zu", file->path, file->n);
    if (!isfinite(score) || type < PIECE_NORMAL || type > PIECE_BYTE || type == PIECE_UNUSED ||
        !utf8_valid(text.data ? text.data : "", text.bytes) ||
        memchr(text.data ? text.data : "", 0, text.bytes))
        return error_set(
            error, "%s: piece %zu has type %llu, score %g: expected text, a number and type 1, 2, 3, 4 or 6",
            file->path, file->n, (unsigned long long)type, (double)score);
    ModelPiece *piece = add_piece(file, text.data, text.bytes, error);
    if (!piece)
        return -1;
    piece->score = score;
    piece->type = type;
    return 0;
}

/* A setting of the trainer or the normalizer: absent means its default. */
typedef struct Setting {
    uint32_t field;
    uint64_t expected; /* UINT64_MAX: any, kept in `value` */
    const char *name;
    uint64_t value; /* the default, then what the file says */
} Setting;

static int read_settings(const ModelFile *file, ProtobufField message, Setting *settings, size_t n,
                         Error *error) {
    Protobuf reader = protobuf_inside(&message);
    ProtobufField field;
    int got;
    while ((got = protobuf_next(&reader, &field, error)) > 0) {
        for (size_t i = 0; i < n; i++)
            if (settings[i].field == field.number)
                settings[i].value = field.kind == PROTOBUF_VARINT ? field.value : field.bytes;
    }
    if (got < 0)
        return error_prefix(error, "%s", file->path);
    for (size_t i = 0; i < n; i++)
        if (settings[i].expected != UINT64_MAX && settings[i].value != settings[i].expected)
            return error_set(error, "%s: %s is %llu, which is not supported, expected %llu", file->path,
                             settings[i].name, (unsigned long long)settings[i].value,
                             (unsigned long long)settings[i].expected);
    return 0;
}

static int read_sentencepiece(ModelFile *file, const Buffer *data, Error *error) {
    Setting trainer[] = {{3, 2, "the trainer's model_type (1 unigram, 2 BPE)", 1},
                         {24, 0, "treat_whitespace_as_suffix", 0},
                         {35, UINT64_MAX, "byte_fallback", 0}};
    Setting normalizer[] = {{2, 0, "the length of the normalizer's precompiled_charsmap", 0},
                            {3, UINT64_MAX, "add_dummy_prefix", 1},
                            {4, 0, "remove_extra_whitespaces", 1},
                            {5, 1, "escape_whitespaces", 1}};
    Protobuf reader = protobuf_begin(data->data, data->size);
    ProtobufField field, trainer_message = {0}, normalizer_message = {0};
    int got;
    while ((got = protobuf_next(&reader, &field, error)) > 0) {
        if (field.kind != PROTOBUF_BYTES)
            continue;
        if (field.number == 1 && read_piece(file, field, error))
            return -1;
        if (field.number == 2)
            trainer_message = field;
        if (field.number == 3)
            normalizer_message = field;
    }
    if (got < 0)
        return error_prefix(error, "%s", file->path);
    if (file->n == 0)
        return error_set(error, "%s: there are no pieces, expected at least one", file->path);
    if (read_settings(file, trainer_message, trainer, sizeof trainer / sizeof *trainer, error) ||
        read_settings(file, normalizer_message, normalizer, sizeof normalizer / sizeof *normalizer, error))
        return -1;
    file->byte_fallback = trainer[2].value;
    file->add_prefix = normalizer[1].value;
    return 0;
}

/* ---- ranks in base64 */

static int base64_value(char c) {
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = c ? strchr(alphabet, c) : NULL;
    return found ? (int)(found - alphabet) : -1;
}

/* Appends the bytes in the byte-level alphabet; -1 if the text is not base64 with its padding. */
static int append_base64(Buffer *out, const char *text, size_t bytes) {
    size_t padding = bytes >= 2 && text[bytes - 1] == '=' ? 1u + (text[bytes - 2] == '=') : 0;
    uint32_t bits = 0;
    if (bytes == 0 || bytes % 4)
        return -1;
    for (size_t i = 0; i < bytes; i++) {
        int value = i < bytes - padding ? base64_value(text[i]) : 0;
        if (value < 0)
            return -1;
        bits = bits << 6 | (uint32_t)value;
        if (i % 4 != 3)
            continue;
        size_t n = i + 1 == bytes ? 3 - padding : 3;
        for (size_t k = 0; k < n; k++)
            unicode_append(out, unicode_from_byte((uint8_t)(bits >> (16 - 8 * k))));
        bits = 0;
    }
    return 0;
}

/* Lines "BASE64 RANK", in order of rank. */
static int read_ranks(ModelFile *file, const Buffer *data, Error *error) {
    Buffer piece = {0};
    char expected[24];
    int result = 0;
    for (size_t at = 0; at < data->size && !result;) {
        const char *line = data->data + at, *newline = memchr(line, '\n', data->size - at);
        size_t bytes = newline ? (size_t)(newline - line) : data->size - at;
        const char *space = memchr(line, ' ', bytes);
        size_t length = space ? (size_t)(space - line) : bytes;
        size_t digits = (size_t)snprintf(expected, sizeof expected, " %zu", file->n);
        at += bytes + (newline ? 1 : 0);
        buffer_clear(&piece);
        if (bytes - length != digits || memcmp(line + length, expected, digits) != 0 ||
            append_base64(&piece, line, length))
            result = error_set(error,
                               "%s: line %zu is \"%.*s\", expected a SentencePiece model or lines of base64 "
                               "and a rank, here%s",
                               file->path, file->n + 1, (int)(bytes < 80 ? bytes : 80), line, expected);
        else
            result = add_piece(file, piece.data, piece.size, error) ? 0 : -1;
    }
    buffer_free(&piece);
    return result;
}

/* The special tokens of Llama 3, numbered on from the ranks; they are no pieces. */
static int add_llama3_specials(const ModelFile *file, Error *error) {
    enum { N_SPECIAL = 256 };
    static const char *const named[] = {[0] = "<|begin_of_text|>",
                                        [1] = "<|end_of_text|>",
                                        [6] = "<|start_header_id|>",
                                        [7] = "<|end_header_id|>",
                                        [9] = "<|eot_id|>"};
    int reserved = 0;
    for (size_t i = 0; i < N_SPECIAL; i++) {
        char text[48];
        if (i < sizeof named / sizeof *named && named[i])
            snprintf(text, sizeof text, "%s", named[i]);
        else
            snprintf(text, sizeof text, "<|reserved_special_token_%d|>", reserved++);
        AddedToken token = {.bytes = strlen(text), .id = (int32_t)(file->n + i), .special = true};
        token.content = arena_strdup(&file->tokenizer->arena, text);
        if (added_tokens_add(file->tokenizer, token, file->path, error))
            return -1;
    }
    return 0;
}

/* ---- tables */

static int compare_pieces(const void *a, const void *b) {
    const ModelPiece *x = a, *y = b;
    return x->score != y->score ? (x->score < y->score) - (x->score > y->score)
                                : (x->id > y->id) - (x->id < y->id);
}

typedef struct Merge {
    int32_t left, right, merged;
} Merge;

static int compare_merges(const void *a, const void *b) {
    const Merge *x = a, *y = b;
    return x->left != y->left ? (x->left > y->left) - (x->left < y->left)
                              : (x->right > y->right) - (x->right < y->right);
}

typedef struct MergeList {
    Merge *items;
    size_t n, capacity;
} MergeList;

/* Every way to put a piece together out of two others, in order of their ids. */
static void list_merges(const Bpe *bpe, const ModelPiece *piece, MergeList *list) {
    size_t first = list->n;
    for (size_t cut = 1; cut < piece->bytes; cut++) {
        int32_t left = string_table_find(&bpe->ids, piece->text, cut);
        int32_t right = left < 0 ? -1 : string_table_find(&bpe->ids, piece->text + cut, piece->bytes - cut);
        if (right < 0)
            continue;
        if (list->n == list->capacity) {
            list->capacity = list->capacity ? list->capacity * 2 : 4096;
            list->items = mem_realloc(list->items, list->capacity * sizeof *list->items);
        }
        list->items[list->n++] = (Merge){left, right, piece->id};
    }
    if (list->n > first)
        qsort(list->items + first, list->n - first, sizeof *list->items, compare_merges);
}

/* Sorts the pieces by score and fills the merges. */
static int derive_merges(ModelFile *file, Error *error) {
    Bpe *bpe = &file->tokenizer->bpe;
    MergeList list = {0};
    qsort(file->pieces, file->n, sizeof *file->pieces, compare_pieces);
    for (size_t i = 0; i < file->n; i++)
        if (file->pieces[i].type == PIECE_NORMAL)
            list_merges(bpe, &file->pieces[i], &list);
    int result = bpe_reserve_merges(bpe, list.n, file->path, error);
    for (size_t i = 0; i < list.n && !result; i++)
        bpe_add_merge(bpe, list.items[i].left, list.items[i].right, (int32_t)i, list.items[i].merged);
    free(list.items);
    return result;
}

static int make_tables(ModelFile *file, Error *error) {
    Tokenizer *tokenizer = file->tokenizer;
    const char *unknown = NULL;
    if (bpe_reserve(&tokenizer->bpe, file->n, file->n, error))
        return -1;
    for (size_t i = 0; i < file->n; i++) {
        const ModelPiece *piece = &file->pieces[i];
        if (piece->type == PIECE_UNKNOWN)
            unknown = piece->text;
        if (bpe_add_piece(&tokenizer->bpe, &tokenizer->arena, piece->text, piece->bytes, piece->id,
                          file->path, error))
            return -1;
    }
    for (size_t i = 0; i < file->n; i++) {
        const ModelPiece *piece = &file->pieces[i];
        if (piece->type != PIECE_NORMAL && piece->type != PIECE_BYTE &&
            added_tokens_add(tokenizer,
                             (AddedToken){.content = piece->text,
                                          .bytes = piece->bytes,
                                          .id = piece->id,
                                          .special = piece->type != PIECE_USER_DEFINED},
                             file->path, error))
            return -1;
    }
    return derive_merges(file, error) || bpe_finish(&tokenizer->bpe, unknown, file->path, error) ? -1 : 0;
}

/* ---- the other stages */

#define METASPACE                                                                                            \
    "{\"type\": \"Metaspace\", \"replacement\": \"\xE2\x96\x81\", \"prepend_scheme\": \"%s\", \"split\": "   \
    "false}"
#define MARK_SPACES "{\"type\": \"Replace\", \"pattern\": {\"String\": \" \"}, \"content\": \"\xE2\x96\x81\"}"

static const char sentencepiece_decoders[] =
    "{\"type\": \"Sequence\", \"decoders\": [{\"type\": \"Replace\", \"pattern\": {\"String\": "
    "\"\xE2\x96\x81\"}, "
    "\"content\": \" \"}, {\"type\": \"ByteFallback\"}, {\"type\": \"Fuse\"}%s]}";
static const char strip_first_space[] =
    ", {\"type\": \"Strip\", \"content\": \" \", \"start\": 1, \"stop\": 0}";

static const char llama3_stages[] =
    "{\"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Split\", \"behavior\": "
    "\"Isolated\", \"invert\": false, \"pattern\": {\"Regex\": \"(?i:'s|'t|'re|'ve|'m|'ll|'d)|"
    "[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}{1,3}| ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|"
    "\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+\"}}, {\"type\": \"ByteLevel\", \"add_prefix_space\": false, "
    "\"use_regex\": false}]}, \"decoder\": {\"type\": \"ByteLevel\"}, ";

/* BOS in front of the text; id < 0: nothing. */
static void append_template(Buffer *out, const char *bos, int32_t id) {
    if (id < 0)
        buffer_append_text(out, "\"post_processor\": null}");
    else
        buffer_printf(
            out,
            "\"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [{\"SpecialToken\": "
            "{\"id\": \"%s\"}}, {\"Sequence\": {\"id\": \"A\"}}], \"special_tokens\": {\"%s\": "
            "{\"ids\": [%d]}}}}",
            bos, bos, (int)id);
}

static void sentencepiece_stages(const ModelFile *file, bool legacy, Buffer *out) {
    buffer_append_text(out, "{");
    if (!legacy)
        buffer_printf(out, "\"pre_tokenizer\": " METASPACE ", ", file->add_prefix ? "first" : "never");
    else if (file->add_prefix)
        buffer_append_text(
            out, "\"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"Prepend\", "
                 "\"prepend\": \"\xE2\x96\x81\"}, " MARK_SPACES "]}, ");
    else
        buffer_append_text(out, "\"normalizer\": " MARK_SPACES ", ");
    buffer_append_text(out, "\"decoder\": ");
    buffer_printf(out, sentencepiece_decoders, file->add_prefix ? strip_first_space : "");
    buffer_append_text(out, ", ");
    append_template(out, "<s>", string_table_find(&file->tokenizer->bpe.ids, "<s>", 3));
}

static int load_stages(const ModelFile *file, bool ranks, bool legacy, Error *error) {
    Buffer json = {0};
    cJSON *root;
    if (ranks) {
        buffer_append_text(&json, llama3_stages);
        append_template(&json, "<|begin_of_text|>", (int32_t)file->n);
    } else {
        sentencepiece_stages(file, legacy, &json);
    }
    int result = json_parse(&root, json.data, json.size, file->path, error);
    if (!result) {
        result = tokenizer_load_stages(file->tokenizer, root, file->path, error);
        cJSON_Delete(root);
    }
    buffer_free(&json);
    return result;
}

int tokenizer_load_model_file(Tokenizer *tokenizer, const char *path, bool legacy, bool own_specials,
                              Error *error) {
    ModelFile file = {.path = path, .tokenizer = tokenizer};
    Buffer data = {0};
    if (file_read(&data, path, MAX_MODEL_BYTES, error))
        return -1;
    /* A SentencePiece model starts with the tag of its first piece, which is no base64. */
    bool ranks = data.size && data.data[0] != '\n';
    int result = ranks ? read_ranks(&file, &data, error) : read_sentencepiece(&file, &data, error);
    buffer_free(&data);
    tokenizer->bpe.ignore_merges = ranks;
    tokenizer->bpe.fuse_unknown = !ranks;
    tokenizer->bpe.byte_fallback = file.byte_fallback;
    if (!result)
        result = make_tables(&file, error);
    if (!result && ranks && own_specials)
        result = add_llama3_specials(&file, error);
    if (!result)
        result = load_stages(&file, ranks, legacy, error);
    free(file.pieces);
    return result;
}
